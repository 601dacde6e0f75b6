//! `spec.provider`: one provider's name with its settings, which only that provider reads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// A provider's name and its settings, written as `name: {settings}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSpec {
    /// The provider's name, such as `alauda`.
    pub name: String,
    /// Its settings, as its schema describes them.
    pub settings: Value,
}

impl Serialize for ProviderSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.name, &self.settings)])
    }
}

impl<'de> Deserialize<'de> for ProviderSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut providers = BTreeMap::<String, Value>::deserialize(deserializer)?.into_iter();
        match (providers.next(), providers.next()) {
            (Some((name, settings)), None) => Ok(Self { name, settings }),
            _ => Err(de::Error::custom("set exactly one provider")),
        }
    }
}

impl JsonSchema for ProviderSpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Provider".into()
    }

    /// An object whose fields [`super::crd`] fills in from the list of providers.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}
