//! Test support: a running `berth`, real clients and servers on free loopback ports, images made without a network.
//!
//! Everything here blocks: tests drive processes, and waiting is [`eventually`] with a limit, never a bare sleep.
pub mod berth;
pub mod clients;
pub mod conformance;
pub mod image;
pub mod process;
pub mod registry_peer;

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

pub use self::{berth::Berth, process::Process};

/// How long [`eventually`] waits: long enough for a loaded machine with two cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A port of 127.0.0.1 that was free a moment ago.
///
/// # Panics
/// When the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port can be bound");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// Repeats `probe` until it gives a value, and returns that.
///
/// # Panics
/// After [`PATIENCE`], saying `what` did not happen.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "did not happen within {PATIENCE:?}: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a program that a test needs is installed. `make test` installs all of them, so a missing one fails the test
/// when `CI` is set and is reported and skipped otherwise.
///
/// # Panics
/// When it is missing and the environment variable `CI` is set.
#[must_use]
pub fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "{program} is not installed; run scripts/test-peers.sh"
        );
        eprintln!("SKIPPED: {program} is not installed; run scripts/test-peers.sh");
    }
    found
}
