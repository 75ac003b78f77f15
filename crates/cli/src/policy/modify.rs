//! Giving and taking a role.
use http::Method;
use serde_json::{Value, json};

use super::{
    binding::{self, Write},
    subject::{self, GROUP},
};
use crate::{
    Output,
    api::{Api, segment},
    error::{Error, Result, failed},
};

/// How often a change is tried again when somebody else changes the same binding.
const ATTEMPTS: usize = 10;

/// Whether a role is given or taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
}

/// Where a role counts.
#[derive(Debug)]
pub(super) enum Scope {
    Cluster,
    Project(String),
}

/// What is given or taken.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) scope: Scope,
    pub(super) role: String,
    /// Whether the role is one of the project.
    pub(super) local_role: bool,
    /// The binding that is to be changed, if it matters which.
    pub(super) binding: Option<String>,
    /// Names as they were typed.
    pub(super) targets: Vec<String>,
    pub(super) subjects: Vec<Value>,
}

impl Grant {
    fn role_kind(&self) -> &'static str {
        if self.local_role { "Role" } else { "ClusterRole" }
    }

    fn binding_kind(&self) -> &'static str {
        match self.scope {
            Scope::Cluster => "ClusterRoleBinding",
            Scope::Project(_) => "RoleBinding",
        }
    }

    fn role_path(&self) -> String {
        let role = segment(&self.role);
        match &self.scope {
            Scope::Project(project) if self.local_role => {
                format!("/apis/{GROUP}/v1/namespaces/{}/roles/{role}", segment(project))
            }
            _ => format!("/apis/{GROUP}/v1/clusterroles/{role}"),
        }
    }

    fn bindings_path(&self) -> String {
        match &self.scope {
            Scope::Project(project) => {
                format!("/apis/{GROUP}/v1/namespaces/{}/rolebindings", segment(project))
            }
            Scope::Cluster => format!("/apis/{GROUP}/v1/clusterrolebindings"),
        }
    }
}

/// Gives or takes it, and says so.
pub(super) async fn run(api: &Api, change: Change, grant: &Grant, output: &mut Output<'_>) -> Result<()> {
    if change == Change::Add {
        // What is misspelt would give nobody anything, silently; what is made later is fine.
        if let Err(error) = api.get(&grant.role_path()).await
            && error.is(404)
        {
            output.warning(format_args!("role '{}' not found", grant.role))?;
        }
        for subject in &grant.subjects {
            subject::check(api, subject, output).await?;
        }
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        match apply(api, change, grant).await {
            // Somebody else made or changed the binding at the same moment: look again.
            Err(error) if error.is(409) && attempt < ATTEMPTS => {}
            done => break done?,
        }
    }
    let targets = match grant.targets.as_slice() {
        [one] => format!("\"{one}\""),
        several => {
            let quoted: Vec<String> = several.iter().map(|name| format!("\"{name}\"")).collect();
            format!("[{}]", quoted.join(" "))
        }
    };
    let done = match change {
        Change::Add => "added",
        Change::Remove => "removed",
    };
    let kind = grant.role_kind().to_lowercase();
    output.line(format_args!("{kind}.{GROUP}/{} {done}: {targets}", grant.role))
}

async fn apply(api: &Api, change: Change, grant: &Grant) -> Result<()> {
    let path = grant.bindings_path();
    let existing = api.get(&path).await?;
    let existing = existing
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let role = binding::role_ref(grant.role_kind(), &grant.role);
    let named = grant.binding.as_deref();
    let writes = match change {
        Change::Add => {
            let write = binding::add(&existing, grant.binding_kind(), &role, named, &grant.subjects);
            let write = write.map_err(|other| other_role(grant, &other))?;
            write.into_iter().collect()
        }
        Change::Remove => {
            let writes = binding::remove(&existing, &role, named, &grant.subjects);
            if writes.is_empty() {
                return Err(failed(format!(
                    "unable to find target [{}]",
                    grant.targets.join(" ")
                )));
            }
            writes
        }
    };
    for write in writes {
        match write {
            Write::Create(binding) => api.post(&path, &binding).await?,
            Write::Update(mut binding) => {
                binding["apiVersion"] = format!("{GROUP}/v1").into();
                binding["kind"] = grant.binding_kind().into();
                api.put(&one(&path, &binding), &binding).await?
            }
            Write::Delete(binding) => {
                // Whoever joined the binding since it was read keeps it.
                let seen = binding.pointer("/metadata/resourceVersion");
                let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": seen}});
                api.call(Method::DELETE, &one(&path, &binding), Some(&options))
                    .await?
            }
        };
    }
    Ok(())
}

fn one(path: &str, binding: &Value) -> String {
    let name = binding
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!("{path}/{}", segment(name))
}

fn other_role(grant: &Grant, other: &str) -> Error {
    let (kind, name) = (
        grant.binding_kind().to_lowercase(),
        grant.binding.as_deref().unwrap_or_default(),
    );
    failed(format!(
        "{kind}.{GROUP} \"{name}\" found for role {other}, not {}",
        grant.role
    ))
}
