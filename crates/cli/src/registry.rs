//! `berth registry`: where the registry is, and a login to it that podman and docker find.
mod auth_file;
mod check;
mod host;

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::host::Wanted;
use crate::{
    Environment, Output,
    api::segment,
    connection::{Connection, Session},
    error::{Error, Result, failed},
    secret::Secret,
};

/// User name beside a token; the registry does not look at it.
const ANY_USER: &str = "user";
/// How long a token for a service account shall be valid, in seconds: as long as that of a person's login.
const ACCOUNT_TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// `berth registry`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in to the registry for podman, skopeo, buildah and docker
    Login(Login),
    /// Print the registry's address
    Info(Info),
}

#[derive(Debug, Args)]
struct Login {
    /// The registry, instead of the one of this server
    #[arg(long, value_name = "HOST[:PORT]")]
    registry: Option<String>,
    /// User and password to save, instead of the session's token
    #[arg(long, value_name = "USER:PASSWORD", conflicts_with = "service_account")]
    auth_basic: Option<Secret>,
    /// Log in as this service account of the project
    #[arg(
        long = "serviceaccount",
        short = 'z',
        alias = "service-account",
        value_name = "NAME"
    )]
    service_account: Option<String>,
    /// The file to write, "-" for standard output, instead of the one that podman or docker reads
    #[arg(long, short = 'a', visible_alias = "registry-config", value_name = "FILE")]
    to: Option<PathBuf>,
    /// Do not ask the registry whether it accepts the credentials
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true)]
    skip_check: bool,
    /// Ask the registry over any certificate or without TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true)]
    insecure: bool,
}

#[derive(Debug, Args)]
struct Info {
    /// Only the address for clients outside of the cluster
    #[arg(long, conflicts_with = "internal")]
    public: bool,
    /// Only the address for clients inside of the cluster
    #[arg(long)]
    internal: bool,
    /// Ask the registry whether it works
    #[arg(long)]
    check: bool,
    /// Print nothing but the address
    #[arg(long, short = 'q')]
    quiet: bool,
}

/// Runs `berth registry`.
///
/// # Errors
/// When the registry is not found, does not accept the credentials, or the file cannot be written.
pub async fn run(arguments: Arguments, environment: &Environment, output: &mut Output<'_>) -> Result<()> {
    let connection = arguments.connection;
    match arguments.command {
        Command::Login(login) => save(&login, &connection, environment, output).await,
        Command::Info(info) => tell(&info, &connection, environment, output).await,
    }
}

async fn save(
    login: &Login,
    connection: &Connection,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<()> {
    let basic = login
        .auth_basic
        .as_ref()
        .map(|basic| split_basic(basic.reveal()))
        .transpose()?;
    let session = connection.open(environment).await;
    let (registry, session) = match (&login.registry, session) {
        (Some(registry), session) => (host::parse(registry)?, session),
        (None, session) => {
            let session = session?;
            let found = host::find(&session, Wanted::Any).await?;
            output.note(format_args!(
                "info: Using registry {} hostname {}",
                found.kind, found.host
            ))?;
            (found.host, Ok(session))
        }
    };
    let (user, password) = match (basic, &login.service_account) {
        (Some(basic), _) => basic,
        (None, Some(account)) => (
            ANY_USER.to_owned(),
            account_token(session.as_ref().map_err(again)?, account).await?,
        ),
        (None, None) => {
            let token = session.as_ref().map_err(again)?.token.clone();
            let token = token.ok_or_else(|| {
                failed(
                    "this session has no token that could be a password: log in with 'berth login', or use a service \
                     account with -z",
                )
            })?;
            (ANY_USER.to_owned(), token)
        }
    };
    if !login.skip_check {
        let authorities = session.ok().and_then(|session| session.authorities);
        let probe = check::Probe {
            registry: &registry,
            authorities,
            insecure: login.insecure || connection.insecure_skip_tls_verify,
            timeout: connection.timeout(),
        };
        probe.login(&user, &password).await?;
    }
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    match auth_file::Target::choose(login.to.as_deref(), environment)? {
        auth_file::Target::Stdout => output.line(auth_file::alone(&registry, &credentials)),
        auth_file::Target::File(file) => {
            auth_file::add(&file, &registry, &credentials)?;
            output.line(format_args!(
                "Saved credentials for {registry} into {}",
                file.display()
            ))
        }
    }
}

async fn tell(
    info: &Info,
    connection: &Connection,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<()> {
    let session = connection.open(environment).await?;
    let wanted = match (info.public, info.internal) {
        (true, _) => Wanted::Public,
        (_, true) => Wanted::Internal,
        _ => Wanted::Any,
    };
    let found = host::find(&session, wanted).await?;
    if info.check {
        let probe = check::Probe {
            registry: &found.host,
            authorities: session.authorities.clone(),
            insecure: connection.insecure_skip_tls_verify,
            timeout: connection.timeout(),
        };
        probe.answers().await?;
        if !info.quiet {
            output.note(format_args!("info: the registry {} answers", found.host))?;
        }
    }
    output.line(found.host)
}

/// An error that was kept until it mattered.
fn again(error: &Error) -> Error {
    let text = error.to_string();
    failed(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
}

fn split_basic(text: &str) -> Result<(String, String)> {
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok((user.to_owned(), password.to_owned()))
        }
        _ => Err(Error::Usage("--auth-basic must be USER:PASSWORD".to_owned())),
    }
}

async fn account_token(session: &Session, account: &str) -> Result<String> {
    let path = format!(
        "/api/v1/namespaces/{}/serviceaccounts/{}/token",
        segment(&session.namespace),
        segment(account)
    );
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": ACCOUNT_TOKEN_SECONDS},
    });
    let answer = session.api.post(&path, &request).await?;
    let token = answer.pointer("/status/token").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| {
        failed(format!(
            "the server gave no token for the service account {account}"
        ))
    })
}
