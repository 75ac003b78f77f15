//! The file in which podman, skopeo, buildah and docker keep registry credentials.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::{
    Environment,
    error::{Error, Result, failed},
    kubeconfig::replace,
};

/// Largest file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Where credentials go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To a file.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

impl Target {
    /// The file that was asked for, else `REGISTRY_AUTH_FILE`, else docker's if it is preferred, else podman's.
    pub(super) fn choose(asked: Option<&Path>, environment: &Environment) -> Result<Self> {
        if let Some(path) = asked {
            return Ok(if path == Path::new("-") {
                Self::Stdout
            } else {
                Self::File(path.to_owned())
            });
        }
        if let Some(path) = &environment.registry_auth_file {
            return Ok(Self::File(path.clone()));
        }
        let nowhere = |name: &str| failed(format!("{name} is not set; name the file with --to"));
        match environment.registry_auth_preference.as_deref() {
            Some("docker") => {
                let folder = match (&environment.docker_config, &environment.home) {
                    (Some(folder), _) => folder.clone(),
                    (None, Some(home)) => home.join(".docker"),
                    (None, None) => return Err(nowhere("HOME")),
                };
                Ok(Self::File(folder.join("config.json")))
            }
            None | Some("podman") => Ok(Self::File(match &environment.runtime_dir {
                Some(folder) => folder.join("containers/auth.json"),
                // Where podman looks when there is no session of a person.
                None => {
                    let user = rustix::process::getuid().as_raw();
                    PathBuf::from(format!("/run/containers/{user}/auth.json"))
                }
            })),
            Some(other) => Err(Error::Usage(format!(
                "REGISTRY_AUTH_PREFERENCE is \"{other}\", but must be podman or docker"
            ))),
        }
    }
}

/// A file with nothing but these credentials.
pub(super) fn alone(registry: &str, credentials: &str) -> String {
    format!("{:#}", json!({"auths": {registry: {"auth": credentials}}}))
}

/// Adds credentials to a file, or replaces those of the same registry; everything else in it is kept.
pub(super) fn add(path: &Path, registry: &str, credentials: &str) -> Result<()> {
    let shown = path.display();
    let text = match fs::metadata(path) {
        Ok(file) if file.len() > MAX_BYTES => return Err(failed(format!("{shown} is too large"))),
        Ok(_) => fs::read_to_string(path).map_err(|error| failed(format!("reading {shown}: {error}")))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(format!("reading {shown}: {error}"))),
    };
    let mut content: Map<String, Value> = if text.trim().is_empty() {
        Map::new()
    } else {
        serde_json::from_str(&text)
            .map_err(|error| failed(format!("{shown} holds no registry credentials: {error}")))?
    };
    let auths = content.entry("auths").or_insert_with(|| json!({}));
    let Some(auths) = auths.as_object_mut() else {
        return Err(failed(format!(
            "{shown} holds no registry credentials: \"auths\" is no object"
        )));
    };
    auths.insert(registry.to_owned(), json!({"auth": credentials}));
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut bytes = format!("{:#}", Value::Object(content)).into_bytes();
    bytes.push(b'\n');
    replace(&path, &bytes).map_err(|error| failed(format!("writing {shown}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_the_one_that_clients_read() {
        let bare = Environment {
            home: Some("/home/a".into()),
            runtime_dir: Some("/run/user/1".into()),
            ..Environment::default()
        };
        let docker = Environment {
            registry_auth_preference: Some("docker".into()),
            ..bare.clone()
        };
        let moved = Environment {
            docker_config: Some("/d".into()),
            ..docker.clone()
        };
        let named = Environment {
            registry_auth_file: Some("/x.json".into()),
            ..docker.clone()
        };
        for (asked, environment, want) in [
            (None, &bare, "/run/user/1/containers/auth.json"),
            (None, &docker, "/home/a/.docker/config.json"),
            (None, &moved, "/d/config.json"),
            (None, &named, "/x.json"),
            (Some("/asked"), &named, "/asked"),
        ] {
            let found = Target::choose(asked.map(Path::new), environment).unwrap();
            assert_eq!(found, Target::File(want.into()));
        }
        assert_eq!(
            Target::choose(Some(Path::new("-")), &bare).unwrap(),
            Target::Stdout
        );
        let odd = Environment {
            registry_auth_preference: Some("vi".into()),
            ..bare
        };
        assert_eq!(Target::choose(None, &odd).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn other_credentials_are_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("new/auth.json");
        add(&file, "a:5000", "YQ==").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(
            &file,
            r#"{"credsStore": "x", "auths": {"a:5000": {"auth": "b2xk", "email": "e"}, "b": {"auth": "Yg=="}}}"#,
        )
        .unwrap();
        add(&file, "a:5000", "bmV3").unwrap();
        let content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(
            content,
            json!({"credsStore": "x", "auths": {"a:5000": {"auth": "bmV3"}, "b": {"auth": "Yg=="}}})
        );
        for text in ["[]", "x", r#"{"auths": 1}"#] {
            fs::write(&file, text).unwrap();
            assert!(add(&file, "a", "YQ==").is_err(), "{text}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }
}
