//! PATCH with an applied configuration.
use http::{Response, StatusCode};
use serde_json::Value;

use super::{Call, Served};
use crate::access::{Attributes, Target};
use crate::apply::Apply;
use crate::context::Context;
use crate::field::FieldError;
use crate::object::Object;
use crate::rest::Updated;
use crate::schema::decode;
use crate::server::body::Body;
use crate::server::decode::Expected;
use crate::server::query;
use crate::server::render::Renderer;
use crate::status::Status;

/// Longest name of a field manager, in bytes.
const MANAGER_LIMIT: usize = 128;

impl Call<'_> {
    /// Applies a configuration; creates the object if there is none.
    pub(super) async fn apply(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        expected: &Expected<'_>,
        renderer: &Renderer<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        let manager = cx.field_manager.clone();
        if manager.is_empty() || manager.len() > MANAGER_LIMIT {
            let error = if manager.is_empty() {
                FieldError::required("fieldManager", "is required for apply patch")
            } else {
                FieldError::too_long("fieldManager", MANAGER_LIMIT)
            };
            return Err(query::patch_invalid(&[error]));
        }
        let json = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let decoded = if json {
            decode::json(body)
        } else {
            decode::yaml(body)
        };
        let decoded =
            decoded.map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
        if decoded
            .value
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .is_empty()
        {
            return Err(Status::bad_request(
                "apiVersion must be set in an applied configuration",
            ));
        }
        let mut wanted = expected.object(cx, decoded)?;
        self.check_name(served, &mut wanted)?;
        if wanted.at(&["metadata", "managedFields"]).is_some() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let resource = served.resource.group_resource();
        let apply = Apply {
            wanted: &wanted,
            manager: &manager,
            subresource: &self.path.subresource,
            force: self.query.flag("force"),
            now: cx.now,
            schema: expected.schema,
        };
        let transform = |current: Option<&Object>| {
            let mut object = apply.to(current, &resource)?;
            expected.conform(cx, &mut object, Vec::new())?;
            self.check_name(served, &mut object)?;
            Ok(object)
        };
        let updated = match served.rest.update(cx, &self.path.name, &transform).await {
            Err(status) if status.is_not_found() && self.may_create(served, &wanted) => {
                let object = transform(None)?;
                self.create_applied(cx, served, object).await?
            }
            answer => answer?,
        };
        let code = if updated.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(renderer.object(code, &updated.object))
    }

    /// Whether a missing object may be created: subresources have no objects of their own, and who names a version
    /// means an object that exists.
    fn may_create(&self, served: &Served<'_>, wanted: &Object) -> bool {
        self.path.subresource.is_empty() && served.rest.verbs().create && wanted.resource_version().is_empty()
    }

    async fn create_applied(
        &self,
        cx: &Context,
        served: &Served<'_>,
        object: Object,
    ) -> Result<Updated, Status> {
        let target = Target::Resource {
            group: self.path.group,
            version: self.path.version,
            resource: &self.path.resource,
            subresource: "",
            namespace: &self.path.namespace,
            name: &self.path.name,
        };
        self.exchange
            .authorize(&Attributes {
                user: &cx.user,
                verb: "create",
                target,
            })
            .await?;
        let mut object = object;
        if let Some(admission) = &cx.admission {
            admission.create(cx, &mut object).await?;
        }
        let object = served.rest.create(cx, None, object).await?;
        Ok(Updated {
            object,
            created: true,
        })
    }
}
