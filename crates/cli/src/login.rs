//! `berth login`: gets a token from a server and remembers it.
//!
//! A token, a password or a browser proves who somebody is; whoever gives none of them and has a session that still works keeps it.
mod browser;
mod callback;
mod challenge;
mod issuer;
mod target;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use self::target::{Target, Trust};
use crate::{
    Environment, Output,
    api::Api,
    connection::Connection,
    error::{Error, Result, failed},
    kubeconfig::{Kubeconfig, Paths, Section},
    names,
    projects::listed,
    secret::Secret,
};

/// With more projects than this the list is no help.
const LISTED: usize = 50;
/// Fields of a user's entry that say how to authenticate; a login replaces them all.
const CREDENTIALS: [&str; 10] = [
    "token",
    "tokenFile",
    "username",
    "password",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "exec",
    "auth-provider",
];

/// Flags of `berth login`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The address of the server; the current one's if it is left out
    #[arg(value_name = "SERVER")]
    address: Option<String>,
    /// The user's name; asked for if it is needed
    #[arg(long, short, value_name = "NAME")]
    username: Option<String>,
    /// The user's password; without this flag it is asked for and does not show in the list of processes
    #[arg(long, short, value_name = "PASSWORD")]
    password: Option<Secret>,
    /// Log in with a browser
    #[arg(long, short, conflicts_with_all = ["username", "password", "token"])]
    web: bool,
    /// The port of 127.0.0.1 to which the browser comes back; a free one if it is left out
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "web")]
    callback_port: u16,
    #[command(flatten)]
    connection: Connection,
}

/// Logs in.
///
/// # Errors
/// When the server cannot be reached, is not trusted, or does not accept what proves the user.
pub async fn run(arguments: Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let connection = &arguments.connection;
    let paths = connection.paths(environment)?;
    let config = paths.load()?;
    let current = Current::of(&config, connection.context.as_deref());
    let server = server(&arguments, current.as_ref(), output)?;
    let trust = Trust::choose(
        connection.certificate_authority.as_ref().map(absolute),
        connection.insecure_skip_tls_verify,
        &config,
        &server,
    )?;
    let target = Target {
        server,
        trust,
        timeout: connection.timeout(),
    };

    let proof = if let Some(token) = &connection.token {
        let token = token_entry(token.reveal());
        let api = target.api(&token)?;
        let name = api.whoami().await.map_err(|error| match error {
            Error::Unauthorized => failed("The token provided is invalid or expired"),
            error => error,
        })?;
        Proof::new(name, token, api, How::Token)
    } else if let Some(proof) = existing(&arguments, &config, current.as_ref(), &target).await? {
        proof
    } else {
        let token = if arguments.web {
            browser::login(&target, arguments.callback_port, environment, output).await?
        } else {
            challenge::login(
                &target,
                arguments.username.clone(),
                arguments.password.clone(),
                output,
            )
            .await?
        };
        let api = target.api(&token_entry(&token))?;
        let name = api.whoami().await?;
        Proof::new(name, token_entry(&token), api, How::Login)
    };

    let projects = proof.api.projects().await.unwrap_or_default();
    let before = current
        .filter(|current| current.server == target.server)
        .and_then(|current| current.namespace);
    let project = choose(&projects, connection.namespace.as_deref().or(before.as_deref()));
    let first = config.is_empty();
    remember(&paths, &target, &proof, &project)?;
    greet(&target.server, &proof, &projects, &project, output)?;
    if first {
        output.line("Welcome! See 'berth help' to get started.")?;
    }
    Ok(())
}

/// What the kubeconfig's current context says.
#[derive(Debug)]
struct Current {
    server: String,
    user: Option<String>,
    namespace: Option<String>,
}

impl Current {
    fn of(config: &Kubeconfig, context: Option<&str>) -> Option<Self> {
        let context = context.or_else(|| config.current_context())?;
        let cluster = config.text(Section::Contexts, context, "cluster")?;
        let server = config.text(Section::Clusters, cluster, "server")?;
        let text = |field: &str| config.text(Section::Contexts, context, field).map(str::to_owned);
        Some(Self {
            server: names::server_url(server).ok()?,
            user: text("user"),
            namespace: text("namespace"),
        })
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Token,
    Existing,
    Login,
}

/// A user whom the server knows, and the credentials that showed it.
struct Proof {
    name: String,
    entry: Map<String, Value>,
    api: Api,
    how: How,
}

impl Proof {
    fn new(name: String, entry: Map<String, Value>, api: Api, how: How) -> Self {
        Self {
            name,
            entry,
            api,
            how,
        }
    }
}

fn token_entry(token: &str) -> Map<String, Value> {
    Map::from_iter([("token".to_owned(), token.into())])
}

fn absolute(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

/// The server to log in to.
fn server(arguments: &Arguments, current: Option<&Current>, output: &mut Output<'_>) -> Result<String> {
    match (&arguments.address, &arguments.connection.server, current) {
        (Some(_), Some(_), _) => Err(Error::Usage(
            "name the server once: as argument or with --server".to_owned(),
        )),
        (Some(server), None, _) | (None, Some(server), _) => names::server_url(server),
        (None, None, Some(current)) => Ok(current.server.clone()),
        (None, None, None) => {
            names::server_url(&output.ask("Server", false, "name it: berth login https://HOST:PORT")?)
        }
    }
}

/// Credentials of the kubeconfig that still work at the server, unless a password was given or a browser asked for.
async fn existing(
    arguments: &Arguments,
    config: &Kubeconfig,
    current: Option<&Current>,
    target: &Target,
) -> Result<Option<Proof>> {
    if arguments.password.is_some() || arguments.web {
        return Ok(None);
    }
    let wanted = arguments.username.as_deref();
    let named = wanted.map(|name| names::user(name, &target.server));
    let of_context = current
        .filter(|current| current.server == target.server)
        .and_then(|current| current.user.clone());
    for user in [named, of_context].into_iter().flatten() {
        let Some(entry) = config.anchored(Section::Users, &user) else {
            continue;
        };
        if !CREDENTIALS.iter().any(|field| entry.contains_key(*field)) {
            continue;
        }
        let api = target.api(&entry)?;
        match api.whoami().await {
            Ok(name) if wanted.is_none_or(|wanted| wanted == name) && name != "system:anonymous" => {
                return Ok(Some(Proof::new(name, entry, api, How::Existing)));
            }
            Ok(_) => {}
            // They are old: a login replaces them.
            Err(Error::Unauthorized | Error::Server { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The project to begin with: the one wanted if it may be seen, else `default`, else the first; none if there is none.
fn choose(projects: &[(String, String)], wanted: Option<&str>) -> String {
    let known = |name: &&str| projects.iter().any(|(known, _)| known == name);
    let first = projects.first().map(|(name, _)| name.as_str());
    wanted
        .filter(known)
        .or(Some("default").filter(known))
        .or(first)
        .unwrap_or_default()
        .to_owned()
}

/// Writes server, user and context, and makes the context the current one.
fn remember(paths: &Paths, target: &Target, proof: &Proof, project: &str) -> Result<()> {
    let server = &target.server;
    let (cluster, user) = (names::cluster(server), names::user(&proof.name, server));
    let context = names::context(project, server, &user);
    paths.edit(|config| {
        config.set(Section::Clusters, &cluster, |entry| {
            entry.insert("server".to_owned(), server.as_str().into());
            target.trust.write(entry);
        });
        config.set(Section::Users, &user, |entry| {
            entry.retain(|field, _| !CREDENTIALS.contains(&field.as_str()));
            entry.extend(proof.entry.clone());
        });
        config.set(Section::Contexts, &context, |entry| {
            entry.insert("cluster".to_owned(), json!(cluster));
            entry.insert("user".to_owned(), json!(user));
            entry.insert("namespace".to_owned(), json!(project));
            if project.is_empty() {
                entry.remove("namespace");
            }
        });
        config.use_context(&context);
    })
}

fn greet(
    server: &str,
    proof: &Proof,
    projects: &[(String, String)],
    project: &str,
    output: &mut Output<'_>,
) -> Result<()> {
    let name = &proof.name;
    output.line(match proof.how {
        How::Login => "Login successful.".to_owned(),
        How::Token => format!("Logged into \"{server}\" as \"{name}\" using the token provided."),
        How::Existing => format!("Logged into \"{server}\" as \"{name}\" using existing credentials."),
    })?;
    output.line("")?;
    match projects {
        [] => output.line(
            "You don't have any projects. You can try to create a new project, by running\n\n    berth new-project <projectname>\n",
        )?,
        [(only, _)] => output.line(format_args!("You have one project on this server: \"{only}\"\n"))?,
        several if several.len() > LISTED => output.line(format_args!(
            "You have access to {} projects, the list has been suppressed. You can list all projects with 'berth projects'\n",
            several.len()
        ))?,
        several => output.line(format_args!("{}\n", listed(several, project)))?,
    }
    if !project.is_empty() {
        output.line(format_args!("Using project \"{project}\"."))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_project_is_a_sensible_one() {
        let list = |names: &[&str]| -> Vec<(String, String)> {
            names
                .iter()
                .map(|name| ((*name).to_owned(), String::new()))
                .collect()
        };
        for (projects, wanted, want) in [
            (list(&["a", "default"]), None, "default"),
            (list(&["a", "b"]), Some("b"), "b"),
            (list(&["a", "b"]), Some("gone"), "a"),
            (list(&[]), Some("gone"), ""),
        ] {
            assert_eq!(choose(&projects, wanted), want, "{projects:?} {wanted:?}");
        }
    }
}
