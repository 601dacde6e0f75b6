//! Manifests -> what should run. Pure: takes texts, returns accounts, problems and faults.
//!
//! A broken document costs itself only. No message holds any of a document's text: it may be a Secret's.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use url::Url;

use super::{Desired, Fault, Location};
use crate::account::admission::{self, Admission};
use crate::account::{self, AccountId, Problem, SecretData, SecretRead, Uncollected};
use crate::api::{CaasAccount, KIND, Reason};
use crate::cloud::Providers;
use crate::cloud::error::Refusal;

/// The content of one file: CaasAccounts and Secrets as an API server would accept them, including the items of lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    accounts: Vec<(Location, CaasAccount)>,
    secrets: Vec<(Location, AccountId, SecretData)>,
    /// Secrets that exist but are refused, so that no message says to create them.
    refused_secrets: Vec<(Location, AccountId)>,
    /// Documents that are not valid YAML or JSON, or are refused.
    pub faults: Vec<Fault>,
}

/// Parses a file: JSON if its name ends in `.json`, else YAML documents.
pub fn parse(admission: &Admission, name: &str, text: &str) -> File {
    let mut file = File::default();
    if name.to_ascii_lowercase().ends_with(".json") {
        let location = |line| Location { file: name.to_owned(), document: 1, line };
        match serde_json::from_str(text) {
            Ok(value) => file.add(admission, &location(None), value),
            Err(error) => file.faults.push(Fault {
                location: location(Some(error.line())),
                message: format!("is not valid JSON (column {})", error.column()),
            }),
        }
        return file;
    }
    let mut number = 0;
    for (first_line, document) in documents(text) {
        let location = |document, line| Location { file: name.to_owned(), document, line: Some(line) };
        match serde_saphyr::from_str::<Option<Value>>(document) {
            Ok(None | Some(Value::Null)) => {}
            Ok(Some(value)) => {
                number += 1;
                file.add(admission, &location(number, first_line), value);
            }
            Err(error) => {
                number += 1;
                // The error's own text may quote the document.
                let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
                file.faults.push(Fault {
                    location: location(
                        number,
                        first_line + usize::try_from(line).unwrap_or(1).saturating_sub(1),
                    ),
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
    /// Whether it has no objects.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.secrets.is_empty()
    }

    /// Takes the objects of another file and keeps its own faults.
    pub fn replace_objects(&mut self, other: Self) {
        (self.accounts, self.secrets) = (other.accounts, other.secrets);
    }

    fn add(&mut self, admission: &Admission, location: &Location, value: Value) {
        let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        match value {
            Value::Object(mut fields) if is_list => match fields.remove("items") {
                Some(Value::Array(items)) => {
                    for item in items {
                        self.add(admission, location, item);
                    }
                }
                _ => self.fault(location, "is a list without items: write them under items"),
            },
            value => match value["kind"].as_str() {
                Some(KIND) => match admission.admit(value) {
                    Ok(account) => self.accounts.push((location.clone(), account)),
                    Err(refused) => self.fault(location, format!("CaasAccount is refused: {refused}")),
                },
                Some("Secret") => self.add_secret(location, &value),
                Some(kind) => tracing::debug!(%location, kind, "neither a CaasAccount nor a Secret, skipped"),
                None => self.fault(location, "is not a manifest: it needs apiVersion, kind and metadata"),
            },
        }
    }

    fn add_secret(&mut self, location: &Location, value: &Value) {
        let id = match secret_id(&value["metadata"]) {
            Ok(id) => id,
            Err(message) => return self.fault(location, message),
        };
        match secret_data(&id, value) {
            Ok(data) => self.secrets.push((location.clone(), id, data)),
            Err(message) => {
                self.fault(location, message);
                self.refused_secrets.push((location.clone(), id));
            }
        }
    }

    fn fault(&mut self, location: &Location, message: impl Into<String>) {
        self.faults.push(Fault { location: location.clone(), message: message.into() });
    }
}

/// The accounts that the files of a folder define together; `allow` is the administrator's policy on endpoints.
pub fn desired<'a>(
    providers: Providers,
    files: impl IntoIterator<Item = &'a File>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Desired {
    let mut found = Found::default();
    for file in files {
        found.add(file);
    }
    let mut desired = Desired { faults: found.faults, ..Desired::default() };
    for (id, (_, account)) in &found.accounts {
        let secret = |name: &str| {
            let key = AccountId::new(&id.namespace, name);
            found.secrets.get(&key).map_or(SecretRead::NotFound, |(_, data)| SecretRead::Found(data.clone()))
        };
        let credentials = &account.spec.credentials.secret_ref.name;
        let ca_bundle = account.spec.tls.as_ref().map(|tls| &tls.ca_bundle_secret_ref.name);
        let read = ca_bundle.map(|name| secret(name));
        match account::resolve(providers, account, &secret(credentials), read.as_ref(), &allow) {
            Ok(account) => desired.accounts.push(account),
            Err(problem) => {
                let names = [Some(credentials), ca_bundle].into_iter().flatten();
                let mut keys = names.map(|name| AccountId::new(&id.namespace, name));
                let missing = keys.find(|key| !found.secrets.contains_key(key));
                let refused = missing.and_then(|key| found.refused_secrets.get_key_value(&key));
                let problem = explain_refusal(problem, refused);
                desired.problems.push(Uncollected::new(providers, account, problem));
            }
        }
    }
    desired
}

/// Replaces "does not exist" by "cannot be used" where the Secret exists but is refused.
fn explain_refusal(problem: Problem, refused: Option<(&AccountId, &Location)>) -> Problem {
    match refused {
        Some((secret, location)) if problem.reason == Reason::SecretNotFound => Problem {
            message: format!(
                "Secret {secret} cannot be used: correct it in {location}. The message for that location says how."
            ),
            ..problem
        },
        _ => problem,
    }
}

/// The objects of all files by namespace and name, each with its location.
#[derive(Default)]
struct Found {
    accounts: BTreeMap<AccountId, (Location, CaasAccount)>,
    secrets: BTreeMap<AccountId, (Location, SecretData)>,
    refused_secrets: BTreeMap<AccountId, Location>,
    faults: Vec<Fault>,
}

impl Found {
    fn add(&mut self, file: &File) {
        self.faults.extend(file.faults.iter().cloned());
        for (location, account) in &file.accounts {
            let kept = keep(&mut self.accounts, account::resolve::id(account), location, account.clone());
            self.faults.extend(kept.err());
        }
        for (location, id, data) in &file.secrets {
            let kept = keep(&mut self.secrets, id.clone(), location, data.clone());
            self.faults.extend(kept.err());
        }
        self.refused_secrets
            .extend(file.refused_secrets.iter().map(|(location, id)| (id.clone(), location.clone())));
    }
}

/// Keeps the first object of a name: files are read in the order of their names, so it is always the same.
fn keep<T>(
    objects: &mut BTreeMap<AccountId, (Location, T)>,
    id: AccountId,
    location: &Location,
    object: T,
) -> Result<(), Fault> {
    match objects.entry(id) {
        Entry::Vacant(entry) => {
            entry.insert((location.clone(), object));
            Ok(())
        }
        Entry::Occupied(entry) => {
            let message = format!(
                "{} is already defined in {}, which is used: remove one of them",
                entry.key(),
                entry.get().0
            );
            Err(Fault { location: location.clone(), message })
        }
    }
}

/// A Secret's namespace and name, as an API server takes them.
fn secret_id(metadata: &Value) -> Result<AccountId, &'static str> {
    let name = metadata["name"].as_str().filter(|name| admission::is_subdomain(name));
    let name = name
        .ok_or("Secret's metadata.name must be a name of lower case letters, digits, - and .: give it one")?;
    let namespace = match &metadata["namespace"] {
        Value::Null => "default",
        namespace => namespace.as_str().filter(|name| admission::is_label(name)).ok_or(
            "Secret's metadata.namespace must be a namespace's name of lower case letters, digits and -: write one",
        )?,
    };
    Ok(AccountId::new(namespace, name))
}

/// A Secret's content, `stringData` before `data` as on an API server.
fn secret_data(id: &AccountId, value: &Value) -> Result<SecretData, String> {
    let mut pairs = Vec::new();
    for (field, encoded) in [("data", true), ("stringData", false)] {
        let fields = match &value[field] {
            Value::Null => continue,
            Value::Object(fields) => fields,
            _ => return Err(format!("{field} of Secret {id} must hold keys with values")),
        };
        for (key, value) in fields {
            let of = format!("{field}.{} of Secret {id}", admission::printable(key));
            let text = value.as_str().ok_or_else(|| format!("{of} is not text: put it in quotes"))?;
            let bytes = if encoded { decoded(text) } else { Some(text.as_bytes().to_vec()) };
            let bytes = bytes.ok_or_else(|| format!("{of} is not base64: encode it, or use stringData"))?;
            pairs.push((key.clone(), bytes));
        }
    }
    Ok(SecretData::new(&id.namespace, pairs))
}

/// Base64 as an API server reads it: line breaks do not count.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    BASE64_STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests;
