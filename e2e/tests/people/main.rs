//! What people type: `berth login` and what follows, with podman, skopeo and kubectl beside it.
//!
//! Letters and numbers name the documented procedures: D1 to D6 are "Accessing the registry", E5 the lists of the API.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod session;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use berth_testkit::{
    Berth,
    berth::binary,
    image::Image,
    process::{Said, run},
};

/// `secret`, the password of everybody here.
const SECRET: &str = "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0";

/// A server where ann and bob log in.
pub(crate) fn with_people() -> Berth {
    let scratch = tempfile::Builder::new().prefix("berth-test").tempdir().unwrap();
    let people = scratch.path().join("htpasswd");
    fs::write(&people, format!("ann:{SECRET}\nbob:{SECRET}\n")).unwrap();
    let config = scratch.path().join("berth.yaml");
    let text = format!(
        "identityProviders:\n- {{name: local, mappingMethod: claim, type: HTPasswd, htpasswd: {{file: {}}}}}\n",
        people.display()
    );
    fs::write(&config, text).unwrap();
    let data = scratch.path().join("data");
    let config = config.display().to_string();
    Berth::start_on(scratch, data, &["--config", &config])
}

/// Somebody at a terminal of their own.
pub(crate) struct Person<'b> {
    pub(crate) berth: &'b Berth,
    pub(crate) home: PathBuf,
}

impl<'b> Person<'b> {
    /// Somebody who has not logged in yet.
    pub(crate) fn new(berth: &'b Berth, name: &str) -> Self {
        let home = berth.scratch().join(format!("home-{name}"));
        fs::create_dir_all(&home).unwrap();
        Self { berth, home }
    }

    /// Somebody who has logged in, with the password `secret`.
    pub(crate) fn logged_in(berth: &'b Berth, name: &str) -> Self {
        let person = Self::new(berth, name);
        let authority = person.authority();
        let api = berth.api.clone();
        let _ = person
            .answering(
                "secret\n",
                &["login", &api, "-u", name, "--certificate-authority", &authority],
            )
            .ok();
        person
    }

    pub(crate) fn authority(&self) -> String {
        self.berth.data().join("ca.crt").display().to_string()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.home.join(".kube/config")
    }

    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env("HOME", &self.home)
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
            .env("CA", self.authority())
            .current_dir(&self.home);
        for name in [
            "KUBECONFIG",
            "REGISTRY_AUTH_FILE",
            "REGISTRY_AUTH_PREFERENCE",
            "DOCKER_CONFIG",
            "BROWSER",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Types a `berth` command.
    pub(crate) fn types(&self, line: &str) -> Said {
        self.berth(&line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn berth(&self, arguments: &[&str]) -> Said {
        run(self.command(binary()).args(arguments))
    }

    /// As [`Person::berth`], with answers to what it asks.
    pub(crate) fn answering(&self, answers: &str, arguments: &[&str]) -> Said {
        let mut command = self.command(binary());
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Said {
        run(self.command("kubectl").args(arguments))
    }

    pub(crate) fn token(&self) -> String {
        self.types("whoami -t").ok().trim().to_owned()
    }
}

/// A small image in a folder; for skopeo `oci:FOLDER:v1`.
pub(crate) fn image(berth: &Berth, seed: u64) -> String {
    let layout = berth.scratch().join(format!("layout-{seed}"));
    Image::new(seed, 1, 300).write_layout(&layout, "v1").unwrap();
    format!("oci:{}:v1", layout.display())
}

/// One line, so that a script can show it.
pub(crate) fn one_line(said: Said) -> String {
    let text = said.refused();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}
