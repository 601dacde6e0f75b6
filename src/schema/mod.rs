//! Building blocks of schemas: durations, addresses and their CEL rules.
//!
//! The custom resource and the providers' settings share them. Knows neither of them, and no Kubernetes.

pub mod address;
pub mod duration;
pub mod rule;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

pub use duration::{Duration, NotADuration};
pub use rule::Rule;

/// The schema of a type as `OpenAPI` 3 has it, with all of its parts in place.
pub fn of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema
}
