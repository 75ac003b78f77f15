//! What the commands take from the process's environment.
use std::{ffi::OsString, path::PathBuf};

/// Environment variables, read by the binary. A variable that is set but empty counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `KUBECONFIG`: a list of files, separated as `PATH` is.
    pub kubeconfig: Option<OsString>,
    /// `REGISTRY_AUTH_FILE`: where podman, skopeo and buildah keep registry credentials.
    pub registry_auth_file: Option<PathBuf>,
    /// `REGISTRY_AUTH_PREFERENCE`: `podman` or `docker`, whose file gets registry credentials.
    pub registry_auth_preference: Option<String>,
    /// `DOCKER_CONFIG`: the folder of docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `BROWSER`: the program that opens a page.
    pub browser: Option<OsString>,
}

impl Environment {
    /// Reads the variables through `variable`.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| get(name).map(PathBuf::from);
        Self {
            home: path("HOME"),
            kubeconfig: get("KUBECONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            registry_auth_preference: get("REGISTRY_AUTH_PREFERENCE")
                .map(|value| value.to_string_lossy().into_owned()),
            docker_config: path("DOCKER_CONFIG"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            browser: get("BROWSER"),
        }
    }
}
