//! Query parameters into options.
use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::field::FieldError;
use crate::options::{DeleteOptions, ListOptions, Preconditions, Propagation, VersionMatch, WatchOptions};
use crate::resource::GroupKind;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::Status;

/// Most parameters of a query.
const PARAMETERS_LIMIT: usize = 64;

/// A decoded query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

/// `fieldValidation` of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

fn decode(text: &str) -> String {
    let text: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

fn options_invalid(kind: &str, errors: &[FieldError]) -> Status {
    Status::invalid(
        &GroupKind {
            group: "meta.k8s.io".into(),
            kind: kind.into(),
        },
        "",
        errors,
    )
}

/// 422 for options of a patch.
pub(crate) fn patch_invalid(errors: &[FieldError]) -> Status {
    options_invalid("PatchOptions", errors)
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter(|pair| !pair.is_empty());
        Self(
            pairs
                .take(PARAMETERS_LIMIT)
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key), decode(value))
                })
                .collect(),
        )
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A flag as Kubernetes converts it: given without value or with any but `false` and `0`, it is set.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value, "false" | "0"))
    }

    fn number(&self, key: &str) -> Result<Option<u64>, Status> {
        match self.get(key).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| {
                Status::bad_request(format!(
                    "{key}: Invalid value: {value:?}: must be a number of at least 0"
                ))
            }),
        }
    }

    pub(crate) fn pretty(&self) -> bool {
        self.flag("pretty")
    }

    /// `dryRun`, which knows only the value `All`.
    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        let mut dry = false;
        for (_, value) in self.0.iter().filter(|(key, _)| key == "dryRun") {
            dry |= is_dry(value)?;
        }
        Ok(dry)
    }

    pub(crate) fn field_validation(&self) -> Result<FieldValidation, Status> {
        match self.get("fieldValidation").unwrap_or_default() {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => Err(options_invalid(
                "CreateOptions",
                &[FieldError::not_supported(
                    "fieldValidation",
                    other,
                    &["Ignore", "Strict", "Warn"],
                )],
            )),
        }
    }

    fn selectors(&self) -> Result<(LabelSelector, FieldSelector), Status> {
        let labels = LabelSelector::parse(self.get("labelSelector").unwrap_or_default())
            .map_err(|error| Status::bad_request(format!("unable to parse requirement: {error}")))?;
        let fields = FieldSelector::parse(self.get("fieldSelector").unwrap_or_default())
            .map_err(Status::bad_request)?;
        Ok((labels, fields))
    }

    fn version_match(&self) -> Result<Option<VersionMatch>, Status> {
        match self.get("resourceVersionMatch").unwrap_or_default() {
            "" => Ok(None),
            "Exact" => Ok(Some(VersionMatch::Exact)),
            "NotOlderThan" => Ok(Some(VersionMatch::NotOlderThan)),
            other => Err(options_invalid(
                "ListOptions",
                &[FieldError::not_supported(
                    "resourceVersionMatch",
                    other,
                    &["Exact", "NotOlderThan", ""],
                )],
            )),
        }
    }

    pub(crate) fn list_options(&self) -> Result<ListOptions, Status> {
        let (labels, fields) = self.selectors()?;
        let resource_version = self.number("resourceVersion")?;
        let version_match = self.version_match()?;
        let continue_token = self.get("continue").unwrap_or_default().to_owned();
        let forbidden = |detail: &str| {
            Err(options_invalid(
                "ListOptions",
                &[FieldError::forbidden("resourceVersionMatch", detail)],
            ))
        };
        match version_match {
            Some(_) if resource_version.is_none() => {
                return forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            Some(_) if !continue_token.is_empty() => {
                return forbidden("resourceVersionMatch is forbidden when continue is provided");
            }
            Some(VersionMatch::Exact) if resource_version == Some(0) => {
                return forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            }
            _ => {}
        }
        if self.has("sendInitialEvents") {
            return Err(options_invalid(
                "ListOptions",
                &[FieldError::forbidden(
                    "sendInitialEvents",
                    "sendInitialEvents is forbidden for list",
                )],
            ));
        }
        let limit = usize::try_from(self.number("limit")?.unwrap_or(0)).unwrap_or(usize::MAX);
        Ok(ListOptions {
            labels,
            fields,
            limit,
            continue_token,
            resource_version,
            version_match,
        })
    }

    pub(crate) fn watch_options(&self) -> Result<WatchOptions, Status> {
        let (labels, fields) = self.selectors()?;
        let version_match = self.version_match()?;
        let send_initial_events = self
            .has("sendInitialEvents")
            .then(|| self.flag("sendInitialEvents"));
        let forbidden = |field: &str, detail: &str| {
            Err(options_invalid(
                "ListOptions",
                &[FieldError::forbidden(field, detail)],
            ))
        };
        match (send_initial_events, version_match) {
            (Some(_), Some(VersionMatch::NotOlderThan)) | (None, None) => {}
            (Some(_), _) => {
                return forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                );
            }
            (None, Some(_)) => {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                );
            }
        }
        Ok(WatchOptions {
            labels,
            fields,
            resource_version: self.number("resourceVersion")?,
            bookmarks: self.flag("allowWatchBookmarks"),
            send_initial_events,
        })
    }

    pub(crate) fn timeout_seconds(&self) -> Result<Option<u64>, Status> {
        self.number("timeoutSeconds")
    }

    /// Options of a deletion from the query and, where it has them, from the body; and whether it is a dry run.
    pub(crate) fn delete_options(&self, body: Option<&Value>) -> Result<(DeleteOptions, bool), Status> {
        let mut options = DeleteOptions::default();
        let mut dry = self.dry_run()?;
        if let Some(policy) = self.get("propagationPolicy").filter(|policy| !policy.is_empty()) {
            options.propagation = Some(propagation(policy)?);
        }
        if self.has("orphanDependents") {
            let orphan = self.flag("orphanDependents");
            options.propagation = Some(if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            });
        }
        options.grace_period_seconds = self
            .number("gracePeriodSeconds")?
            .map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let Some(body) = body else {
            return Ok((options, dry));
        };
        if let Some(policy) = body.get("propagationPolicy").and_then(Value::as_str) {
            options.propagation = Some(propagation(policy)?);
        } else if let Some(orphan) = body.get("orphanDependents").and_then(Value::as_bool) {
            options.propagation = Some(if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            });
        }
        if let Some(seconds) = body.get("gracePeriodSeconds").and_then(Value::as_i64) {
            if seconds < 0 {
                return Err(options_invalid(
                    "DeleteOptions",
                    &[FieldError::invalid(
                        "gracePeriodSeconds",
                        seconds,
                        "must be greater than or equal to 0",
                    )],
                ));
            }
            options.grace_period_seconds = Some(seconds);
        }
        for value in body.get("dryRun").and_then(Value::as_array).into_iter().flatten() {
            dry |= is_dry(value.as_str().unwrap_or_default())?;
        }
        if let Some(preconditions) = body.get("preconditions") {
            let text = |field: &str| {
                preconditions
                    .get(field)
                    .and_then(Value::as_str)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
            };
            options.preconditions = Preconditions {
                uid: text("uid"),
                resource_version: text("resourceVersion"),
            };
        }
        Ok((options, dry))
    }
}

fn is_dry(value: &str) -> Result<bool, Status> {
    match value {
        "" => Ok(false),
        "All" => Ok(true),
        other => Err(options_invalid(
            "CreateOptions",
            &[FieldError::not_supported(
                "dryRun",
                Value::from(vec![other]),
                &["All"],
            )],
        )),
    }
}

fn propagation(policy: &str) -> Result<Propagation, Status> {
    match policy {
        "Orphan" => Ok(Propagation::Orphan),
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        other => Err(options_invalid(
            "DeleteOptions",
            &[FieldError::not_supported(
                "propagationPolicy",
                other,
                &["Background", "Foreground", "Orphan"],
            )],
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn list_options_that_do_not_go_together_are_refused() {
        for (query, want) in [
            ("", None),
            (
                "limit=5&labelSelector=a%3Db%2Cc&fieldSelector=metadata.name%3Dx",
                None,
            ),
            ("resourceVersion=5&resourceVersionMatch=Exact", None),
            ("resourceVersionMatch=Exact", Some(422)),
            ("resourceVersion=0&resourceVersionMatch=Exact", Some(422)),
            ("resourceVersion=5&resourceVersionMatch=Nearly", Some(422)),
            (
                "continue=x&resourceVersion=5&resourceVersionMatch=Exact",
                Some(422),
            ),
            ("resourceVersion=-5", Some(400)),
            ("limit=x", Some(400)),
            ("labelSelector=%3D", Some(400)),
            ("fieldSelector=x", Some(400)),
        ] {
            let got = Query::parse(Some(query))
                .list_options()
                .err()
                .map(|status| status.code());
            assert_eq!(got, want, "{query}");
        }
    }

    #[test]
    fn deletions_take_options_from_query_and_body() {
        let query = Query::parse(Some("propagationPolicy=Orphan&gracePeriodSeconds=3"));
        let body = json!({
            "propagationPolicy": "Foreground",
            "dryRun": ["All"],
            "preconditions": {"uid": "u", "resourceVersion": "7"},
        });
        let (options, dry) = query.delete_options(Some(&body)).unwrap();
        assert!(dry);
        assert_eq!(options.propagation, Some(Propagation::Foreground));
        assert_eq!(options.grace_period_seconds, Some(3));
        assert_eq!(options.preconditions.uid.as_deref(), Some("u"));
        assert_eq!(options.preconditions.resource_version.as_deref(), Some("7"));
        assert_eq!(
            Query::parse(Some("dryRun=Some")).dry_run().unwrap_err().code(),
            422
        );
        assert_eq!(
            Query::parse(Some("propagationPolicy=x"))
                .delete_options(None)
                .unwrap_err()
                .code(),
            422
        );
    }
}
