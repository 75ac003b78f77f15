//! Which server a command speaks to, as whom, and in which namespace.
use std::{path::PathBuf, time::Duration};

use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig as Document};
use serde_json::{Value, json};

use crate::{
    Environment,
    api::{Api, chain},
    error::{Error, Result, failed},
    kubeconfig::{Kubeconfig, Paths, Section},
    names,
    secret::Secret,
};

/// How long a request may take when nothing else is said, in seconds.
const DEFAULT_TIMEOUT_SECONDS: u64 = 60;
/// Name under which flags become entries of the merged configuration.
const FLAGS: &str = "flags of the command line";

/// Flags that every command has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The kubeconfig to read and write, instead of the list in KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use, instead of the current one
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The cluster of the kubeconfig to use, instead of the context's
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The user of the kubeconfig to use, instead of the context's
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The project, instead of the context's
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// The address of the API server, instead of the cluster's
    #[arg(long = "server", short, global = true, id = "server-flag", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A token to authenticate with
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<Secret>,
    /// A file with the certificate of the authority that signed the server's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// Do not check the server's certificate: whoever is in between can read and change everything
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true)]
    pub(crate) insecure_skip_tls_verify: bool,
    /// Act as this user, if you may
    #[arg(long = "as", global = true, id = "as-user", value_name = "USER")]
    pub(crate) impersonate: Option<String>,
    /// Act as a member of this group; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "as-user")]
    pub(crate) impersonate_groups: Vec<String>,
    /// How long a request may take, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT_SECONDS, value_parser = seconds)]
    pub(crate) request_timeout: u64,
}

/// Seconds as `kubectl` takes them: `30`, `30s` or `5m`; 0 means the default.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let wrong = || format!("\"{text}\" is no time: write 30, 30s or 5m");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit).ok_or_else(wrong)? {
        0 => Ok(DEFAULT_TIMEOUT_SECONDS),
        seconds => Ok(seconds),
    }
}

/// A server to talk to, and what the kubeconfig says about it.
pub(crate) struct Session {
    pub(crate) api: Api,
    pub(crate) paths: Paths,
    pub(crate) config: Kubeconfig,
    /// Name of the context, when one is used.
    pub(crate) context: Option<String>,
    /// Names of the entries of cluster and user, when the kubeconfig has them.
    pub(crate) cluster: Option<String>,
    pub(crate) user: Option<String>,
    /// The project; `default` when nothing names one.
    pub(crate) namespace: String,
    /// The bearer token, when the session has one.
    pub(crate) token: Option<String>,
    /// Certificates that are trusted for the server, DER; none means those of the machine.
    pub(crate) authorities: Option<Vec<Vec<u8>>>,
}

impl Connection {
    /// The kubeconfig's files.
    pub(crate) fn paths(&self, environment: &Environment) -> Result<Paths> {
        Paths::new(self.kubeconfig.as_deref(), environment)
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout.max(1))
    }

    /// Resolves everything; nothing is sent yet.
    ///
    /// # Errors
    /// When no server is known, or a name is not in the kubeconfig.
    pub(crate) async fn open(&self, environment: &Environment) -> Result<Session> {
        let paths = self.paths(environment)?;
        let config = paths.load()?;
        let context = self
            .context
            .clone()
            .or_else(|| config.current_context().map(str::to_owned));
        if let Some(name) = &self.context
            && config.get(Section::Contexts, name).is_none()
        {
            return Err(failed(format!("context \"{name}\" does not exist")));
        }
        let of_context = |field: &str| {
            let name = context.as_deref()?;
            config.text(Section::Contexts, name, field).map(str::to_owned)
        };
        let cluster = self.cluster.clone().or_else(|| of_context("cluster"));
        let user = self.user.clone().or_else(|| of_context("user"));
        let namespace = self.namespace.clone().or_else(|| of_context("namespace"));

        let mut merged = config.merged();
        self.override_cluster(&config, cluster.as_deref(), &mut merged)?;
        self.override_user(&config, user.as_deref(), &mut merged)?;
        let context_entry = json!({"name": FLAGS, "context": {"cluster": FLAGS, "user": FLAGS}});
        push(&mut merged, "contexts", context_entry);

        let document: Document = serde_json::from_value(merged)
            .map_err(|error| failed(format!("the kubeconfig cannot be used: {error}")))?;
        let options = KubeConfigOptions {
            context: Some(FLAGS.to_owned()),
            ..KubeConfigOptions::default()
        };
        let mut resolved = kube::Config::from_custom_kubeconfig(document, &options)
            .await
            .map_err(|error| failed(format!("the kubeconfig cannot be used: {}", chain(&error))))?;
        if self.insecure_skip_tls_verify {
            resolved.accept_invalid_certs = true;
        }
        let server = match &self.server {
            Some(server) => names::server_url(server)?,
            None => {
                let cluster = cluster.as_deref().unwrap_or_default();
                let server = config
                    .text(Section::Clusters, cluster, "server")
                    .unwrap_or_default();
                server.trim_end_matches('/').to_owned()
            }
        };
        let token = self.bearer(&config, user.as_deref())?;
        let authorities = resolved.root_cert.clone();
        Ok(Session {
            api: Api::new(resolved, &server, self.timeout())?,
            paths,
            context,
            cluster: cluster.filter(|name| config.get(Section::Clusters, name).is_some()),
            user: user.filter(|name| config.get(Section::Users, name).is_some()),
            config,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            token,
            authorities,
        })
    }

    /// Adds the cluster that flags and kubeconfig give together.
    fn override_cluster(&self, config: &Kubeconfig, name: Option<&str>, merged: &mut Value) -> Result<()> {
        let mut cluster = match name {
            Some(name) => config.anchored(Section::Clusters, name),
            None => None,
        }
        .unwrap_or_default();
        if let Some(server) = &self.server {
            cluster.insert("server".to_owned(), names::server_url(server)?.into());
        }
        if cluster
            .get("server")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            return Err(failed(
                "no server is known: log in with 'berth login SERVER', or name a kubeconfig with --kubeconfig",
            ));
        }
        if let Some(file) = &self.certificate_authority {
            cluster.remove("certificate-authority-data");
            cluster.insert("certificate-authority".to_owned(), file.to_string_lossy().into());
        }
        push(merged, "clusters", json!({"name": FLAGS, "cluster": cluster}));
        Ok(())
    }

    /// Adds the user that flags and kubeconfig give together.
    fn override_user(&self, config: &Kubeconfig, name: Option<&str>, merged: &mut Value) -> Result<()> {
        let mut user = match name {
            Some(name) => config.anchored(Section::Users, name),
            None => None,
        };
        if user.is_none()
            && let Some(name) = &self.user
        {
            return Err(failed(format!("auth info \"{name}\" does not exist")));
        }
        if let Some(token) = &self.token {
            user = json!({"token": token.reveal()}).as_object().cloned();
        }
        let mut user = user.unwrap_or_default();
        if let Some(name) = &self.impersonate {
            user.insert("as".to_owned(), name.as_str().into());
            user.insert("as-groups".to_owned(), self.impersonate_groups.clone().into());
        }
        push(merged, "users", json!({"name": FLAGS, "user": user}));
        Ok(())
    }

    /// The token that requests carry.
    fn bearer(&self, config: &Kubeconfig, user: Option<&str>) -> Result<Option<String>> {
        if let Some(token) = &self.token {
            return Ok(Some(token.reveal().to_owned()));
        }
        let user = user
            .and_then(|name| config.anchored(Section::Users, name))
            .unwrap_or_default();
        let field = |name: &str| {
            user.get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        if let Some(token) = field("token") {
            return Ok(Some(token.to_owned()));
        }
        let Some(file) = field("tokenFile") else {
            return Ok(None);
        };
        let token =
            std::fs::read_to_string(file).map_err(|error| failed(format!("reading {file}: {error}")))?;
        Ok(Some(token.trim().to_owned()))
    }
}

impl Session {
    /// Makes `project` the current one, for this cluster and this user, in a context of its own. An existing context of that
    /// name is used as it is. Returns the context's name.
    ///
    /// # Errors
    /// When flags replaced the kubeconfig's server or user, so that there is nothing to remember; or the file cannot be written.
    pub(crate) fn switch(&self, project: &str) -> Result<String> {
        let (Some(cluster), Some(user)) = (&self.cluster, &self.user) else {
            return Err(Error::Usage(
                "the kubeconfig holds no session: log in with 'berth login' before switching projects"
                    .to_owned(),
            ));
        };
        let context = names::context(project, self.api.server(), user);
        self.paths.edit(|config| {
            config.set(Section::Contexts, &context, |entry| {
                entry.insert("cluster".to_owned(), cluster.as_str().into());
                entry.insert("user".to_owned(), user.as_str().into());
                entry.insert("namespace".to_owned(), project.into());
            });
            config.use_context(&context);
        })?;
        Ok(context)
    }
}

fn push(merged: &mut Value, list: &str, entry: Value) {
    if let Some(list) = merged.get_mut(list).and_then(Value::as_array_mut) {
        list.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_kubectl_reads_them() {
        for (text, want) in [
            ("30", Ok(30)),
            ("30s", Ok(30)),
            ("2m", Ok(120)),
            ("0", Ok(DEFAULT_TIMEOUT_SECONDS)),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
        for text in [
            "",
            "s",
            "-1",
            "1h",
            "99999999999999999999",
            "18446744073709551615m",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
