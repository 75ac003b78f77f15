//! How people become users: mapping, and the file of names and passwords.
use berth_oauth::{Config, MappingMethod, ProviderConfig};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{HASH, PASSWORD, World, put};

/// The provider `local` twice, the second time as `other` with another mapping.
fn two(mapping: MappingMethod) -> impl FnOnce(&mut Config) {
    move |config| {
        let other = ProviderConfig {
            name: "other".to_owned(),
            mapping,
            ..config.providers[0].clone()
        };
        config.providers.push(other);
    }
}

fn identities(world: &World, user: &str) -> Value {
    let user = world.stores.users.get("", user);
    user.map_or(Value::Null, |user| {
        user.object().get("identities").cloned().unwrap_or_default()
    })
}

#[tokio::test]
async fn the_first_log_in_makes_a_user_and_the_next_finds_it() {
    let world = World::new().await;
    world.token("ann").await;
    let user = world.stores.users.get("", "ann").unwrap();
    let identity = world.stores.identities.get("", "local:ann").unwrap();
    assert_eq!(
        identity.object().get("user"),
        Some(&json!({"name": "ann", "uid": user.object().uid()}))
    );
    assert_eq!(identity.object().str_at(&["providerName"]), "local");
    assert_eq!(identity.object().str_at(&["providerUserName"]), "ann");
    world.token("ann").await;
    assert_eq!(world.stores.users.list("").len(), 1);
    assert_eq!(
        world.stores.users.get("", "ann").unwrap().revision(),
        user.revision(),
        "nothing is written again"
    );
}

#[tokio::test]
async fn two_log_ins_at_once_make_one_user() {
    let world = World::new().await;
    let (one, two, three) = tokio::join!(world.token("ann"), world.token("ann"), world.token("ann"));
    for token in [one, two, three] {
        assert_eq!(world.whoami(&token).await.unwrap().name, "ann");
    }
    assert_eq!(
        (
            world.stores.users.list("").len(),
            world.stores.identities.list("").len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_name_belongs_to_whom_claimed_it_first() {
    for (mapping, prepared, status, want) in [
        (
            MappingMethod::Claim,
            json!(null),
            StatusCode::FOUND,
            json!(["other:ann"]),
        ),
        (
            MappingMethod::Claim,
            json!(["local:ann"]),
            StatusCode::FORBIDDEN,
            json!(["local:ann"]),
        ),
        (MappingMethod::Claim, json!([]), StatusCode::FORBIDDEN, json!([])),
        (
            MappingMethod::Claim,
            json!(["other:ann"]),
            StatusCode::FOUND,
            json!(["other:ann"]),
        ),
        (
            MappingMethod::Add,
            json!(null),
            StatusCode::FOUND,
            json!(["other:ann"]),
        ),
        (
            MappingMethod::Add,
            json!(["local:ann"]),
            StatusCode::FOUND,
            json!(["local:ann", "other:ann"]),
        ),
        (
            MappingMethod::Add,
            json!([]),
            StatusCode::FOUND,
            json!(["other:ann"]),
        ),
        (
            MappingMethod::Lookup,
            json!(null),
            StatusCode::FORBIDDEN,
            json!(null),
        ),
        (
            MappingMethod::Lookup,
            json!(["other:ann"]),
            StatusCode::FORBIDDEN,
            json!(["other:ann"]),
        ),
    ] {
        let world = World::with(|config| {
            two(mapping)(config);
            config.providers.remove(0);
        })
        .await;
        if !prepared.is_null() {
            put(
                &world.stores.users,
                json!({"metadata": {"name": "ann"}, "identities": prepared}),
            )
            .await;
        }
        let answer = world.challenge("ann", PASSWORD, "response_type=token").await;
        assert_eq!(answer.status, status, "{mapping:?} {prepared}: {}", answer.text);
        assert_eq!(identities(&world, "ann"), want, "{mapping:?} {prepared}");
    }
}

#[tokio::test]
async fn an_administrator_prepares_and_unties() {
    let world = World::with(|config| config.providers[0].mapping = MappingMethod::Lookup).await;
    let user = put(
        &world.stores.users,
        json!({"metadata": {"name": "annette"}, "identities": ["local:ann"]}),
    )
    .await;
    let uid = user.object().uid().to_owned();
    put(
        &world.stores.identities,
        json!({"metadata": {"name": "local:ann"}, "providerName": "local", "providerUserName": "ann",
            "user": {"name": "annette", "uid": uid}}),
    )
    .await;
    let token = world.token("ann").await;
    assert_eq!(world.whoami(&token).await.unwrap().name, "annette");

    let untie = |user: &berth_apimachinery::object::Object| {
        let mut user = user.clone();
        user.set("identities", json!([]));
        Ok(Some(user))
    };
    world.stores.users.update("", "annette", untie).await.unwrap();
    let answer = world.challenge("ann", PASSWORD, "response_type=token").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(
        answer.text.contains("do not refer to each other"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn the_file_is_read_again_and_names_are_checked() {
    let world = World::new().await;
    world.token("ann").await;
    world.write_users(&format!(
        "carl:{HASH}\nsystem/admin:{HASH}\n~:{HASH}\nplain:{PASSWORD}\n"
    ));
    for (user, status) in [
        ("ann", StatusCode::UNAUTHORIZED),
        ("carl", StatusCode::FOUND),
        ("system/admin", StatusCode::FORBIDDEN),
        ("~", StatusCode::FORBIDDEN),
        ("plain", StatusCode::UNAUTHORIZED),
    ] {
        let answer = world.challenge(user, PASSWORD, "response_type=token").await;
        assert_eq!(answer.status, status, "{user}: {}", answer.text);
    }
}
