//! The built-in administrator.
use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use http::StatusCode;
use serde_json::json;

use crate::world::World;

const PASSWORD: &str = "kubeadmin-password";

async fn log_in(world: &World, password: &str) -> Option<String> {
    let answer = world
        .challenge("kubeadmin", password, "response_type=token")
        .await;
    assert!(
        matches!(answer.status, StatusCode::FOUND | StatusCode::UNAUTHORIZED),
        "{answer:?}"
    );
    answer.parameter("access_token")
}

#[tokio::test]
async fn administrates_until_switched_off_for_good() {
    let world = World::new().await;
    let token = log_in(&world, PASSWORD).await.unwrap();
    let user = world.whoami(&token).await.unwrap();
    assert_eq!(user.name, "kube:admin");
    assert_eq!(
        user.groups,
        [
            "system:cluster-admins",
            "system:authenticated:oauth",
            "system:authenticated"
        ]
    );
    assert!(world.stores.users.list("").is_empty() && world.stores.identities.list("").is_empty());
    let secret = world.stores.secrets.get("kube-system", "kubeadmin").unwrap();
    assert!(!String::from_utf8_lossy(secret.json()).contains(PASSWORD));

    world
        .stores
        .secrets
        .delete("kube-system", "kubeadmin", &Preconditions::default())
        .await
        .unwrap();
    assert!(world.whoami(&token).await.is_err(), "at once");
    assert_eq!(log_in(&world, PASSWORD).await, None);
    world.start_again().await;
    assert_eq!(
        log_in(&world, PASSWORD).await,
        None,
        "a start does not bring it back"
    );
    let page = world.get("/login").await;
    assert!(!page.text.contains("kube:admin") && !page.location().contains("kube:admin"));
}

#[tokio::test]
async fn a_new_password_ends_the_old_sessions() {
    let world = World::new().await;
    let token = log_in(&world, PASSWORD).await.unwrap();
    world.start_again().await;
    assert!(world.whoami(&token).await.is_ok(), "a start changes nothing");
    let change = |secret: &Object| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut secret = secret.clone();
        // `secret`, as `htpasswd -s` writes it: any form of hash will do.
        secret.set(
            "data",
            json!({"kubeadmin": STANDARD.encode("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")}),
        );
        Ok(Some(secret))
    };
    world
        .stores
        .secrets
        .update("kube-system", "kubeadmin", change)
        .await
        .unwrap();
    assert!(world.whoami(&token).await.is_err());
    assert_eq!(log_in(&world, PASSWORD).await, None);
    assert!(log_in(&world, "secret").await.is_some());
}
