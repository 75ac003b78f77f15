use std::borrow::Cow;

use http::{HeaderValue, Method};
use serde::Deserialize;

use crate::{Error, Result, Session, path};

/// The name of an object in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// Some names of a list, in the server's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesPage {
    /// The names.
    pub names: Vec<NamespacedName>,
    /// What continues the list, if there is more.
    pub next: Option<String>,
}

/// Asks for names and nothing else; a server that cannot do that sends whole objects, which parse as well.
const NAMES_ONLY: HeaderValue = HeaderValue::from_static(
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
);

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default, borrow)]
    metadata: ListMetadata<'a>,
    /// `null` stands for an empty list too.
    #[serde(default, borrow)]
    items: Option<Vec<Item<'a>>>,
}

#[derive(Deserialize, Default)]
struct ListMetadata<'a> {
    #[serde(default, borrow, rename = "continue")]
    next: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    metadata: ItemMetadata<'a>,
}

#[derive(Deserialize)]
struct ItemMetadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    namespace: Cow<'a, str>,
}

impl Session<'_> {
    /// One page of the names of all image streams that this session may list across the cluster.
    ///
    /// # Errors
    /// As [`Session::send`] and [`Error::Answer`]; a status with code 410 means that `after` has expired.
    pub async fn image_stream_names(&self, limit: usize, after: Option<&str>) -> Result<NamesPage> {
        let mut path = path::image(None, "imagestreams", &[]);
        path.push_str(&format!("?limit={limit}"));
        if let Some(after) = after {
            path.push_str(&format!("&continue={}", path::query(after)));
        }
        let bytes = self
            .send(Method::GET, &path, bytes::Bytes::new(), NAMES_ONLY)
            .await?;
        let list: List<'_> = serde_json::from_slice(&bytes).map_err(|source| Error::Answer {
            what: format!("GET {path}"),
            kind: "ImageStreamList",
            source,
        })?;
        let name = |item: Item<'_>| NamespacedName {
            namespace: item.metadata.namespace.into_owned(),
            name: item.metadata.name.into_owned(),
        };
        Ok(NamesPage {
            names: list.items.unwrap_or_default().into_iter().map(name).collect(),
            next: list
                .metadata
                .next
                .filter(|next| !next.is_empty())
                .map(Cow::into_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_the_way_on() {
        let list: List<'_> = serde_json::from_str(
            r#"{"kind":"PartialObjectMetadataList","metadata":{"continue":"ab\u0063","remainingItemCount":3},
                "items":[{"metadata":{"name":"app","namespace":"demo","labels":{}}}]}"#,
        )
        .expect("a list");
        assert_eq!(list.metadata.next.as_deref(), Some("abc"));
        assert_eq!(list.items.expect("items")[0].metadata.name, "app");
        for empty in [
            r#"{"metadata":{},"items":null}"#,
            r#"{"metadata":{},"items":[]}"#,
            "{}",
        ] {
            let list: List<'_> = serde_json::from_str(empty).expect(empty);
            assert!(
                list.items.unwrap_or_default().is_empty() && list.metadata.next.is_none(),
                "{empty}"
            );
        }
    }
}
