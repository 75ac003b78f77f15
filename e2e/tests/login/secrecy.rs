//! What was typed or given out appears nowhere but where it belongs.
use std::fs;
use std::process::Command;

use berth_testkit::process::run;
use serde_json::json;

use crate::World;

#[test]
fn nothing_secret_is_told() {
    let (right, wrong) = ("CANARY-right-password", "CANARY-wrong-password");
    let mut config = json!({"log": {"level": "trace"}});
    let mut world = World::with_users(&[("ann", right, "B")], &mut config);
    let kubeadmin = world.kubeadmin_password();
    let tokens = [
        world.token("ann", right),
        world.token("kubeadmin", &kubeadmin),
        world.client(&["password", "ann", right, "token"])["token"]
            .as_str()
            .unwrap()
            .to_owned(),
    ];
    assert_eq!(world.client(&["password", "ann", wrong])["status"], 401);
    assert_eq!(
        world.client(&["password", wrong, "x"])["status"],
        401,
        "a password in the wrong field"
    );
    let forged = "sha256~CANARY-forged-token-00000000000000000000000";
    assert!(!world.whoami(forged).unwrap_err().contains("CANARY"));
    for token in tokens.iter().map(String::as_str).chain([forged]) {
        let _ = (world.whoami(token), world.registry_status(token));
        let _ = world.podman_login("any", token);
    }
    let code = "CANARY-code";
    let form = format!(
        "grant_type=authorization_code&client_id=openshift-cli-client&code={code}&code_verifier=CANARY-verifier"
    );
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--cacert"])
        .arg(world.berth.data().join("ca.crt"))
        .args(["-d", &form]);
    let said = run(curl.arg(format!("{}/oauth/token", world.berth.api))).ok();
    assert!(
        said.contains("invalid_grant") && !said.contains("CANARY"),
        "{said}"
    );

    let kubectl = world.berth.kubectl();
    let told = [
        ("events", kubectl.run(&["get", "events", "-A", "-o", "json"]).ok()),
        (
            "users",
            kubectl
                .run(&["get", "users,identities,groups", "-o", "json"])
                .ok(),
        ),
        (
            "tokens",
            kubectl
                .run(&["get", "oauthaccesstokens,oauthauthorizetokens", "-o", "json"])
                .ok(),
        ),
        ("metrics", kubectl.run(&["get", "--raw", "/metrics"]).ok()),
    ];
    world.berth.stop();
    let mut secrets: Vec<&str> = vec![right, wrong, forged, "CANARY", &kubeadmin];
    secrets.extend(tokens.iter().map(|token| token.trim_start_matches("sha256~")));
    for (what, text) in told
        .iter()
        .map(|(what, text)| (*what, text.clone()))
        .chain([("log", world.berth.output())])
    {
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} is in the {what}");
        }
    }
    // Nor is any of it stored: whoever gets hold of a backup cannot log in with it.
    for entry in fs::read_dir(world.berth.data()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("berth.db") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} is in {name}");
        }
    }
}
