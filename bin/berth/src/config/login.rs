//! The part of the file that says who may log in and how.
use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use berth_oauth::{ClaimNames, MappingMethod, OpenIdConfig, ProviderConfig, ProviderKind, TOKEN_LIFETIME};
use jiff::SignedDuration;
use serde::Deserialize;

use super::{Problems, duration};

/// The least time without use after which a token may end: uses are not recorded more often.
const MIN_INACTIVITY: SignedDuration = SignedDuration::from_mins(5);

/// One entry of `identityProviders`, as in OpenShift's OAuth resource.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawProvider {
    name: String,
    mapping_method: String,
    #[serde(rename = "type")]
    kind: String,
    htpasswd: Option<RawHtpasswd>,
    #[serde(rename = "openID")]
    open_id: Option<RawOpenId>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawHtpasswd {
    file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct RawOpenId {
    issuer: String,
    #[serde(rename = "clientID")]
    client_id: String,
    client_secret: Option<String>,
    client_secret_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    extra_scopes: Vec<String>,
    extra_authorize_parameters: BTreeMap<String, String>,
    claims: RawClaims,
}

impl std::fmt::Debug for RawOpenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawOpenId")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct RawClaims {
    preferred_username: Option<Vec<String>>,
    name: Option<Vec<String>>,
    email: Option<Vec<String>>,
    groups: Option<Vec<String>>,
}

/// `tokenConfig`: how long tokens last.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawTokens {
    access_token_max_age: Option<String>,
    access_token_inactivity_timeout: Option<String>,
}

/// Who may log in and how.
#[derive(Debug)]
pub(crate) struct Login {
    /// URL under which browsers and clients reach the API; by default the address it listens on.
    pub(crate) public_url: Option<String>,
    /// Who knows the people, in the order in which they are asked. Default none.
    pub(crate) providers: Vec<ProviderConfig>,
    /// Lifetime of tokens. Default 24 h.
    pub(crate) token_lifetime: SignedDuration,
    /// How long tokens last without use. Default: as long as they live.
    pub(crate) inactivity_timeout: Option<SignedDuration>,
}

impl Login {
    pub(super) fn resolve(
        public_url: Option<&str>,
        providers: Vec<RawProvider>,
        tokens: &RawTokens,
        problems: &mut Problems,
    ) -> Self {
        let mut resolved = Vec::new();
        for (index, raw) in providers.into_iter().enumerate() {
            match provider(raw) {
                Ok(provider) => resolved.push(provider),
                Err(problem) => problems.0.push(format!("identityProviders[{index}].{problem}")),
            }
        }
        let signed = |text: &str| duration(text).and_then(to_signed);
        let inactivity = tokens.access_token_inactivity_timeout.as_deref();
        Self {
            public_url: problems.take("publicURL", public_url, address, None),
            providers: resolved,
            token_lifetime: problems.take(
                "tokenConfig.accessTokenMaxAge",
                tokens.access_token_max_age.as_deref(),
                signed,
                TOKEN_LIFETIME,
            ),
            inactivity_timeout: problems.take(
                "tokenConfig.accessTokenInactivityTimeout",
                inactivity,
                |text| match signed(text)? {
                    short if short < MIN_INACTIVITY => Err("it must be at least 5m".to_owned()),
                    timeout => Ok(Some(timeout)),
                },
                None,
            ),
        }
    }
}

fn to_signed(duration: Duration) -> Result<SignedDuration, String> {
    SignedDuration::try_from(duration).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<Option<String>, String> {
    let host = text
        .strip_prefix("https://")
        .ok_or("it must begin with https://")?;
    if host.is_empty() || host.trim_end_matches('/').contains(['/', '?', '#', '@']) {
        return Err("it must be https://HOST or https://HOST:PORT".to_owned());
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

fn provider(raw: RawProvider) -> Result<ProviderConfig, String> {
    let mapping: MappingMethod = raw
        .mapping_method
        .parse()
        .map_err(|error| format!("mappingMethod: {error}"))?;
    let kind = match (raw.kind.to_ascii_lowercase().as_str(), raw.htpasswd, raw.open_id) {
        ("htpasswd" | "", Some(htpasswd), None) => {
            if htpasswd.file.as_os_str().is_empty() {
                return Err("htpasswd.file: it is missing".to_owned());
            }
            ProviderKind::Htpasswd { file: htpasswd.file }
        }
        ("openid" | "", None, Some(open_id)) => ProviderKind::OpenId(Box::new(openid(open_id)?)),
        ("htpasswd" | "openid" | "", ..) => {
            return Err(
                "type: exactly one of htpasswd and openID must be given, and fit the type".to_owned(),
            );
        }
        _ => {
            return Err(format!(
                "type: {:?} is not known: use HTPasswd or OpenID",
                raw.kind
            ));
        }
    };
    if raw.name.is_empty() {
        return Err("name: it is missing".to_owned());
    }
    Ok(ProviderConfig {
        name: raw.name,
        mapping,
        kind,
    })
}

fn openid(raw: RawOpenId) -> Result<OpenIdConfig, String> {
    let client_secret = match (raw.client_secret, raw.client_secret_file) {
        (Some(_), Some(_)) => {
            return Err("openID: give clientSecret or clientSecretFile, not both".to_owned());
        }
        (Some(secret), None) => secret,
        (None, Some(file)) => fs::read_to_string(&file)
            .map_err(|error| format!("openID.clientSecretFile: {}: {error}", file.display()))?
            .trim()
            .to_owned(),
        (None, None) => String::new(),
    };
    let ca = raw
        .ca
        .map(|file| fs::read(&file).map_err(|error| format!("openID.ca: {}: {error}", file.display())));
    let names = ClaimNames::default();
    Ok(OpenIdConfig {
        issuer: raw.issuer,
        client_id: raw.client_id,
        client_secret,
        ca: ca.transpose()?,
        extra_scopes: raw.extra_scopes,
        extra_authorize_parameters: raw.extra_authorize_parameters,
        claims: ClaimNames {
            preferred_username: raw.claims.preferred_username.unwrap_or(names.preferred_username),
            name: raw.claims.name.unwrap_or(names.name),
            email: raw.claims.email.unwrap_or(names.email),
            groups: raw.claims.groups.unwrap_or(names.groups),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn providers_as_openshift_writes_them() {
        let text = "publicURL: https://berth.example/\n\
                    tokenConfig: {accessTokenMaxAge: 2h, accessTokenInactivityTimeout: 10m}\n\
                    identityProviders:\n\
                    - {name: local, type: HTPasswd, mappingMethod: add, htpasswd: {file: /etc/users}}\n\
                    - name: sso\n  openID: {issuer: 'https://sso.example', clientID: berth, clientSecret: CANARY, claims: {groups: [groups]}}\n";
        let login = Config::parse(text).unwrap().login;
        assert_eq!(login.public_url.as_deref(), Some("https://berth.example"));
        assert_eq!(login.token_lifetime, SignedDuration::from_hours(2));
        assert_eq!(login.inactivity_timeout, Some(SignedDuration::from_mins(10)));
        assert_eq!(login.providers[0].mapping, MappingMethod::Add);
        assert!(
            matches!(&login.providers[0].kind, ProviderKind::Htpasswd { file } if file == &PathBuf::from("/etc/users"))
        );
        let ProviderKind::OpenId(sso) = &login.providers[1].kind else {
            panic!()
        };
        assert_eq!(
            (
                sso.client_secret.as_str(),
                sso.claims.groups.len(),
                sso.claims.name.len()
            ),
            ("CANARY", 1, 1)
        );
        assert!(!format!("{login:?}").contains("CANARY"));
    }

    #[test]
    fn mistakes_are_named_with_their_path() {
        for (text, want) in [
            ("publicURL: http://a", "publicURL: "),
            ("publicURL: https://a/b", "publicURL: "),
            (
                "tokenConfig: {accessTokenInactivityTimeout: 1m}",
                "tokenConfig.accessTokenInactivityTimeout: ",
            ),
            (
                "identityProviders: [{name: a, type: LDAP}]",
                "identityProviders[0].type: ",
            ),
            (
                "identityProviders: [{name: a, type: HTPasswd}]",
                "identityProviders[0].type: ",
            ),
            (
                "identityProviders: [{name: a, type: HTPasswd, htpasswd: {}}]",
                "identityProviders[0].htpasswd.file: ",
            ),
            (
                "identityProviders: [{htpasswd: {file: a}}]",
                "identityProviders[0].name: ",
            ),
            (
                "identityProviders: [{name: a, mappingMethod: guess, htpasswd: {file: a}}]",
                "identityProviders[0].mappingMethod: ",
            ),
            (
                "identityProviders: [{name: a, openID: {clientSecretFile: /nowhere}}]",
                "identityProviders[0].openID.clientSecretFile: ",
            ),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
