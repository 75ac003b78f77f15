//! The verbs that write.
use bytes::Bytes;
use http::{Response, StatusCode};

use super::{Call, Served, created, deleted};
use crate::apply;
use crate::context::Context;
use crate::field::FieldError;
use crate::object::Object;
use crate::patch::Patch;
use crate::rest::Deleted;
use crate::server::body::Body;
use crate::server::decode::{self, Expected, Held};
use crate::server::negotiate::Offer;
use crate::server::{query, render};
use crate::status::Status;

/// Whose fields are is what server-side apply wrote down, whatever a client sends back.
pub(super) fn keep_owners(object: &mut Object, current: &Object) {
    match current.at(&["metadata", "managedFields"]) {
        Some(owners) => object
            .metadata_mut()
            .insert("managedFields".into(), owners.clone()),
        None => object.metadata_mut().remove("managedFields"),
    };
}

impl Call<'_> {
    pub(super) async fn create<B>(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let renderer = self.renderer(cx, served, Offer::Object)?;
        cx.dry_run = self.query.dry_run()?;
        let body = self.read(served, body).await?;
        let decoded = decode::parse(
            &self.exchange.server.protobuf,
            &self.exchange.parts.headers,
            &body,
        )?;
        let mut object = served.expected(&self.query)?.object(cx, decoded)?;
        self.set_namespace(served, &mut object)?;
        object.metadata_mut().remove("managedFields");
        if let Some(admission) = &cx.admission {
            admission.create(cx, &mut object).await?;
        }
        let parent = (!cx.name.is_empty()).then_some(cx.name.as_str());
        let entry = served.rest.create(cx, parent, object).await?;
        Ok(renderer.object(StatusCode::CREATED, &created(entry)))
    }

    pub(super) async fn read<B>(&self, served: &Served<'_>, body: B) -> Result<Held<'_>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        decode::read(body, served.resource.body_limit(), &self.exchange.server.limits).await
    }

    /// The namespace of a new object is that of the path.
    pub(super) fn set_namespace(&self, served: &Served<'_>, object: &mut Object) -> Result<(), Status> {
        if !served.resource.is_namespaced() {
            object.set_namespace("");
            return Ok(());
        }
        if !object.namespace().is_empty() && object.namespace() != self.path.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        object.set_namespace(&self.path.namespace);
        Ok(())
    }

    /// Name and namespace of an updated object are those of the path.
    pub(super) fn check_name(&self, served: &Served<'_>, object: &mut Object) -> Result<(), Status> {
        let name = self.path.name.as_ref();
        if object.name() != name {
            return Err(Status::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                object.name()
            )));
        }
        if !served.resource.is_namespaced() {
            object.set_namespace("");
            return Ok(());
        }
        let namespace = self.path.namespace.as_ref();
        if !object.namespace().is_empty() && object.namespace() != namespace {
            return Err(Status::bad_request(format!(
                "the namespace of the object ({}) does not match the namespace on the request ({namespace})",
                object.namespace()
            )));
        }
        object.set_namespace(namespace);
        Ok(())
    }

    pub(super) async fn update<B>(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let renderer = self.renderer(cx, served, Offer::Object)?;
        cx.dry_run = self.query.dry_run()?;
        let body = self.read(served, body).await?;
        let decoded = decode::parse(
            &self.exchange.server.protobuf,
            &self.exchange.parts.headers,
            &body,
        )?;
        let mut object = served.expected(&self.query)?.object(cx, decoded)?;
        self.check_name(served, &mut object)?;
        let transform = |current: Option<&Object>| {
            let mut wanted = object.clone();
            match current {
                Some(current) => keep_owners(&mut wanted, current),
                None => drop(wanted.metadata_mut().remove("managedFields")),
            }
            Ok(wanted)
        };
        let updated = served.rest.update(cx, &self.path.name, &transform).await?;
        let code = if updated.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(renderer.object(code, &updated.object))
    }

    pub(super) async fn patch<B>(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let renderer = self.renderer(cx, served, Offer::Object)?;
        cx.dry_run = self.query.dry_run()?;
        let expected = served.expected(&self.query)?;
        let media_type = decode::media_type(&self.exchange.parts.headers);
        let body = self.read(served, body).await?;
        if media_type == apply::MEDIA_TYPE {
            return self.apply(cx, served, &expected, &renderer, &body).await;
        }
        if self.query.has("force") {
            let detail = "may not be specified for non-apply patch";
            return Err(query::patch_invalid(&[FieldError::forbidden("force", detail)]));
        }
        let patch = Patch::parse(&media_type, &body)?;
        let names = served.resource.group_resource();
        let transform = |current: Option<&Object>| {
            let current = current.ok_or_else(|| Status::not_found(&names, &self.path.name))?;
            self.patched(cx, served, &expected, &patch, current)
        };
        let updated = served.rest.update(cx, &self.path.name, &transform).await?;
        let code = if updated.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(renderer.object(code, &updated.object))
    }

    fn patched(
        &self,
        cx: &Context,
        served: &Served<'_>,
        expected: &Expected<'_>,
        patch: &Patch,
        current: &Object,
    ) -> Result<Object, Status> {
        let mut object = patch.apply(current, expected.schema)?;
        if object.kind() != current.kind() || object.api_version() != current.api_version() {
            return Err(Status::bad_request("a patch cannot change apiVersion or kind"));
        }
        expected.conform(cx, &mut object, Vec::new())?;
        self.check_name(served, &mut object)?;
        keep_owners(&mut object, current);
        Ok(object)
    }

    pub(super) async fn delete<B>(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let renderer = self.renderer(cx, served, Offer::Object)?;
        let body = self.read(served, body).await?;
        let body = decode::delete_options(
            &self.exchange.server.protobuf,
            &self.exchange.parts.headers,
            &body,
        )?;
        let (options, dry_run) = self.query.delete_options(body.as_ref())?;
        cx.dry_run = dry_run;
        if let Some(admission) = &cx.admission {
            admission.delete(cx, &self.path.name).await?;
        }
        let answer = match served.rest.delete(cx, &self.path.name, &options).await? {
            Deleted::Gone(entry) if !served.resource.returns_deleted() && !render::is_status(&entry) => {
                deleted(renderer.output, served, &self.path.name, entry.object().uid())
            }
            Deleted::Gone(entry) | Deleted::Pending(entry) => renderer.object(StatusCode::OK, &entry),
            Deleted::Done => render::status(renderer.output, &Status::success(None)),
        };
        Ok(answer)
    }

    pub(super) async fn delete_collection<B>(
        &self,
        cx: &mut Context,
        served: &Served<'_>,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let renderer = self.renderer(cx, served, Offer::List)?;
        let list_options = self.query.list_options()?;
        let body = self.read(served, body).await?;
        let body = decode::delete_options(
            &self.exchange.server.protobuf,
            &self.exchange.parts.headers,
            &body,
        )?;
        let (options, dry_run) = self.query.delete_options(body.as_ref())?;
        cx.dry_run = dry_run;
        if let Some(admission) = &cx.admission {
            admission.delete(cx, "").await?;
        }
        let list = served.rest.delete_collection(cx, &list_options, &options).await?;
        Ok(renderer.list(&served.gvk.group, &served.gvk.version, &served.list_kind, list))
    }
}
