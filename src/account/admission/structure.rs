//! The parts of admission that JSON Schema does not cover: the envelope, unknown fields, defaults.

use serde_json::{Map, Value, json};

use super::super::AccountId;
use super::error::{FieldError, join};
use crate::api::{API_VERSION, KIND};

/// The fields that an object's metadata may have.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Checks `apiVersion`, `kind` and the names in `metadata`, and fills in namespace and UID.
pub(super) fn check_envelope(document: &mut Value, errors: &mut Vec<FieldError>) {
    for (field, value) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if document.get(field).and_then(Value::as_str) != Some(value) {
            errors.push(FieldError::new(field, format!("must be {value}")));
        }
    }
    let Some(Value::Object(metadata)) = document.get_mut("metadata") else {
        errors.push(FieldError::new("metadata", "is required: give the account a name"));
        return;
    };
    for field in metadata.keys().filter(|field| !METADATA.contains(&field.as_str())) {
        errors.push(FieldError::new(&join("metadata", field), "is an unknown field of metadata: remove it"));
    }
    metadata.retain(|_, value| !value.is_null());
    let namespace = metadata.entry("namespace").or_insert_with(|| json!("default")).as_str();
    let Some(namespace) = namespace.filter(|text| is_label(text)).map(str::to_owned) else {
        let message = "must be a namespace's name: at most 63 lower case letters, digits and -";
        errors.push(FieldError::new("metadata.namespace", message));
        return;
    };
    let Some(name) = metadata.get("name").and_then(Value::as_str).filter(|text| is_subdomain(text)) else {
        let message = "must be a name of lower case letters, digits, - and ., starting and ending with a letter or digit";
        errors.push(FieldError::new("metadata.name", message));
        return;
    };
    let uid = AccountId::new(&namespace, name).to_string();
    metadata.insert("uid".to_owned(), json!(uid));
}

/// A DNS label: what Kubernetes takes as the name of a namespace.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// A DNS subdomain: what Kubernetes takes as the name of an object.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// Names each field that the schema does not know, as `kubectl` does: it is misspelt more often than meant.
pub(super) fn find_unknown_fields(schema: &Value, document: &Value, errors: &mut Vec<FieldError>) {
    let Some(root) = document.as_object() else { return };
    for (field, value) in root {
        if let Some(property) = schema["properties"].get(field) {
            unknown_below(property, value, field, errors);
        } else if !matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
            errors.push(FieldError::new(
                field,
                "is an unknown field of a CaasAccount: remove it or correct its name",
            ));
        }
    }
}

fn unknown_below(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = join(path, field);
                match (schema["properties"].get(field), schema.get("additionalProperties")) {
                    (Some(property), _) | (None, Some(property)) => {
                        unknown_below(property, value, &path, errors);
                    }
                    (None, None) if schema.get("properties").is_some() => {
                        let message = "is an unknown field: remove it, or correct its name or indentation";
                        errors.push(FieldError::new(&path, message));
                    }
                    (None, None) => {}
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                unknown_below(&schema["items"], item, &format!("{path}[{index}]"), errors);
            }
        }
        _ => {}
    }
}

/// Fills in defaults and takes nulls for fields that are left out, as an API server does where nothing is nullable.
pub(super) fn fill_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            if let Some(properties) = schema["properties"].as_object() {
                fill_missing(properties, fields);
            }
            for (field, value) in fields {
                let below = schema["properties"].get(field).or_else(|| schema.get("additionalProperties"));
                if let Some(below) = below {
                    fill_defaults(below, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_defaults(&schema["items"], item)),
        Value::Number(number) if schema["type"] == "integer" => {
            // `2.0` is an integer to an API server, and stored as `2`.
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15);
            if let (None, Some(float)) = (number.as_i64(), whole) {
                #[allow(clippy::cast_possible_truncation)] // Whole and small enough, as filtered.
                let integer = float as i64;
                *value = json!(integer);
            }
        }
        _ => {}
    }
}

fn fill_missing(properties: &Map<String, Value>, fields: &mut Map<String, Value>) {
    for (field, schema) in properties {
        if let Some(default) = schema.get("default") {
            fields.entry(field).or_insert_with(|| default.clone());
        }
    }
}
