//! A running `berth up`.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    PATIENCE, Process,
    clients::{Kubectl, Podman, Skopeo},
    process::{Said, run},
};

/// The binary under test: `BERTH_BIN`, else the one that cargo built beside this test.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BERTH_BIN") {
        return path.into();
    }
    let here = std::env::current_exe().expect("a test knows its own path");
    let found = here
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("berth"))
        .find(|path| path.is_file());
    found.expect("no berth binary beside the tests: run `cargo build -p berth` first, or set BERTH_BIN")
}

/// A data directory with or without a `berth up` on it. Dropping it kills the process.
#[derive(Debug)]
pub struct Berth {
    scratch: TempDir,
    data: PathBuf,
    arguments: Vec<String>,
    process: Option<Process>,
    /// Base URL of the API.
    pub api: String,
    /// `host:port` of the registry.
    pub registry: String,
    /// `host:port` of the registry's listener without TLS, where one was asked for.
    pub registry_plain: Option<String>,
}

impl Berth {
    /// Starts on a new directory and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; its output is shown.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Berth::start`], with more arguments for `berth up`.
    ///
    /// # Panics
    /// As [`Berth::start`].
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let scratch = tempfile::Builder::new()
            .prefix("berth-test")
            .tempdir()
            .expect("a scratch directory");
        let data = scratch.path().join("data");
        Self::start_on(scratch, data, arguments)
    }

    /// Starts on the data directory `data`, which may lie elsewhere (a small file system, say).
    ///
    /// # Panics
    /// As [`Berth::start`].
    #[must_use]
    pub fn start_on(scratch: TempDir, data: PathBuf, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (api, registry) = (String::new(), String::new());
        let mut berth = Self {
            scratch,
            data,
            arguments,
            process: None,
            api,
            registry,
            registry_plain: None,
        };
        berth.up().unwrap_or_else(|error| panic!("{error:#}"));
        berth
    }

    /// Starts again on the same directory and the same ports.
    ///
    /// # Panics
    /// As [`Berth::start`].
    pub fn start_again(&mut self) {
        self.up().unwrap_or_else(|error| panic!("{error:#}"));
    }

    fn up(&mut self) -> Result<()> {
        let log = self.scratch.path().join("berth.log");
        let ready_before = fs::read_to_string(&log)
            .unwrap_or_default()
            .matches("berth is ready")
            .count();
        let at = |known: &str| {
            if known.is_empty() {
                "127.0.0.1:0".to_owned()
            } else {
                known.to_owned()
            }
        };
        let (api, registry) = (at(self.api.trim_start_matches("https://")), at(&self.registry));
        let mut arguments = vec![
            "up".to_owned(),
            "--data-dir".to_owned(),
            self.data.display().to_string(),
        ];
        arguments.extend([
            "--api-listen".to_owned(),
            api,
            "--registry-listen".to_owned(),
            registry,
        ]);
        arguments.extend(["--router-listen".to_owned(), "127.0.0.1:0".to_owned()]);
        arguments.extend(self.arguments.iter().cloned());
        let mut process = Process::start(binary(), &arguments, &log, |_| {})?;
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if process.output().matches("berth is ready").count() > ready_before {
                break;
            }
            if let Some(status) = process.ended()? {
                bail!("berth up ended with {status}:\n{}", process.output());
            }
            if std::time::Instant::now() > deadline {
                bail!(
                    "berth up was not ready within {PATIENCE:?}:\n{}",
                    process.output()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let endpoints = fs::read(self.data.join("endpoints.json")).context("reading endpoints.json")?;
        let endpoints: Value = serde_json::from_slice(&endpoints)?;
        let text = |name: &str| endpoints[name].as_str().map(str::to_owned);
        self.api = text("api").context("endpoints.json names no api")?;
        self.registry = text("registry").context("endpoints.json names no registry")?;
        self.registry_plain = text("registry_plain");
        self.process = Some(process);
        Ok(())
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A directory for this test's own files.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where the registry's default volume lies: the directory above `docker/registry/v2`.
    #[must_use]
    pub fn volume(&self) -> PathBuf {
        self.data
            .join("volumes/openshift-image-registry/image-registry-storage")
    }

    /// What it has printed since the first start.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(self.scratch.path().join("berth.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The running process.
    ///
    /// # Panics
    /// When it was stopped.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("berth up is running")
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a child can be killed");
        }
    }

    /// Asks it to end with SIGTERM.
    ///
    /// # Panics
    /// When it does not end, or not with exit code 0.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let status = process
                .terminate(PATIENCE)
                .unwrap_or_else(|error| panic!("{error:#}"));
            assert!(
                status.success(),
                "berth up ended with {status}:\n{}",
                self.output()
            );
        }
    }

    /// `kubectl` as the cluster's administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.scratch.path(), &self.data.join("admin.kubeconfig"))
    }

    /// Makes a project.
    ///
    /// # Panics
    /// When that fails.
    pub fn create_project(&self, name: &str) {
        let _ = self.kubectl().run(&["create", "namespace", name]).ok();
    }

    /// A token of a service account, which is made if need be.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn token(&self, namespace: &str, account: &str) -> String {
        let kubectl = self.kubectl();
        if !kubectl
            .run(&["get", "serviceaccount", account, "-n", namespace])
            .success
        {
            let _ = kubectl
                .run(&["create", "serviceaccount", account, "-n", namespace])
                .ok();
        }
        kubectl
            .run(&["create", "token", account, "-n", namespace])
            .ok()
            .trim()
            .to_owned()
    }

    /// A token of a new service account in `namespace` that may do in it what `role` (a ClusterRole) allows.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn token_with_role(&self, namespace: &str, account: &str, role: &str) -> String {
        let token = self.token(namespace, account);
        let subject = format!("--serviceaccount={namespace}:{account}");
        let (binding, role) = (format!("{account}-{role}"), format!("--clusterrole={role}"));
        let _ = self
            .kubectl()
            .run(&[
                "create",
                "rolebinding",
                &binding,
                &role,
                &subject,
                "-n",
                namespace,
            ])
            .ok();
        token
    }

    /// `skopeo` that trusts this registry.
    #[must_use]
    pub fn skopeo(&self) -> Skopeo {
        Skopeo::new(self.scratch.path(), &self.certificates(), &self.registry)
    }

    /// `podman` with a storage of its own that trusts this registry.
    ///
    /// # Panics
    /// When its configuration cannot be written.
    #[must_use]
    pub fn podman(&self, name: &str) -> Podman {
        Podman::new(&self.scratch.path().join(name), &self.certificates())
    }

    /// The folder that clients take as `--cert-dir`.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.data.join("certs.d").join(&self.registry)
    }

    /// `curl` against the registry: `path` begins with `/`. The body is standard output; see `curl(1)` for arguments.
    #[must_use]
    pub fn curl(&self, token: Option<&str>, path: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--cacert"])
            .arg(self.data.join("ca.crt"))
            .args(arguments)
            .stdin(Stdio::null());
        if let Some(token) = token {
            command.args(["-u", &format!("any:{token}")]);
        }
        command.arg(format!("https://{}{path}", self.registry));
        run(&mut command)
    }
}
