//! Load in two shapes, and what came of it.
//!
//! In a *closed loop* every connection asks again as soon as it was answered, which finds out how much can be done. In
//! an *open loop* requests arrive at a constant rate whether or not earlier ones have been answered, and each one's
//! time counts from when it should have been sent: what a caller waits for, without leaving out the waiting.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::sync::Semaphore;

/// Somebody who makes one request after the other over a connection of their own.
pub(crate) trait Caller: Send + 'static {
    /// Makes one request and looks whether the answer is the right one.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// How long each request took, and how long all of it took.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    microseconds: Vec<u32>,
    elapsed: Duration,
}

/// The figures of one side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Requests.
    pub(crate) requests: usize,
    /// Requests in a second.
    pub(crate) per_second: f64,
    /// Half took at most this long, in microseconds.
    pub(crate) p50_us: u32,
    /// All but one in a hundred took at most this long, in microseconds.
    pub(crate) p99_us: u32,
}

/// What one caller did.
struct Done<C> {
    caller: C,
    microseconds: Vec<u32>,
    failures: usize,
    first_failure: Option<anyhow::Error>,
}

impl<C: Caller> Done<C> {
    fn nothing_yet(caller: C) -> Self {
        Self { caller, microseconds: Vec::with_capacity(16 * 1024), failures: 0, first_failure: None }
    }

    /// Makes one request, timed from `since`.
    async fn one(&mut self, since: Instant) {
        match self.caller.call().await {
            Ok(()) => self.microseconds.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)),
            Err(error) => {
                self.failures += 1;
                self.first_failure.get_or_insert(error);
            }
        }
    }
}

impl Samples {
    /// Adds another round of the same.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.microseconds.append(&mut other.microseconds);
        self.elapsed += other.elapsed;
    }

    /// How many requests there were.
    pub(crate) fn len(&self) -> usize {
        self.microseconds.len()
    }

    /// The figures.
    pub(crate) fn figures(mut self) -> Figures {
        self.microseconds.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^53")]
        let requests = self.microseconds.len() as f64;
        Figures {
            requests: self.microseconds.len(),
            per_second: requests / self.elapsed.as_secs_f64(),
            p50_us: percentile(&self.microseconds, 50),
            p99_us: percentile(&self.microseconds, 99),
        }
    }
}

/// The smallest value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Every caller asks again as soon as it was answered, for `time`.
///
/// # Errors
/// When any request failed, with the first failure.
pub(crate) async fn closed_loop<C: Caller>(callers: &mut Vec<C>, time: Duration) -> anyhow::Result<Samples> {
    let began = Instant::now();
    let until = began + time;
    run(callers, began, |mut done| async move {
        while Instant::now() < until {
            done.one(Instant::now()).await;
        }
        done
    })
    .await
}

/// Requests arrive `rate` times a second for `time`; whoever is free takes the next.
///
/// # Errors
/// When any request failed, with the first failure.
pub(crate) async fn open_loop<C: Caller>(
    callers: &mut Vec<C>,
    rate: f64,
    time: Duration,
) -> anyhow::Result<Samples> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let count = u32::try_from(time.as_micros() / interval.as_micros().max(1)).context("too many requests")?;
    let arrived = Arc::new(Semaphore::new(0));
    let taken = Arc::new(AtomicU32::new(0));
    let began = Instant::now() + Duration::from_millis(20);

    // The runtime's timer knows milliseconds only; a thread that sleeps is on time to a twentieth of one.
    let bell = arrived.clone();
    let pacer = std::thread::spawn(move || {
        for arrival in 0..count {
            std::thread::sleep((began + interval * arrival).saturating_duration_since(Instant::now()));
            bell.add_permits(1);
        }
        bell.close();
    });
    let samples = run(callers, began, |mut done| {
        let (arrived, taken) = (arrived.clone(), taken.clone());
        async move {
            loop {
                match arrived.acquire().await {
                    Ok(permit) => permit.forget(),
                    // What has arrived before the end is still answered.
                    Err(_closed) if taken.load(Ordering::Relaxed) >= count => return done,
                    Err(_closed) => {}
                }
                let arrival = taken.fetch_add(1, Ordering::Relaxed);
                if arrival >= count {
                    return done;
                }
                done.one(began + interval * arrival).await;
            }
        }
    })
    .await;
    if pacer.join().is_err() {
        bail!("the thread that paces requests panicked");
    }
    samples
}

async fn run<C, W>(
    callers: &mut Vec<C>,
    began: Instant,
    work: impl Fn(Done<C>) -> W,
) -> anyhow::Result<Samples>
where
    C: Caller,
    W: Future<Output = Done<C>> + Send + 'static,
{
    let tasks: Vec<_> =
        callers.drain(..).map(|caller| tokio::spawn(work(Done::nothing_yet(caller)))).collect();
    let (mut samples, mut failures, mut first) = (Samples::default(), 0, None);
    for task in tasks {
        let mut done = task.await.context("a caller panicked")?;
        samples.microseconds.append(&mut done.microseconds);
        failures += done.failures;
        first = first.or(done.first_failure);
        callers.push(done.caller);
    }
    samples.elapsed = began.elapsed();
    match first {
        Some(error) => {
            let all = failures + samples.len();
            Err(error.context(format!("{failures} of {all} requests failed, the first of them")))
        }
        None => Ok(samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails from some call on.
    struct Counting {
        made: u32,
        good: u32,
    }

    impl Caller for Counting {
        async fn call(&mut self) -> anyhow::Result<()> {
            self.made += 1;
            tokio::task::yield_now().await;
            anyhow::ensure!(self.made <= self.good, "call {}", self.made);
            Ok(())
        }
    }

    #[test]
    fn a_percentile_is_a_value_that_occurred() {
        let hundred: Vec<u32> = (1..=100).collect();
        for (values, percent, expected) in [
            (&hundred[..], 50, 50),
            (&hundred, 99, 99),
            (&hundred[..10], 99, 10),
            (&hundred[..1], 50, 1),
            (&[], 50, 0),
        ] {
            assert_eq!(percentile(values, percent), expected, "{percent} of {}", values.len());
        }
    }

    #[tokio::test]
    async fn every_arrival_of_an_open_loop_is_answered_once() {
        let mut callers: Vec<_> = (0..4).map(|_| Counting { made: 0, good: u32::MAX }).collect();
        let samples = open_loop(&mut callers, 2_000.0, Duration::from_millis(100)).await.unwrap();
        assert_eq!(samples.len(), 200);
        assert_eq!(callers.iter().map(|caller| caller.made).sum::<u32>(), 200);
    }

    #[tokio::test]
    async fn one_failure_fails_the_round_and_is_told() {
        let mut callers = vec![Counting { made: 0, good: 3 }];
        let error = closed_loop(&mut callers, Duration::from_millis(5)).await.err().unwrap();
        assert!(format!("{error:#}").ends_with("call 4"), "{error:#}");
    }
}
