//! Which objects a list or a watch shows.
use std::borrow::Cow;
use std::sync::Arc;

use crate::entry::Entry;
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::Status;
use crate::strategy::Strategy;

/// Namespace and selectors of a list or watch.
#[derive(Clone)]
pub(super) struct Filter {
    /// `namespace/`, or empty for all.
    pub(super) prefix: String,
    namespaced: bool,
    labels: LabelSelector,
    fields: FieldSelector,
    strategy: Arc<dyn Strategy>,
}

impl Filter {
    pub(super) fn new(
        resource: &Resource,
        strategy: &Arc<dyn Strategy>,
        namespace: Option<&str>,
        labels: &LabelSelector,
        fields: &FieldSelector,
    ) -> Result<Self, Status> {
        for requirement in &fields.requirements {
            let field = requirement.field.as_str();
            let known = field == "metadata.name"
                || (field == "metadata.namespace" && resource.is_namespaced())
                || strategy.selectable_names().contains(&field);
            if !known {
                return Err(Status::bad_request(format!("field label not supported: {field}")));
            }
        }
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).or_else(|| {
            fields
                .required("metadata.namespace")
                .filter(|namespace| !namespace.is_empty())
        });
        let prefix = match namespace {
            Some(namespace) if resource.is_namespaced() => format!("{namespace}/"),
            _ => String::new(),
        };
        Ok(Self {
            prefix,
            namespaced: resource.is_namespaced(),
            labels: labels.clone(),
            fields: fields.clone(),
            strategy: Arc::clone(strategy),
        })
    }

    /// Whether the prefix alone decides.
    pub(super) fn is_trivial(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The only key that can match, if the selectors name one.
    pub(super) fn only_key(&self) -> Option<String> {
        let name = self.fields.required("metadata.name")?;
        (!self.namespaced || !self.prefix.is_empty()).then(|| format!("{}{name}", self.prefix))
    }

    /// Whether an object is shown.
    pub(super) fn matches(&self, key: &str, entry: &Entry) -> bool {
        key.starts_with(&self.prefix)
            && self.fields_match(key, entry)
            && (self.labels.is_empty() || self.labels.matches(entry.object().labels()))
    }

    fn fields_match(&self, key: &str, entry: &Entry) -> bool {
        if self.fields.is_empty() {
            return true;
        }
        let (namespace, name) = key.split_once('/').unwrap_or(("", key));
        self.fields.matches(|field| match field {
            "metadata.name" => Cow::Owned(name.to_owned()),
            "metadata.namespace" => Cow::Owned(namespace.to_owned()),
            _ => {
                let values = self.strategy.selectable_fields(entry.object());
                let value = values
                    .into_iter()
                    .find(|(known, _)| *known == field)
                    .map(|(_, value)| value);
                Cow::Owned(value.unwrap_or_default())
            }
        })
    }
}
