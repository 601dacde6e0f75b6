//! Certificates: only those that the account's own CA signed for this host and for today are accepted.

use std::net::IpAddr;
use std::sync::Arc;

use caas_operator::cloud::error::Unreachable;
use caas_operator::cloud::http::Http;
use caas_operator::cloud::http::resolve::Lookup;
use caas_operator::cloud::{CloudError, Collection};
use futures::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{Account, Fake, limits, password};

struct Loopback;

impl Lookup for Loopback {
    fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// Collects over TLS from `cloud.example`, which presents a certificate of these parameters.
async fn collect(
    issuer: Option<&CertifiedIssuer<'static, KeyPair>>,
    params: CertificateParams,
    trusted: Option<&str>,
) -> Result<Collection, CloudError> {
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let fake = Fake::with_tls(server(certificate.der().clone(), &key)).await;
    let endpoint = format!("https://cloud.example:{}/v1/", fake.address.port());
    let policy = caas_operator::cloud::http::Policy {
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        ..Default::default()
    };
    let http = Http::with_lookup(policy, Arc::new(Loopback));
    let account = Account::new(&http, &endpoint, limits(), trusted.map(str::as_bytes), password());
    let collected = account.collect().await;
    if collected.is_err() {
        assert!(fake.seen().is_empty(), "no request over a connection that is not trusted");
    }
    collected
}

const REFUSED: Result<Collection, CloudError> = Err(CloudError::Unreachable(Unreachable::Tls));

#[tokio::test]
async fn a_certificate_of_the_accounts_own_ca_is_accepted() {
    let ca = authority();
    let collected = collect(Some(&ca), params("cloud.example"), Some(&ca.pem())).await;
    assert_eq!(collected.unwrap().failures(), (0, None));
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    assert_eq!(collect(None, params("cloud.example"), Some(&authority().pem())).await, REFUSED);
}

#[tokio::test]
async fn a_certificate_of_a_foreign_ca_is_refused() {
    let (ours, theirs) = (authority(), authority());
    assert_eq!(collect(Some(&theirs), params("cloud.example"), Some(&ours.pem())).await, REFUSED);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let ca = authority();
    assert_eq!(collect(Some(&ca), params("other.example"), Some(&ca.pem())).await, REFUSED);
}

#[tokio::test]
async fn a_certificate_of_yesterday_or_of_tomorrow_is_refused() {
    let ca = authority();
    let mut expired = params("cloud.example");
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    assert_eq!(collect(Some(&ca), expired, Some(&ca.pem())).await, REFUSED);

    let mut early = params("cloud.example");
    early.not_before = rcgen::date_time_ymd(2090, 1, 1);
    early.not_after = rcgen::date_time_ymd(2091, 1, 1);
    assert_eq!(collect(Some(&ca), early, Some(&ca.pem())).await, REFUSED);
}

#[tokio::test]
async fn a_private_ca_is_not_trusted_through_the_systems_certificates() {
    let collected = collect(Some(&authority()), params("cloud.example"), None).await;
    let refused = [Unreachable::Tls, Unreachable::NoRoots].map(CloudError::from);
    assert!(refused.contains(&collected.unwrap_err()), "refused, also where the system has no certificates");
}
