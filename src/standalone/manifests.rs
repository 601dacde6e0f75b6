//! Manifests -> what should run. Pure: texts in, accounts, problems and faults out.
//!
//! A broken document costs itself only. No message holds any of a document's text: it may be a Secret's.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use k8s_openapi::ByteString;
use serde_json::Value;
use url::Url;

use super::{Desired, Fault, Place};
use crate::account::{self, AccountId, SecretData, SecretRead, admission};
use crate::api::{CaasAccount, KIND};
use crate::cloud::error::Refusal;

/// One object of a file. `Debug` shows its place only: it may be a Secret.
#[derive(Clone, PartialEq)]
pub struct Object {
    place: Place,
    value: Value,
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Object({})", self.place)
    }
}

/// What stands in one file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    /// Its objects, those of lists one by one.
    pub objects: Vec<Object>,
    /// Its documents that are no YAML or JSON.
    pub faults: Vec<Fault>,
}

/// Takes a file apart: JSON where it is called so, else YAML documents.
pub fn parse(name: &str, text: &str) -> File {
    let mut file = File::default();
    if name.to_ascii_lowercase().ends_with(".json") {
        let place = |line| Place { file: name.to_owned(), document: 1, line };
        match serde_json::from_str(text) {
            Ok(value) => file.add(&place(None), value),
            Err(error) => file.faults.push(Fault {
                place: place(Some(error.line())),
                message: format!("is not valid JSON (column {})", error.column()),
            }),
        }
        return file;
    }
    let mut number = 0;
    for (first_line, document) in documents(text) {
        let place = |document, line| Place { file: name.to_owned(), document, line: Some(line) };
        match serde_saphyr::from_str::<Option<Value>>(document) {
            Ok(None | Some(Value::Null)) => {}
            Ok(Some(value)) => {
                number += 1;
                file.add(&place(number, first_line), value);
            }
            Err(error) => {
                number += 1;
                // The error's own text may quote the document.
                let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
                file.faults.push(Fault {
                    place: place(number, first_line + usize::try_from(line).unwrap_or(1).saturating_sub(1)),
                    message: format!("is not valid YAML (column {column})"),
                });
            }
        }
    }
    file
}

/// The YAML documents of a text with the line they begin at, split before they are parsed, so that a broken one
/// leaves the others alone.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut begin, mut begin_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = offset + line.len();
        if line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            documents.push((begin_line, &text[begin..offset]));
            // What follows on the line of the dashes belongs to the document.
            (begin, begin_line) = (offset + "---".len(), index + 1);
        }
        offset = end;
    }
    documents.push((begin_line, &text[begin..]));
    documents
}

impl File {
    fn add(&mut self, place: &Place, value: Value) {
        let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        match value {
            Value::Object(mut fields) if is_list => match fields.remove("items") {
                Some(Value::Array(items)) => items.into_iter().for_each(|item| self.add(place, item)),
                _ => self.fault(place, "is a list without items: write them under items"),
            },
            Value::Object(ref fields) if fields.get("kind").is_some_and(Value::is_string) => {
                self.objects.push(Object { place: place.clone(), value });
            }
            _ => self.fault(place, "is no manifest: it needs apiVersion, kind and metadata"),
        }
    }

    fn fault(&mut self, place: &Place, message: &str) {
        self.faults.push(Fault { place: place.clone(), message: message.to_owned() });
    }
}

/// What the files of a folder ask for together; `allow` is the administrator's policy on endpoints.
pub fn desired<'a>(
    files: impl IntoIterator<Item = &'a File>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Desired {
    let mut found = Found::default();
    for file in files {
        found.faults.extend(file.faults.iter().cloned());
        for object in &file.objects {
            found.sort(object);
        }
    }
    let mut desired = Desired { faults: found.faults, ..Desired::default() };
    for (id, (_, account)) in &found.accounts {
        let secret = |name: &str| {
            let key = AccountId::new(&id.namespace, name);
            found.secrets.get(&key).map_or(SecretRead::NotFound, |(_, data)| SecretRead::Found(data.clone()))
        };
        let credentials = secret(&account.spec.credentials.secret_ref.name);
        let ca_bundle = account.spec.tls.as_ref().map(|tls| secret(&tls.ca_bundle_secret_ref.name));
        match account::resolve(account, &credentials, ca_bundle.as_ref(), &allow) {
            Ok(account) => desired.accounts.push(account),
            Err(problem) => desired.problems.push((id.clone(), problem)),
        }
    }
    desired
}

/// The objects of all files by namespace and name, each with its place.
#[derive(Default)]
struct Found {
    accounts: BTreeMap<AccountId, (Place, CaasAccount)>,
    secrets: BTreeMap<AccountId, (Place, SecretData)>,
    faults: Vec<Fault>,
}

impl Found {
    fn sort(&mut self, object: &Object) {
        let Object { place, value } = object;
        let result = match value.get("kind").and_then(Value::as_str) {
            Some(KIND) => admission::admit(value.clone())
                .map_err(|refused| format!("CaasAccount is refused: {refused}"))
                .and_then(|account| keep(&mut self.accounts, account::resolve::id(&account), place, account)),
            Some("Secret") => secret(value).and_then(|(id, data)| keep(&mut self.secrets, id, place, data)),
            kind => {
                tracing::debug!(%place, kind, "neither CaasAccount nor Secret, left out");
                Ok(())
            }
        };
        if let Err(message) = result {
            self.faults.push(Fault { place: place.clone(), message });
        }
    }
}

/// Keeps the first object of a name: files are read in the order of their names, so it is always the same.
fn keep<T>(
    objects: &mut BTreeMap<AccountId, (Place, T)>,
    id: AccountId,
    place: &Place,
    object: T,
) -> Result<(), String> {
    match objects.entry(id) {
        Entry::Vacant(entry) => {
            entry.insert((place.clone(), object));
            Ok(())
        }
        Entry::Occupied(entry) => {
            Err(format!("{} stands in {} already, which counts: remove one", entry.key(), entry.get().0))
        }
    }
}

/// A Secret's name and content, `stringData` before `data` as on an API server.
fn secret(value: &Value) -> Result<(AccountId, SecretData), String> {
    let metadata = &value["metadata"];
    let name = metadata["name"].as_str().ok_or("Secret has no metadata.name: give it one")?;
    let namespace = match &metadata["namespace"] {
        Value::Null => "default",
        namespace => namespace.as_str().ok_or("Secret's metadata.namespace is no text: write a name")?,
    };
    let mut pairs = Vec::new();
    for (field, encoded) in [("data", true), ("stringData", false)] {
        let fields = match &value[field] {
            Value::Null => continue,
            Value::Object(fields) => fields,
            _ => return Err(format!("{field} of Secret {namespace}/{name} must hold keys with values")),
        };
        for (key, value) in fields {
            let of = format!("{field}.{} of Secret {namespace}/{name}", key.escape_debug());
            let text = value.as_str().ok_or_else(|| format!("{of} is no text: put it in quotes"))?;
            let bytes = if encoded { decoded(text) } else { Some(text.as_bytes().to_vec()) };
            let bytes = bytes.ok_or_else(|| format!("{of} is not base64: encode it, or use stringData"))?;
            pairs.push((key.clone(), bytes));
        }
    }
    Ok((AccountId::new(namespace, name), pairs.into_iter().collect()))
}

/// Base64 as an API server reads it: line breaks do not count.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    serde_json::from_value::<ByteString>(Value::String(text)).ok().map(|bytes| bytes.0)
}

#[cfg(test)]
mod tests;
