//! An object's metadata, as an API server takes it from somebody who creates the object.
//!
//! The rules are those of apimachinery's `ValidateObjectMeta`, behind a strict decoder. Two differ: what an API server itself
//! wrote is taken (the output of `kubectl get -o yaml` can be checked), and a name is needed where `generateName` would
//! make one, since it would be another one each time.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value, json};

use super::error::{FieldError, join};
use super::names::{is_label, is_label_value, is_prefix, is_qualified, is_subdomain};

const TEXT: &str = "must be text: put it in quotes";
const PAIRS: &str = "must have text values: put numbers, true and false in quotes";
const TIME: &str = "must be a time, such as 2026-01-31T12:00:00Z";
const NUMBER: &str = "must be a whole number";

/// The fields that metadata may have, and the sentence about a value of another type.
const FIELDS: [(&str, &str); 15] = [
    ("annotations", PAIRS),
    ("creationTimestamp", TIME),
    ("deletionGracePeriodSeconds", NUMBER),
    ("deletionTimestamp", TIME),
    ("finalizers", "must be a list of names"),
    ("generateName", TEXT),
    ("generation", NUMBER),
    ("labels", PAIRS),
    ("managedFields", "must be a list as written by an API server: remove it"),
    ("name", TEXT),
    ("namespace", TEXT),
    ("ownerReferences", "must be a list of owners, each with apiVersion, kind, name and uid"),
    ("resourceVersion", TEXT),
    ("selfLink", TEXT),
    ("uid", TEXT),
];

/// The fields of an owner.
const OWNER: [&str; 6] = ["apiVersion", "blockOwnerDeletion", "controller", "kind", "name", "uid"];

/// The most bytes of all annotations together, keys included.
const ANNOTATIONS: usize = 256 * 1024;

/// Reads the metadata of a document, with nothing where fields have wrong types, and what is wrong with it.
///
/// In the document, nulls are taken out, as a decoder would, and one that names no namespace is given this one.
pub(super) fn read(
    document: &mut Value,
    namespace: &str,
    errors: &mut Vec<FieldError>,
) -> Option<ObjectMeta> {
    let Some(Value::Object(fields)) = document.get_mut("metadata") else {
        errors.push(FieldError::new("metadata", "is required: give the object a name"));
        return None;
    };
    for (field, value) in &*fields {
        if !FIELDS.iter().any(|(known, _)| known == field) {
            let message = "is an unknown field of metadata: remove it";
            errors.push(FieldError::new(&join("metadata", field), message));
        }
        if field == "ownerReferences" {
            find_unknown_fields_of_owners(value, errors);
        }
    }
    fields.retain(|_, value| !value.is_null());
    for field in ["labels", "annotations"] {
        let pairs = fields.get_mut(field).and_then(Value::as_object_mut);
        for null in pairs.into_iter().flat_map(Map::values_mut).filter(|value| value.is_null()) {
            *null = json!("");
        }
    }
    if fields.get("namespace").is_none_or(|value| value == "") {
        fields.insert("namespace".to_owned(), json!(namespace));
    }
    let mut is_typed = true;
    for (field, sentence) in FIELDS {
        let Some(value) = fields.get(field) else { continue };
        if serde_json::from_value::<ObjectMeta>(json!({field: value})).is_err() {
            errors.push(FieldError::new(&join("metadata", field), sentence));
            is_typed = false;
        }
    }
    let metadata: ObjectMeta =
        serde_json::from_value(Value::Object(fields.clone())).ok().filter(|_| is_typed)?;
    check_names(&metadata, errors);
    check_labels(metadata.labels.as_ref(), errors);
    check_annotations(metadata.annotations.as_ref(), errors);
    check_owners(metadata.owner_references.as_deref().unwrap_or_default(), errors);
    check_finalizers(metadata.finalizers.as_deref().unwrap_or_default(), errors);
    Some(metadata)
}

fn check_names(metadata: &ObjectMeta, errors: &mut Vec<FieldError>) {
    let prefix = metadata.generate_name.as_deref().unwrap_or_default();
    match metadata.name.as_deref().unwrap_or_default() {
        "" if prefix.is_empty() => {
            errors.push(FieldError::new("metadata.name", "is required: give the object a name"));
        }
        "" => errors.push(FieldError::new(
            "metadata.name",
            "is required: a name generated from generateName would differ each time",
        )),
        name if !is_subdomain(name) => errors.push(FieldError::new(
            "metadata.name",
            "must consist of lowercase letters, digits, - and ., starting and ending with a letter or digit",
        )),
        _ => {}
    }
    if !prefix.is_empty() && !is_prefix(prefix) {
        let message = "must be the beginning of a name: lowercase letters, digits, - and .";
        errors.push(FieldError::new("metadata.generateName", message));
    }
    if !metadata.namespace.as_deref().is_some_and(is_label) {
        let message = "must be the name of a namespace: at most 63 lowercase letters, digits and -";
        errors.push(FieldError::new("metadata.namespace", message));
    }
}

fn check_labels(labels: Option<&BTreeMap<String, String>>, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.into_iter().flatten() {
        let path = join("metadata.labels", key);
        check_key(&path, key, errors);
        if !is_label_value(value) {
            let message = "must be at most 63 letters, digits, -, _ and ., starting and ending with a letter or digit, or empty";
            errors.push(FieldError::new(&path, message));
        }
    }
}

fn check_annotations(annotations: Option<&BTreeMap<String, String>>, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        // Letters of a prefix may be upper case here.
        check_key(&join("metadata.annotations", key), &key.to_lowercase(), errors);
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS {
        errors
            .push(FieldError::new("metadata.annotations", "must be at most 256 KiB in total: shorten them"));
    }
}

fn check_key(path: &str, key: &str, errors: &mut Vec<FieldError>) {
    if !is_qualified(key) {
        let message = "has an invalid key: use an optional DNS prefix and a slash, then at most 63 letters, digits, -, _ and .";
        errors.push(FieldError::new(path, message));
    }
}

fn find_unknown_fields_of_owners(owners: &Value, errors: &mut Vec<FieldError>) {
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        for field in owner.as_object().into_iter().flat_map(Map::keys) {
            if !OWNER.contains(&field.as_str()) {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::new(&path, "is an unknown field of an owner: remove it"));
            }
        }
    }
}

fn check_owners(owners: &[OwnerReference], errors: &mut Vec<FieldError>) {
    for (index, owner) in owners.iter().enumerate() {
        let path = format!("metadata.ownerReferences[{index}]");
        let mut wrong =
            |field: &str, message: &str| errors.push(FieldError::new(&join(&path, field), message));
        let version = match owner.api_version.split_once('/') {
            Some((_, version)) => version,
            None => &owner.api_version,
        };
        if version.is_empty() || version.contains('/') {
            wrong("apiVersion", "must be a version, or a group and a version: set it");
        }
        for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if value.is_empty() {
                wrong(field, "is required: set it");
            }
        }
        if (owner.api_version.as_str(), owner.kind.as_str()) == ("v1", "Event") {
            wrong("kind", "must not be Event: an Event cannot be an owner");
        }
    }
    if owners.iter().filter(|owner| owner.controller == Some(true)).count() > 1 {
        errors.push(FieldError::new(
            "metadata.ownerReferences",
            "must have at most one owner with controller: true",
        ));
    }
}

fn check_finalizers(finalizers: &[String], errors: &mut Vec<FieldError>) {
    for (index, name) in finalizers.iter().enumerate() {
        if !is_qualified(name) {
            let path = format!("metadata.finalizers[{index}]");
            errors.push(FieldError::new(&path, "must be a name such as example.com/name"));
        }
    }
    let has = |wanted: &str| finalizers.iter().any(|name| name == wanted);
    if has("orphan") && has("foregroundDeletion") {
        let message = "must not have both orphan and foregroundDeletion: remove one of them";
        errors.push(FieldError::new("metadata.finalizers", message));
    }
}

/// What holds in addition for the finalizers of Kubernetes' own kinds, such as a Secret.
pub(super) fn check_core_finalizers(metadata: &ObjectMeta, errors: &mut Vec<FieldError>) {
    const OF_KUBERNETES: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    for (index, name) in metadata.finalizers.iter().flatten().enumerate() {
        if !name.contains('/') && !OF_KUBERNETES.contains(&name.as_str()) {
            let path = format!("metadata.finalizers[{index}]");
            errors.push(FieldError::new(&path, "must have a prefix and a slash, such as example.com/name"));
        }
    }
}
