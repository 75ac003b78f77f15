//! Who may do what after the first start.

use berth_apimachinery::access::{Attributes, Target};
use berth_apimachinery::authn::{service_account_groups, service_account_name};
use berth_apimachinery::identity::UserInfo;
use berth_apimachinery::object::Object;
use berth_apimachinery::resource::Gvk;
use serde_json::json;

use super::support::fresh;
use crate::rbac;

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let mut groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
    groups.push("system:authenticated".to_owned());
    UserInfo {
        name: name.to_owned(),
        groups,
        ..UserInfo::default()
    }
}

fn account(namespace: &str, name: &str) -> UserInfo {
    let mut groups = service_account_groups(namespace);
    groups.push("system:authenticated".to_owned());
    UserInfo {
        name: service_account_name(namespace, name),
        groups,
        ..UserInfo::default()
    }
}

fn binding(role: &str, user: &str) -> Object {
    let mut object = Object::new(
        &Gvk::new(rbac::GROUP, "v1", "RoleBinding"),
        &format!("{role}-{user}"),
    );
    object.set_namespace("default");
    object.set(
        "roleRef",
        json!({"apiGroup": rbac::GROUP, "kind": "ClusterRole", "name": role}),
    );
    object.set(
        "subjects",
        json!([{"apiGroup": rbac::GROUP, "kind": "User", "name": user}]),
    );
    object
}

const IMAGE: &str = "image.openshift.io";

#[tokio::test]
async fn default_rights() {
    let server = fresh().await;
    let bindings = server.controllers.role_bindings();
    for role in [
        "admin",
        "edit",
        "view",
        "registry-viewer",
        "system:image-puller",
        "system:image-pusher",
    ] {
        bindings.create(binding(role, role)).await.unwrap();
    }
    let anonymous = UserInfo::anonymous();
    let root = user("root", &["system:masters"]);
    let reader = user("reader", &["system:cluster-readers"]);
    let oauth = user("ann", &["system:authenticated:oauth"]);
    let stranger = user("stranger", &[]);
    let (admin, edit, view) = (user("admin", &[]), user("edit", &[]), user("view", &[]));
    let registry_viewer = user("registry-viewer", &[]);
    let (puller, pusher) = (user("system:image-puller", &[]), user("system:image-pusher", &[]));
    let (default, builder) = (account("default", "default"), account("default", "builder"));
    let deployer = account("default", "deployer");
    let registry = account("openshift-image-registry", "registry");
    let pruner = account("openshift-image-registry", "pruner");

    let cases: &[(&UserInfo, &str, &str, &str, &str, &str, bool)] = &[
        (&root, "delete", "", "namespaces", "kube-system", "", true),
        // Everyone may ask about themselves; nobody without a name may ask who others are.
        (
            &stranger,
            "create",
            "authentication.k8s.io",
            "selfsubjectreviews",
            "",
            "",
            true,
        ),
        (
            &stranger,
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews",
            "",
            "",
            true,
        ),
        (
            &stranger,
            "create",
            "authorization.k8s.io",
            "selfsubjectrulesreviews",
            "",
            "",
            true,
        ),
        (
            &stranger,
            "create",
            "authorization.k8s.io",
            "subjectaccessreviews",
            "",
            "",
            false,
        ),
        (
            &stranger,
            "create",
            "authentication.k8s.io",
            "tokenreviews",
            "",
            "",
            false,
        ),
        (
            &anonymous,
            "create",
            "authentication.k8s.io",
            "selfsubjectreviews",
            "",
            "",
            false,
        ),
        (
            &anonymous,
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews",
            "",
            "",
            false,
        ),
        (
            &default,
            "create",
            "authentication.k8s.io",
            "selfsubjectreviews",
            "",
            "",
            true,
        ),
        (&stranger, "get", "user.openshift.io", "users", "", "~", true),
        (&stranger, "get", "user.openshift.io", "users", "", "ann", false),
        (
            &stranger,
            "list",
            "project.openshift.io",
            "projects",
            "",
            "",
            true,
        ),
        (&stranger, "list", "", "namespaces", "", "", false),
        (
            &oauth,
            "create",
            "project.openshift.io",
            "projectrequests",
            "",
            "",
            true,
        ),
        (
            &stranger,
            "create",
            "project.openshift.io",
            "projectrequests",
            "",
            "",
            false,
        ),
        (
            &default,
            "create",
            "project.openshift.io",
            "projectrequests",
            "",
            "",
            false,
        ),
        // Images of one's own namespace, and of the shared one.
        (
            &default,
            "get",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            true,
        ),
        (
            &default,
            "get",
            IMAGE,
            "imagestreams/layers",
            "kube-public",
            "app",
            false,
        ),
        (
            &default,
            "get",
            IMAGE,
            "imagestreams/layers",
            "openshift",
            "app",
            true,
        ),
        (
            &stranger,
            "get",
            IMAGE,
            "imagestreams/layers",
            "openshift",
            "app",
            true,
        ),
        (
            &anonymous,
            "get",
            IMAGE,
            "imagestreams/layers",
            "openshift",
            "app",
            false,
        ),
        (
            &default,
            "update",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            false,
        ),
        (
            &builder,
            "update",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            true,
        ),
        (&builder, "create", IMAGE, "imagestreams", "default", "", true),
        (
            &builder,
            "create",
            IMAGE,
            "imagestreams",
            "kube-public",
            "",
            false,
        ),
        (
            &deployer,
            "update",
            IMAGE,
            "imagestreamtags",
            "default",
            "app:v1",
            true,
        ),
        (
            &deployer,
            "update",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            false,
        ),
        (
            &puller,
            "get",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            true,
        ),
        (&puller, "get", "", "imagestreams/layers", "default", "app", true),
        (
            &puller,
            "update",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            false,
        ),
        (
            &pusher,
            "update",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            true,
        ),
        (&pusher, "create", IMAGE, "imagestreams", "default", "", false),
        // Members of a project.
        (&view, "list", IMAGE, "imagestreams", "default", "", true),
        (&view, "get", IMAGE, "imagestreams/layers", "default", "app", true),
        (
            &view,
            "get",
            IMAGE,
            "imagestreams/secrets",
            "default",
            "app",
            false,
        ),
        (&view, "get", "", "secrets", "default", "s", false),
        (&view, "get", "", "configmaps", "default", "c", true),
        (&view, "get", "", "namespaces", "default", "default", true),
        (
            &view,
            "get",
            "project.openshift.io",
            "projects",
            "default",
            "default",
            true,
        ),
        (&view, "create", IMAGE, "imagestreams", "default", "", false),
        (
            &registry_viewer,
            "get",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            true,
        ),
        (&registry_viewer, "get", "", "configmaps", "default", "c", false),
        (&edit, "create", IMAGE, "imagestreammappings", "default", "", true),
        (&edit, "get", "", "secrets", "default", "s", true),
        (
            &edit,
            "create",
            "",
            "serviceaccounts/token",
            "default",
            "builder",
            true,
        ),
        (
            &edit,
            "create",
            "rbac.authorization.k8s.io",
            "rolebindings",
            "default",
            "",
            false,
        ),
        (
            &edit,
            "delete",
            "project.openshift.io",
            "projects",
            "default",
            "default",
            false,
        ),
        (
            &admin,
            "create",
            "rbac.authorization.k8s.io",
            "rolebindings",
            "default",
            "",
            true,
        ),
        (
            &admin,
            "create",
            "rbac.authorization.k8s.io",
            "rolebindings",
            "kube-public",
            "",
            false,
        ),
        (
            &admin,
            "delete",
            "project.openshift.io",
            "projects",
            "default",
            "default",
            true,
        ),
        (&admin, "create", "", "resourcequotas", "default", "", false),
        (&admin, "get", "", "resourcequotas", "default", "q", true),
        (&admin, "list", IMAGE, "images", "", "", false),
        (&reader, "list", IMAGE, "images", "", "", true),
        (
            &reader,
            "get",
            IMAGE,
            "imagestreams/layers",
            "default",
            "app",
            true,
        ),
        (&reader, "get", "", "secrets", "default", "s", false),
        // Berth's own parts.
        (
            &registry,
            "create",
            IMAGE,
            "imagestreammappings",
            "default",
            "",
            true,
        ),
        (
            &registry,
            "create",
            "authorization.k8s.io",
            "subjectaccessreviews",
            "",
            "",
            true,
        ),
        (
            &registry,
            "create",
            "authentication.k8s.io",
            "tokenreviews",
            "",
            "",
            true,
        ),
        (&registry, "get", "", "secrets", "default", "s", false),
        (&registry, "delete", IMAGE, "images", "", "sha256:0", false),
        (&pruner, "delete", IMAGE, "images", "", "sha256:0", true),
        (
            &pruner,
            "update",
            IMAGE,
            "imagestreams/status",
            "default",
            "app",
            true,
        ),
        (&pruner, "create", IMAGE, "images", "", "", false),
    ];
    for (user, verb, group, resource, namespace, name, want) in cases {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let target = Target::Resource {
            group,
            version: "v1",
            resource,
            subresource,
            namespace,
            name,
        };
        let decision = server
            .authorizer
            .authorize(&Attributes { user, verb, target })
            .await;
        let asked = format!(
            "{} {verb} {resource}/{subresource}.{group} {namespace}/{name}",
            user.name
        );
        assert_eq!(decision.allowed, *want, "{asked}: {}", decision.reason);
    }
    for (user, path, want) in [
        (&stranger, "/api", true),
        (&stranger, "/openapi/v3/api/v1", true),
        (&anonymous, "/api", false),
        (&anonymous, "/healthz", true),
        (&anonymous, "/version", true),
        (&anonymous, "/metrics", false),
        (&stranger, "/metrics", false),
        (&reader, "/metrics", true),
    ] {
        let attributes = Attributes {
            user,
            verb: "get",
            target: Target::Path(path),
        };
        assert_eq!(
            server.authorizer.authorize(&attributes).await.allowed,
            want,
            "{} {path}",
            user.name
        );
    }
}
