//! The job queue on a real PostgreSQL: starting a job by hand and following it.

use voxanne_postgres::{PoolSettings, queue::Queue, retention::Retention};
use voxanne_testkit::TestDb;

#[tokio::test]
async fn a_job_is_followed_by_its_id_until_it_has_ended_well() {
    let db = TestDb::new().await;
    let queue = Queue::new(&PoolSettings::new(db.app_url(), "test"), 2).unwrap();
    let id = queue.start(&Retention::default()).await.unwrap();
    let job = queue.job(id).await.unwrap().unwrap();
    assert_eq!((job.id, job.task.as_str(), job.attempts), (id, "retention", 0));
    assert!(!job.running);
    assert_eq!(queue.list(10).await.unwrap(), [job]);
    assert_eq!(queue.job(id + 1).await.unwrap(), None);

    let mut owner = db.owner().await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(&mut owner).await.unwrap();
    assert_eq!(queue.job(id).await.unwrap(), None);
}

#[tokio::test]
async fn starting_again_replaces_what_waits_and_forgets_its_failure_but_leaves_what_runs() {
    let db = TestDb::new().await;
    let queue = Queue::new(&PoolSettings::new(db.app_url(), "test"), 2).unwrap();
    let mut owner = db.owner().await;
    let first = queue.start(&Retention::default()).await.unwrap();
    sqlx::query("update graphile_worker._private_jobs set attempts = 1, last_error = 'x'")
        .execute(&mut owner)
        .await
        .unwrap();
    assert_eq!(queue.start(&Retention::default()).await.unwrap(), first);
    let job = queue.job(first).await.unwrap().unwrap();
    assert_eq!((job.attempts, job.last_error), (0, None));

    sqlx::query("update graphile_worker._private_jobs set locked_at = now()")
        .execute(&mut owner)
        .await
        .unwrap();
    let second = queue.start(&Retention::default()).await.unwrap();
    assert_ne!(second, first);
    assert!(queue.job(first).await.unwrap().unwrap().running);
    assert!(!queue.job(second).await.unwrap().unwrap().running);
}
