use http::Request;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use serde_json::json;

use crate::{
    authn::{ClientCertificates, FrontProxy, PeerCertificates, split_service_account},
    identity::Authenticator,
};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str, organizations: &[&str], until: i32) -> PeerCertificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        // One relative distinguished name holds one organization here, as in kubeadm's certificates.
        for organization in organizations {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *organization);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        PeerCertificates::new(vec![params.signed_by(&key, &self.issuer).unwrap().der().to_vec()])
    }
}

fn parts(chain: &PeerCertificates, headers: &[(&'static str, &str)]) -> http::request::Parts {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    parts.extensions.insert(chain.clone());
    parts
}

#[tokio::test]
async fn certificates_name_user_and_groups() {
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let by_tls = ClientCertificates::verified_by_tls();
    let again = ClientCertificates::signed_by(clients.pem.as_bytes()).unwrap();
    for (chain, want_by_tls, want_again) in [
        (
            clients.sign("admin", &["system:masters"], 2090),
            Ok(Some("admin")),
            Ok(Some("admin")),
        ),
        (
            others.sign("admin", &["system:masters"], 2090),
            Ok(Some("admin")),
            Ok(None),
        ),
        (clients.sign("", &["system:masters"], 2090), Ok(None), Ok(None)),
        (clients.sign("old", &[], 2021), Err(401), Ok(None)),
        (PeerCertificates::new(vec![]), Ok(None), Ok(None)),
        (
            PeerCertificates::new(vec![b"no certificate".to_vec()]),
            Ok(None),
            Ok(None),
        ),
    ] {
        let parts = parts(&chain, &[]);
        for (authenticator, want) in [(&by_tls, want_by_tls), (&again, want_again)] {
            let got = authenticator.authenticate(&parts).await;
            let got = got
                .as_ref()
                .map(|user| user.as_ref().map(|user| user.name.as_str()))
                .map_err(crate::status::Status::code);
            assert_eq!(got, want);
        }
    }
    let user = by_tls
        .authenticate(&parts(&clients.sign("jane", &["dev"], 2090), &[]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(user.groups, ["dev", "system:authenticated"]);
    assert!(user.extra["authentication.kubernetes.io/credential-id"][0].starts_with("X509SHA256="));
    assert!(ClientCertificates::signed_by(b"nothing").is_err());
}

#[tokio::test]
async fn only_a_verified_proxy_is_believed() {
    let (proxies, clients) = (Authority::new("proxies"), Authority::new("clients"));
    let proxy = FrontProxy::new(proxies.pem.as_bytes(), vec!["front".into()]).unwrap();
    let headers = [
        ("x-remote-user", "jane"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "ops"),
        ("x-remote-uid", "7"),
        ("x-remote-extra-scopes.example.com%2fa", "x"),
        ("x-remote-extra-scopes.example.com%2Fa", "y"),
    ];
    let front = proxies.sign("front", &[], 2090);
    let user = proxy
        .authenticate(&parts(&front, &headers))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        serde_json::to_value(user.as_ref()).unwrap(),
        json!({"username": "jane", "uid": "7", "groups": ["dev", "ops"], "extra": {"scopes.example.com/a": ["x", "y"]}})
    );
    for (chain, headers) in [
        (clients.sign("front", &[], 2090), &headers[..]),
        (proxies.sign("somebody", &[], 2090), &headers[..]),
        (proxies.sign("front", &[], 2021), &headers[..]),
        (PeerCertificates::default(), &headers[..]),
        (front, &headers[1..]),
    ] {
        assert_eq!(proxy.authenticate(&parts(&chain, headers)).await.unwrap(), None);
    }
}

#[test]
fn service_account_names_are_split() {
    for (name, want) in [
        ("system:serviceaccount:demo:builder", Some(("demo", "builder"))),
        ("system:serviceaccount:demo", None),
        ("system:serviceaccount::builder", None),
        ("system:serviceaccount:demo:", None),
        ("system:serviceaccount:demo:a:b", None),
        ("jane", None),
    ] {
        assert_eq!(split_service_account(name), want, "{name}");
    }
}
