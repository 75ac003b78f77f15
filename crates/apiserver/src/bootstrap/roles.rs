//! The roles that exist from the first start: those of Kubernetes, then those of OpenShift that concern images,
//! projects and users. What each one is for is in facts/image-api.md, section 10.2; the roles of Kubernetes are
//! those of its "Default roles and role bindings".

use super::rule::{CORE, READ, RW, Rule, WRITE, on, urls};

/// A default cluster role.
#[derive(Debug)]
pub(super) struct RoleDefault {
    pub(super) name: &'static str,
    /// A sentence for `oc describe`, in the annotation `openshift.io/description`.
    pub(super) description: &'static str,
    /// The roles that this one is joined into, by the aggregation label.
    pub(super) aggregate_to: &'static [&'static str],
    /// The aggregation label values whose roles make up this role.
    pub(super) aggregates: &'static [&'static str],
    pub(super) rules: &'static [Rule],
}

const fn role(name: &'static str, description: &'static str, rules: &'static [Rule]) -> RoleDefault {
    RoleDefault {
        name,
        description,
        aggregate_to: &[],
        aggregates: &[],
        rules,
    }
}

impl RoleDefault {
    const fn into(mut self, roles: &'static [&'static str]) -> RoleDefault {
        self.aggregate_to = roles;
        self
    }

    const fn joining(mut self, labels: &'static [&'static str]) -> RoleDefault {
        self.aggregates = labels;
        self
    }
}

/// Image resources are granted for their own group and for the legacy empty group, as in OpenShift.
const IMAGE: &[&str] = &["", "image.openshift.io"];
const PROJECT: &[&str] = &["", "project.openshift.io"];
const USER: &[&str] = &["", "user.openshift.io"];
const OAUTH: &[&str] = &["", "oauth.openshift.io"];
const BUILD: &[&str] = &["", "build.openshift.io"];
const APPS_OPENSHIFT: &[&str] = &["", "apps.openshift.io"];
const ROUTE: &[&str] = &["", "route.openshift.io"];
const AUTHORIZATION: &[&str] = &["authorization.k8s.io"];
const AUTHENTICATION: &[&str] = &["authentication.k8s.io"];
const RBAC: &[&str] = &["rbac.authorization.k8s.io"];
const POLICY: &[&str] = &["", "authorization.openshift.io"];
const EVENTS: &[&str] = &["events.k8s.io"];

/// The resources of a stream and its views.
const STREAM_FAMILY: &[&str] = &[
    "imagestreamimages",
    "imagestreammappings",
    "imagestreams",
    "imagestreamtags",
    "imagetags",
];
const STREAM_FAMILY_AND_SECRETS: &[&str] = &[
    "imagestreamimages",
    "imagestreammappings",
    "imagestreams",
    "imagestreams/secrets",
    "imagestreamtags",
    "imagetags",
];
const LAYERS: &[&str] = &["imagestreams/layers"];
const STATUS: &[&str] = &["imagestreams/status"];
const IMPORTS: &[&str] = &["imagestreamimports"];
const LOCAL_REVIEWS: &[&str] = &[
    "localresourceaccessreviews",
    "localsubjectaccessreviews",
    "subjectrulesreviews",
];

const REVIEWS: &[&str] = &[
    "localresourceaccessreviews",
    "localsubjectaccessreviews",
    "resourceaccessreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
    "subjectrulesreviews",
];

const DISCOVERY: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];

/// Namespaced kinds of Kubernetes that a project's editors manage and its viewers read.
const CORE_EDITED: &[&str] = &[
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "services",
];
const CORE_VIEWED: &[&str] = &[
    "bindings",
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "namespaces/status",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "pods/log",
    "pods/status",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
    "serviceaccounts",
    "services",
    "services/status",
];
const APPS_EDITED: &[&str] = &[
    "daemonsets",
    "deployments",
    "deployments/rollback",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
];
const APPS_VIEWED: &[&str] = &[
    "controllerrevisions",
    "daemonsets",
    "daemonsets/status",
    "deployments",
    "deployments/scale",
    "deployments/status",
    "replicasets",
    "replicasets/scale",
    "replicasets/status",
    "statefulsets",
    "statefulsets/scale",
    "statefulsets/status",
];

/// Every default cluster role, in the order in which they are created.
pub(super) const CLUSTER_ROLES: &[RoleDefault] = &[
    // Kubernetes: everyone's roles.
    role(
        "cluster-admin",
        "A super-user that can perform any action in the cluster.",
        &[on(&["*"], &["*"], &["*"]), urls(&["*"], &["*"])],
    ),
    role("system:discovery", "Reads which APIs there are.", &[urls(&["get"], DISCOVERY)]),
    role(
        "system:public-info-viewer",
        "Reads version and health.",
        &[urls(&["get"], &["/healthz", "/livez", "/readyz", "/version", "/version/"])],
    ),
    role(
        "system:monitoring",
        "Reads health and metrics.",
        &[urls(
            &["get"],
            &["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"],
        )],
    ),
    role(
        "system:basic-user",
        "Asks who the caller is and what the caller may do.",
        &[
            on(&["create"], AUTHORIZATION, &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
            on(&["create"], AUTHENTICATION, &["selfsubjectreviews"]),
        ],
    ),
    role(
        "system:auth-delegator",
        "Asks whose a token is and what its owner may do, for servers that leave both to this one.",
        &[
            on(&["create"], AUTHENTICATION, &["tokenreviews"]),
            on(&["create"], AUTHORIZATION, &["subjectaccessreviews"]),
        ],
    ),
    role(
        "system:service-account-issuer-discovery",
        "Reads the keys with which tokens of service accounts are verified.",
        &[urls(
            &["get"],
            &["/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/"],
        )],
    ),
    // Kubernetes: the roles that people are given in projects.
    role(
        "admin",
        "A user that has edit rights within the project and can change the project's membership.",
        &[],
    )
    .joining(&["admin"]),
    role("edit", "A user that can create and edit most objects in a project, but can not update the project's membership.", &[])
        .into(&["admin"])
        .joining(&["edit"]),
    role("view", "A user who can view but not edit any resources within the project. They can not view secrets or membership.", &[])
        .into(&["edit"])
        .joining(&["view"]),
    role(
        "system:aggregate-to-admin",
        "",
        &[on(&["create"], AUTHORIZATION, &["localsubjectaccessreviews"]), on(RW, RBAC, &["rolebindings", "roles"])],
    )
    .into(&["admin"]),
    role(
        "system:aggregate-to-edit",
        "",
        &[
            on(READ, CORE, &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
            on(&["impersonate"], CORE, &["serviceaccounts"]),
            on(WRITE, CORE, &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
            on(&["create"], CORE, &["pods/eviction"]),
            on(WRITE, CORE, CORE_EDITED),
            on(WRITE, CORE, &["events", "secrets", "serviceaccounts", "services/proxy"]),
            on(&["create"], CORE, &["serviceaccounts/token"]),
            on(WRITE, &["apps"], APPS_EDITED),
            on(WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
            on(WRITE, &["batch"], &["cronjobs", "jobs"]),
            on(WRITE, &["policy"], &["poddisruptionbudgets"]),
            on(WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
            on(RW, &["coordination.k8s.io"], &["leases"]),
        ],
    )
    .into(&["edit"]),
    role(
        "system:aggregate-to-view",
        "",
        &[
            on(READ, CORE, CORE_VIEWED),
            on(READ, EVENTS, &["events"]),
            on(READ, &["apps"], APPS_VIEWED),
            on(READ, &["autoscaling"], &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
            on(READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
            on(READ, &["policy"], &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
            on(READ, &["networking.k8s.io"], &["ingresses", "ingresses/status", "networkpolicies"]),
        ],
    )
    .into(&["view"]),
    // OpenShift: what it adds to these.
    role(
        "system:openshift:aggregate-to-admin",
        "",
        &[
            on(RW, IMAGE, STREAM_FAMILY_AND_SECRETS),
            on(READ, IMAGE, STATUS),
            on(&["get", "update"], IMAGE, LAYERS),
            on(&["create"], IMAGE, IMPORTS),
            on(&["get", "patch", "update", "delete"], PROJECT, &["projects"]),
            on(&["create"], POLICY, LOCAL_REVIEWS),
            on(RW, POLICY, &["rolebindings", "roles"]),
            on(READ, POLICY, &["rolebindingrestrictions"]),
            on(RW, ROUTE, &["routes"]),
            on(&["create"], ROUTE, &["routes/custom-host"]),
            on(READ, ROUTE, &["routes/status"]),
        ],
    )
    .into(&["admin"]),
    role(
        "system:openshift:aggregate-to-edit",
        "",
        &[
            on(RW, IMAGE, STREAM_FAMILY_AND_SECRETS),
            on(READ, IMAGE, STATUS),
            on(&["get", "update"], IMAGE, LAYERS),
            on(&["create"], IMAGE, IMPORTS),
            on(&["get"], PROJECT, &["projects"]),
            on(RW, ROUTE, &["routes"]),
            on(&["create"], ROUTE, &["routes/custom-host"]),
            on(READ, ROUTE, &["routes/status"]),
        ],
    )
    .into(&["edit"]),
    role(
        "system:openshift:aggregate-to-view",
        "",
        &[
            on(READ, IMAGE, STREAM_FAMILY),
            on(READ, IMAGE, STATUS),
            on(&["get"], PROJECT, &["projects"]),
            on(READ, ROUTE, &["routes", "routes/status"]),
        ],
    )
    .into(&["view"]),
    role(
        "system:openshift:aggregate-to-basic-user",
        "",
        &[
            on(&["get"], USER, &["users"]).named(&["~"]),
            // kubectl asks for these before it creates a review.
            on(READ, &["apiextensions.k8s.io"], &["customresourcedefinitions"]),
            on(&["list"], PROJECT, &["projectrequests"]),
            on(READ, RBAC, &["clusterroles"]),
            on(&["get", "list"], POLICY, &["clusterroles"]),
            on(&["create"], POLICY, &["selfsubjectrulesreviews"]),
            on(&["list", "watch"], PROJECT, &["projects"]),
            on(&["create"], AUTHORIZATION, &["selfsubjectaccessreviews"]),
        ],
    )
    .into(&["basic-user"]),
    role("basic-user", "A user that can get basic information about projects.", &[]).joining(&["basic-user"]),
    role(
        "system:oauth-token-deleter",
        "Ends a session; everybody may end their own.",
        &[on(&["delete"], OAUTH, &["oauthaccesstokens"])],
    ),
    role(
        "system:openshift:useroauthaccesstoken-manager",
        "Sees and revokes one's own tokens.",
        &[on(&["delete", "get", "list", "watch"], OAUTH, &["useroauthaccesstokens"])],
    ),
    role("self-provisioner", "A user that can request projects.", &[on(&["create"], PROJECT, &["projectrequests"])]),
    role(
        "self-access-reviewer",
        "Asks what the caller may do.",
        &[
            on(&["create"], AUTHORIZATION, &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
            on(&["create"], POLICY, &["selfsubjectrulesreviews"]),
        ],
    ),
    role(
        "cluster-status",
        "A user that can get basic cluster status information.",
        &[urls(
            &["get"],
            &["/healthz", "/healthz/", "/livez", "/readyz", "/version", "/version/", "/version/*", "/api", "/api/*", "/apis", "/apis/*"],
        )],
    ),
    role("cluster-reader", "", &[])
        .joining(&["cluster-reader"]),
    role(
        "system:openshift:cluster-reader",
        "",
        &[
            on(READ, CORE, CORE_VIEWED),
            on(READ, CORE, &["nodes", "nodes/status", "persistentvolumes", "persistentvolumes/status"]),
            on(READ, EVENTS, &["events"]),
            on(READ, &["apps"], APPS_VIEWED),
            on(READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
            on(READ, RBAC, &["clusterrolebindings", "clusterroles", "rolebindings", "roles"]),
            on(READ, IMAGE, &["images", "imagesignatures"]),
            on(READ, IMAGE, STREAM_FAMILY),
            on(READ, IMAGE, STATUS),
            on(&["get"], IMAGE, LAYERS),
            on(READ, PROJECT, &["projects"]),
            on(READ, USER, &["groups", "identities", "users"]),
            on(READ, ROUTE, &["routes", "routes/status"]),
            on(READ, &["config.openshift.io", "imageregistry.operator.openshift.io", "operator.openshift.io"], &["*"]),
            on(&["create"], AUTHORIZATION, &["localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"]),
            on(&["create"], AUTHENTICATION, &["tokenreviews"]),
            on(READ, POLICY, &["clusterrolebindings", "clusterroles", "rolebindingrestrictions", "rolebindings", "roles"]),
            on(&["create"], POLICY, REVIEWS),
            urls(&["get"], &["*"]),
        ],
    )
    .into(&["cluster-reader"]),
    role("sudoer", "May act as the administrator.", &[on(&["impersonate"], USER, &["systemusers", "users"]).named(&["system:admin"])]),
    // OpenShift: images.
    role(
        "system:image-puller",
        "Grants the right to pull images from within a project.",
        &[on(&["get"], IMAGE, LAYERS)],
    ),
    role(
        "system:image-pusher",
        "Grants the right to push and pull images from within a project.",
        &[on(&["get", "update"], IMAGE, LAYERS)],
    ),
    role(
        "system:image-builder",
        "Grants the right to build, push and pull images from within a project. Used primarily with service accounts for builds.",
        &[
            on(&["get", "update"], IMAGE, LAYERS),
            on(&["create"], IMAGE, &["imagestreams"]),
            on(&["update"], BUILD, &["builds/details"]),
            on(&["get"], BUILD, &["builds"]),
        ],
    )
    .into(&["admin", "edit"]),
    role(
        "system:image-signer",
        "Adds and removes signatures of images.",
        &[
            on(&["get"], IMAGE, &["images", "imagestreams/layers"]),
            on(&["create", "delete"], IMAGE, &["imagesignatures"]),
        ],
    ),
    role(
        "system:image-auditor",
        "Reads images and marks them.",
        &[on(&["get", "list", "watch", "patch", "update"], IMAGE, &["images"])],
    ),
    role(
        "system:image-pruner",
        "Finds and removes images that nothing uses.",
        &[
            on(&["get", "list"], CORE, &["pods", "replicationcontrollers"]),
            on(&["list"], CORE, &["limitranges"]),
            on(&["get", "list"], BUILD, &["buildconfigs", "builds"]),
            on(&["get", "list"], APPS_OPENSHIFT, &["deploymentconfigs"]),
            on(&["get", "list"], &["batch"], &["cronjobs", "jobs"]),
            on(&["get", "list"], &["apps"], &["daemonsets", "deployments", "replicasets", "statefulsets"]),
            on(&["delete"], IMAGE, &["images"]),
            on(READ, IMAGE, &["images", "imagestreams"]),
            on(&["update"], IMAGE, STATUS),
        ],
    ),
    role(
        "system:registry",
        "The rights of the registry itself.",
        &[
            on(&["list"], CORE, &["limitranges", "resourcequotas"]),
            on(&["get"], IMAGE, &["imagestreamimages", "imagestreams/layers", "imagestreams/secrets"]),
            on(&["get", "list", "update"], IMAGE, &["imagestreams"]),
            on(&["delete"], IMAGE, &["imagestreamtags"]),
            on(&["get", "list", "update", "create"], IMAGE, &["images"]),
            on(&["create"], IMAGE, &["imagestreammappings"]),
            on(&["list"], &["operator.openshift.io"], &["imagecontentsourcepolicies"]),
            on(&["list"], &["config.openshift.io"], &["imagedigestmirrorsets", "imagetagmirrorsets"]),
            on(&["create"], AUTHORIZATION, &["subjectaccessreviews"]),
            // One review answers whose a token is, without a client of that user's own.
            on(&["create"], AUTHENTICATION, &["tokenreviews"]),
        ],
    ),
    role(
        "registry-admin",
        "Manages the images of a project and who may use them.",
        &[
            on(RW, CORE, &["secrets", "serviceaccounts"]),
            on(RW, IMAGE, STREAM_FAMILY_AND_SECRETS),
            on(&["create"], IMAGE, IMPORTS),
            on(&["get", "update"], IMAGE, LAYERS),
            on(RW, RBAC, &["rolebindings", "roles"]),
            on(&["create"], AUTHORIZATION, &["localsubjectaccessreviews"]),
            on(&["create"], POLICY, LOCAL_REVIEWS),
            on(RW, POLICY, &["rolebindings", "roles"]),
            on(&["get"], CORE, &["namespaces"]),
            on(&["get", "delete"], PROJECT, &["projects"]),
        ],
    )
    .into(&["admin"]),
    role(
        "registry-editor",
        "Manages the images of a project.",
        &[
            on(&["get"], CORE, &["namespaces"]),
            on(&["get"], PROJECT, &["projects"]),
            on(RW, IMAGE, STREAM_FAMILY_AND_SECRETS),
            on(&["create"], IMAGE, IMPORTS),
            on(&["get", "update"], IMAGE, LAYERS),
        ],
    )
    .into(&["edit"]),
    role(
        "registry-viewer",
        "Sees and pulls the images of a project.",
        &[
            on(READ, IMAGE, STREAM_FAMILY),
            on(&["get"], IMAGE, LAYERS),
            on(&["get"], CORE, &["namespaces"]),
            on(&["get"], PROJECT, &["projects"]),
        ],
    )
    .into(&["view"]),
    role(
        "registry-monitoring",
        "Reads the registry's metrics.",
        &[on(&["get"], &["image.openshift.io"], &["registry/metrics"])],
    ),
    role(
        "system:deployer",
        "Grants the right to deploy within a project. Used primarily with service accounts for automated deployments.",
        &[
            on(&["delete"], CORE, &["replicationcontrollers"]),
            on(&["get", "list", "watch", "update"], CORE, &["replicationcontrollers", "replicationcontrollers/scale"]),
            on(&["create", "get", "list", "watch"], CORE, &["pods"]),
            on(&["get"], CORE, &["pods/log"]),
            on(&["create", "list"], CORE, &["events"]),
            on(&["create", "update"], IMAGE, &["imagestreamtags", "imagetags"]),
        ],
    ),
];

/// What every authenticated identity may do in the namespace `openshift`.
pub(super) const SHARED_RESOURCE_VIEWER: &[Rule] = &[
    on(READ, &["", "template.openshift.io"], &["templates"]),
    on(
        READ,
        IMAGE,
        &[
            "imagestreams",
            "imagestreamtags",
            "imagetags",
            "imagestreamimages",
        ],
    ),
    on(&["get"], IMAGE, LAYERS),
    on(READ, CORE, &["configmaps"]),
];
