//! The connections of hot paths, which run one statement each and are done.
//!
//! sqlx's own pool asks every returned connection whether it is still there, in a task of its own: a second round trip
//! for each statement, and a connection that others wait for meanwhile. Here a connection goes back at the moment when
//! the last of its answer has been read, and only then. Whoever is cut off in between, or gets anything but an answer,
//! closes it; so nothing comes back in a doubtful state and nothing has to be checked.

use std::{
    io::ErrorKind,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, FromRow, PgConnection, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::QueryAs,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A server process collects caches over its life, so that it is replaced from time to time.
const LIFETIME: Duration = Duration::from_mins(30);
/// What has been silent for longer may have been forgotten by something on the way, which shows only after minutes.
const SILENCE: Duration = Duration::from_mins(5);
/// The longest pause between two attempts to connect to a database that is just starting.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Connections, made when they are needed and kept; whoever finds none waits in line.
pub(crate) struct HotPool {
    options: PgConnectOptions,
    size: u32,
    patience: Duration,
    turns: Semaphore,
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    connection: PgConnection,
    born: Instant,
    back: Instant,
}

/// A connection for one statement. Dropped without [`Self::give_back`], it is closed.
pub(crate) struct Hot<'p> {
    connection: PgConnection,
    born: Instant,
    pool: &'p HotPool,
    _turn: SemaphorePermit<'p>,
}

impl HotPool {
    /// At most `size` connections, for which a caller waits at most as long as `patience`.
    pub(crate) fn new(options: PgConnectOptions, size: u32, patience: Duration) -> Self {
        let size = size.max(1);
        let permits = usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { options, size, patience, turns: Semaphore::new(permits), idle: Mutex::default() }
    }

    /// How many connections there may be: as many of them can turn out to be dead, one after the other.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// The next connection, when it is this caller's turn.
    pub(crate) async fn take(&self) -> Result<Hot<'_>, sqlx::Error> {
        let turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) => {
                self.in_time(async { self.turns.acquire().await.map_err(|_| sqlx::Error::PoolClosed) })
                    .await?
            }
        };
        let now = Instant::now();
        while let Some(kept) = self.pop() {
            if now.duration_since(kept.born) < LIFETIME && now.duration_since(kept.back) < SILENCE {
                return Ok(Hot { connection: kept.connection, born: kept.born, pool: self, _turn: turn });
            }
            // Nobody waits for the farewell, nor does it matter whether it arrives.
            tokio::spawn(kept.connection.close());
        }
        let connection = self.in_time(self.connect()).await?;
        Ok(Hot { connection, born: now, pool: self, _turn: turn })
    }

    /// Runs a statement and gives its first row once all of its answer has come: only then is what it did committed.
    pub(crate) async fn ask<O>(&self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<O, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut hot = self.take().await?;
        let answer = {
            let mut rows = query.fetch(&mut hot.connection);
            let mut first = None;
            loop {
                match rows.try_next().await {
                    Ok(Some(row)) => first = first.or(Some(row)),
                    Ok(None) => break first.ok_or(sqlx::Error::RowNotFound),
                    Err(error) => break Err(error),
                }
            }
        };
        hot.give_back_after(answer.as_ref().err());
        answer
    }

    /// Ends all connections, waiting for those in use.
    pub(crate) async fn close(&self) {
        let everybody = self.turns.acquire_many(self.size).await;
        self.turns.close();
        drop(everybody);
        while let Some(kept) = self.pop() {
            // The database notices either way.
            let _ = kept.connection.close().await;
        }
    }

    /// The connection that came back last: the others may rest until they are too old.
    fn pop(&self) -> Option<Kept> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut pause = Duration::from_millis(10);
        loop {
            match self.options.connect().await {
                Err(error) if is_starting(&error) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        tokio::time::timeout(self.patience, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

impl Hot<'_> {
    /// The connection.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Gives it back; its whole answer must have been read.
    pub(crate) fn give_back(self) {
        let kept = Kept { connection: self.connection, born: self.born, back: Instant::now() };
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }

    /// The same after a statement that may have failed: a refusal is an answer, unless the database says goodbye.
    pub(crate) fn give_back_after(self, error: Option<&sqlx::Error>) {
        let whole = match error {
            None => true,
            Some(sqlx::Error::Database(refusal)) => {
                refusal.code().is_some_and(|code| !code.starts_with("57P"))
            }
            Some(_) => false,
        };
        if whole {
            self.give_back();
        }
    }
}

/// Whether the database is not there yet or just coming up, so that it is worth another attempt.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        sqlx::Error::Database(refusal) => refusal.code().as_deref() == Some("57P03"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use futures_util::poll;
    use voxanne_testkit::TestDb;

    use super::*;

    const PID: &str = "select pg_backend_pid()";

    fn pool(db: &TestDb, size: u32) -> HotPool {
        HotPool::new(db.app_url().parse().unwrap(), size, Duration::from_secs(5))
    }

    async fn pid(pool: &HotPool) -> i32 {
        pool.ask::<(i32,)>(sqlx::query_as(PID)).await.unwrap().0
    }

    #[tokio::test]
    async fn a_connection_is_used_again_after_an_answer_and_after_a_refusal() {
        let db = TestDb::new().await;
        let pool = pool(&db, 2);
        let first = pid(&pool).await;
        let refused = pool.ask::<(i32,)>(sqlx::query_as("select 1 / 0")).await;
        assert!(matches!(refused, Err(sqlx::Error::Database(_))));
        assert_eq!(pid(&pool).await, first);
    }

    #[tokio::test]
    async fn whoever_is_cut_off_at_any_point_leaves_no_connection_behind() {
        let db = TestDb::new().await;
        let pool = pool(&db, 1);
        for polls in 0.. {
            let before = pid(&pool).await;
            let mut finished = false;
            {
                let mut statement = pin!(pool.ask::<(i32,)>(sqlx::query_as("select 1 from pg_sleep(0.001)")));
                for _ in 0..polls {
                    finished = matches!(poll!(&mut statement), Poll::Ready(_));
                    if finished {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            // Its answer is nobody else's, and its turn is somebody else's.
            let after = pid(&pool).await;
            assert!(finished || polls == 0 || after != before, "cut off after {polls} polls");
            if finished {
                break;
            }
        }
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_patience() {
        let db = TestDb::new().await;
        let pool = HotPool::new(db.app_url().parse().unwrap(), 1, Duration::from_millis(1));
        let held = loop {
            // Connecting may itself take longer than this patience.
            if let Ok(held) = pool.take().await {
                break held;
            }
        };
        assert!(matches!(pool.take().await, Err(sqlx::Error::PoolTimedOut)));
        held.give_back();
        assert!(pool.take().await.is_ok());
    }

    #[tokio::test]
    async fn after_the_end_there_are_no_connections() {
        let db = TestDb::new().await;
        let pool = pool(&db, 3);
        pid(&pool).await;
        pool.close().await;
        assert!(matches!(pool.take().await, Err(sqlx::Error::PoolClosed)));
        assert!(pool.pop().is_none());
    }
}
