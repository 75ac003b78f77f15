//! Tokens: whom they stand for, and until when.
use berth_apimachinery::object::Object;
use berth_apimachinery::options::Preconditions;
use berth_oauth::opaque;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{World, put};

fn older(
    by: SignedDuration,
) -> impl FnMut(&Object) -> Result<Option<Object>, berth_apimachinery::status::Status> {
    move |token| {
        let mut token = token.clone();
        let created = token.creation_timestamp().unwrap();
        token.set_creation_timestamp(created - by);
        Ok(Some(token))
    }
}

#[tokio::test]
async fn groups_count_as_soon_as_they_change() {
    let world = World::new().await;
    let token = world.token("ann").await;
    let groups = async || world.whoami(&token).await.unwrap().groups.clone();
    assert_eq!(
        groups().await,
        ["system:authenticated:oauth", "system:authenticated"]
    );
    put(
        &world.stores.groups,
        json!({"metadata": {"name": "devs"}, "users": ["ben", "ann"]}),
    )
    .await;
    assert_eq!(
        groups().await,
        ["devs", "system:authenticated:oauth", "system:authenticated"]
    );
    let out = |group: &Object| {
        let mut group = group.clone();
        group.set("users", json!(["ben"]));
        Ok(Some(group))
    };
    world.stores.groups.update("", "devs", out).await.unwrap();
    assert_eq!(groups().await.len(), 2);
    let user = world.whoami(&token).await.unwrap();
    assert_eq!(user.extra["scopes.authorization.openshift.io"], ["user:full"]);
    assert_eq!(
        user.uid,
        world.stores.users.get("", "ann").unwrap().object().uid()
    );
}

#[tokio::test]
async fn what_is_not_a_token_of_ours_is_refused() {
    let world = World::new().await;
    let token = world.token("ann").await;
    let name = opaque::object_name(&token).unwrap();
    assert!(world.stores.access_tokens.get("", &name).is_some());
    let mut changed = token.clone().into_bytes();
    *changed.last_mut().unwrap() ^= 1;
    let changed = String::from_utf8(changed).unwrap();
    for forged in [
        name.as_str(),
        &changed,
        "sha256~",
        "sha256~x",
        &token[..token.len() - 1],
        &format!("{token}x"),
    ] {
        assert!(world.whoami(forged).await.is_err(), "{forged}");
    }
    let stored = world.stores.access_tokens.get("", &name).unwrap();
    let secret = token.strip_prefix("sha256~").unwrap();
    assert!(
        !String::from_utf8_lossy(stored.json()).contains(secret),
        "the token itself is stored"
    );
}

#[tokio::test]
async fn tokens_end() {
    let world = World::new().await;
    let tokens = &world.stores.access_tokens;
    let name = |token: &str| opaque::object_name(token).unwrap();

    let revoked = world.token("ann").await;
    tokens
        .delete("", &name(&revoked), &Preconditions::default())
        .await
        .unwrap();
    assert!(world.whoami(&revoked).await.unwrap_err().contains("revoked"));

    let expired = world.token("ann").await;
    tokens
        .update("", &name(&expired), older(SignedDuration::from_secs(86_399)))
        .await
        .unwrap();
    // It has a second left, or none: what counts is the moment after.
    tokens
        .update("", &name(&expired), older(SignedDuration::from_secs(1)))
        .await
        .unwrap();
    assert!(world.whoami(&expired).await.unwrap_err().contains("expired"));

    let orphan = world.token("ann").await;
    world
        .stores
        .users
        .delete("", "ann", &Preconditions::default())
        .await
        .unwrap();
    assert!(world.whoami(&orphan).await.unwrap_err().contains("user"));
    put(&world.stores.users, json!({"metadata": {"name": "ann"}})).await;
    assert!(
        world.whoami(&orphan).await.is_err(),
        "another person of the same name"
    );
}

#[tokio::test]
async fn clients_decide_how_long_tokens_last() {
    let world = World::new().await;
    for (field, value, expires) in [
        ("accessTokenMaxAgeSeconds", json!(60), Some("60")),
        ("accessTokenMaxAgeSeconds", json!(0), Some("0")),
    ] {
        let set = |client: &Object| {
            let mut client = client.clone();
            client.set(field, value.clone());
            Ok(Some(client))
        };
        world
            .stores
            .clients
            .update("", "openshift-challenging-client", set)
            .await
            .unwrap();
        let answer = world.challenge("ann", "secret", "response_type=token").await;
        assert_eq!(answer.parameter("expires_in").as_deref(), expires, "{value}");
        let token = answer.parameter("access_token").unwrap();
        let name = opaque::object_name(&token).unwrap();
        world
            .stores
            .access_tokens
            .update("", &name, older(SignedDuration::from_hours(1000)))
            .await
            .unwrap();
        assert_eq!(world.whoami(&token).await.is_ok(), value == 0, "{value}");
    }
}

#[tokio::test]
async fn a_token_that_nobody_uses_ends() {
    let world = World::with(|config| config.inactivity_timeout = Some(SignedDuration::from_secs(300))).await;
    let tokens = &world.stores.access_tokens;
    let (used, unused) = (world.token("ann").await, world.token("ann").await);
    let name = |token: &str| opaque::object_name(token).unwrap();
    let limit = |token: &str| {
        tokens
            .get("", &name(token))
            .unwrap()
            .object()
            .get("inactivityTimeoutSeconds")
            .cloned()
    };
    assert_eq!(limit(&used), Some(json!(300)));
    // Four minutes later one of them is used, and another four minutes later both are tried.
    for token in [&used, &unused] {
        tokens
            .update("", &name(token), older(SignedDuration::from_secs(240)))
            .await
            .unwrap();
    }
    assert!(world.whoami(&used).await.is_ok());
    for token in [&used, &unused] {
        tokens
            .update("", &name(token), older(SignedDuration::from_secs(240)))
            .await
            .unwrap();
    }
    assert!(world.whoami(&used).await.is_ok(), "used four minutes ago");
    assert!(world.whoami(&unused).await.unwrap_err().contains("not used"));
    assert!(
        world.whoami(&unused).await.is_err(),
        "asking for it is no use of it"
    );

    // Uses survive a restart: the last pass writes them.
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    world.oauth.clone().run(stop).await;
    let written = limit(&used).unwrap().as_i64().unwrap();
    assert!(
        (775..=785).contains(&written),
        "480 s old, and 300 s from now: {written}"
    );
}

#[tokio::test]
async fn what_has_ended_is_removed() {
    tokio::time::pause();
    let world = World::new().await;
    let (old, young) = (world.token("ann").await, world.token("ann").await);
    let name = |token: &str| opaque::object_name(token).unwrap();
    let tokens = &world.stores.access_tokens;
    tokens
        .update("", &name(&old), older(SignedDuration::from_hours(26)))
        .await
        .unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(world.oauth.clone().run(stop.clone()));
    tokio::time::sleep(std::time::Duration::from_secs(11 * 60)).await;
    stop.cancel();
    tasks.join_all().await;
    assert!(tokens.get("", &name(&old)).is_none());
    assert!(tokens.get("", &name(&young)).is_some());
    assert!(Timestamp::now() > Timestamp::UNIX_EPOCH);
}
