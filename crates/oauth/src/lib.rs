//! Logging in: the OAuth authorization server, its tokens, and the identity providers behind it.
//!
//! What a request meets: [`OAuth::handlers`] serves the endpoints (`/oauth/authorize`, `/oauth/token`, the pages); a
//! *provider* finds out who somebody is; *mapping* makes a user of them, as `User`, `Identity` and `Group` objects; the
//! grant is stored as an object named by the hash of the token; [`AccessTokenAuthenticator`] knows the token again.
//! `oauth.openshift.io` itself, the kinds that list and revoke all this, is in [`kinds`].
//!
//! Passwords, tokens, codes and secrets never reach a log, an event or an error: what carries one has no `Debug` that
//! shows it, and errors are made of fixed words and names.

mod activity;
mod authenticate;
mod config;
mod hashing;
pub mod kinds;
mod kubeadmin;
mod mapping;
mod membership;
pub mod opaque;
mod page;
mod params;
mod provider;
mod redirect;
mod request;
pub mod scope;
mod server;
mod session;
mod spent;
mod throttle;

pub use self::authenticate::{AccessTokenAuthenticator, OAUTH_USERS};
pub use self::config::{
    ClaimNames, Config, MappingMethod, OpenIdConfig, PasswordKeeper, ProviderConfig, ProviderKind,
    TOKEN_LIFETIME,
};
pub use self::kubeadmin::USER as KUBEADMIN;
pub use self::provider::Error as ProviderError;
pub use self::server::{ClientAddress, OAuth, Stores};
