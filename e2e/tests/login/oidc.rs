//! An OpenID Connect provider: the npm package `oidc-provider`.
use std::fs;
use std::path::Path;
use std::process::Command;

use berth_testkit::clients::peers;
use berth_testkit::process::run;
use berth_testkit::{Process, eventually, free_port, installed};
use serde_json::{Value, json};

use crate::{World, script};

/// A provider that redirects to the server at `api`, and knows who `accounts` says.
fn provider(api: &str, port: u16, files: &Path) -> Process {
    let arguments = [
        script("provider.mjs").display().to_string(),
        port.to_string(),
        format!("{api}/oauth2callback/sso"),
        peers().join("oidc/node_modules").display().to_string(),
        files.join("accounts.json").display().to_string(),
    ];
    let process = Process::start("node", arguments, &files.join("provider.log"), |_| {}).unwrap();
    let url = format!("http://127.0.0.1:{port}/.well-known/openid-configuration");
    eventually("the provider answers", || {
        run(Command::new("curl").args(["-sf", "-o", "/dev/null", &url]))
            .success
            .then_some(())
    });
    process
}

#[test]
fn another_provider_logs_people_in() {
    if !installed("node") {
        return;
    }
    if !peers().join("oidc/node_modules/oidc-provider").is_dir() {
        assert!(
            std::env::var_os("CI").is_none(),
            "oidc-provider is missing; run scripts/test-peers.sh"
        );
        eprintln!("SKIPPED: oidc-provider is missing; run scripts/test-peers.sh");
        return;
    }
    let port = free_port();
    let mut config = json!({"identityProviders": [{"name": "sso", "type": "OpenID", "mappingMethod": "claim", "openID": {
        "issuer": format!("http://127.0.0.1:{port}"), "clientID": "berth", "clientSecret": "provider-secret-CANARY",
        "extraScopes": ["profile", "email", "groups"], "claims": {"groups": ["groups"]},
    }}]});
    let world = World::with_users(&[("ann", "secret", "B")], &mut config);
    let files = world.berth.scratch();
    let say = |accounts: Value| fs::write(files.join("accounts.json"), accounts.to_string()).unwrap();
    say(json!({
        "1|carl": {"preferred_username": "carl", "name": "Carl", "email": "carl@a.example",
            "groups": ["devs", "qa", "system:masters"]},
        "2": {"preferred_username": "ann"},
        "3": {"preferred_username": "system:admin"},
    }));
    let before = world.client(&["sso", "sso", "1|carl"]);
    assert_eq!(before["status"], 503, "nobody is there yet: {before}");
    let _provider = provider(&world.berth.api, port, files);

    let answer = world.client(&["sso", "sso", "1|carl"]);
    let token = answer["token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let me = world.whoami(token).unwrap();
    assert_eq!(
        (&me["metadata"]["name"], &me["fullName"]),
        (&json!("carl"), &json!("Carl"))
    );
    let groups = json!(["devs", "qa", "system:authenticated", "system:authenticated:oauth"]);
    assert_eq!(
        me["groups"], groups,
        "a provider cannot make administrators of the system"
    );
    let identity = world
        .berth
        .kubectl()
        .run(&["get", "identity", "sso:1|carl", "-o", "json"])
        .ok();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    assert_eq!(identity["extra"]["email"], "carl@a.example");

    // The next time the provider says otherwise.
    say(
        json!({"1|carl": {"preferred_username": "carl", "groups": ["devs"]}, "2": {"preferred_username": "ann"},
        "3": {"preferred_username": "system:admin"}}),
    );
    let answer = world.client(&["sso", "sso", "1|carl"]);
    let me = world.whoami(answer["token"].as_str().unwrap()).unwrap();
    assert_eq!(
        me["groups"],
        json!(["devs", "system:authenticated", "system:authenticated:oauth"])
    );
    assert!(
        !world.berth.kubectl().run(&["get", "group", "qa"]).success,
        "nobody is left in it"
    );

    // A name that is taken, and one that nobody may have.
    let _ = world.token("ann", "secret");
    for (account, sentence) in [("2", "exists already"), ("3", "may not contain &#39;:&#39;")] {
        let answer = world.client(&["sso", "sso", account]);
        assert_eq!(answer["status"], 403, "{answer}");
        assert!(answer["text"].as_str().unwrap().contains(sentence), "{answer}");
    }
    assert!(!world.berth.output().contains("CANARY"));
}
