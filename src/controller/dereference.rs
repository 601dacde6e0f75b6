//! The first step: reads the Secrets that an account names, or takes the last reading while that is good enough.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use tokio::time::Instant;

use super::context::{Context, Error, within};
use super::secrets::Standing;
use super::turns::Later;
use crate::account::resolve::keys_of;
use crate::account::{AccountId, SecretData, SecretRead};
use crate::api::spec::{Credentials, Tls};
use crate::api::{CaasAccount, CaasAccountSpec, Provider};

/// What the Secrets of an account held when they were read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// Of the object with this UID, which named these Secrets for this cloud: another is not sent what they held before.
    of: (Option<String>, Provider, Credentials, Option<Tls>),
    /// Who changes a spec expects that all of it is looked at anew.
    generation: Option<i64>,
    /// When it was begun.
    pub(super) at: Instant,
    /// The Secret with the credentials.
    pub(super) credentials: Arc<SecretRead>,
    /// The Secret with the CA bundle, where the account names one.
    pub(super) ca_bundle: Option<Arc<SecretRead>>,
}

/// What is known of an account's Secrets.
#[derive(Debug, Default)]
pub(super) struct Dereferenced {
    /// The newest reading of what the account names.
    pub(super) reading: Option<Reading>,
    /// When its turn comes to read them anew, where it waits for one.
    pub(super) turn: Option<Instant>,
}

/// How the account stands, as far as it decides about reading its Secrets again.
pub(super) fn standing(account: &CaasAccount, failing: bool) -> Standing {
    let spec = &account.spec;
    let ca_bundle = spec.tls.as_ref().map(|tls| &tls.ca_bundle_secret_ref.name);
    let another = ca_bundle.is_some_and(|name| *name != spec.credentials.secret_ref.name);
    Standing { failing, secrets: if another { 2 } else { 1 } }
}

/// The Secrets of the account: read now, or earlier where nothing asks for more or its turn is not near.
pub(super) async fn dereference(
    context: &Context,
    account: &CaasAccount,
    id: &AccountId,
    failing: bool,
) -> Result<Dereferenced, Error> {
    let period = context.turns.note(id, standing(account, failing));
    let spec = &account.spec;
    let of = (account.uid(), spec.provider.clone(), spec.credentials.clone(), spec.tls.clone());
    let generation = account.metadata.generation;
    let (last, doubted) =
        context.known().get(id).map_or((None, None), |known| (known.reading.clone(), known.doubted));
    let last = last.filter(|last| last.of == of);
    let is_doubted = doubted.is_some_and(|doubted| last.as_ref().is_none_or(|last| last.at < doubted));
    let is_good = |last: &Reading| last.generation == generation && last.at.elapsed() < period;
    if !is_doubted && last.as_ref().is_some_and(is_good) {
        return Ok(Dereferenced { reading: last, turn: None });
    }
    if let Err(Later(turn)) = context.turns.come(id, failing || is_doubted).await {
        return Ok(Dereferenced { reading: last, turn: Some(turn) });
    }

    let at = Instant::now();
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &id.namespace);
    let name = &account.spec.credentials.secret_ref.name;
    let (credentials, version) = read(context, &api, &account.spec, name).await?;
    let mut references = vec![(name.clone(), version)];
    let credentials = same(credentials, last.as_ref().map(|last| &last.credentials));
    let ca_bundle = match &account.spec.tls {
        Some(tls) if tls.ca_bundle_secret_ref.name == *name => Some(Arc::clone(&credentials)),
        Some(tls) => {
            let name = &tls.ca_bundle_secret_ref.name;
            let (read, version) = read(context, &api, &account.spec, name).await?;
            references.push((name.clone(), version));
            Some(same(read, last.as_ref().and_then(|last| last.ca_bundle.as_ref())))
        }
        None => None,
    };
    context.references.remember(id, references);
    let reading = Reading { of, generation, at, credentials, ca_bundle };
    context.known().entry(id.clone()).or_default().reading = Some(reading.clone());
    Ok(Dereferenced { reading: Some(reading), turn: None })
}

/// One Secret with its version. That it is missing or forbidden is a finding, not an error.
async fn read(
    context: &Context,
    api: &Api<Secret>,
    spec: &CaasAccountSpec,
    name: &str,
) -> Result<(SecretRead, Option<String>), Error> {
    context.turns.pass().await;
    let result = within("reading a Secret", api.get_opt(name)).await;
    let (outcome, read) = match result {
        Ok(Some(secret)) => {
            let version = secret.resource_version();
            ("found", Ok((SecretRead::Found(used(spec, name, secret)), version)))
        }
        Ok(None) => ("not_found", Ok((SecretRead::NotFound, None))),
        Err(error) if error.code() == Some(403) => ("forbidden", Ok((SecretRead::Forbidden, None))),
        Err(error) => ("error", Err(error)),
    };
    context.metrics.secret_reads.with_label_values(&[outcome]).inc();
    read
}

/// What the account uses of a Secret, which may hold a mebibyte of other things.
fn used(spec: &CaasAccountSpec, name: &str, secret: Secret) -> SecretData {
    let keys = keys_of(spec, name);
    let data = secret.data.unwrap_or_default().into_iter();
    data.filter(|(key, _)| keys.contains(&key.as_str())).map(|(key, value)| (key, value.0)).collect()
}

/// The reading before where nothing has changed, so that it stays in memory once: the running account shares it.
fn same(read: SecretRead, before: Option<&Arc<SecretRead>>) -> Arc<SecretRead> {
    before.filter(|before| ***before == read).map_or_else(|| Arc::new(read), Arc::clone)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    /// What is kept of a Secret of this name with all kinds of keys, for an account with these Secrets.
    fn kept(credentials: &str, ca_bundle: &str, name: &str) -> SecretData {
        let spec: CaasAccountSpec = serde_json::from_value(json!({
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": credentials}},
            "tls": {"caBundleSecretRef": {"name": ca_bundle, "key": "our-ca"}},
        }))
        .unwrap();
        let keys = ["username", "password", "token", "endpoint", "our-ca", "ca.crt", "backup.tar"];
        let data = keys.map(|key| (key.to_owned(), ByteString(vec![b'x'; 9])));
        used(&spec, name, Secret { data: Some(data.into()), ..Secret::default() })
    }

    #[test]
    fn of_a_secret_only_the_keys_that_the_account_uses_are_kept() {
        let shown = |data: SecretData| format!("{data:?}");
        let credentials = r#"{"endpoint", "password", "token", "username"}"#;
        assert_eq!(shown(kept("acme", "acme-ca", "acme")), credentials);
        assert_eq!(shown(kept("acme", "acme-ca", "acme-ca")), r#"{"our-ca"}"#);
        let both = r#"{"endpoint", "our-ca", "password", "token", "username"}"#;
        assert_eq!(shown(kept("acme", "acme", "acme")), both);
    }

    #[test]
    fn what_has_not_changed_stays_in_memory_once() {
        let read = || SecretRead::Found([("token".to_owned(), b"abc".to_vec())].into_iter().collect());
        let before = Arc::new(read());
        assert!(Arc::ptr_eq(&same(read(), Some(&before)), &before));
        assert!(!Arc::ptr_eq(&same(SecretRead::NotFound, Some(&before)), &before));
    }
}
