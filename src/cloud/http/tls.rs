//! Trusted certificates: the system's, or those of an account's own bundle and no others.
//!
//! Names the crypto provider itself, so that nothing depends on the one that the process installed.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Why a bundle of certificates cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaBundleProblem {
    /// There is no certificate in it.
    #[error("it holds no certificate; give CA certificates in PEM form (-----BEGIN CERTIFICATE-----)")]
    Empty,
    /// A block is cut off or not base64.
    #[error("it is not valid PEM; give CA certificates in PEM form (-----BEGIN CERTIFICATE-----)")]
    NotPem,
    /// A block decodes to something that is not a certificate.
    #[error("one of its blocks is not an X.509 certificate that can be trusted as a CA")]
    NotACertificate,
}

/// Checks that the bundle holds one or more certificates in PEM form, and nothing broken.
pub fn check_ca_bundle(pem: &[u8]) -> Result<(), CaBundleProblem> {
    bundled_roots(pem).map(|_| ())
}

/// The certificates of a bundle.
pub(super) fn bundled_roots(pem: &[u8]) -> Result<RootCertStore, CaBundleProblem> {
    let mut roots = RootCertStore::empty();
    // With a byte order mark before it, the first line would not be taken for the beginning of a block.
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    for block in CertificateDer::pem_slice_iter(pem) {
        let certificate = block.map_err(|problem| match problem {
            pem::Error::NoItemsFound => CaBundleProblem::Empty,
            _ => CaBundleProblem::NotPem,
        })?;
        roots.add(certificate).map_err(|_| CaBundleProblem::NotACertificate)?;
    }
    if roots.is_empty() { Err(CaBundleProblem::Empty) } else { Ok(roots) }
}

/// The system's certificates: those at `SSL_CERT_FILE` or `SSL_CERT_DIR`, else at the usual paths such as
/// `/etc/ssl/certs`. Empty in an image without any.
pub(super) fn system_roots() -> RootCertStore {
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
    roots
}

/// TLS settings that trust these roots: rustls' safe defaults, and HTTP/1.1 only.
pub(super) fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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
        assert_eq!(bundled_roots(bundle.as_bytes()).unwrap().len(), 2);
        let marked = format!("\u{feff}{}", certificate());
        assert_eq!(bundled_roots(marked.as_bytes()).unwrap().len(), 1, "a byte order mark is no part of it");
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
    }
}
