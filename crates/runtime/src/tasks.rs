//! Ownership of long-lived tasks, and the order in which they end.
use std::{error::Error, fmt, future::Future, time::Duration};

use futures_util::future::select_all;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// What a component may fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Tells a component that it should finish what it has begun and return.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A stop that nobody has asked for yet; tests and components use it to build their own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same as a token, for components that do not depend on this crate.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }

    /// Asks for the end; may be called more than once.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns when the end is asked for.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Runs `future` unless the end is asked for first; `None` means it was.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        self.0.run_until_cancelled(future).await
    }
}

/// Why the process ended although nobody asked it to.
#[derive(Debug)]
pub struct Failure {
    /// The task that failed first.
    pub task: &'static str,
    /// What it said.
    pub error: BoxError,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.task)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

struct Running {
    name: &'static str,
    stop: Stop,
    handle: JoinHandle<Result<(), BoxError>>,
}

/// The tasks of this process, in the order of their start.
///
/// A detached task can die unseen while the process looks healthy, so every long-lived task starts here. The first error,
/// panic or signal begins the drain: tasks are asked to stop last-started-first, each waited for before the next is asked,
/// so that no component outlives what it needs; what has not ended after the grace period is aborted.
pub struct Tasks {
    grace: Duration,
    draining: Stop,
    running: Vec<Running>,
}

impl Tasks {
    /// No tasks yet; `grace` bounds the whole drain.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            grace,
            draining: Stop::new(),
            running: Vec::new(),
        }
    }

    /// Becomes true when the drain begins, before anything is stopped: what readiness probes should say.
    #[must_use]
    pub fn draining(&self) -> Stop {
        self.draining.clone()
    }

    /// Starts a component. It runs until it fails or its [`Stop`] is asked for.
    pub fn spawn<F, E>(&mut self, name: &'static str, component: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let stop = Stop::new();
        let future = component(stop.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the owner that the rule asks for"
        )]
        let handle = tokio::spawn(async move { future.await.map_err(Into::into) });
        self.running.push(Running { name, stop, handle });
    }

    /// Runs until `shutdown` resolves or a task ends, then drains.
    ///
    /// # Errors
    /// The [`Failure`] of the task that failed first; a task that returns although it was not asked to is a failure too.
    pub async fn run_until(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
        let mut failure = None;
        if self.running.is_empty() {
            shutdown.await;
        } else {
            tokio::select! {
                () = shutdown => info!("shutting down"),
                (ended, index, _) = select_all(self.running.iter_mut().map(|task| &mut task.handle)) => {
                    let task = self.running.remove(index);
                    let error = match flatten(ended) {
                        Ok(()) => "it ended although nobody asked it to".into(),
                        Err(error) => error,
                    };
                    error!(task = task.name, %error, "a task ended; draining the others");
                    failure = Some(Failure { task: task.name, error });
                }
            }
        }
        self.draining.stop();
        let deadline = Instant::now() + self.grace;
        for mut task in self.running.into_iter().rev() {
            task.stop.stop();
            match timeout_at(deadline, &mut task.handle).await {
                Ok(ended) => {
                    if let Err(error) = flatten(ended) {
                        error!(task = task.name, %error, "a task failed while it stopped");
                        failure.get_or_insert(Failure {
                            task: task.name,
                            error,
                        });
                    }
                }
                Err(_) => {
                    warn!(task = task.name, grace = ?self.grace, "a task did not stop in time and is aborted");
                    task.handle.abort();
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

fn flatten(ended: Result<Result<(), BoxError>, tokio::task::JoinError>) -> Result<(), BoxError> {
    match ended {
        Ok(result) => result,
        Err(join) => Err(match join.try_into_panic() {
            Ok(panic) => {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".to_owned());
                format!("it panicked: {text}").into()
            }
            Err(join) => join.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    type Log = Arc<Mutex<Vec<&'static str>>>;

    #[tokio::test]
    async fn tasks_stop_last_started_first() {
        let log = Log::default();
        let mut tasks = Tasks::new(GRACE);
        for name in ["store", "api", "registry"] {
            let log = log.clone();
            tasks.spawn(name, move |stop| async move {
                stop.stopped().await;
                log.lock().unwrap().push(name);
                Ok::<(), BoxError>(())
            });
        }
        let draining = tasks.draining();
        assert!(!draining.is_stopped());
        tasks.run_until(async {}).await.unwrap();
        assert!(draining.is_stopped());
        assert_eq!(*log.lock().unwrap(), ["registry", "api", "store"]);
    }

    #[tokio::test]
    async fn the_first_error_drains_the_others_and_is_named() {
        let log = Log::default();
        let mut tasks = Tasks::new(GRACE);
        let inner = log.clone();
        tasks.spawn("api", |stop| async move {
            stop.stopped().await;
            inner.lock().unwrap().push("api");
            Ok::<(), BoxError>(())
        });
        tasks.spawn("registry", |_| async { Err::<(), BoxError>("no disk".into()) });
        let failure = tasks.run_until(std::future::pending()).await.unwrap_err();
        assert_eq!(failure.to_string(), "registry failed");
        assert_eq!(failure.error.to_string(), "no disk");
        assert_eq!(*log.lock().unwrap(), ["api"]);
    }

    #[tokio::test]
    async fn a_panic_and_an_early_end_are_failures() {
        let mut tasks = Tasks::new(GRACE);
        tasks.spawn("panics", |_| async {
            if true {
                panic!("broken invariant")
            } else {
                Ok::<(), BoxError>(())
            }
        });
        let failure = tasks.run_until(std::future::pending()).await.unwrap_err();
        assert_eq!(failure.error.to_string(), "it panicked: broken invariant");

        let mut tasks = Tasks::new(GRACE);
        tasks.spawn("ends", |_| async { Ok::<(), BoxError>(()) });
        assert_eq!(
            tasks.run_until(std::future::pending()).await.unwrap_err().task,
            "ends"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_stop_in_time_is_aborted() {
        let mut tasks = Tasks::new(GRACE);
        tasks.spawn("deaf", |_| async {
            std::future::pending::<()>().await;
            Ok::<(), BoxError>(())
        });
        let begun = Instant::now();
        tasks.run_until(async {}).await.unwrap();
        assert_eq!(begun.elapsed(), GRACE);
    }
}
