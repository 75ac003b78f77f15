//! The pages, in Chromium.
use std::process::Command;

use berth_testkit::installed;
use berth_testkit::process::run;
use serde_json::{Value, json};

use crate::{World, script};

#[test]
fn a_browser_logs_in() {
    if !installed("chromium") || !installed("chromedriver") {
        return;
    }
    let world = World::with_users(&[("ann", "<pass & \"word\">", "B")], &mut json!({}));
    let shots = world.berth.scratch().join("shots");
    std::fs::create_dir_all(&shots).unwrap();
    let mut command = Command::new("python3");
    command
        .arg(script("webdriver.py"))
        .arg(&world.berth.api)
        .arg(world.berth.data().join("ca.crt"));
    let said = run(command.arg(&shots).args(["ann", "<pass & \"word\">", "local"])).ok();
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["problems"], json!([]), "the browser complained");
    for name in ["web", "shown"] {
        let token = found[name].as_str().unwrap();
        assert_eq!(world.whoami(token).unwrap()["metadata"]["name"], "ann", "{name}");
    }
    for shot in ["choice", "login", "wrong", "ask", "token", "logged-out"] {
        let size = std::fs::metadata(shots.join(shot).with_extension("png"))
            .unwrap()
            .len();
        assert!(size > 2000, "{shot} is {size} bytes: an empty page?");
    }
}
