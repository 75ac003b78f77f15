//! Putting a server together.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use berth_apimachinery::access::Authorizer;
use berth_apimachinery::admission::Admission;
use berth_apimachinery::authn::{BearerTokens, ClientCertificates, TokenAuthenticator, Union};
use berth_apimachinery::database::Database;
use berth_apimachinery::identity::Authenticator;
use berth_apimachinery::resource::{Endpoint, GroupResource};
use berth_apimachinery::schema::Definitions;
use berth_apimachinery::storage::Storage;

use crate::admission::{Checks, Quota};
use crate::controllers::{Parts, RunningFeed};
use crate::kinds::Kinds;
use crate::tokens::Tokens;
use crate::{
    Config, Controllers, Error, authentication, authorization, bootstrap, core, extensions, image, oauth,
    policy, project, rbac, tokens, user,
};

/// The definitions of all kinds, a file for each API group.
const SCHEMAS: &[&str] = &[
    include_str!("../schemas/core.yaml"),
    include_str!("../schemas/apiextensions.k8s.io.yaml"),
    include_str!("../schemas/authentication.k8s.io.yaml"),
    include_str!("../schemas/authorization.k8s.io.yaml"),
    include_str!("../schemas/authorization.openshift.io.yaml"),
    include_str!("../schemas/image.openshift.io.yaml"),
    include_str!("../schemas/events.k8s.io.yaml"),
    include_str!("../schemas/project.openshift.io.yaml"),
    include_str!("../schemas/rbac.authorization.k8s.io.yaml"),
    include_str!("../schemas/user.openshift.io.yaml"),
    berth_oauth::kinds::SCHEMA,
];

/// Everything that a server answers with.
pub(crate) struct Assembled {
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) oauth: Option<berth_oauth::OAuth>,
    pub(crate) controllers: Controllers,
}

/// Registers every kind, loads what is stored, and brings the default objects into being.
pub(crate) async fn assemble(config: &Config) -> Result<Assembled, Error> {
    let definitions = Arc::new(Definitions::new(SCHEMAS).map_err(Error::Definitions)?);
    let (database, mut feed) = Database::new(Arc::clone(&config.store));
    let mut kinds = Kinds::new(&database, &definitions);

    let identities = core::identities(&mut kinds);
    let keys = Tokens::read_keys(&config.signing_keys).map_err(Error::SigningKey)?;
    let audiences = &config.audiences;
    let verifier =
        tokens::verifier(keys.clone(), &config.issuer, audiences, &identities).map_err(Error::SigningKey)?;
    let accounts = identities.service_accounts.clone();
    let tokens = Arc::new(Tokens::new(
        keys,
        &config.issuer,
        audiences,
        accounts,
        &config.ca_bundle,
    ));

    let access = rbac::Access::new();
    let rbac = rbac::register(&mut kinds, &access);
    let core = core::register(&mut kinds, identities, &tokens, &rbac.role_bindings);
    authorization::register(&mut kinds, &access.authorizer, &access.rbac);
    let user = user::register(&mut kinds);
    let oauth = oauth::register(&mut kinds, config, &access.authorizer, user, &core)?;
    let mut bearer: Vec<Arc<dyn TokenAuthenticator>> = vec![Arc::new(verifier)];
    bearer.extend(oauth.iter().map(|oauth| Arc::new(oauth.authenticator()) as _));
    let bearer = BearerTokens::new(bearer);
    authentication::register(&mut kinds, Arc::new(bearer.clone()));
    extensions::register(&mut kinds);
    policy::register(&mut kinds, &access, &rbac);
    let parts = project::Parts {
        namespaces: core.namespaces.clone(),
        namespace_rest: Arc::clone(&core.namespace_rest),
        rights: rbac.clone(),
        authorizer: Arc::clone(&access.authorizer),
    };
    project::register(&mut kinds, parts);
    if let (Some(limit_ranges), Some(secrets)) = (kinds.get("", "limitranges"), kinds.get("", "secrets")) {
        let deps = image::Deps {
            authorizer: Arc::clone(&access.authorizer),
            limit_ranges,
            secrets,
            internal_host: config.internal_registry_host.clone(),
            external_host: config.external_registry_hosts.first().cloned(),
        };
        image::register(&mut kinds, deps);
    }

    let (endpoints, storages) = kinds.finish();
    let quota = quota(&core.quotas, storages.clone());
    let admission = Arc::new(Checks::new(core.namespaces.clone(), Arc::clone(&quota)));

    feed.load().await.map_err(Error::Load)?;
    let feed = RunningFeed::start(feed);
    bootstrap::run(&core, &rbac).await.map_err(Error::Bootstrap)?;
    if let Some(oauth) = &oauth {
        oauth.bootstrap().await.map_err(Error::Bootstrap)?;
    }
    let controllers = feed.with(Parts {
        core,
        rbac,
        endpoints: endpoints.clone(),
        storages,
        quota,
        tokens: Arc::clone(&tokens),
        store: Arc::clone(&config.store),
        oauth: oauth.clone(),
    });
    let authenticator = authenticator(config, bearer)?;
    Ok(Assembled {
        definitions,
        endpoints,
        authenticator,
        authorizer: access.authorizer,
        admission,
        tokens,
        oauth,
        controllers,
    })
}

/// Quotas over all stored resources, told of whatever comes and goes.
fn quota(quotas: &Storage, storages: BTreeMap<GroupResource, Storage>) -> Arc<Quota> {
    let registry = Arc::new(OnceLock::new());
    let quota = Arc::new(Quota::new(quotas.clone(), Arc::clone(&registry)));
    for storage in storages
        .values()
        .filter(|storage| storage.resource().is_namespaced())
    {
        let quota = Arc::clone(&quota);
        let resource = storage.resource().group_resource();
        storage.observe(Arc::new(move |change| {
            if change.entry.is_none() || change.old.is_none() {
                quota.changed(change.namespace(), &resource, change.entry.is_some());
            }
        }));
    }
    // Set once, just above; a second value cannot come.
    let _ = registry.set(storages);
    quota
}

fn authenticator(config: &Config, bearer: BearerTokens) -> Result<Arc<dyn Authenticator>, Error> {
    let mut known: Vec<Arc<dyn Authenticator>> = Vec::new();
    if let Some(authorities) = &config.client_ca {
        known.push(Arc::new(
            ClientCertificates::signed_by(authorities).map_err(Error::ClientCa)?,
        ));
    }
    known.push(Arc::new(bearer));
    Ok(Arc::new(Union::new(known)))
}
