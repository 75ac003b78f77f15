//! [`View`]: roles and bindings in memory, indexed by subject.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde_json::Value;

use super::rule::Rule;
use crate::{identity::UserInfo, object::Object, storage::Storage};

/// Prefix of the user names of service accounts.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The kinds that a view is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rules in one namespace.
    Role,
    /// Rules for the whole cluster, or for the namespace of a binding that names them.
    ClusterRole,
    /// Who has a role in one namespace.
    RoleBinding,
    /// Who has a role everywhere.
    ClusterRoleBinding,
}

/// What a binding binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRef {
    /// A ClusterRole, rather than a Role of the binding's namespace.
    pub cluster: bool,
    /// Name of the role.
    pub name: Box<str>,
}

impl RoleRef {
    /// Reads the `roleRef` of a binding.
    #[must_use]
    pub fn of(binding: &Object) -> Self {
        Self {
            cluster: binding.str_at(&["roleRef", "kind"]) == "ClusterRole",
            name: binding.str_at(&["roleRef", "name"]).into(),
        }
    }

    fn kind(&self) -> &'static str {
        if self.cluster { "ClusterRole" } else { "Role" }
    }
}

/// Rules that a user has, and what could not be found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Bindings that name a role which does not exist, as sentences.
    pub missing: Vec<String>,
}

/// A consistent view of roles and bindings. Cheap to clone; clones share their content.
#[derive(Clone, Default)]
pub struct View(Arc<RwLock<Index>>);

type Roles = HashMap<Box<str>, Arc<[Rule]>>;

#[derive(Default)]
struct Index {
    cluster_roles: Roles,
    roles: HashMap<Box<str>, Roles>,
    cluster_bindings: Bindings,
    bindings: HashMap<Box<str>, Bindings>,
}

/// The bindings of one namespace, or of the cluster. Names are sorted so that equal states give equal answers.
#[derive(Default)]
struct Bindings {
    by_name: BTreeMap<Arc<str>, Binding>,
    by_user: HashMap<Box<str>, BTreeSet<Arc<str>>>,
    by_group: HashMap<Box<str>, BTreeSet<Arc<str>>>,
}

struct Binding {
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// Who is bound. Service accounts are users with a name of a fixed form.
#[derive(PartialEq, Eq)]
enum Subject {
    User(Box<str>),
    ServiceAccount(Box<str>),
    Group(Box<str>),
}

/// The subjects of one binding.
pub(super) struct Subjects<'a>(&'a [Subject]);

impl Subjects<'_> {
    /// Adds their names; a service account has the name of its user.
    pub(super) fn add_to(&self, users: &mut BTreeSet<String>, groups: &mut BTreeSet<String>) {
        for subject in self.0 {
            match subject {
                Subject::User(name) | Subject::ServiceAccount(name) => users.insert(name.to_string()),
                Subject::Group(name) => groups.insert(name.to_string()),
            };
        }
    }
}

fn note_missing(missing: &mut Vec<String>, role: &RoleRef) {
    let kind = role.kind().to_lowercase();
    let sentence = format!("{kind}.{} {:?} not found", super::GROUP, role.name);
    if !missing.contains(&sentence) {
        missing.push(sentence);
    }
}

impl View {
    /// An empty view, in which nobody may do anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what `storage` holds of `kind`, now and whenever it changes, before the writer of a change returns.
    pub fn follow(&self, kind: Kind, storage: &Storage) {
        let view = self.clone();
        storage.observe(Arc::new(move |change| match &change.entry {
            Some(entry) => view.put(kind, entry.object()),
            None => view.remove(kind, change.namespace(), change.name()),
        }));
    }

    /// Takes in a role or binding that was created or changed.
    pub fn put(&self, kind: Kind, object: &Object) {
        let (namespace, name) = (object.namespace(), object.name());
        match kind {
            Kind::ClusterRole => {
                let rules = Rule::list(object.get("rules")).into();
                self.write().cluster_roles.insert(name.into(), rules);
            }
            Kind::Role => {
                let rules = Rule::list(object.get("rules")).into();
                self.write()
                    .roles
                    .entry(namespace.into())
                    .or_default()
                    .insert(name.into(), rules);
            }
            Kind::ClusterRoleBinding | Kind::RoleBinding => {
                let binding = Binding::read(object);
                let mut index = self.write();
                let bindings = match kind {
                    Kind::ClusterRoleBinding => &mut index.cluster_bindings,
                    _ => index.bindings.entry(namespace.into()).or_default(),
                };
                bindings.remove(name);
                bindings.insert(name.into(), binding);
            }
        }
    }

    /// Forgets a role or binding. `namespace` is empty for cluster kinds.
    pub fn remove(&self, kind: Kind, namespace: &str, name: &str) {
        let mut index = self.write();
        match kind {
            Kind::ClusterRole => {
                index.cluster_roles.remove(name);
            }
            Kind::Role => {
                if let Some(roles) = index.roles.get_mut(namespace) {
                    roles.remove(name);
                    if roles.is_empty() {
                        index.roles.remove(namespace);
                    }
                }
            }
            Kind::ClusterRoleBinding => index.cluster_bindings.remove(name),
            Kind::RoleBinding => {
                if let Some(bindings) = index.bindings.get_mut(namespace) {
                    bindings.remove(name);
                    if bindings.by_name.is_empty() {
                        index.bindings.remove(namespace);
                    }
                }
            }
        }
    }

    /// The rules of a role; none if there is no such role.
    #[must_use]
    pub fn role(&self, namespace: &str, role: &RoleRef) -> Option<Arc<[Rule]>> {
        self.read().role(namespace, role).cloned()
    }

    /// Shows `visit` the rules of every role bound to `user`, cluster-wide and in `namespace`, with a closure that
    /// describes the binding, until it returns false. Returns a sentence for each role that does not exist.
    pub(super) fn visit(
        &self,
        user: &UserInfo,
        namespace: &str,
        mut visit: impl FnMut(&[Rule], &dyn Fn() -> String) -> bool,
    ) -> Vec<String> {
        let index = self.read();
        let mut missing = Vec::new();
        let scopes = [
            ("", Some(&index.cluster_bindings)),
            (namespace, index.bindings.get(namespace)),
        ];
        for (scope, bindings) in scopes {
            let Some(bindings) = bindings else { continue };
            for name in bindings.of(user) {
                let Some(binding) = bindings.by_name.get(name) else {
                    continue;
                };
                match index.role(scope, &binding.role) {
                    Some(rules) => {
                        if !visit(rules, &|| describe(scope, name, binding, user)) {
                            return missing;
                        }
                    }
                    None => note_missing(&mut missing, &binding.role),
                }
            }
        }
        missing
    }

    /// Shows `visit` the rules and the subjects of every binding, cluster-wide and in `namespace`. Returns a sentence for
    /// each role that does not exist.
    pub(super) fn visit_all(
        &self,
        namespace: &str,
        mut visit: impl FnMut(&[Rule], &Subjects<'_>),
    ) -> Vec<String> {
        let index = self.read();
        let mut missing = Vec::new();
        let scopes = [
            ("", Some(&index.cluster_bindings)),
            (namespace, index.bindings.get(namespace)),
        ];
        for (scope, bindings) in scopes {
            for binding in bindings
                .into_iter()
                .flat_map(|bindings| bindings.by_name.values())
            {
                match index.role(scope, &binding.role) {
                    Some(rules) => visit(rules, &Subjects(&binding.subjects)),
                    None => note_missing(&mut missing, &binding.role),
                }
            }
        }
        missing
    }

    /// All rules of `user` in `namespace` and cluster-wide.
    pub(super) fn rules_for(&self, user: &UserInfo, namespace: &str) -> Resolved {
        let mut rules = Vec::new();
        let missing = self.visit(user, namespace, |found, _| {
            rules.extend_from_slice(found);
            true
        });
        Resolved { rules, missing }
    }

    // A panic while the lock is held cannot leave the index half written in a way that grants more than was bound.
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.read();
        f.debug_struct("View")
            .field("cluster_roles", &index.cluster_roles.len())
            .field("cluster_bindings", &index.cluster_bindings.by_name.len())
            .field("namespaces", &index.bindings.len())
            .finish()
    }
}

impl Index {
    fn role(&self, namespace: &str, role: &RoleRef) -> Option<&Arc<[Rule]>> {
        if role.cluster {
            self.cluster_roles.get(&role.name)
        } else {
            self.roles.get(namespace)?.get(&role.name)
        }
    }
}

impl Bindings {
    fn insert(&mut self, name: Arc<str>, binding: Binding) {
        for subject in &binding.subjects {
            let (index, key) = match subject {
                Subject::User(key) | Subject::ServiceAccount(key) => (&mut self.by_user, key),
                Subject::Group(key) => (&mut self.by_group, key),
            };
            index.entry(key.clone()).or_default().insert(name.clone());
        }
        self.by_name.insert(name, binding);
    }

    fn remove(&mut self, name: &str) {
        let Some(binding) = self.by_name.remove(name) else {
            return;
        };
        for subject in &binding.subjects {
            let (index, key) = match subject {
                Subject::User(key) | Subject::ServiceAccount(key) => (&mut self.by_user, key),
                Subject::Group(key) => (&mut self.by_group, key),
            };
            if let Some(names) = index.get_mut(key) {
                names.remove(name);
                if names.is_empty() {
                    index.remove(key);
                }
            }
        }
    }

    /// Names of the bindings that bind `user`; one that binds them twice may come twice.
    fn of<'a>(&'a self, user: &'a UserInfo) -> impl Iterator<Item = &'a Arc<str>> {
        let groups = user
            .groups
            .iter()
            .filter_map(|group| self.by_group.get(group.as_str()));
        self.by_user
            .get(user.name.as_str())
            .into_iter()
            .chain(groups)
            .flatten()
    }
}

impl Binding {
    fn read(object: &Object) -> Self {
        let text = |subject: &Value, field: &str| {
            subject
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let subjects = object
            .get("subjects")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let subjects = subjects
            .filter_map(|subject| {
                let name = text(subject, "name");
                match subject.get("kind").and_then(Value::as_str)? {
                    "User" => Some(Subject::User(name.into())),
                    "Group" => Some(Subject::Group(name.into())),
                    "ServiceAccount" => {
                        let mut namespace = text(subject, "namespace");
                        if namespace.is_empty() {
                            object.namespace().clone_into(&mut namespace);
                        }
                        // Without a namespace there is no such account.
                        (!namespace.is_empty()).then(|| {
                            Subject::ServiceAccount(format!("{SERVICE_ACCOUNT}{namespace}:{name}").into())
                        })
                    }
                    _ => None,
                }
            })
            .collect();
        Self {
            role: RoleRef::of(object),
            subjects,
        }
    }
}

fn describe(namespace: &str, name: &str, binding: &Binding, user: &UserInfo) -> String {
    let by = if namespace.is_empty() {
        format!("ClusterRoleBinding {name:?}")
    } else {
        format!("RoleBinding \"{name}/{namespace}\"")
    };
    let subject = binding.subjects.iter().find_map(|subject| match subject {
        Subject::User(bound) if **bound == *user.name => Some(format!("User {bound:?}")),
        Subject::ServiceAccount(bound) if **bound == *user.name => {
            let (namespace, name) = bound.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
            Some(format!("ServiceAccount \"{name}/{namespace}\""))
        }
        Subject::Group(bound) if user.in_group(bound) => Some(format!("Group {bound:?}")),
        _ => None,
    });
    let to = subject.unwrap_or_default();
    format!("{by} of {} {:?} to {to}", binding.role.kind(), binding.role.name)
}
