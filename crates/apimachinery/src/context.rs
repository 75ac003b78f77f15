//! [`Context`]: who asks for what, passed down to every resource.
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::admission::Admission;
use crate::identity::UserInfo;
use crate::object::Object;
use crate::resource::Resource;
use crate::status::Status;

/// The most warnings an answer carries, so that headers stay small.
pub const WARNINGS_LIMIT: usize = 64;

/// Longest warning in bytes; the rest is cut.
pub const WARNING_BYTES: usize = 512;

/// Warnings for the client, collected on the way and sent as `Warning` headers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds a warning, unless it is there already or there are too many.
    pub fn add(&self, text: impl Into<String>) {
        let mut text: String = text.into();
        if text.len() > WARNING_BYTES {
            let mut end = WARNING_BYTES;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        let mut held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.len() < WARNINGS_LIMIT && !held.contains(&text) {
            held.push(text);
        }
    }

    /// Takes all warnings.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// What a request is about.
#[derive(Clone)]
pub struct Context {
    /// Who asks; after impersonation, the impersonated.
    pub user: Arc<UserInfo>,
    /// Namespace of the request path; none for cluster-scoped resources and for "all namespaces".
    pub namespace: Option<String>,
    /// The Kubernetes verb: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: &'static str,
    /// Name of the resource the path names, if it names one.
    pub resource: Option<Resource>,
    /// Subresource of the path; empty for none.
    pub subresource: String,
    /// Name of the object in the path; empty for none.
    pub name: String,
    /// Id of the request, also in logs and in `Audit-Id`.
    pub request_id: String,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// Warnings for the client.
    pub warnings: Warnings,
    /// When the request arrived.
    pub now: Timestamp,
    /// `fieldManager` of the query; empty for none.
    pub field_manager: String,
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Hooks that check writes; see [`Context::admit`].
    pub admission: Option<Arc<dyn Admission>>,
}

impl Context {
    /// The context of work that this process does on its own behalf: user `system:apiserver` in `system:masters`.
    #[must_use]
    pub fn system() -> Self {
        Self::for_user(Arc::new(UserInfo {
            name: "system:apiserver".into(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            ..UserInfo::default()
        }))
    }

    /// A context for a user, outside of a request.
    #[must_use]
    pub fn for_user(user: Arc<UserInfo>) -> Self {
        Self {
            user,
            namespace: None,
            verb: "",
            resource: None,
            subresource: String::new(),
            name: String::new(),
            request_id: String::new(),
            dry_run: false,
            warnings: Warnings::default(),
            now: Timestamp::now(),
            field_manager: String::new(),
            query: Vec::new(),
            admission: None,
        }
    }

    /// The same in a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The same as a dry run, or not.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// The namespace, or nothing in error: a namespaced resource asks for what the server has checked already.
    ///
    /// # Errors
    /// 400 when the request names no namespace.
    pub fn require_namespace(&self) -> Result<&str, Status> {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
            .ok_or_else(|| {
                Status::bad_request("an empty namespace may not be set when a resource name is provided")
            })
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Lets admission check an update; the server itself does so for creations and deletions.
    ///
    /// # Errors
    /// What a hook refuses with.
    pub async fn admit_update(&self, object: &mut Object, old: &Object) -> Result<(), Status> {
        match &self.admission {
            Some(admission) => admission.update(self, object, old).await,
            None => Ok(()),
        }
    }
}
