//! Whether the process lives, and whether it can serve: two questions with two answers.
//!
//! `/healthz` (and `/`, `/livez`) says that the process answers; restarting it would help nothing else. `/readyz` says
//! that storage and API can be reached, so that a replica that cannot serve gets no requests but stays alive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use berth_blobs::{BlobPath, Driver};
use berth_client::Client;
use berth_distribution::Body;
use http::{HeaderValue, Response, StatusCode, header};

use crate::{fresh::Fresh, refuse::chain};

/// How long a finding answers probes.
const FINDING_FOR: Duration = Duration::from_secs(2);
/// How long each check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// What is looked at in storage; whether it exists does not matter.
const PROBE: &str = "/docker/registry/v2/repositories";

/// What can be asked about this process.
pub(crate) struct Health {
    client: Client,
    driver: Arc<dyn Driver>,
    probe: BlobPath,
    draining: AtomicBool,
    finding: Fresh<(), Result<(), Arc<str>>>,
}

impl Health {
    pub(crate) fn new(client: Client, driver: Arc<dyn Driver>) -> Self {
        let probe = PROBE.parse().expect("a constant that is a path");
        Self {
            client,
            driver,
            probe,
            draining: AtomicBool::new(false),
            finding: Fresh::new(1),
        }
    }

    /// No longer ready, because the process is about to stop.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The process answers.
    pub(crate) fn live() -> Response<Body> {
        respond(StatusCode::OK, Body::empty())
    }

    /// Storage and API can be reached.
    pub(crate) async fn ready(&self) -> Response<Body> {
        if self.draining.load(Ordering::Relaxed) {
            return respond(StatusCode::SERVICE_UNAVAILABLE, Body::full("stopping\n"));
        }
        match self
            .finding
            .get_or_load(&(), async { (self.check().await, FINDING_FOR) })
            .await
        {
            Ok(()) => respond(StatusCode::OK, Body::full("ok\n")),
            Err(why) => respond(StatusCode::SERVICE_UNAVAILABLE, Body::full(format!("{why}\n"))),
        }
    }

    async fn check(&self) -> Result<(), Arc<str>> {
        let storage = async {
            match tokio::time::timeout(CHECK_TIMEOUT, self.driver.list(&self.probe, None, 1)).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(format!("storage: {}", chain(&error))),
                Err(_elapsed) => Some("storage: no answer".to_owned()),
            }
        };
        let api = async {
            match tokio::time::timeout(CHECK_TIMEOUT, self.client.own().whoami()).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(format!("api: {}", chain(&error))),
                Err(_elapsed) => Some("api: no answer".to_owned()),
            }
        };
        let (storage, api) = tokio::join!(storage, api);
        let problems: Vec<String> = storage.into_iter().chain(api).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("\n").into())
        }
    }
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
