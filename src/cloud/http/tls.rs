//! Trusted certificates: the system's, or those of an account's own bundle and no others.
//!
//! A bundle may hold the certificate of the server itself, self-signed or not. That one is then trusted for its names and
//! its time, as curl and Go do, although it is no CA's, or a CA's that no server should use.
//!
//! Names the crypto provider itself, so that nothing depends on the one that the process installed.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use thiserror::Error;

use crate::cloud::error::TlsProblem;
use crate::hash::keyed_hash;

/// Why a bundle of certificates cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaBundleProblem {
    /// There is no certificate in it.
    #[error("it contains no certificate; use CA certificates in PEM form (-----BEGIN CERTIFICATE-----)")]
    Empty,
    /// A block is cut off or not base64.
    #[error("it is not valid PEM; use CA certificates in PEM form (-----BEGIN CERTIFICATE-----)")]
    NotPem,
    /// A block decodes to something that is not a certificate.
    #[error("one of its blocks is not an X.509 certificate that can be trusted as a CA")]
    NotACertificate,
    /// It has more than [`MOST_CERTIFICATES`].
    #[error("it contains more than 1,000 certificates; use only those of the CAs that are needed")]
    TooMany,
}

/// The most certificates in a bundle. A system has some 150. Each is looked at several times in a handshake.
const MOST_CERTIFICATES: usize = 1000;

/// How many of the certificates that a server sends besides its own are looked at. Usual are one to three; with each one more,
/// a server that sends many of one name makes a search for the way to a trusted one several times as long.
const MOST_INTERMEDIATES: usize = 5;

/// Certificates that a client trusts.
pub(super) struct Trusted {
    /// CAs, and certificates of servers as far as they can be taken for CAs.
    roots: RootCertStore,
    /// The certificates of an account's bundle. None of the system's, which holds CAs only.
    bundled: Vec<CertificateDer<'static>>,
}

impl Trusted {
    /// Whether there is none. Then no https request can succeed.
    pub(super) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// No certificate.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { roots: RootCertStore::empty(), bundled: Vec::new() }
    }
}

/// Verdicts on bundles, by their hashes. Anybody may have thousands of accounts with one large bundle evaluated anew, and
/// parsing it takes milliseconds.
static CHECKED: LazyLock<Mutex<HashMap<u64, Result<(), CaBundleProblem>>>> = LazyLock::new(Mutex::default);

/// The most verdicts that are kept; with one more all are given anew. Each takes some 20 bytes.
const MOST_CHECKED: usize = 4096;

/// Checks that the bundle holds one or more certificates in PEM form, and nothing broken.
pub fn check_ca_bundle(pem: &[u8]) -> Result<(), CaBundleProblem> {
    let hash = keyed_hash(pem);
    let checked = || CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = checked().get(&hash).copied();
    known.unwrap_or_else(|| {
        let verdict = bundle(pem).map(|_| ());
        let mut checked = checked();
        if checked.len() >= MOST_CHECKED {
            checked.clear();
        }
        checked.insert(hash, verdict);
        verdict
    })
}

/// The certificates of a bundle.
pub(super) fn bundle(pem: &[u8]) -> Result<Trusted, CaBundleProblem> {
    let (mut roots, mut bundled) = (RootCertStore::empty(), Vec::new());
    // With a byte order mark before it, the first line would not be taken for the beginning of a block.
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    for block in CertificateDer::pem_slice_iter(pem) {
        let certificate = block.map_err(|problem| match problem {
            pem::Error::NoItemsFound => CaBundleProblem::Empty,
            _ => CaBundleProblem::NotPem,
        })?;
        if bundled.len() == MOST_CERTIFICATES {
            return Err(CaBundleProblem::TooMany);
        }
        roots.add(certificate.clone()).map_err(|_| CaBundleProblem::NotACertificate)?;
        bundled.push(certificate);
    }
    if roots.is_empty() { Err(CaBundleProblem::Empty) } else { Ok(Trusted { roots, bundled }) }
}

/// The system's certificates: those at `SSL_CERT_FILE` or `SSL_CERT_DIR`, else at the usual paths such as
/// `/etc/ssl/certs`. Empty in an image without any.
pub(super) fn system() -> Trusted {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 || !found.errors.is_empty() {
        tracing::warn!(
            unusable,
            unreadable = found.errors.len(),
            "some CA certificates of the system are ignored"
        );
    }
    if roots.is_empty() {
        tracing::warn!(
            "no CA certificates on this system: https works only for accounts with a CA bundle; \
             mount some at /etc/ssl/certs or set SSL_CERT_FILE"
        );
    }
    Trusted { roots, bundled: Vec::new() }
}

/// TLS settings that trust these certificates: rustls' safe defaults, and HTTP/1.1 only.
pub(super) fn client_config(trusted: Trusted) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let Trusted { roots, bundled } = trusted;
    // A verifier without any root cannot be made.
    let config = if roots.is_empty() {
        config.with_root_certificates(roots)
    } else {
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|problem| rustls::Error::General(problem.to_string()))?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { chains, bundled }))
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts what trusted CAs signed, and servers whose own certificate is in the bundle.
#[derive(Debug)]
struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    bundled: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let intermediates = &intermediates[..intermediates.len().min(MOST_INTERMEDIATES)];
        let verified =
            self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // Both problems are found after the certificate's time was checked, and before its name.
        let has_no_chain =
            |error| matches!(problem(error), TlsProblem::UnknownIssuer | TlsProblem::CaAsServer);
        if verified.as_ref().err().is_some_and(has_no_chain) && self.bundled.contains(end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Which of our own problems an error of the TLS library is.
pub(super) fn problem(error: &rustls::Error) -> TlsProblem {
    use CertificateError as Cause;
    let rustls::Error::InvalidCertificate(cause) = error else { return TlsProblem::Handshake };
    match cause {
        // A CA that was made anew has the name of the old one, and its signature is not the old one's.
        Cause::UnknownIssuer | Cause::BadSignature => TlsProblem::UnknownIssuer,
        Cause::NotValidForNameContext { presented, .. } if presented.is_empty() => TlsProblem::NoName,
        Cause::NotValidForName | Cause::NotValidForNameContext { .. } => TlsProblem::OtherName,
        Cause::Expired | Cause::ExpiredContext { .. } => TlsProblem::Expired,
        Cause::NotValidYet | Cause::NotValidYetContext { .. } => TlsProblem::NotValidYet,
        Cause::Other(OtherError(cause))
            if matches!(cause.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            TlsProblem::CaAsServer
        }
        _ => TlsProblem::Certificate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        rcgen::generate_simple_self_signed(vec!["caas.example.com".to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn all_certificates_of_a_bundle_are_trusted() {
        let bundle = format!("# our CAs\n{}\n{}", certificate(), certificate());
        assert_eq!(super::bundle(bundle.as_bytes()).unwrap().roots.len(), 2);
        let marked = format!("\u{feff}{}", certificate());
        assert_eq!(
            super::bundle(marked.as_bytes()).unwrap().roots.len(),
            1,
            "a byte order mark is no part of it"
        );
    }

    #[test]
    fn an_intermediate_is_used_and_no_more_of_them_are_looked_at_than_a_server_needs() {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
        let ca = |name: &str| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().unwrap())
        };
        let (params, key) = ca("root");
        let root = CertifiedIssuer::self_signed(params, key).unwrap();
        let (params, key) = ca("intermediate");
        let intermediate = CertifiedIssuer::signed_by(params, key, &root).unwrap();
        let leaf = CertificateParams::new(vec!["caas.example.com".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &intermediate).unwrap();

        let Trusted { roots, bundled } = bundle(root.pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let verifier = Verifier { chains, bundled };
        let name = ServerName::try_from("caas.example.com").unwrap();
        for (others, is_found) in [(0, true), (MOST_INTERMEDIATES - 1, true), (MOST_INTERMEDIATES, false)] {
            let mut sent = vec![leaf.der().clone(); others];
            sent.push(intermediate.der().clone());
            let found = verifier.verify_server_cert(leaf.der(), &sent, &name, &[], UnixTime::now());
            let found = found.map(|_| ()).map_err(|error| problem(&error));
            assert_eq!(found, if is_found { Ok(()) } else { Err(TlsProblem::UnknownIssuer) }, "{others}");
        }
    }

    #[test]
    fn a_bundle_that_cannot_be_used_is_rejected_with_its_problem() {
        let cut = certificate().replace("-----END CERTIFICATE-----", "");
        let other = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert_eq!(check_ca_bundle(b""), Err(CaBundleProblem::Empty));
        assert_eq!(check_ca_bundle(b"hello"), Err(CaBundleProblem::Empty));
        assert_eq!(check_ca_bundle(cut.as_bytes()), Err(CaBundleProblem::NotPem));
        assert_eq!(check_ca_bundle(other.as_bytes()), Err(CaBundleProblem::NotACertificate));
        assert_eq!(
            check_ca_bundle(format!("{}{other}", certificate()).as_bytes()),
            Err(CaBundleProblem::NotACertificate)
        );
        let one = certificate();
        assert_eq!(check_ca_bundle(one.repeat(MOST_CERTIFICATES).as_bytes()), Ok(()));
        assert_eq!(
            check_ca_bundle(one.repeat(MOST_CERTIFICATES + 1).as_bytes()),
            Err(CaBundleProblem::TooMany)
        );
    }
}
