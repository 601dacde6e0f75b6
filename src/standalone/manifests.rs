//! Manifests -> what should run. Pure: takes texts, returns accounts, problems and faults.
//!
//! A broken document costs itself only. No message holds any of a document's text: it may be a Secret's.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use super::text::{self, Broken};
use super::{Desired, Fault, Location};
use crate::account::admission::{Admission, RefusedSecret};
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
    let location = |document, line| Location { file: name.to_owned(), document, line: Some(line) };
    if name.to_ascii_lowercase().ends_with(".json") {
        match text::json(text) {
            Ok(value) => file.add(admission, &Location { line: None, ..location(1, 1) }, value),
            Err(Broken { line, column, cause }) => {
                let message = format!("is not valid JSON (column {column}): {cause}");
                file.fault(&location(1, line), message);
            }
        }
        return file;
    }
    let mut number = 0;
    for (first_line, document) in text::documents(text) {
        match text::yaml(document) {
            Ok(None) => {}
            Ok(Some(value)) => {
                number += 1;
                file.add(admission, &location(number, first_line), value);
            }
            Err(Broken { line, column, cause }) => {
                number += 1;
                let message = format!("is not valid YAML (column {column}): {cause}");
                file.fault(&location(number, first_line + line - 1), message);
            }
        }
    }
    file
}

/// The objects of one file that were read elsewhere, each as an API server gives it and with where it is.
pub fn of_objects(admission: &Admission, objects: impl IntoIterator<Item = (String, Value)>) -> File {
    let mut file = File::default();
    for (place, object) in objects {
        file.add(admission, &Location { file: place, document: 0, line: None }, object);
    }
    file
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
                _ => self.fault(location, "is a list without items: put them under items"),
            },
            value => match value["kind"].as_str() {
                Some(KIND) => match admission.admit(value) {
                    Ok(account) => self.accounts.push((location.clone(), account)),
                    Err(refused) => self.fault(location, format!("CaasAccount is invalid: {refused}")),
                },
                Some("Secret") => match admission.admit_secret(value) {
                    Ok(secret) => self.secrets.push((location.clone(), secret.id, secret.data)),
                    Err(RefusedSecret { id, refused }) => {
                        let name = id.as_ref().map_or_else(String::new, |id| format!(" {id}"));
                        self.fault(location, format!("Secret{name} is invalid: {refused}"));
                        self.refused_secrets.extend(id.map(|id| (location.clone(), id)));
                    }
                },
                Some(kind) => tracing::debug!(%location, kind, "neither a CaasAccount nor a Secret, skipped"),
                None => self.fault(location, "is not a manifest: apiVersion, kind and metadata are required"),
            },
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
    desired_with(providers, files, &BTreeMap::new(), allow)
}

/// The same with Secrets that were read elsewhere: one that a file holds goes before.
pub fn desired_with<'a>(
    providers: Providers,
    files: impl IntoIterator<Item = &'a File>,
    elsewhere: &BTreeMap<AccountId, SecretRead>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Desired {
    let found = Found::of(files);
    let mut desired = Desired::default();
    for (id, (_, account)) in &found.accounts {
        let secret = |name: &str| {
            let key = AccountId::new(&id.namespace, name);
            let in_files = found.secrets.get(&key).map(|(_, data)| SecretRead::Found(data.clone()));
            in_files.or_else(|| elsewhere.get(&key).cloned()).unwrap_or(SecretRead::NotFound)
        };
        let credentials = &account.spec.credentials.secret_ref.name;
        let ca_bundle = account.spec.tls.as_ref().map(|tls| secret(&tls.ca_bundle_secret_ref.name));
        match account::resolve(providers, account, &secret(credentials), ca_bundle.as_ref(), &allow) {
            Ok(account) => desired.accounts.push(account),
            Err(problem) => {
                let problem = found.explain_refusal(problem, id, account);
                desired.problems.push(Uncollected::new(providers, account, problem));
            }
        }
    }
    desired.faults = found.faults;
    desired
}

/// The Secrets that accounts of these files need and no file holds, not even a refused one.
pub fn missing_secrets<'a>(files: impl IntoIterator<Item = &'a File>) -> BTreeSet<AccountId> {
    let found = Found::of(files);
    let accounts = found.accounts.iter().filter(|(_, (_, account))| !account.spec.suspend);
    let named = accounts.flat_map(|(id, (_, account))| secrets_of(id, account));
    named.filter(|id| !found.secrets.contains_key(id) && !found.refused_secrets.contains_key(id)).collect()
}

/// The Secrets that an account names.
fn secrets_of(id: &AccountId, account: &CaasAccount) -> impl Iterator<Item = AccountId> {
    let tls = account.spec.tls.as_ref().map(|tls| &tls.ca_bundle_secret_ref.name);
    let names = [Some(&account.spec.credentials.secret_ref.name), tls].into_iter().flatten();
    names.map(|name| AccountId::new(&id.namespace, name))
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
    fn of<'a>(files: impl IntoIterator<Item = &'a File>) -> Self {
        let mut found = Self::default();
        for file in files {
            found.add(file);
        }
        found
    }

    /// Replaces "does not exist" by "is invalid" if the Secret exists but is refused.
    fn explain_refusal(&self, problem: Problem, id: &AccountId, account: &CaasAccount) -> Problem {
        let missing = secrets_of(id, account).find(|secret| !self.secrets.contains_key(secret));
        let refused = missing.and_then(|secret| self.refused_secrets.get_key_value(&secret));
        match refused {
            Some((secret, location)) if problem.reason == Reason::SecretNotFound => Problem {
                message: format!(
                    "Secret {secret} is invalid: correct it in {location}; see the message for that location."
                ),
                ..problem
            },
            _ => problem,
        }
    }

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
                "{} is also defined in {}, and that one is used: remove one of them",
                entry.key(),
                entry.get().0
            );
            Err(Fault { location: location.clone(), message })
        }
    }
}

#[cfg(test)]
mod tests;
