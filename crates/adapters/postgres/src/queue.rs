//! The job queue's side of the database: the relay that feeds it, its figures, and starting a job by hand.

use std::time::Duration;

use sqlx::PgPool;
use voxanne_kernel::{Job, NewJob, StoreError};

use crate::{
    constraint::store_error,
    migrate::QUEUE_SCHEMA,
    pool::{self, ConnectError, PoolSettings},
    sql::{from_sql, to_sql},
};

/// The queue, under a role that can read jobs and nothing of any tenant.
#[derive(Clone)]
pub struct Queue {
    pool: PgPool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

/// One task's jobs at a moment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TaskFigures {
    /// The task's name.
    pub task: String,
    /// Due now and not taken.
    pub due: i64,
    /// Waiting for a later time.
    pub scheduled: i64,
    /// Being worked on.
    pub running: i64,
    /// Given up after the last attempt: somebody should look.
    pub dead: i64,
    /// Seconds since the oldest due job became due; 0 when there is none.
    pub oldest_due_seconds: i64,
}

/// One job, for an operator's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The queue's id of it.
    pub id: i64,
    /// The task's name.
    pub task: String,
    /// The organization, unless it is the platform's own.
    pub org_id: Option<String>,
    /// Attempts so far.
    pub attempts: i16,
    /// Attempts in all.
    pub max_attempts: i16,
    /// When it is due.
    pub run_at: jiff::Timestamp,
    /// Whether a worker has it.
    pub running: bool,
    /// The last failure, as the handler told it: never a provider's text or a secret.
    pub last_error: Option<String>,
}

#[derive(sqlx::FromRow)]
struct RawJobRow {
    id: i64,
    task: String,
    org_id: Option<String>,
    attempts: i16,
    max_attempts: i16,
    run_at: time::OffsetDateTime,
    running: bool,
    last_error: Option<String>,
}

impl From<RawJobRow> for JobRow {
    fn from(row: RawJobRow) -> Self {
        Self {
            id: row.id,
            task: row.task,
            org_id: row.org_id,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            run_at: from_sql(row.run_at),
            running: row.running,
            last_error: row.last_error,
        }
    }
}

impl Queue {
    /// Prepares the queue's own pool.
    pub fn new(settings: &PoolSettings, connections: u32) -> Result<Self, ConnectError> {
        Ok(Self { pool: pool::for_queue(settings, connections)? })
    }

    /// The pool and the schema, for the library that works the queue off.
    pub fn parts(&self) -> (PgPool, &'static str) {
        (self.pool.clone(), QUEUE_SCHEMA)
    }

    /// Moves what is waiting in the outbox into the queue, at most 500 jobs, in one statement: a job is in exactly
    /// one of the two whatever happens. Returns how many left the outbox.
    pub async fn relay(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar(RELAY).fetch_one(&self.pool).await.map_err(store_error)
    }

    /// Figures for every task that has jobs.
    pub async fn figures(&self) -> Result<Vec<TaskFigures>, StoreError> {
        sqlx::query_as(FIGURES).fetch_all(&self.pool).await.map_err(store_error)
    }

    /// The jobs that have not ended well yet, due first.
    pub async fn list(&self, limit: i64) -> Result<Vec<JobRow>, StoreError> {
        self.jobs(None, limit).await
    }

    /// The job of this id; `None` once it has ended well, which takes it out of the queue.
    pub async fn job(&self, id: i64) -> Result<Option<JobRow>, StoreError> {
        Ok(self.jobs(Some(id), 1).await?.pop())
    }

    async fn jobs(&self, id: Option<i64>, limit: i64) -> Result<Vec<JobRow>, StoreError> {
        let rows: Vec<RawJobRow> =
            sqlx::query_as(JOBS).bind(id).bind(limit).fetch_all(&self.pool).await.map_err(store_error)?;
        Ok(rows.into_iter().map(JobRow::from).collect())
    }

    /// Puts a job of the platform itself straight into the queue, replacing a waiting one of the same task.
    /// Returns the queue's id of it.
    pub async fn start<J: Job>(&self, job: &J) -> Result<i64, StoreError> {
        let job = NewJob::of(job);
        sqlx::query_scalar(
            "select id from graphile_worker.add_job($1, payload := $2::json, max_attempts := $3,
                                                    job_key := 'system:' || $1)",
        )
        .bind(job.task)
        .bind(job.payload)
        .bind(i32::from(job.max_attempts))
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)
    }

    /// Sets when a failed job is tried again: the library's own curve is replaced by ours.
    pub async fn retry_at(&self, job_id: i64, at: jiff::Timestamp) -> Result<(), StoreError> {
        sqlx::query("select graphile_worker.reschedule_jobs(array[$1]::bigint[], run_at := $2)")
            .bind(job_id)
            .bind(to_sql(at))
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    /// Closes the pool, waiting at most five seconds for connections in use.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(5), self.pool.close()).await;
    }
}

/// One relay at a time (`gate`), or an older row of a key could overtake a newer one; equal keys of a batch fold to
/// the newest (`last`), or the queue's upsert would touch one row twice; nothing is called for an empty batch
/// (`having`), because adding nothing still wakes every worker. The organization comes from the column that the
/// policy checked, whatever the payload says, and prefixes key and queue, which are global in the queue.
const RELAY: &str = "
with gate as materialized (select pg_try_advisory_xact_lock(hashtext('voxanne.outbox')) as mine),
     pick as materialized (
         select o.id from outbox o, gate where gate.mine order by o.id limit 500 for update of o skip locked),
     moved as (
         delete from outbox o using pick where o.id = pick.id
         returning o.*, coalesce(o.org_id::text, 'system') as owner),
     last as (
         select distinct on (coalesce(owner || ':' || key, id::text)) *
           from moved order by coalesce(owner || ':' || key, id::text), id desc),
     specs as (
         select array_agg((task, (payload || jsonb_build_object('org_id', org_id))::json, owner || ':' || queue, run_at,
                           max_attempts, owner || ':' || key, priority, flags)::graphile_worker.job_spec
                          order by id) as list
           from last having count(*) > 0),
     added as (select a.id from specs, lateral graphile_worker.add_jobs(list, false) a)
select (select count(*) from moved) + 0 * (select count(*) from added)";

const FIGURES: &str = "
select t.identifier as task,
       count(*) filter (where j.locked_at is null and j.attempts < j.max_attempts and j.run_at <= now()) as due,
       count(*) filter (where j.locked_at is null and j.attempts < j.max_attempts and j.run_at > now()) as scheduled,
       count(*) filter (where j.locked_at is not null) as running,
       count(*) filter (where j.locked_at is null and j.attempts >= j.max_attempts) as dead,
       coalesce(extract(epoch from now() - min(j.run_at)
           filter (where j.locked_at is null and j.attempts < j.max_attempts and j.run_at <= now()))::bigint, 0)
           as oldest_due_seconds
  from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
 group by t.identifier order by t.identifier";

/// The job of one id, or all.
const JOBS: &str = "
select j.id, t.identifier as task, j.payload ->> 'org_id' as org_id, j.attempts::smallint as attempts,
       j.max_attempts::smallint as max_attempts, j.run_at, j.locked_at is not null as running, j.last_error
  from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
 where $1::bigint is null or j.id = $1
 order by j.run_at, j.id limit $2";
