//! Every route as eight identities, against what OpenShift's registry answered to the same.
//!
//! `tests/tape/access.jsonl` is a recording of the incumbent: a line per route and identity with status, error codes and
//! challenge. Berth answers the same, or differs where [`DIFFERENCES`] says so and why.

use std::collections::BTreeSet;

use berth_oci::Digest;
use http::Method;
use serde::Deserialize;

use crate::{
    routes::{Call, RECORDED, World},
    support::Answer,
};

const TAPE: &str = include_str!("../tape/access.jsonl");

#[derive(Deserialize)]
struct Row {
    route: String,
    request: String,
    who: String,
    status: u16,
    /// Code and message of each error.
    errors: Option<Vec<(String, String)>>,
    challenge: Option<String>,
}

/// What is compared.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Outcome {
    status: u16,
    codes: Option<Vec<String>>,
    challenge: Option<String>,
}

/// A way in which Berth means to answer differently.
struct Difference {
    /// Routes of the tape; none is every route.
    routes: &'static [&'static str],
    /// Identities; none is every identity.
    who: &'static [&'static str],
    /// The incumbent's status.
    tape: u16,
    /// Berth's status and error code.
    berth: (u16, Option<&'static str>),
    why: &'static str,
}

/// Identities with a good token and few rights.
const KNOWN: &[&str] = &["foreign", "puller", "builder", "pruner"];

const DIFFERENCES: &[Difference] = &[
    Difference {
        routes: &["tag delete"],
        who: &["pruner"],
        tape: 401,
        berth: (404, Some("MANIFEST_UNKNOWN")),
        why: "the account of the recording had no role; a pruner may delete tags, and this one does not exist",
    },
    Difference {
        routes: &["tag delete"],
        who: &["admin"],
        tape: 202,
        berth: (404, Some("MANIFEST_UNKNOWN")),
        why: "deleting a tag deletes it, so deleting one that does not exist is told; the incumbent does nothing, successfully",
    },
    Difference {
        routes: &["blob delete"],
        who: &["pruner"],
        tape: 401,
        berth: (404, Some("BLOB_UNKNOWN")),
        why: "the account of the recording had no role; system:image-pruner may delete",
    },
    Difference {
        routes: &["manifest delete missing"],
        who: &["pruner"],
        tape: 401,
        berth: (404, Some("MANIFEST_UNKNOWN")),
        why: "the account of the recording had no role; system:image-pruner may delete",
    },
    Difference {
        routes: &["admin blob delete"],
        who: &["pruner"],
        tape: 401,
        berth: (204, None),
        why: "the account of the recording had no role; system:image-pruner may delete",
    },
    Difference {
        routes: &["catalog"],
        who: &["pruner"],
        tape: 401,
        berth: (200, None),
        why: "the account of the recording had no role; system:image-pruner lists image streams everywhere",
    },
    Difference {
        routes: &["upper case"],
        who: &[],
        tape: 404,
        berth: (400, Some("NAME_INVALID")),
        why: "a name that can never be one is told so, with the rule; the incumbent serves a page of text",
    },
    Difference {
        routes: &[],
        who: KNOWN,
        tape: 401,
        berth: (403, Some("DENIED")),
        why: "somebody whose token is good lacks a right: other credentials would not help, and a 401 makes clients ask for some",
    },
    Difference {
        routes: &["one name part", "three name parts"],
        who: &["foreign", "puller", "builder", "pruner", "admin"],
        tape: 400,
        berth: (400, Some("NAME_INVALID")),
        why: "the incumbent's 400 has no body: nobody learns that a name is <project>/<stream>",
    },
    Difference {
        routes: &["manifest of missing stream"],
        who: &["puller", "builder", "admin"],
        tape: 500,
        berth: (404, Some("MANIFEST_UNKNOWN")),
        why: "what does not exist is not an internal error",
    },
    Difference {
        routes: &["referrers"],
        who: &["none", "anonymous", "garbage"],
        tape: 404,
        berth: (401, Some("UNAUTHORIZED")),
        why: "the incumbent has no referrers API",
    },
    Difference {
        routes: &["referrers"],
        who: &["foreign", "pruner"],
        tape: 404,
        berth: (403, Some("DENIED")),
        why: "the incumbent has no referrers API",
    },
    Difference {
        routes: &["referrers"],
        who: &["puller", "builder", "admin"],
        tape: 404,
        berth: (200, None),
        why: "the incumbent has no referrers API",
    },
];

#[tokio::test]
async fn every_route_as_every_identity() {
    // The recording was made with metrics off.
    let world = World::start(false).await;
    let mut played = BTreeSet::new();
    let mut used = vec![0_usize; DIFFERENCES.len()];
    let mut wrong = Vec::new();
    for line in TAPE.lines() {
        let row: Row = serde_json::from_str(line).expect("a row");
        let call = world
            .call(&row.route)
            .await
            .unwrap_or_else(|| panic!("no call for the route {}", row.route));
        check_request(&row, &call);
        let answer = world.play(&call, &row.who).await;
        played.insert(row.route.clone());
        let (tape, berth) = (recorded(&row), outcome(&answer, &call));
        if tape == berth {
            continue;
        }
        let difference = DIFFERENCES
            .iter()
            .position(|difference| difference.explains(&row, &tape, &berth));
        match difference {
            Some(at) => used[at] += 1,
            None => wrong.push(format!(
                "{} as {}: {tape:?}, but Berth: {berth:?}",
                row.route, row.who
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} unexplained differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for (difference, used) in DIFFERENCES.iter().zip(used) {
        assert!(used > 0, "nothing differs so any more: {}", difference.why);
    }
    let routes: BTreeSet<String> = RECORDED.iter().map(|&route| route.to_owned()).collect();
    assert_eq!(played, routes, "routes without a row, or rows without a route");
}

impl Difference {
    fn explains(&self, row: &Row, tape: &Outcome, berth: &Outcome) -> bool {
        let of = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        let (status, code) = self.berth;
        let codes = if row.request.starts_with("HEAD ") {
            None
        } else {
            code.map(|code| vec![code.to_owned()])
        };
        // Where Berth asks for credentials it does so in the same words.
        let challenge = if status == 401 {
            berth.challenge.is_some()
        } else {
            berth.challenge.is_none()
        };
        of(self.routes, &row.route)
            && of(self.who, &row.who)
            && tape.status == self.tape
            && (berth.status, &berth.codes) == (status, &codes)
            && challenge
    }
}

fn recorded(row: &Row) -> Outcome {
    let codes = row
        .errors
        .as_ref()
        .map(|errors| errors.iter().map(|(code, _)| code.clone()).collect());
    Outcome {
        status: row.status,
        codes,
        challenge: row.challenge.clone(),
    }
}

fn outcome(answer: &Answer, call: &Call) -> Outcome {
    let codes = if call.method == Method::HEAD {
        None
    } else {
        answer.codes()
    };
    Outcome {
        status: answer.status.as_u16(),
        codes,
        challenge: answer.header("www-authenticate").map(str::to_owned),
    }
}

/// The call is the one that was recorded, as far as the recording shows it.
fn check_request(row: &Row, call: &Call) {
    let path = call.path.split('?').next().unwrap_or_default();
    let shown = if path.contains("/blobs/uploads/") && !path.ends_with("/blobs/uploads/") {
        "UPLOAD".to_owned()
    } else {
        let digest = path.split(['/', '?']).find(|part| part.parse::<Digest>().is_ok());
        digest.map_or(path.to_owned(), |digest| path.replace(digest, "sha256:HEX"))
    };
    assert_eq!(format!("{} {shown}", call.method), row.request, "{}", row.route);
}
