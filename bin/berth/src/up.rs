//! `berth up`: every role in one process, on one directory.
//!
//! This is composition, not a second code path: the registry speaks to the API through the same client and with the same
//! kind of token as on a cluster; only the transport stays in the process.
mod identity;
mod listen;
mod login;
mod page;

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use berth_apimachinery::authn::PeerCertificates;
use berth_apimachinery::server::ApiServer;
use berth_blobs::{Driver, FilesystemConfig, FilesystemDriver};
use berth_client::Client;
use berth_distribution::FileRegion;
use berth_oauth::ClientAddress;
use berth_registry::Registry;
use berth_runtime::{
    Stop, Tasks,
    serve::{Inbound, Peer, SendFile, serve},
    signal, telemetry, tls,
};
use berth_store::Store;
use berth_store_sqlite::SqliteStore;
use clap::Args;
use http::{Request, Response, StatusCode};
use tower::{ServiceExt as _, service_fn};
use tracing::{info, warn};

use self::{identity::Identity, listen::Listeners};
use crate::{config::Config, data_dir::DataDir, endpoints::Endpoints, kubeconfig, pki::Pki};

/// The claim whose directory holds the registry's blobs, below `volumes/`.
const CLAIM: &str = "volumes/openshift-image-registry/image-registry-storage";
/// Names by which pods of a cluster would reach the registry and the API; certificates cover them.
const SERVICE_NAMES: [&str; 6] = [
    "localhost",
    "image-registry.openshift-image-registry.svc",
    "image-registry.openshift-image-registry.svc.cluster.local",
    "kubernetes",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];
/// The key that signs the state of uploads; kept, so that an upload goes on after a restart.
const UPLOAD_SECRET: &str = "pki/upload.secret";
/// How often certificates are looked at for renewal.
const RENEW_EVERY: Duration = Duration::from_secs(12 * 60 * 60);
/// Worker threads are few: requests are short, and files are read and written on threads of their own.
const STACK_BYTES: usize = 1 << 20;

/// Flags of `berth up`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where all state lives; created with mode 0700, used by one process at a time
    #[arg(
        long,
        env = "BERTH_DATA_DIR",
        default_value = "berth-data",
        value_name = "DIR"
    )]
    data_dir: PathBuf,
    /// The Kubernetes API, HTTPS; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDR")]
    api_listen: SocketAddr,
    /// The registry, HTTPS; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:5000", value_name = "ADDR")]
    registry_listen: SocketAddr,
    /// The registry once more without TLS, for a proxy on this machine that terminates it
    #[arg(long, value_name = "ADDR")]
    registry_listen_plain: Option<SocketAddr>,
    /// Where routes will answer; nothing listens there yet
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDR")]
    router_listen: SocketAddr,
    /// Limits, log level and more, as docs/configuration.md lists them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs until a signal asks for the end.
///
/// # Errors
/// What kept it from starting, or the first thing that failed.
pub(crate) fn main(arguments: Arguments) -> Result<()> {
    let config = Config::load(arguments.config.as_deref())?;
    telemetry::init(config.log_format, &config.log_level).map_err(anyhow::Error::msg)?;
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("starting the runtime")?;
    runtime.block_on(run(arguments, config))
}

/// Every connection and every file being served needs a descriptor; the usual soft limit of 1024 is for programs that
/// still call `select(2)`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        warn!(%error, "the limit of open files stays as it is");
    }
}

async fn run(arguments: Arguments, config: Config) -> Result<()> {
    let shutdown = signal::shutdown().context("installing signal handlers")?;
    let data = Arc::new(DataDir::open(&arguments.data_dir)?);
    let listeners = Listeners::bind(&arguments).await?;
    let endpoints = listeners.endpoints()?;
    let pki = Pki::open(&data, names(&endpoints, &arguments))?;
    publish(&data, &pki, &endpoints)?;

    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(data.join("berth.db"))?);
    let (api, controllers) = berth_apiserver::build(berth_apiserver::Config {
        store,
        internal_registry_host: Some(endpoints.registry.clone()),
        external_registry_hosts: Vec::new(),
        issuer: "https://kubernetes.default.svc".to_owned(),
        audiences: Vec::new(),
        signing_keys: vec![pki.service_account_key.clone().into_bytes()],
        client_ca: Some(pki.client_authority.certificate.clone().into_bytes()),
        ca_bundle: pki.authority.certificate.clone().into_bytes(),
        oauth: Some(login::config(&config.login, &endpoints.api, &data)?),
    })
    .await?;
    let identity = Identity::new(controllers.tokens())?;
    let client = Client::in_process(api.clone(), identity.source());
    let driver: Arc<dyn Driver> = Arc::new(FilesystemDriver::open(&FilesystemConfig {
        fan_out: berth_distribution::fan_out(),
        ..FilesystemConfig::new(data.directory(CLAIM)?)
    })?);
    let registry = Registry::new(
        registry_config(&endpoints),
        protocol(&config, kept_secret(&data, UPLOAD_SECRET)?),
        driver,
        client,
    );

    let certificates =
        tls::Certificates::from_pem(pki.serving.certificate.as_bytes(), pki.serving.key.as_bytes())?;
    let api_tls = tls::server(
        certificates.clone(),
        Some(pki.client_authority.certificate.as_bytes()),
    )?;
    let registry_tls = tls::server(certificates.clone(), None)?;
    let limits = config.limits.clone();

    // Started in the order in which they need each other, stopped in the reverse: the registry drains while the API that
    // it writes to still serves.
    let mut tasks = Tasks::new(config.shutdown_grace);
    let draining = tasks.draining();
    tasks.spawn("controllers", |stop| async move {
        controllers.run(async move { stop.stopped().await }).await
    });
    let (service, api_limits) = (api_service(api.clone()), limits.clone());
    tasks.spawn("api", |stop| {
        serve(listeners.api, Some(api_tls), api_limits, service, stop)
    });
    tasks.spawn("identity", |stop| identity.run(stop));
    let purge = registry.distribution().purge();
    tasks.spawn("upload purge", |stop| async move {
        purge.run(stop.token()).await;
        Ok::<_, Infallible>(())
    });
    tasks.spawn("certificates", |stop| {
        renew(data.clone(), pki, certificates, endpoints.api.clone(), stop)
    });
    if let Some(listener) = listeners.registry_plain {
        let (service, limits) = (registry_service(registry.clone()), limits.clone());
        tasks.spawn("registry without TLS", |stop| {
            serve(listener, None, limits, service, stop)
        });
    }
    let service = registry_service(registry.clone());
    tasks.spawn("registry", |stop| {
        serve(listeners.registry, Some(registry_tls), limits, service, stop)
    });
    let (closing_api, draining_registry) = (api.clone(), registry.clone());
    tasks.spawn("readiness", move |stop| async move {
        tokio::select! {
            () = draining.stopped() => {}
            () = stop.stopped() => {}
        }
        // Probes fail from now on, and watches, which would last for an hour, end.
        draining_registry.drain();
        closing_api.close();
        stop.stopped().await;
        Ok::<_, Infallible>(())
    });

    let mut failed = None;
    let until = async {
        let mut shutdown = std::pin::pin!(shutdown);
        let announced = tokio::select! {
            () = &mut shutdown => return,
            announced = announce(&api, &registry, &data, &arguments, &endpoints) => announced,
        };
        match announced {
            Ok(()) => shutdown.await,
            Err(error) => failed = Some(error),
        }
    };
    tasks.run_until(until).await?;
    if let Some(error) = failed {
        return Err(error.context("berth could not become ready"));
    }
    info!("stopped");
    Ok(())
}

/// Waits until everything answers, and says so.
async fn announce(
    api: &ApiServer,
    registry: &Registry,
    data: &DataDir,
    arguments: &Arguments,
    endpoints: &Endpoints,
) -> Result<()> {
    ready(api, registry).await?;
    data.write("endpoints.json", &endpoints.render())?;
    page::show(&arguments.data_dir, endpoints);
    Ok(())
}

/// What the serving certificate has to cover.
fn names(endpoints: &Endpoints, arguments: &Arguments) -> Vec<String> {
    let mut names: Vec<String> = SERVICE_NAMES.iter().map(|name| (*name).to_owned()).collect();
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    for address in [arguments.api_listen, arguments.registry_listen] {
        if !address.ip().is_unspecified() {
            names.push(address.ip().to_string());
        }
    }
    if let Some((host, _)) = endpoints.registry.rsplit_once(':') {
        names.push(host.trim_matches(['[', ']']).to_owned());
    }
    names.sort();
    names.dedup();
    names
}

/// Writes what clients need to trust this instance and to log in.
fn publish(data: &DataDir, pki: &Pki, endpoints: &Endpoints) -> Result<()> {
    let authority = pki.authority.certificate.as_bytes();
    for host in [Some(&endpoints.registry), endpoints.registry_plain.as_ref()]
        .into_iter()
        .flatten()
    {
        data.write(&format!("certs.d/{host}/ca.crt"), authority)?;
    }
    write_kubeconfig(data, pki, &endpoints.api)
}

fn write_kubeconfig(data: &DataDir, pki: &Pki, api: &str) -> Result<()> {
    let rendered = kubeconfig::render(
        api,
        &pki.authority.certificate,
        &pki.admin.certificate,
        &pki.admin.key,
    );
    data.write("admin.kubeconfig", &rendered)?;
    Ok(())
}

/// A random key that is made when it is first needed, and kept in a file.
fn kept_secret(data: &DataDir, file: &str) -> Result<Vec<u8>> {
    if let Some(secret) = data.read(file)?.filter(|secret| !secret.is_empty()) {
        return Ok(secret);
    }
    let secret = format!(
        "{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    );
    data.write(file, secret.as_bytes())?;
    Ok(secret.into_bytes())
}

fn registry_config(endpoints: &Endpoints) -> berth_registry::Config {
    let mut config = berth_registry::Config::new(endpoints.registry.clone());
    config.metrics = true;
    config.quota = true;
    config
}

fn protocol(config: &Config, secret: Vec<u8>) -> berth_distribution::Config {
    berth_distribution::Config {
        secret,
        upload_age: config.upload_max_age,
        purge_interval: config.upload_purge_every,
        concurrent_uploads: config.uploads_concurrent,
        ..berth_distribution::Config::default()
    }
}

/// The API server with the address and the client certificate of the connection where it looks for them.
fn api_service(
    api: ApiServer,
) -> impl tower::Service<
    Request<Inbound>,
    Response = Response<berth_apimachinery::server::Body>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |mut request: Request<Inbound>| {
        if let Some(peer) = request.extensions().get::<Peer>().cloned() {
            request.extensions_mut().insert(ClientAddress(peer.address.ip()));
            if !peer.certificates.is_empty() {
                let certificates = PeerCertificates::new(peer.certificates.to_vec());
                request.extensions_mut().insert(certificates);
            }
        }
        api.clone().oneshot(request)
    })
}

/// The registry, with file-backed answers offered to the connection.
fn registry_service(
    registry: Registry,
) -> impl tower::Service<
    Request<Inbound>,
    Response = Response<berth_registry::ResponseBody>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |request: Request<Inbound>| {
        let registry = registry.clone();
        async move {
            let mut response = registry.serve(request).await;
            if let Some(region) = response.extensions_mut().remove::<FileRegion>() {
                let FileRegion {
                    file,
                    offset,
                    len: length,
                } = region;
                response
                    .extensions_mut()
                    .insert(SendFile { file, offset, length });
            }
            Ok::<_, Infallible>(response)
        }
    })
}

/// Returns when the API and the registry answer.
async fn ready(api: &ApiServer, registry: &Registry) -> Result<()> {
    let ask = |path: &str| {
        Request::get(path.to_owned())
            .body(http_body_util::Empty::new())
            .expect("a fixed path")
    };
    loop {
        let api = api
            .clone()
            .oneshot(ask("/readyz"))
            .await
            .map(|answer| answer.status())?;
        let registry = registry.serve(ask("/v2/")).await.status();
        // The registry is asked without credentials: that it wants some is the answer of a working one.
        if api == StatusCode::OK && registry == StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Renews certificates before they end, without a restart.
async fn renew(
    data: Arc<DataDir>,
    mut pki: Pki,
    certificates: Arc<tls::Certificates>,
    api: String,
    stop: Stop,
) -> Result<()> {
    while stop
        .run_until_cancelled(tokio::time::sleep(RENEW_EVERY))
        .await
        .is_some()
    {
        let pass = (|| {
            if pki.renew(&data)? {
                certificates.replace(pki.serving.certificate.as_bytes(), pki.serving.key.as_bytes())?;
                info!("the serving certificate was renewed");
            }
            write_kubeconfig(&data, &pki, &api)
        })();
        if let Err(error) = pass {
            warn!(error = %format!("{error:#}"), "certificates could not be renewed; the old ones stay in use");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upload_key_is_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let data = DataDir::open(scratch.path()).unwrap();
        let first = kept_secret(&data, UPLOAD_SECRET).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(kept_secret(&data, UPLOAD_SECRET).unwrap(), first);
    }
}
