//! Certificates and keys of one control plane, made for it and thrown away with it.

use std::hash::{BuildHasher, RandomState};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Everything in PEM.
pub(crate) struct Keys {
    /// The authority that clients trust.
    pub(crate) ca: String,
    /// The servers' certificate.
    pub(crate) server_certificate: String,
    /// Its key.
    pub(crate) server_key: String,
    /// Signs the tokens of `ServiceAccount`s.
    pub(crate) service_account_key: String,
    /// Checks them.
    pub(crate) service_account_public_key: String,
}

impl Keys {
    /// New ones; the servers have these names and addresses.
    pub(crate) fn generate(servers: &[String]) -> Result<Self, rcgen::Error> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "caas-operator tests");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_certificate = ca.self_signed(&ca_key)?;

        let server_key = KeyPair::generate()?;
        let mut server = CertificateParams::new(servers)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_certificate = server.signed_by(&server_key, &Issuer::new(ca, ca_key))?;

        let service_account = KeyPair::generate()?;
        Ok(Self {
            ca: ca_certificate.pem(),
            server_certificate: server_certificate.pem(),
            server_key: server_key.serialize_pem(),
            service_account_key: service_account.serialize_pem(),
            service_account_public_key: service_account.public_key_pem(),
        })
    }
}

/// A token nobody else on this machine guesses.
pub(crate) fn random_token() -> String {
    let words: Vec<String> =
        (0..4).map(|word: u32| format!("{:016x}", RandomState::new().hash_one(word))).collect();
    words.concat()
}
