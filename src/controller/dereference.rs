//! The first step: reads the Secrets that an account names, or takes the last reading while that is good enough.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use tokio::time::Instant;

use super::context::{Context, Error, within};
use super::secrets::{self, Standing};
use crate::account::{AccountId, SecretData, SecretRead};
use crate::api::CaasAccount;

/// What the Secrets of an account held when they were read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// Of the object with this UID and generation: another spec may name other Secrets.
    of: (Option<String>, Option<i64>),
    at: Instant,
    /// The Secret with the credentials.
    pub(super) credentials: Arc<SecretRead>,
    /// The Secret with the CA bundle, where the account names one.
    pub(super) ca_bundle: Option<Arc<SecretRead>>,
}

/// The Secrets of the account: read now, or earlier where nothing asks for more.
pub(super) async fn dereference(
    context: &Context,
    account: &CaasAccount,
    id: &AccountId,
    standing: Standing,
) -> Result<Reading, Error> {
    let of = (account.uid(), account.metadata.generation);
    let last = context.known().get(id).and_then(|known| known.reading.clone());
    if let Some(last) = last
        && last.of == of
        && !secrets::due(last.at.elapsed(), standing)
    {
        return Ok(last);
    }

    let api: Api<Secret> = Api::namespaced(context.client.clone(), &id.namespace);
    let name = &account.spec.credentials.secret_ref.name;
    let (credentials, version) = read(context, &api, name).await?;
    let mut references = vec![(name.clone(), version)];
    let ca_bundle = match &account.spec.tls {
        Some(tls) if tls.ca_bundle_secret_ref.name == *name => Some(Arc::clone(&credentials)),
        Some(tls) => {
            let name = &tls.ca_bundle_secret_ref.name;
            let (read, version) = read(context, &api, name).await?;
            references.push((name.clone(), version));
            Some(read)
        }
        None => None,
    };
    context.references.remember(id, references);
    let reading = Reading { of, at: Instant::now(), credentials, ca_bundle };
    context.known().entry(id.clone()).or_default().reading = Some(reading.clone());
    Ok(reading)
}

/// One Secret with its version. That it is missing or forbidden is a finding, not an error.
async fn read(
    context: &Context,
    api: &Api<Secret>,
    name: &str,
) -> Result<(Arc<SecretRead>, Option<String>), Error> {
    context.secret_reads.pass().await;
    let result = within("reading a Secret", api.get_opt(name)).await;
    let (outcome, read) = match result {
        Ok(Some(secret)) => {
            let version = secret.resource_version();
            let data = secret.data.unwrap_or_default();
            let data: SecretData = data.into_iter().map(|(key, value)| (key, value.0)).collect();
            ("found", Ok((SecretRead::Found(data), version)))
        }
        Ok(None) => ("not_found", Ok((SecretRead::NotFound, None))),
        Err(error) if error.code() == Some(403) => ("forbidden", Ok((SecretRead::Forbidden, None))),
        Err(error) => ("error", Err(error)),
    };
    context.metrics.secret_reads.with_label_values(&[outcome]).inc();
    read.map(|(read, version)| (Arc::new(read), version))
}
