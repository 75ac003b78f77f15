//! What exists from the first start: the clients that `oc` and the pages here use.
use berth_apimachinery::object::Object;
use berth_apimachinery::status::Status;
use serde_json::{Value, json};

use super::{OAuth, TOKEN_DISPLAY, TOKEN_IMPLICIT};
use crate::{kinds, opaque};

/// The client of the pages that show a token.
pub(super) const BROWSER_CLIENT: &str = "openshift-browser-client";
/// The client of `oc login -u`.
const CHALLENGING_CLIENT: &str = "openshift-challenging-client";
/// The client of `oc login --web`.
const CLI_CLIENT: &str = "openshift-cli-client";

pub(super) async fn run(oauth: &OAuth) -> Result<(), Status> {
    let issuer = &oauth.0.issuer;
    for (name, challenges, secret, redirects) in [
        (
            BROWSER_CLIENT,
            false,
            true,
            vec![format!("{issuer}{TOKEN_DISPLAY}")],
        ),
        (
            CHALLENGING_CLIENT,
            true,
            false,
            vec![format!("{issuer}{TOKEN_IMPLICIT}")],
        ),
        (
            CLI_CLIENT,
            false,
            false,
            vec![
                "http://127.0.0.1/callback".to_owned(),
                "http://[::1]/callback".to_owned(),
            ],
        ),
    ] {
        ensure(oauth, name, challenges, secret, &redirects).await?;
    }
    match &oauth.0.keeper {
        Some(keeper) => oauth.0.kubeadmin.issue(&oauth.0.stores.namespaces, keeper).await,
        None => Ok(()),
    }
}

/// Creates a client, or brings back what its users rely on: an administrator may change the rest.
async fn ensure(
    oauth: &OAuth,
    name: &str,
    challenges: bool,
    secret: bool,
    redirects: &[String],
) -> Result<(), Status> {
    let clients = &oauth.0.stores.clients;
    let repair = |client: &Object| {
        let mut client = client.clone();
        client.set("redirectURIs", json!(redirects));
        if challenges {
            client.set("respondWithChallenges", true);
        } else {
            client.remove("respondWithChallenges");
        }
        let held = client.str_at(&["secret"]);
        match (secret, held.is_empty()) {
            (true, true) => client.set("secret", opaque::random_text(32)),
            (false, false) => drop(client.remove("secret")),
            _ => {}
        }
        if client
            .get("grantMethod")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            client.set("grantMethod", "auto");
        }
        client
    };
    if clients.get("", name).is_none() {
        let fresh = repair(&Object::new(&kinds::gvk("OAuthClient"), name));
        match clients.create(fresh).await {
            Err(status) if status.is_already_exists() => clients.catch_up().await?,
            done => return done.map(drop),
        }
    }
    clients
        .update("", name, |client| Ok(Some(repair(client))))
        .await
        .map(drop)
}
