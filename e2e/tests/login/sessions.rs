//! From logging in to logging out.
use std::time::Duration;

use berth_testkit::installed;
use serde_json::json;

use crate::{World, object_name, took};

/// In what time a registry may still take a token that was revoked.
const REVOKED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn as_oc_does() {
    let mut world = World::plain();
    let password = world.kubeadmin_password();
    assert_eq!(password.len(), 23, "{password}");
    for grant in ["code", "token"] {
        let answer = world.client(&["password", "kubeadmin", &password, grant]);
        assert_eq!(
            (&answer["status"], &answer["expires_in"]),
            (&json!(200), &json!(86400)),
            "{grant}: {answer}"
        );
    }
    let token = world.token("kubeadmin", &password);
    let me = world.whoami(&token).unwrap();
    assert_eq!(me["metadata"]["name"], "kube:admin");
    assert_eq!(
        me["groups"],
        json!([
            "system:authenticated",
            "system:authenticated:oauth",
            "system:cluster-admins"
        ])
    );
    assert!(
        world.as_user(&token).run(&["get", "secrets", "-A"]).success,
        "an administrator"
    );
    if installed("podman") {
        // D3: the user name does not matter, but that people type this one does.
        let said = world.podman_login("kubeadmin", &token).ok();
        assert!(said.contains("Login Succeeded"), "{said}");
        assert!(
            !world.podman_login("kubeadmin", &password).success,
            "the password itself is no token"
        );
    }
    world.berth.stop();
    world.berth.start_again();
    assert!(world.whoami(&token).is_ok(), "tokens survive a restart");
    assert_eq!(world.kubeadmin_password(), password);

    // oc logout
    let name = object_name(&token);
    let said = world
        .as_user(&token)
        .run(&["delete", "--wait=false", "oauthaccesstokens", &name])
        .ok();
    assert!(said.contains("deleted"), "{said}");
    assert!(
        world.whoami(&token).unwrap_err().contains("Unauthorized"),
        "at once"
    );
    let time = took(|| world.registry_status(&token) == "401");
    assert!(
        time <= REVOKED_WITHIN,
        "the registry took the token for another {time:?}"
    );
}

#[test]
fn people_of_a_file() {
    let users = [
        ("ann", "ann's secret", "B"),
        ("ben", "ben's secret", "m"),
        ("carl", "carl's secret", "s"),
    ];
    let world = World::with_users(&users, &mut json!({}));
    for (name, password, _) in users {
        let token = world.token(name, password);
        let me = world.whoami(&token).unwrap();
        assert_eq!(
            (&me["metadata"]["name"], &me["identities"]),
            (&json!(name), &json!([format!("local:{name}")]))
        );
        let wrong = world.client(&["password", name, "wrong"]);
        assert_eq!(
            (&wrong["status"], &wrong["challenge"]),
            (&json!(401), &json!("Basic realm=\"openshift\""))
        );
    }
    let kubectl = world.berth.kubectl();
    let found = kubectl.run(&["get", "users,identities", "-o", "name"]).ok();
    for name in ["ann", "ben", "carl"] {
        assert!(
            found.contains(&format!("user.user.openshift.io/{name}\n")),
            "{found}"
        );
        assert!(
            found.contains(&format!("identity.user.openshift.io/local:{name}\n")),
            "{found}"
        );
    }

    // Rights are those of the user and of the user's groups, from the moment they are given.
    let _ = kubectl.run(&["create", "namespace", "demo"]).ok();
    let (ann, ben) = (
        world.token("ann", "ann's secret"),
        world.token("ben", "ben's secret"),
    );
    let may = |token: &str| {
        world
            .as_user(token)
            .run(&["get", "imagestreams", "-n", "demo"])
            .success
    };
    assert!(!may(&ann) && !may(&ben));
    let _ = kubectl
        .run(&[
            "create",
            "rolebinding",
            "a",
            "--clusterrole=view",
            "--user=ann",
            "-n",
            "demo",
        ])
        .ok();
    let _ = kubectl
        .run(&[
            "create",
            "rolebinding",
            "b",
            "--clusterrole=view",
            "--group=devs",
            "-n",
            "demo",
        ])
        .ok();
    assert!(may(&ann) && !may(&ben));
    let group =
        r#"{"apiVersion":"user.openshift.io/v1","kind":"Group","metadata":{"name":"devs"},"users":["ben"]}"#;
    let _ = kubectl.with_file(group, &["apply", "-f", "{}"]).ok();
    assert!(may(&ben));

    // Everybody sees and ends their own sessions, and nobody else's.
    let own = world
        .as_user(&ann)
        .run(&["get", "useroauthaccesstokens", "-o", "name"])
        .ok();
    assert!(
        own.contains(&object_name(&ann)) && !own.contains(&object_name(&ben)),
        "{own}"
    );
    for kind in ["oauthaccesstokens", "useroauthaccesstokens"] {
        assert!(
            !world
                .as_user(&ann)
                .run(&["delete", kind, &object_name(&ben)])
                .success,
            "{kind}"
        );
    }
    assert!(!world.as_user(&ann).run(&["get", "oauthaccesstokens"]).success);
    assert!(world.whoami(&ben).is_ok());
    let _ = world
        .as_user(&ben)
        .run(&[
            "delete",
            "--wait=false",
            "useroauthaccesstokens",
            &object_name(&ben),
        ])
        .ok();
    assert!(world.whoami(&ben).is_err());

    // The file counts as it is now, and the user as long as it is there.
    world.set_password("ann", "another secret", "B");
    assert_eq!(world.client(&["password", "ann", "ann's secret"])["status"], 401);
    assert!(world.whoami(&world.token("ann", "another secret")).is_ok());
    let _ = kubectl.run(&["delete", "user", "ann"]).ok();
    assert!(world.whoami(&ann).is_err());
}

#[test]
fn kubeadmin_is_switched_off() {
    let mut world = World::plain();
    let password = world.kubeadmin_password();
    let token = world.token("kubeadmin", &password);
    let _ = world
        .berth
        .kubectl()
        .run(&["delete", "secret", "kubeadmin", "-n", "kube-system"])
        .ok();
    assert!(world.whoami(&token).is_err(), "at once");
    assert!(took(|| world.registry_status(&token) == "401") <= REVOKED_WITHIN);
    world.berth.stop();
    world.berth.start_again();
    assert_eq!(
        world.client(&["password", "kubeadmin", &password])["status"],
        401,
        "for good"
    );
}

#[test]
fn forged_and_expired_tokens_are_refused() {
    let world = World::plain();
    let password = world.kubeadmin_password();
    let token = world.token("kubeadmin", &password);
    let kubectl = world.berth.kubectl();
    let short = "sha256~expires-in-a-second-0000000000000000000000000";
    let uid = world.whoami(&token).unwrap()["metadata"]["uid"].clone();
    let object = json!({
        "apiVersion": "oauth.openshift.io/v1", "kind": "OAuthAccessToken", "metadata": {"name": object_name(short)},
        "clientName": "openshift-challenging-client", "expiresIn": 2, "scopes": ["user:full"], "userName": "kube:admin",
        "userUID": uid, "redirectURI": "https://127.0.0.1/",
    });
    let _ = kubectl
        .with_file(&object.to_string(), &["create", "-f", "{}"])
        .ok();
    assert!(world.whoami(short).is_ok());
    let other = token.replacen("sha256~", "sha256~x", 1);
    let mut turned = token.clone();
    let last = if turned.pop() == Some('A') { 'B' } else { 'A' };
    turned.push(last);
    // The name of a token's object is no token, nor is a token without its prefix, nor an unsigned one of another kind.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.";
    let forged = [
        object_name(&token),
        other,
        turned,
        token.trim_start_matches("sha256~").to_owned(),
        unsigned.to_owned(),
    ];
    for token in forged.iter().map(String::as_str) {
        assert!(world.whoami(token).is_err(), "{token}");
        assert_eq!(world.registry_status(token), "401", "{token}");
    }
    assert_eq!(world.registry_status(&token), "200");
    let time = took(|| world.whoami(short).is_err());
    assert!(time < Duration::from_secs(10), "{time:?}");
    assert_eq!(world.registry_status(short), "401");
    // A name that is no hash would publish the token.
    let published = json!({"metadata": {"name": short}}).to_string();
    let mut object = object;
    object["metadata"] = serde_json::from_str::<serde_json::Value>(&published).unwrap()["metadata"].clone();
    assert!(
        !kubectl
            .with_file(&object.to_string(), &["create", "-f", "{}"])
            .success
    );
}

#[test]
fn guessing_is_slowed() {
    let world = World::with_users(&[("ann", "secret", "B")], &mut json!({}));
    let mut slow = None;
    for guess in 0..20 {
        let answer = world.client(&["password", "ann", &format!("guess{guess}")]);
        if answer["status"] == 429 {
            slow = Some(answer);
            break;
        }
        assert_eq!(answer["status"], 401, "{answer}");
    }
    let slow = slow.expect("twenty guesses in a row");
    let seconds: u64 = slow["retry"].as_str().unwrap().parse().unwrap();
    assert!((1..=31).contains(&seconds), "{slow}");
    let time = took(|| world.client(&["password", "ann", "secret"])["status"] == 200);
    assert!(time < Duration::from_secs(40), "the owner waited {time:?}");
}
