//! `/livez`, `/readyz` and `/healthz`: named checks.
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Response, StatusCode};

use crate::server::Body;

/// A check of the server's health.
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// Whether all is well; the error is logged and not shown.
    async fn check(&self) -> Result<(), String>;
}

/// Which of the health paths a check counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `/livez`, `/readyz` and `/healthz`: failing means that the process should be restarted.
    Live,
    /// `/readyz` and `/healthz`: failing means that no requests should come.
    Ready,
}

/// A check with its name.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) check: Arc<dyn Check>,
}

/// Answers a health path; none if it is not one.
pub(crate) async fn respond(
    checks: &[Named],
    path: &str,
    verbose: bool,
    excluded: &[&str],
) -> Option<Response<Body>> {
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let endpoint = segments.next()?;
    let live_only = match endpoint {
        "livez" => true,
        "readyz" | "healthz" => false,
        _ => return None,
    };
    let only = segments.next().filter(|name| !name.is_empty());
    let mut lines = String::new();
    let mut healthy = true;
    let mut found = only.is_none() || only == Some("ping");
    if found {
        lines.push_str("[+]ping ok\n");
    }
    for named in checks {
        let wanted = match only {
            Some(only) => only == named.name,
            None => !excluded.contains(&named.name.as_str()),
        };
        if !wanted || (live_only && named.scope != Scope::Live) {
            continue;
        }
        found = true;
        match named.check.check().await {
            Ok(()) => {
                let _ = writeln!(lines, "[+]{} ok", named.name);
            }
            Err(error) => {
                tracing::warn!(check = %named.name, %error, "health check failed");
                healthy = false;
                let _ = writeln!(lines, "[-]{} failed: reason withheld", named.name);
            }
        }
    }
    if !found {
        return None;
    }
    let (code, text) = match (healthy, verbose) {
        (true, false) => (StatusCode::OK, "ok".to_owned()),
        (true, true) => (StatusCode::OK, format!("{lines}{endpoint} check passed\n")),
        (false, _) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{lines}{endpoint} check failed\n"),
        ),
    };
    Some(crate::server::respond(code, "text/plain; charset=utf-8", text))
}
