#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
//! People log in: with a password as `oc` does, in a browser, through another provider; and out again.
//!
//! `client.py` and `webdriver.py` do what the clients do, without sharing code with Berth.

mod browser;
mod oidc;
mod secrecy;
mod sessions;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use berth_testkit::Berth;
use berth_testkit::clients::Kubectl;
use berth_testkit::process::{Said, run};
use serde_json::{Value, json};

/// A file beside these tests.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/login")
        .join(name)
}

/// A server, and the scratch directory that its files are in.
struct World {
    berth: Berth,
    files: tempfile::TempDir,
}

impl World {
    /// A server on which nobody but kubeadmin can log in.
    fn plain() -> World {
        World::with(&json!({}))
    }

    /// A server with a file of users, each of which is `name` and `password`; made by `htpasswd` with these flags.
    fn with_users(users: &[(&str, &str, &str)], config: &mut Value) -> World {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("users");
        fs::write(&file, "").unwrap();
        let provider = json!({"name": "local", "type": "HTPasswd", "mappingMethod": "claim", "htpasswd": {"file": &file}});
        let mut providers = vec![provider];
        providers.extend(
            config["identityProviders"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        config["identityProviders"] = json!(providers);
        let world = World::start(files, config);
        for (name, password, flags) in users {
            world.set_password(name, password, flags);
        }
        world
    }

    fn with(config: &Value) -> World {
        World::start(tempfile::tempdir().unwrap(), config)
    }

    fn start(files: tempfile::TempDir, config: &Value) -> World {
        let file = files.path().join("config.yaml");
        fs::write(&file, config.to_string()).unwrap();
        let berth = Berth::start_with(&["--config", file.to_str().unwrap()]);
        World { berth, files }
    }

    fn set_password(&self, name: &str, password: &str, flags: &str) {
        let file = self.files.path().join("users");
        let _ = run(Command::new("htpasswd")
            .args([&format!("-b{flags}")])
            .arg(file)
            .args([name, password]))
        .ok();
    }

    fn kubeadmin_password(&self) -> String {
        fs::read_to_string(self.berth.data().join("kubeadmin-password")).unwrap()
    }

    /// What `client.py` found out.
    fn client(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new("python3");
        command
            .arg(script("client.py"))
            .args([&self.berth.api])
            .arg(self.berth.data().join("ca.crt"));
        let said = run(command.args(arguments)).ok();
        serde_json::from_str(&said).unwrap()
    }

    /// A token for a name and a password.
    fn token(&self, user: &str, password: &str) -> String {
        let answer = self.client(&["password", user, password]);
        answer["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    fn as_user(&self, token: &str) -> Kubectl {
        self.berth.kubectl().with_token(token)
    }

    /// Who the API says that the holder of a token is.
    fn whoami(&self, token: &str) -> Result<Value, String> {
        let said = self
            .as_user(token)
            .run(&["get", "--raw", "/apis/user.openshift.io/v1/users/~"]);
        if said.success {
            Ok(serde_json::from_str(&said.stdout).unwrap())
        } else {
            Err(said.stderr)
        }
    }

    /// The status of `GET /v2/` at the registry.
    fn registry_status(&self, token: &str) -> String {
        self.berth
            .curl(Some(token), "/v2/", &["-o", "/dev/null", "-w", "%{http_code}"])
            .ok()
    }

    fn podman_login(&self, user: &str, token: &str) -> Said {
        let podman = self.berth.podman("podman");
        podman.run(&[
            "login",
            "--cert-dir",
            "{certs}",
            "-u",
            user,
            "-p",
            token,
            &self.berth.registry,
        ])
    }
}

/// Waits until `done`, and returns how long that took.
fn took(done: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "it takes forever");
        std::thread::sleep(Duration::from_millis(200));
    }
    began.elapsed()
}

/// The name of a token's object, by another's hash function than Berth's.
fn object_name(token: &str) -> String {
    let code = "import base64,hashlib,sys;t=sys.argv[1].removeprefix('sha256~');\
                print('sha256~'+base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).rstrip(b'=').decode())";
    run(Command::new("python3").args(["-c", code, token]))
        .ok()
        .trim()
        .to_owned()
}
