//! The signals that ask a process to end.
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Returns when the process is asked to end: SIGTERM (a kubelet, a service manager) or SIGINT (Ctrl-C).
///
/// # Errors
/// When the handlers cannot be installed.
pub fn shutdown() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
