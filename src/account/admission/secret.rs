//! A Secret, as an API server takes it. No message holds a value.

use std::collections::BTreeMap;

use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::Engine;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{FieldError, Refused, join};
use super::metadata;
use super::names::{is_label, is_secret_key, is_subdomain};
use crate::account::{AccountId, SecretData};

/// A Secret that is taken.
#[derive(Debug)]
pub struct SecretManifest {
    /// Its namespace and name.
    pub id: AccountId,
    /// Its keys with their values.
    pub data: SecretData,
}

/// A Secret that is refused.
#[derive(Debug)]
pub struct RefusedSecret {
    /// Its namespace and name, where it has such.
    pub id: Option<AccountId>,
    /// Why.
    pub refused: Refused,
}

/// The fields of a Secret.
const FIELDS: [&str; 7] = ["apiVersion", "data", "immutable", "kind", "metadata", "stringData", "type"];

/// The most bytes of all values together.
const LARGEST: usize = 1024 * 1024;

type Pairs = BTreeMap<String, Vec<u8>>;

/// Reads a document of kind Secret; one that names no namespace is in this one.
pub(super) fn read(mut document: Value, namespace: &str) -> Result<SecretManifest, RefusedSecret> {
    let mut errors = Vec::new();
    if document["apiVersion"] != "v1" {
        errors.push(FieldError::new("apiVersion", "must be v1"));
    }
    let metadata = metadata::read(&mut document, namespace, &mut errors);
    let id = metadata.as_ref().and_then(id);
    // A document without metadata is no object at all, and told so above.
    let empty = Map::new();
    let fields = document.as_object().unwrap_or(&empty);
    for field in fields.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
        let message = "is an unknown field of a Secret: remove it, or correct its name";
        errors.push(FieldError::new(field, message));
    }
    if fields.get("immutable").is_some_and(|value| !value.is_boolean() && !value.is_null()) {
        errors.push(FieldError::new("immutable", "must be true or false"));
    }
    let pairs = pairs(fields, &mut errors);
    check_keys(&pairs, &mut errors);
    match fields.get("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) => check_type(kind, metadata.as_ref(), &pairs, &mut errors),
        Some(_) => errors.push(FieldError::new("type", "must be text: put it in quotes")),
    }
    if let Some(metadata) = &metadata {
        metadata::check_core_finalizers(metadata, &mut errors);
    }
    match (id, Refused::if_any(errors)) {
        (Some(id), Ok(())) => Ok(SecretManifest { data: SecretData::new(&id.namespace, pairs), id }),
        (id, refused) => Err(RefusedSecret { id, refused: refused.err().unwrap_or(Refused(Vec::new())) }),
    }
}

/// The namespace and name, where they can be those of an object.
fn id(metadata: &ObjectMeta) -> Option<AccountId> {
    let namespace = metadata.namespace.as_deref().filter(|name| is_label(name))?;
    let name = metadata.name.as_deref().filter(|name| is_subdomain(name))?;
    Some(AccountId::new(namespace, name))
}

/// The keys with their values, `stringData` before `data`.
fn pairs(fields: &Map<String, Value>, errors: &mut Vec<FieldError>) -> Pairs {
    let mut pairs = Pairs::new();
    for (field, is_encoded) in [("data", true), ("stringData", false)] {
        let values = match fields.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(values)) => values,
            Some(_) => {
                errors.push(FieldError::new(field, "must contain keys with values"));
                continue;
            }
        };
        for (key, value) in values {
            let bytes = match value {
                Value::Null => Ok(Vec::new()),
                Value::String(text) if is_encoded => {
                    decoded(text).ok_or("is not base64: encode it, or use stringData")
                }
                Value::String(text) => Ok(text.as_bytes().to_vec()),
                // Go's decoder takes a list of bytes too.
                Value::Array(_) if is_encoded => {
                    Vec::<u8>::deserialize(value).map_err(|_| "is not text: put it in quotes")
                }
                _ => Err("is not text: put it in quotes"),
            };
            match bytes {
                Ok(bytes) => drop(pairs.insert(key.clone(), bytes)),
                Err(message) => errors.push(FieldError::new(&join(field, key), message)),
            }
        }
    }
    pairs
}

/// Base64 as an API server reads it: neither line breaks count nor the last character's bits that are no part of a byte.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    BASE64.decode(text).ok()
}

fn check_keys(pairs: &Pairs, errors: &mut Vec<FieldError>) {
    for key in pairs.keys().filter(|key| !is_secret_key(key)) {
        let message = "is not a valid key of a Secret: use letters, digits, -, _ and .";
        errors.push(FieldError::new(&join("data", key), message));
    }
    if pairs.values().map(Vec::len).sum::<usize>() > LARGEST {
        errors.push(FieldError::new("data", "must be at most 1 MiB in total: store less in the Secret"));
    }
}

/// What a type of Kubernetes' own asks for.
fn check_type(kind: &str, metadata: Option<&ObjectMeta>, pairs: &Pairs, errors: &mut Vec<FieldError>) {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let mut wrong = |path: &str, message: &str| errors.push(FieldError::new(path, message));
    let is_object = |value: &Vec<u8>| serde_json::from_slice::<Option<Map<String, Value>>>(value).is_ok();
    match kind {
        "kubernetes.io/basic-auth"
            if !["username", "password"].iter().any(|key| pairs.contains_key(*key)) =>
        {
            wrong("data", "needs the key username or password for the type kubernetes.io/basic-auth: add it");
        }
        "kubernetes.io/ssh-auth" if pairs.get("ssh-privatekey").is_none_or(Vec::is_empty) => {
            wrong("data.ssh-privatekey", "is required for the type kubernetes.io/ssh-auth: add it");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| !pairs.contains_key(*key)) {
                wrong(&join("data", key), "is required for the type kubernetes.io/tls: add it");
            }
        }
        "kubernetes.io/dockerconfigjson" if !pairs.get(".dockerconfigjson").is_some_and(is_object) => {
            wrong(
                "data..dockerconfigjson",
                "must be a JSON object for the type kubernetes.io/dockerconfigjson",
            );
        }
        "kubernetes.io/dockercfg" if !pairs.get(".dockercfg").is_some_and(is_object) => {
            wrong("data..dockercfg", "must be a JSON object for the type kubernetes.io/dockercfg");
        }
        "kubernetes.io/service-account-token" => {
            let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
            if annotations.and_then(|pairs| pairs.get(ACCOUNT)).is_none_or(String::is_empty) {
                wrong(
                    "metadata.annotations",
                    "needs kubernetes.io/service-account.name for the type kubernetes.io/service-account-token",
                );
            }
        }
        _ => {}
    }
}
