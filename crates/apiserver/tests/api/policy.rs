//! OpenShift's own API of rights: reviews, and roles and bindings in older clothes.

use serde_json::{Value, json};

use crate::support::{Api, Who};

const GROUP: &str = "/apis/authorization.openshift.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const MASTERS: &str = "system:masters";

/// A project `demo` with an administrator, ann.
async fn demo() -> Api {
    let api = Api::start().await;
    api.namespace("demo").await;
    let binding = json!({
        "metadata": {"name": "admins"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "User", "name": "ann"}],
    });
    api.create(&format!("{RBAC}/namespaces/demo/rolebindings"), binding)
        .await;
    api
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn who_can_names_everybody_who_may_pull() {
    let api = demo().await;
    let path = format!("{GROUP}/namespaces/demo/localresourceaccessreviews");
    // As `oc policy who-can get imagestreams/layers` asks: it knows no such resource, and leaves the group out.
    let layers = json!({"verb": "get", "resource": "imagestreams/layers"});
    let answer = api
        .call(Who::User("ann"), "POST", &path, layers.clone())
        .await
        .expect(201);
    assert_eq!(answer["kind"], "ResourceAccessReviewResponse");
    assert_eq!(answer["apiVersion"], "authorization.openshift.io/v1");
    assert_eq!(
        (&answer["namespace"], &answer["evalutionError"]),
        (&json!("demo"), &json!(""))
    );
    let (users, groups) = (strings(&answer["users"]), strings(&answer["groups"]));
    for user in ["ann", "system:admin", "system:serviceaccount:demo:builder"] {
        assert!(users.contains(&user), "{user}: {users:?}");
    }
    for group in [
        MASTERS,
        "system:cluster-admins",
        "system:cluster-readers",
        "system:serviceaccounts:demo",
    ] {
        assert!(groups.contains(&group), "{group}: {groups:?}");
    }
    assert!(users.is_sorted() && groups.is_sorted(), "{answer:#}");

    // The same with the group, after a right was given and one was taken.
    let bindings = format!("{RBAC}/namespaces/demo/rolebindings");
    let viewer = json!({
        "metadata": {"name": "v"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "registry-viewer"},
        "subjects": [{"kind": "User", "name": "bob"}, {"kind": "Group", "name": "system:unauthenticated"}],
    });
    api.create(&bindings, viewer).await;
    let mut grouped = layers.clone();
    grouped["resourceAPIGroup"] = "image.openshift.io".into();
    let answer = api
        .call(Who::User("ann"), "POST", &path, grouped.clone())
        .await
        .expect(201);
    assert!(
        strings(&answer["users"]).contains(&"bob")
            && strings(&answer["groups"]).contains(&"system:unauthenticated")
    );
    api.call(Who::Admin, "DELETE", &format!("{bindings}/v"), Value::Null)
        .await
        .expect(200);
    let answer = api
        .call(Who::User("ann"), "POST", &path, grouped.clone())
        .await
        .expect(201);
    assert!(!strings(&answer["users"]).contains(&"bob"), "{answer:#}");

    // A binding to nothing is told of, and does not hide the rest.
    let lost = json!({
        "metadata": {"name": "lost"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "none"},
        "subjects": [{"kind": "User", "name": "eve"}],
    });
    api.create(&bindings, lost).await;
    let answer = api
        .call(Who::User("ann"), "POST", &path, grouped)
        .await
        .expect(201);
    assert_eq!(
        answer["evalutionError"],
        "role.rbac.authorization.k8s.io \"none\" not found"
    );
    assert!(strings(&answer["users"]).contains(&"ann"));
}

#[tokio::test]
async fn only_those_who_may_review_are_answered() {
    let api = demo().await;
    let review = |namespace: &str| json!({"namespace": namespace, "verb": "get", "resource": "secrets"});
    let asked = |user: &str| json!({"verb": "get", "resource": "secrets", "user": user});
    for (who, path, body, code) in [
        (
            Who::User("ann"),
            "namespaces/demo/localresourceaccessreviews",
            review(""),
            201,
        ),
        (
            Who::User("ann"),
            "namespaces/demo/localresourceaccessreviews",
            review("demo"),
            201,
        ),
        (
            Who::User("ann"),
            "namespaces/demo/localresourceaccessreviews",
            review("default"),
            422,
        ),
        (
            Who::User("ann"),
            "namespaces/default/localresourceaccessreviews",
            review(""),
            403,
        ),
        (Who::User("ann"), "resourceaccessreviews", review("demo"), 403),
        (Who::Admin, "resourceaccessreviews", review(""), 201),
        (Who::Admin, "resourceaccessreviews", review("demo"), 201),
        (
            Who::User("ann"),
            "namespaces/demo/localsubjectaccessreviews",
            asked("bob"),
            201,
        ),
        (
            Who::User("bob"),
            "namespaces/demo/localsubjectaccessreviews",
            asked("ann"),
            403,
        ),
        (Who::User("ann"), "subjectaccessreviews", asked("bob"), 403),
        (
            Who::Member("rea", &["system:cluster-readers"]),
            "subjectaccessreviews",
            asked("bob"),
            201,
        ),
        (
            Who::User("ann"),
            "namespaces/demo/subjectrulesreviews",
            json!({"spec": {"user": "bob"}}),
            201,
        ),
        (
            Who::User("bob"),
            "namespaces/demo/subjectrulesreviews",
            json!({"spec": {"user": "ann"}}),
            403,
        ),
        (
            Who::User("bob"),
            "namespaces/demo/selfsubjectrulesreviews",
            json!({"spec": {}}),
            201,
        ),
        (
            Who::Nobody,
            "namespaces/demo/selfsubjectrulesreviews",
            json!({"spec": {}}),
            403,
        ),
        (
            Who::Admin,
            "resourceaccessreviews",
            json!({"resource": "secrets"}),
            422,
        ),
    ] {
        let answer = api
            .call(who, "POST", &format!("{GROUP}/{path}"), body.clone())
            .await;
        assert_eq!(answer.code, code, "{who:?} {path} {body}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn subject_reviews_answer_in_their_own_kind() {
    let api = demo().await;
    let path = format!("{GROUP}/namespaces/demo/localsubjectaccessreviews");
    for (user, groups, want) in [
        ("ann", json!([]), true),
        ("bob", json!([]), false),
        ("bob", json!([MASTERS]), true),
        // Neither user nor groups: the caller.
        ("", json!([]), true),
    ] {
        let body = json!({"verb": "delete", "resource": "secrets", "user": user, "groups": groups});
        let answer = api.call(Who::User("ann"), "POST", &path, body).await.expect(201);
        assert_eq!(answer["kind"], "SubjectAccessReviewResponse", "{user}");
        assert_eq!(
            (&answer["allowed"], &answer["namespace"]),
            (&json!(want), &json!("demo")),
            "{user} {groups}"
        );
    }
    let narrow = json!({"verb": "delete", "resource": "secrets", "user": "ann", "scopes": ["user:info"]});
    let answer = api
        .call(Who::User("ann"), "POST", &path, narrow)
        .await
        .expect(201);
    assert_eq!(answer["allowed"], false, "{answer:#}");
}

#[tokio::test]
async fn rules_reviews_list_rights_in_short() {
    let api = demo().await;
    let path = format!("{GROUP}/namespaces/demo/subjectrulesreviews");
    let body = json!({"spec": {"user": "ann"}});
    let named = api.call(Who::User("ann"), "POST", &path, body).await.expect(201);
    let own = format!("{GROUP}/namespaces/demo/selfsubjectrulesreviews");
    let own = api
        .call(Who::User("ann"), "POST", &own, json!({"spec": {}}))
        .await
        .expect(201);
    let layers = |review: &Value| {
        let rules = review["status"]["rules"].as_array().unwrap().clone();
        let wanted = |rule: &Value| {
            rule["resources"] == json!(["imagestreams/layers"])
                && rule["apiGroups"] == json!(["image.openshift.io"])
        };
        let found: Vec<Value> = rules.into_iter().filter(wanted).collect();
        assert_eq!(found.len(), 1, "one rule for a resource: {found:?}");
        found[0].clone()
    };
    assert_eq!(layers(&named)["verbs"], json!(["get", "update"]));
    assert_eq!(layers(&named), layers(&own));
    assert_eq!(named["kind"], "SubjectRulesReview");
    // Who has no role has the rights of everybody, and no others.
    let body = json!({"spec": {"user": "stranger", "groups": []}});
    let none = api.call(Who::User("ann"), "POST", &path, body).await.expect(201);
    assert_eq!(none["status"]["rules"], json!([]));
    let body = json!({"spec": {"user": "root", "groups": [MASTERS]}});
    let all = api.call(Who::Admin, "POST", &path, body).await.expect(201);
    assert_eq!(all["status"]["rules"].as_array().unwrap().len(), 2, "{all:#}");
}

#[tokio::test]
async fn bindings_are_the_same_in_both_groups() {
    let api = demo().await;
    let (old, new) = (
        format!("{GROUP}/namespaces/demo/rolebindings"),
        format!("{RBAC}/namespaces/demo/rolebindings"),
    );
    let ann = Who::User("ann");
    let shown = api
        .call(ann, "GET", &format!("{old}/admins"), Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&shown["kind"], &shown["apiVersion"]),
        (&json!("RoleBinding"), &json!("authorization.openshift.io/v1"))
    );
    assert_eq!(
        (&shown["userNames"], &shown["groupNames"]),
        (&json!(["ann"]), &Value::Null)
    );
    assert_eq!(shown["roleRef"], json!({"name": "admin"}));
    let list = api.call(ann, "GET", &old, Value::Null).await;
    assert_eq!(list.body["kind"], "RoleBindingList");
    assert_eq!(
        list.names(),
        [
            "admins",
            "system:deployers",
            "system:image-builders",
            "system:image-pullers"
        ]
    );

    // An older client adds a user by name.
    let body = json!({"metadata": {"name": "view"}, "userNames": ["bob"], "roleRef": {"name": "view"}});
    api.call(ann, "POST", &old, body).await.expect(201);
    let stored = api
        .call(ann, "GET", &format!("{new}/view"), Value::Null)
        .await
        .expect(200);
    assert_eq!(stored["roleRef"]["kind"], "ClusterRole");
    assert_eq!(
        stored["subjects"],
        json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}])
    );
    assert_eq!(
        api.call(
            Who::User("bob"),
            "GET",
            "/api/v1/namespaces/demo/configmaps",
            Value::Null
        )
        .await
        .code,
        200
    );
    let mut wanted = api
        .call(ann, "GET", &format!("{old}/view"), Value::Null)
        .await
        .expect(200);
    wanted["userNames"] = json!(["bob", "eve"]);
    let updated = api
        .call(ann, "PUT", &format!("{old}/view"), wanted)
        .await
        .expect(200);
    assert_eq!(strings(&updated["userNames"]), ["bob", "eve"]);
    let deleted = api
        .call(ann, "DELETE", &format!("{old}/view"), Value::Null)
        .await
        .expect(200);
    assert_eq!(deleted["status"], "Success");
    assert_eq!(api.get(&format!("{new}/view")).await.code, 404);
    assert_eq!(
        api.call(
            Who::User("bob"),
            "GET",
            "/api/v1/namespaces/demo/configmaps",
            Value::Null
        )
        .await
        .code,
        403
    );
    assert_eq!(
        api.call(
            ann,
            "GET",
            &format!("{old}?watch=true&timeoutSeconds=1"),
            Value::Null
        )
        .await
        .code,
        405
    );

    let roles = format!("{GROUP}/namespaces/demo/roles");
    let role = json!({"metadata": {"name": "mine"}, "rules": [{"verbs": ["get"], "resources": ["configmaps"], "attributeRestrictions": null}]});
    api.call(ann, "POST", &roles, role).await.expect(201);
    let stored = api
        .get(&format!("{RBAC}/namespaces/demo/roles/mine"))
        .await
        .expect(200);
    assert_eq!(
        stored["rules"],
        json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]}])
    );
    let cluster = api
        .call(ann, "GET", &format!("{GROUP}/clusterroles/admin"), Value::Null)
        .await
        .expect(200);
    assert!(cluster["rules"].as_array().is_some_and(|rules| !rules.is_empty()));
    let restrictions = api
        .call(
            ann,
            "GET",
            &format!("{GROUP}/namespaces/demo/rolebindingrestrictions"),
            Value::Null,
        )
        .await;
    assert_eq!((restrictions.code, restrictions.names().len()), (200, 0));
}

/// Whatever way an administrator of a project tries, it gives no more than it has.
#[tokio::test]
async fn escalation_is_refused_on_every_way() {
    let api = demo().await;
    let rbac = "rbac.authorization.k8s.io";
    let bindings = format!("{RBAC}/namespaces/demo/rolebindings");
    let bind = |name: &str, role: &str| {
        json!({
            "metadata": {"name": name}, "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": "ann"}],
        })
    };
    // Somebody with the right to do so bound a strong role here, and wrote one.
    api.create(&bindings, {
        let mut strong = bind("strong", "cluster-admin");
        strong["subjects"] = json!([{"kind": "User", "name": "root"}]);
        strong
    })
    .await;
    let quotas = json!([{"verbs": ["update"], "apiGroups": [""], "resources": ["resourcequotas"]}]);
    api.create(
        &format!("{RBAC}/namespaces/demo/roles"),
        json!({"metadata": {"name": "strong"}, "rules": quotas}),
    )
    .await;
    api.create(
        &format!("{RBAC}/namespaces/demo/roles"),
        json!({"metadata": {"name": "weak"}, "rules": []}),
    )
    .await;
    let add = json!({"subjects": [{"kind": "User", "name": "root", "apiGroup": rbac}, {"kind": "User", "name": "ann", "apiGroup": rbac}]});
    let strong_role = json!({
        "metadata": {"name": "s"}, "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "strong"}, "subjects": [],
    });
    let old = |role: Value| json!({"metadata": {"name": "o"}, "userNames": ["ann"], "roleRef": role});
    let held = "permissions not currently held";
    let cannot = "cannot";
    for (method, path, body, text) in [
        ("POST", bindings.clone(), bind("a", "cluster-admin"), held),
        ("POST", bindings.clone(), bind("a", "cluster-reader"), held),
        ("POST", bindings.clone(), strong_role, held),
        ("PATCH", format!("{bindings}/strong"), add.clone(), held),
        (
            "PUT",
            format!("{bindings}/strong"),
            bind("strong", "cluster-admin"),
            held,
        ),
        (
            "POST",
            format!("{RBAC}/clusterrolebindings"),
            bind("a", "view"),
            cannot,
        ),
        (
            "POST",
            format!("{RBAC}/clusterroles"),
            json!({"metadata": {"name": "a"}, "rules": []}),
            cannot,
        ),
        (
            "POST",
            format!("{RBAC}/namespaces/demo/roles"),
            json!({"metadata": {"name": "a"}, "rules": quotas}),
            held,
        ),
        (
            "PATCH",
            format!("{RBAC}/namespaces/demo/roles/weak"),
            json!({"rules": quotas}),
            held,
        ),
        (
            "POST",
            format!("{RBAC}/namespaces/default/rolebindings"),
            bind("a", "view"),
            cannot,
        ),
        (
            "POST",
            format!("{GROUP}/namespaces/demo/rolebindings"),
            old(json!({"name": "cluster-admin"})),
            held,
        ),
        (
            "POST",
            format!("{GROUP}/namespaces/demo/rolebindings"),
            old(json!({"name": "strong", "namespace": "demo"})),
            held,
        ),
        (
            "PATCH",
            format!("{GROUP}/namespaces/demo/rolebindings/strong"),
            json!({"userNames": ["root", "ann"]}),
            held,
        ),
        (
            "POST",
            format!("{GROUP}/namespaces/default/rolebindings"),
            old(json!({"name": "view"})),
            cannot,
        ),
        (
            "POST",
            format!("{GROUP}/clusterrolebindings"),
            old(json!({"name": "view"})),
            cannot,
        ),
        (
            "PATCH",
            format!("{GROUP}/namespaces/demo/roles/weak"),
            json!({"rules": quotas}),
            held,
        ),
        (
            "POST",
            format!("{GROUP}/clusterroles"),
            json!({"metadata": {"name": "a"}, "rules": []}),
            cannot,
        ),
        (
            "POST",
            "/api/v1/namespaces/kube-system/serviceaccounts/default/token".to_owned(),
            json!({"spec": {}}),
            cannot,
        ),
        (
            "PATCH",
            "/apis/user.openshift.io/v1/groups/system:cluster-admins".to_owned(),
            json!({"users": ["ann"]}),
            cannot,
        ),
        (
            "POST",
            "/apis/user.openshift.io/v1/groups".to_owned(),
            json!({"metadata": {"name": "g"}, "users": ["ann"]}),
            cannot,
        ),
    ] {
        let answer = api.call(Who::User("ann"), method, &path, body.clone()).await;
        assert_eq!(answer.code, 403, "{method} {path} {body}: {:#}", answer.body);
        assert!(
            answer.message().contains(text),
            "{method} {path} {body}: {}",
            answer.message()
        );
    }
    // Nothing of it came to pass.
    let body = json!({"verb": "get", "resource": "secrets", "user": "ann"});
    let review = api
        .call(Who::Admin, "POST", &format!("{GROUP}/subjectaccessreviews"), body)
        .await
        .expect(201);
    assert_eq!(review["allowed"], false);
}

#[tokio::test]
async fn identities_move_between_users() {
    let api = Api::start().await;
    let group = "/apis/user.openshift.io/v1";
    for name in ["ann", "bob"] {
        api.create(&format!("{group}/users"), json!({"metadata": {"name": name}}))
            .await;
    }
    let identity =
        json!({"metadata": {"name": "local:ann"}, "providerName": "local", "providerUserName": "ann"});
    api.create(&format!("{group}/identities"), identity).await;
    let mappings = format!("{group}/useridentitymappings");
    let of = |user: &str| json!({"identity": {"name": "local:ann"}, "user": {"name": user}});
    assert_eq!(api.get(&format!("{mappings}/local:ann")).await.code, 404);
    assert_eq!(api.call(Who::Admin, "POST", &mappings, of("eve")).await.code, 422);
    let made = api
        .call(Who::Admin, "POST", &mappings, of("ann"))
        .await
        .expect(201);
    assert_eq!(
        (&made["metadata"]["name"], &made["user"]["name"]),
        (&json!("local:ann"), &json!("ann"))
    );
    assert_eq!(api.call(Who::Admin, "POST", &mappings, of("bob")).await.code, 409);
    let identities = async |user: &str| {
        let user = api.get(&format!("{group}/users/{user}")).await.expect(200);
        user.get("identities").cloned().unwrap_or_default()
    };
    assert_eq!(identities("ann").await, json!(["local:ann"]));
    let patch = json!({"user": {"name": "bob"}});
    api.call(Who::Admin, "PATCH", &format!("{mappings}/local:ann"), patch)
        .await
        .expect(200);
    assert_eq!(
        (identities("ann").await, identities("bob").await),
        (json!([]), json!(["local:ann"]))
    );
    api.call(
        Who::Admin,
        "DELETE",
        &format!("{mappings}/local:ann"),
        Value::Null,
    )
    .await
    .expect(200);
    assert_eq!(identities("bob").await, json!([]));
    let identity = api
        .get(&format!("{group}/identities/local:ann"))
        .await
        .expect(200);
    assert!(identity["user"].is_null(), "{identity:#}");
}
