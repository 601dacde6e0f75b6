//! Admission without a cluster: a CaasAccount by the schema, defaults and CEL rules of the CRD, a Secret by the rules of its
//! kind, and the metadata of both, as an API server applies them to an object that is created.
//!
//! What stays with a real API server: whether the namespace exists, quotas, access rights, other policies.

mod error;
mod metadata;
mod names;
mod secret;
mod structure;

use jsonschema::error::ValidationErrorKind as Kind;
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

use super::AccountId;
use crate::api::{self, API_VERSION, CaasAccount, KIND};
use crate::cloud::Providers;

pub use error::{FieldError, Refused};
use error::{MOST_ERRORS, join};
pub use names::{is_label, is_subdomain};
pub use secret::{RefusedSecret, SecretManifest};

/// The namespace of a document that names none, where nothing else is said.
const DEFAULT_NAMESPACE: &str = "default";

/// The most bytes of a request, which holds one object as JSON, that an API server reads.
const LARGEST_OBJECT: usize = 3 * 1024 * 1024;

/// The CRD of a list of providers, ready to be applied to documents.
pub struct Admission {
    providers: Providers,
    namespace: String,
    schema: Value,
    structure: jsonschema::Validator,
    rules: CompiledSchema,
}

impl Admission {
    /// Admission with the CRD of these providers.
    ///
    /// # Panics
    /// If the schema that a provider describes is not a valid JSON schema, which each use of the provider shows.
    pub fn new(providers: Providers) -> Self {
        let mut versions = api::crd(providers).spec.versions.into_iter();
        let schema = versions.find_map(|version| version.schema?.open_api_v3_schema);
        // The schema is a constant of this program, which each test of this module makes: none of this can fail.
        #[allow(clippy::expect_used)]
        let schema = serde_json::to_value(schema).expect("the schema is JSON");
        #[allow(clippy::expect_used)]
        let structure = jsonschema::validator_for(&schema).expect("the schema is well formed");
        let rules = compile_schema(&schema);
        Self { providers, namespace: DEFAULT_NAMESPACE.to_owned(), schema, structure, rules }
    }

    /// The same with another namespace than `default` for documents that name none.
    #[must_use]
    pub fn in_namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// The providers that documents may name.
    pub fn providers(&self) -> Providers {
        self.providers
    }

    /// Takes a document as an API server would take it: all defaults filled in, or refused with all that is wrong.
    ///
    /// A file has no UID: the account's is `<namespace>/<name>`, whatever the document says, so that a copy under another
    /// name is another account. A status is dropped.
    pub fn admit(&self, mut document: Value) -> Result<CaasAccount, Refused> {
        let mut errors = Vec::new();
        check_size(&document, &mut errors);
        for (field, value) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            if document.get(field).and_then(Value::as_str) != Some(value) {
                errors.push(FieldError::new(field, format!("must be {value}")));
            }
        }
        if let Some(metadata) = metadata::read(&mut document, &self.namespace, &mut errors) {
            let namespace = metadata.namespace.unwrap_or_default();
            document["metadata"]["uid"] =
                AccountId::new(&namespace, &metadata.name.unwrap_or_default()).to_string().into();
        }
        structure::find_unknown_fields(&self.schema, &document, &mut errors);
        if let Some(root) = document.as_object_mut() {
            root.remove("status");
        }
        structure::fill_defaults(&self.schema, &mut document);

        let mut blocked = !errors.is_empty();
        for error in self.structure.iter_errors(&document).take(MOST_ERRORS) {
            blocked |= blocks_rules(error.kind());
            errors.push(FieldError::new(&path(&error), sentence(&error)));
        }
        // As on an API server: rules are not evaluated on values of another type or size than they are made for.
        if !blocked && let Err(broken) = Validator::new().validate_compiled(&self.rules, &document, None) {
            for rule in broken {
                // The rule's message replaces the pattern's, which checks the same.
                errors.retain(|error| error.path != rule.field_path || !error.message.starts_with(PATTERN));
                errors.push(FieldError::new(&rule.field_path, rule.message));
            }
        }
        Refused::if_any(errors)?;
        serde_json::from_value(document).map_err(|_| {
            Refused(vec![FieldError::new("metadata", "has fields of the wrong type: see ObjectMeta")])
        })
    }

    /// Takes a Secret as an API server would take it, or refuses it with all that is wrong.
    pub fn admit_secret(&self, document: Value) -> Result<SecretManifest, RefusedSecret> {
        let mut errors = Vec::new();
        check_size(&document, &mut errors);
        match Refused::if_any(errors) {
            Ok(()) => secret::read(document, &self.namespace),
            Err(refused) => Err(RefusedSecret { id: None, refused }),
        }
    }
}

fn check_size(document: &Value, errors: &mut Vec<FieldError>) {
    if serde_json::to_vec(document).is_ok_and(|json| json.len() > LARGEST_OBJECT) {
        errors.push(FieldError::new("", "it is larger than 3 MiB, the limit of API servers: shorten it"));
    }
}

/// How the sentence of a broken pattern begins.
const PATTERN: &str = "must match";

/// The kinds of error after which an API server does not evaluate rules.
fn blocks_rules(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Type { .. }
            | Kind::Required { .. }
            | Kind::Enum { .. }
            | Kind::MaxLength { .. }
            | Kind::MaxItems { .. }
            | Kind::MaxProperties { .. }
    )
}

fn path(error: &jsonschema::ValidationError<'_>) -> String {
    let mut path = String::new();
    for step in error.instance_path().as_str().split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            path = format!("{path}[{step}]");
        } else {
            path = join(&path, &step);
        }
    }
    match error.kind() {
        Kind::Required { property } => join(&path, property.as_str().unwrap_or_default()),
        _ => path,
    }
}

fn sentence(error: &jsonschema::ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Required { .. } => "is required: set it".to_owned(),
        Kind::Pattern { pattern } => format!("{PATTERN} {pattern}"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} entries"),
        Kind::Maximum { limit } => format!("must be at most {}", whole(limit)),
        Kind::Minimum { limit } => format!("must be at least {}", whole(limit)),
        Kind::Enum { options } => format!("must be one of {options}"),
        _ => error.masked_with("the value").to_string(),
    }
}

/// A limit without the `.0` that the CRD's numbers have.
fn whole(limit: &Value) -> f64 {
    limit.as_f64().unwrap_or_default()
}

/// Admission with all providers, made once for all tests of this crate.
#[cfg(test)]
pub(crate) fn of_all_providers() -> &'static Admission {
    static ADMISSION: std::sync::LazyLock<Admission> =
        std::sync::LazyLock::new(|| Admission::new(Providers::ALL));
    &ADMISSION
}

#[cfg(test)]
mod tests;
