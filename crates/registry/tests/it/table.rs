//! The access table of what the recording does not have, and the proof that no route is without a row.

use std::collections::BTreeSet;

use berth_distribution::{Route, route};

use crate::routes::{Call, RECORDED, World};

const WHO: [&str; 8] = [
    "none",
    "anonymous",
    "garbage",
    "foreign",
    "puller",
    "builder",
    "pruner",
    "admin",
];

/// Route and status for each of [`WHO`], played in this order: what was deleted is gone for the next.
const ROWS: [(&str, [u16; 8]); 17] = [
    ("base head", [401, 401, 401, 200, 200, 200, 200, 200]),
    ("catalog head", [401, 401, 401, 403, 403, 403, 200, 200]),
    ("tags head", [401, 401, 401, 403, 200, 200, 403, 200]),
    ("referrers head", [401, 401, 401, 403, 200, 200, 403, 200]),
    ("upload head", [401, 401, 401, 403, 204, 204, 403, 204]),
    ("upload finish", [401, 401, 401, 403, 403, 201, 403, 201]),
    ("single post", [401, 401, 401, 403, 403, 201, 403, 201]),
    ("blob put", [401, 401, 401, 403, 405, 405, 403, 405]),
    ("signature put", [401, 401, 401, 403, 403, 403, 403, 201]),
    (
        "signature of three name parts",
        [401, 401, 401, 400, 400, 400, 400, 400],
    ),
    ("metrics", [401, 401, 401, 403, 403, 403, 403, 200]),
    ("livez", [200; 8]),
    ("readyz", [200; 8]),
    ("tag delete", [401, 401, 401, 403, 403, 403, 202, 404]),
    ("manifest delete", [401, 401, 401, 403, 403, 403, 202, 404]),
    ("blob delete", [401, 401, 401, 403, 403, 403, 202, 404]),
    ("admin blob delete", [401, 401, 401, 403, 403, 403, 204, 204]),
];

#[tokio::test]
async fn rows_beside_the_recording() {
    let world = World::start(true).await;
    for (route, want) in ROWS {
        for (who, want) in WHO.into_iter().zip(want) {
            let call = world
                .own_call(route)
                .await
                .unwrap_or_else(|| panic!("no call for the route {route}"));
            let answer = world.play(&call, who).await;
            assert_eq!(answer.status.as_u16(), want, "{route} as {who}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn no_route_is_without_a_row() {
    let world = World::start(true).await;
    let mut rows = BTreeSet::new();
    for route in RECORDED {
        rows.insert(kind(&world.call(route).await.expect("a call")));
    }
    for (route, _) in ROWS {
        rows.insert(kind(&world.own_call(route).await.expect("a call")));
    }
    let mut wanted = BTreeSet::new();
    for (name, route) in protocol() {
        wanted.extend(route.allow().split(", ").map(|method| format!("{method} {name}")));
    }
    wanted.extend(EXTENSIONS.map(str::to_owned));
    let missing: Vec<_> = wanted.difference(&rows).collect();
    assert!(missing.is_empty(), "routes without a row: {missing:?}");
}

/// The routes beside the protocol, as `METHOD kind`.
const EXTENSIONS: [&str; 11] = [
    "GET /",
    "GET /healthz",
    "GET /livez",
    "GET /readyz",
    "GET /openshift/token",
    "GET /extensions/v2/metrics",
    "GET /extensions/v2/<name>/signatures/<digest>",
    "PUT /extensions/v2/<name>/signatures/<digest>",
    "DELETE /admin/blobs/<digest>",
    "GET /v2",
    "GET /v3/x",
];

fn kind(call: &Call) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    let kind = match route::parse(path) {
        Ok(route) => name(&route),
        Err(_) if path.starts_with("/extensions/v2/") && path.contains("/signatures/") => {
            "/extensions/v2/<name>/signatures/<digest>"
        }
        Err(_) if path.starts_with("/admin/blobs/") => "/admin/blobs/<digest>",
        Err(_) => path,
    };
    format!("{} {kind}", call.method)
}

/// The name of a route. A new one does not compile until it has a name here, and then wants a row.
fn name(route: &Route) -> &'static str {
    match route {
        Route::Base => "base",
        Route::Catalog => "catalog",
        Route::Tags { .. } => "tags",
        Route::Manifest { .. } => "manifest",
        Route::Blob { .. } => "blob",
        Route::Uploads { .. } => "uploads",
        Route::Upload { .. } => "upload",
        Route::Referrers { .. } => "referrers",
    }
}

/// One of each route of the protocol.
fn protocol() -> [(&'static str, Route); 8] {
    [
        "/v2/",
        "/v2/_catalog",
        "/v2/a/b/tags/list",
        "/v2/a/b/manifests/c",
        "/v2/a/b/blobs/c",
        "/v2/a/b/blobs/uploads/",
        "/v2/a/b/blobs/uploads/c",
        "/v2/a/b/referrers/c",
    ]
    .map(|path| {
        let route = route::parse(path).expect(path);
        (name(&route), route)
    })
}
