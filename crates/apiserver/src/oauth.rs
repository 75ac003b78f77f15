//! `oauth.openshift.io/v1`, and logging in: what `berth_oauth` needs of this server, put together.

use std::sync::Arc;

use berth_apimachinery::access::Authorizer;
use berth_oauth::kinds as oauth;
use berth_oauth::{OAuth, Stores};

use crate::kinds::Kinds;
use crate::{Config, Error, core, user};

/// Registers the kinds of this group; what they are used for is returned, if people log in here.
pub(crate) fn register(
    kinds: &mut Kinds<'_>,
    config: &Config,
    authorizer: &Arc<dyn Authorizer>,
    user: user::Storages,
    core: &core::Storages,
) -> Result<Option<OAuth>, Error> {
    let Some(settings) = &config.oauth else {
        return Ok(None);
    };
    let access_tokens = kinds.storage(oauth::access_tokens(), Arc::new(oauth::AccessTokenStrategy));
    let rest = oauth::AccessTokens::new(access_tokens.clone(), Arc::clone(authorizer));
    kinds.serve(access_tokens.resource().clone(), Arc::new(rest));
    let own = oauth::UserTokens::new(access_tokens.clone());
    kinds.serve(oauth::user_access_tokens(), Arc::new(own));
    let stores = Stores {
        access_tokens,
        authorize_tokens: kinds.stored(oauth::authorize_tokens(), Arc::new(oauth::AuthorizeTokenStrategy)),
        clients: kinds.stored(oauth::clients(), Arc::new(oauth::ClientStrategy)),
        users: user.users,
        identities: user.identities,
        groups: user.groups,
        secrets: core.secrets.clone(),
        namespaces: core.namespaces.clone(),
    };
    let mut settings = settings.clone();
    settings.audiences = match &config.audiences[..] {
        [] => vec![config.issuer.clone()],
        audiences => audiences.to_vec(),
    };
    OAuth::new(settings, stores).map(Some).map_err(Error::OAuth)
}
