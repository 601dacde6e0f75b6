//! Certificates: only those that the account's own CA signed for this host and for today are accepted.

use std::net::IpAddr;
use std::sync::Arc;

use caas_operator::cloud::error::{TlsProblem, Unreachable};
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

/// Whom an account trusts.
enum Trust<'a> {
    /// The system's certificates.
    System,
    /// A bundle of these certificates.
    Bundle(&'a str),
    /// A bundle that holds this and the very certificate of the server.
    BundleWithServer(&'a str),
}

/// Collects over TLS from `cloud.example`, which presents a certificate of these parameters.
async fn collect(
    issuer: Option<&CertifiedIssuer<'static, KeyPair>>,
    params: CertificateParams,
    trust: Trust<'_>,
) -> Result<Collection, CloudError> {
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let trusted = match trust {
        Trust::System => None,
        Trust::Bundle(bundle) => Some(bundle.to_owned()),
        Trust::BundleWithServer(bundle) => Some(format!("{bundle}{}", certificate.pem())),
    };
    let fake = Fake::with_tls(server(certificate.der().clone(), &key)).await;
    let endpoint = format!("https://cloud.example:{}/v1/", fake.address.port());
    let policy = caas_operator::cloud::http::Policy {
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        ..Default::default()
    };
    let http = Http::with_lookup(policy, Arc::new(Loopback));
    let account =
        Account::new(&http, &endpoint, limits(), trusted.as_ref().map(String::as_bytes), password());
    let collected = account.collect().await;
    if collected.is_err() {
        assert!(fake.seen().is_empty(), "no request over a connection that is not trusted");
    }
    collected
}

fn refused(problem: TlsProblem) -> Result<Collection, CloudError> {
    Err(CloudError::Unreachable(Unreachable::Tls(problem)))
}

/// As `openssl req -x509` makes it: self-signed, and a CA's.
fn self_signed(host: &str) -> CertificateParams {
    let mut params = params(host);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn of_2020(mut params: CertificateParams) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    params
}

fn of_2090(mut params: CertificateParams) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(2090, 1, 1);
    params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    params
}

#[tokio::test]
async fn a_certificate_of_the_accounts_own_ca_is_accepted() {
    let ca = authority();
    let collected = collect(Some(&ca), params("cloud.example"), Trust::Bundle(&ca.pem())).await;
    assert_eq!(collected.unwrap().failures(), (0, None));
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let trust = authority().pem();
    let collected = collect(None, params("cloud.example"), Trust::Bundle(&trust)).await;
    assert_eq!(collected, refused(TlsProblem::UnknownIssuer));
    let collected = collect(None, self_signed("cloud.example"), Trust::Bundle(&trust)).await;
    assert_eq!(collected, refused(TlsProblem::CaAsServer));
}

#[tokio::test]
async fn a_servers_own_certificate_in_the_bundle_is_trusted_for_its_name_and_time() {
    let (ca, other) = (authority(), authority().pem());
    let issuers = [None, Some(&ca)];
    for issuer in issuers {
        for others in ["", &other] {
            for params in [params("cloud.example"), self_signed("cloud.example")] {
                let collected = collect(issuer, params, Trust::BundleWithServer(others)).await;
                assert_eq!(collected.unwrap().failures(), (0, None));
            }
            for params in [params, self_signed] {
                let refusal = async |params| collect(issuer, params, Trust::BundleWithServer(others)).await;
                assert_eq!(refusal(params("other.example")).await, refused(TlsProblem::OtherName));
                assert_eq!(refusal(of_2020(params("cloud.example"))).await, refused(TlsProblem::Expired));
                assert_eq!(refusal(of_2090(params("cloud.example"))).await, refused(TlsProblem::NotValidYet));
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_a_foreign_ca_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let collected = collect(Some(&theirs), params("cloud.example"), Trust::Bundle(&ours.pem())).await;
    assert_eq!(collected, refused(TlsProblem::UnknownIssuer));
}

#[tokio::test]
async fn a_certificate_for_another_host_or_for_none_is_refused() {
    let ca = authority();
    let collected = collect(Some(&ca), params("other.example"), Trust::Bundle(&ca.pem())).await;
    assert_eq!(collected, refused(TlsProblem::OtherName));
    let nameless = CertificateParams::new(Vec::new()).unwrap();
    let collected = collect(Some(&ca), nameless.clone(), Trust::Bundle(&ca.pem())).await;
    assert_eq!(collected, refused(TlsProblem::NoName));
    assert_eq!(collect(None, nameless, Trust::BundleWithServer("")).await, refused(TlsProblem::NoName));
}

#[tokio::test]
async fn a_certificate_of_yesterday_or_of_tomorrow_is_refused() {
    let ca = authority();
    for (params, problem) in [
        (of_2020(params("cloud.example")), TlsProblem::Expired),
        (of_2090(params("cloud.example")), TlsProblem::NotValidYet),
    ] {
        let collected = collect(Some(&ca), params, Trust::Bundle(&ca.pem())).await;
        assert_eq!(collected, refused(problem));
    }
}

#[tokio::test]
async fn a_private_ca_is_not_trusted_through_the_systems_certificates() {
    let collected = collect(Some(&authority()), params("cloud.example"), Trust::System).await;
    let refused = [Unreachable::Tls(TlsProblem::UnknownIssuer), Unreachable::NoRoots].map(CloudError::from);
    assert!(refused.contains(&collected.unwrap_err()), "refused, also where the system has no certificates");
}

#[test]
fn each_problem_with_a_certificate_has_its_own_sentence() {
    let problems = [
        TlsProblem::UnknownIssuer,
        TlsProblem::OtherName,
        TlsProblem::NoName,
        TlsProblem::Expired,
        TlsProblem::NotValidYet,
        TlsProblem::CaAsServer,
        TlsProblem::Certificate,
        TlsProblem::Handshake,
    ];
    let sentences: std::collections::HashSet<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), problems.len());
}
