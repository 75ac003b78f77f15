//! Real clients, each with files of its own.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::{Said, run};

/// `kubectl` with its own home.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    home: PathBuf,
    kubeconfig: PathBuf,
}

/// Where `scripts/test-peers.sh` puts what is no package of the system.
#[must_use]
pub fn peers() -> PathBuf {
    std::env::var_os("BERTH_TEST_CACHE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-peers"),
        PathBuf::from,
    )
}

/// Where `scripts/test-peers.sh` puts Debian's kubectl 1.20.
#[must_use]
pub fn old_kubectl() -> PathBuf {
    peers().join("kubectl-1.20/kubectl")
}

impl Kubectl {
    /// The kubectl of this machine, or Debian's where there is none.
    #[must_use]
    pub fn new(home: &Path, kubeconfig: &Path) -> Self {
        let on_path = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path)
                .map(|folder| folder.join("kubectl"))
                .find(|p| p.is_file())
        });
        Self {
            program: on_path.unwrap_or_else(old_kubectl),
            home: home.join("kube-home"),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// The same configuration with Debian's kubectl 1.20.
    #[must_use]
    pub fn old(mut self) -> Self {
        self.program = old_kubectl();
        self.home = self.home.with_file_name("kube-home-old");
        self
    }

    /// The same server for whoever holds `token`, and nothing of the administrator's identity.
    ///
    /// # Panics
    /// When the configuration cannot be read or written.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        let text = fs::read(&self.kubeconfig).expect("the kubeconfig can be read");
        let mut config: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
        config["users"][0]["user"] = serde_json::json!({"token": token});
        fs::create_dir_all(&self.home).expect("kubectl's home can be made");
        let name = format!("token-{}", crate::image::digest(token.as_bytes()).split_off(56));
        let kubeconfig = self.home.join(name);
        fs::write(&kubeconfig, config.to_string()).expect("the kubeconfig can be written");
        Self {
            kubeconfig,
            ..self.clone()
        }
    }

    /// The command, for callers that need more than [`Kubectl::run`].
    ///
    /// # Panics
    /// When its home cannot be made.
    #[must_use]
    pub fn command(&self) -> Command {
        fs::create_dir_all(&self.home).expect("kubectl's home can be made");
        let mut command = Command::new(&self.program);
        command
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig)
            .env_remove("KUBERNETES_SERVICE_HOST")
            .arg("--request-timeout=60s");
        command
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        run(self.command().args(arguments))
    }

    /// Runs it with `input` as the file that `-f` names: add `-f FILE` yourself through `{}` in an argument.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn with_file(&self, input: &str, arguments: &[&str]) -> Said {
        fs::create_dir_all(&self.home).expect("kubectl's home can be made");
        let file = self.home.join(format!(
            "input-{}.yaml",
            crate::image::digest(input.as_bytes()).split_off(60)
        ));
        fs::write(&file, input).expect("the input can be written");
        let path = file.display().to_string();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| argument.replace("{}", &path))
            .collect();
        run(self.command().args(arguments))
    }
}

/// `skopeo` with its own authentication file and caches.
#[derive(Clone, Debug)]
pub struct Skopeo {
    home: PathBuf,
    certificates: PathBuf,
    registry: String,
}

impl Skopeo {
    pub(crate) fn new(scratch: &Path, certificates: &Path, registry: &str) -> Self {
        let home = scratch.join("skopeo-home");
        Self {
            home,
            certificates: certificates.to_owned(),
            registry: registry.to_owned(),
        }
    }

    fn command(&self) -> Command {
        let _ = fs::create_dir_all(&self.home);
        let mut command = Command::new("skopeo");
        // As root the cache of blob locations is shared by the whole machine unless HOME and this variable are set.
        command
            .env("HOME", &self.home)
            .env("XDG_DATA_HOME", &self.home)
            .env("TMPDIR", &self.home);
        command.env("REGISTRY_AUTH_FILE", self.home.join("auth.json"));
        command
    }

    /// `docker://REGISTRY/NAME`.
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.registry)
    }

    /// Copies `source` (any transport) to `name` (`ns/stream:tag`) with `token`.
    #[must_use]
    pub fn push(&self, token: &str, source: &str, name: &str, arguments: &[&str]) -> Said {
        let mut command = self.command();
        command
            .args(["copy", "-q", "--dest-cert-dir"])
            .arg(&self.certificates);
        command
            .args(["--dest-creds", &format!("any:{token}")])
            .args(arguments);
        run(command.arg(source).arg(self.reference(name)))
    }

    /// Copies `name` (`ns/stream:tag`) to `target` (any transport); anonymously without a token.
    #[must_use]
    pub fn pull(&self, token: Option<&str>, name: &str, target: &str, arguments: &[&str]) -> Said {
        let mut command = self.command();
        command
            .args(["copy", "-q", "--src-cert-dir"])
            .arg(&self.certificates);
        match token {
            Some(token) => command.args(["--src-creds", &format!("any:{token}")]),
            None => command.arg("--src-no-creds"),
        };
        run(command.args(arguments).arg(self.reference(name)).arg(target))
    }

    /// Any other subcommand (`inspect`, `list-tags`, `delete`) with `token`.
    #[must_use]
    pub fn run(&self, token: &str, subcommand: &str, arguments: &[&str]) -> Said {
        let mut command = self.command();
        command.arg(subcommand).arg("--cert-dir").arg(&self.certificates);
        run(command.args(["--creds", &format!("any:{token}")]).args(arguments))
    }
}

/// `podman` (and `buildah`, which reads the same files) with its own storage and configuration.
#[derive(Clone, Debug)]
pub struct Podman {
    home: PathBuf,
    certificates: PathBuf,
}

impl Podman {
    pub(crate) fn new(home: &Path, certificates: &Path) -> Self {
        fs::create_dir_all(home).expect("podman's home can be made");
        let show = |name: &str| home.join(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            show("root"),
            show("run")
        );
        let containers = "[containers]\ncgroups = \"enabled\"\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             pids_limit = 0\nnetns = \"host\"\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"runc\"\n";
        fs::write(home.join("storage.conf"), storage).expect("podman's storage.conf can be written");
        fs::write(home.join("containers.conf"), containers).expect("podman's containers.conf can be written");
        Self {
            home: home.to_owned(),
            certificates: certificates.to_owned(),
        }
    }

    /// The folder with its files.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `podman`, or another program that reads the same configuration.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", &self.home)
            .env("XDG_DATA_HOME", &self.home)
            .env("TMPDIR", &self.home)
            .env("CONTAINERS_STORAGE_CONF", self.home.join("storage.conf"))
            .env("CONTAINERS_CONF", self.home.join("containers.conf"))
            .env("REGISTRY_AUTH_FILE", self.home.join("auth.json"));
        command
    }

    /// Runs `podman` to its end; `{certs}` in an argument becomes the folder for `--cert-dir`.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_as("podman", arguments)
    }

    /// As [`Podman::run`] for another program.
    #[must_use]
    pub fn run_as(&self, program: &str, arguments: &[&str]) -> Said {
        let certificates = self.certificates.display().to_string();
        let arguments = arguments
            .iter()
            .map(|argument| argument.replace("{certs}", &certificates));
        run(self.command(program).args(arguments))
    }
}
