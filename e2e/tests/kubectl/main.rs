//! What people type with an unmodified `kubectl`: the newest of this machine, and Debian's 1.20.

mod daily;
mod members;
mod objects;

use berth_testkit::{
    Berth,
    clients::{Kubectl, old_kubectl},
};

/// Runs `test` against one server with each of the two clients, in a project of its own.
fn with_both(test: fn(&Kubectl, &str)) {
    let berth = Berth::start();
    let new = berth.kubectl();
    let mut clients = vec![("new", new.clone())];
    if old_kubectl().is_file() {
        clients.push(("old", new.old()));
    } else {
        assert!(
            std::env::var_os("CI").is_none(),
            "Debian's kubectl is missing; run scripts/test-peers.sh"
        );
        eprintln!("SKIPPED: Debian's kubectl is missing; run scripts/test-peers.sh");
    }
    for (name, kubectl) in clients {
        let namespace = format!("demo-{name}");
        let _ = kubectl.run(&["create", "namespace", &namespace]).ok();
        test(&kubectl, &namespace);
    }
}
