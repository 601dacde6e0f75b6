//! The CRD: the schema of the types here, completed by how the providers describe themselves.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::Schema;
use schemars::transform::{AddNullable, Transform};
use serde_json::{Value, json};

use super::{CaasAccount, cel};
use crate::cloud::secret::alternatives;
use crate::cloud::{Provider, Providers};
use crate::schema::Duration;
use crate::schema::rule::{RULES, Rule};

/// The CRD to install for these providers, as `caas-operator crd` prints it.
///
/// Descriptions are plain text without the line breaks and marks of this program's source, as `kubectl explain` shows them.
/// No field is nullable: an API server then takes `labels:` without a value for a field that is left out,
/// and gives it its default, where a nullable field would hand the null on.
pub fn crd(providers: Providers) -> CustomResourceDefinition {
    let mut crd = CaasAccount::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            complete(schema, providers);
            mark_unobserved(schema);
            tidy(schema);
        }
    }
    crd
}

/// Puts in what depends on the list of providers: their settings, Secret keys, default intervals, and the rules.
fn complete(schema: &mut JSONSchemaProps, providers: Providers) {
    let Some(spec) = schema.properties.as_mut().and_then(|fields| fields.get_mut("spec")) else { return };
    add_rules(spec, &[cel::stale_after(providers), cel::scrape_timeout(providers)]);
    let Some(fields) = &mut spec.properties else { return };
    if let Some(provider) = fields.get_mut("provider") {
        let settings = providers.iter().map(|provider| (provider.name().to_owned(), settings(provider)));
        provider.properties = Some(settings.collect());
        add_rules(provider, &[cel::one_provider(providers)]);
    }
    let credentials = fields.get_mut("credentials").and_then(|credentials| credentials.properties.as_mut());
    let secret = credentials.and_then(|fields| fields.get_mut("secretRef"));
    if let Some(description) = secret.and_then(|secret| secret.description.as_mut()) {
        let keys = |provider: &dyn Provider| {
            format!("{} ({})", alternatives(provider.secret_keys()), provider.name())
        };
        *description =
            format!("{description} Its keys: {}.", providers.iter().map(keys).collect::<Vec<_>>().join("; "));
    }
    let collection = fields.get_mut("collection").and_then(|collection| collection.properties.as_mut());
    let interval = collection.and_then(|fields| fields.get_mut("interval"));
    if let Some(description) = interval.and_then(|interval| interval.description.as_mut()) {
        let defaults = providers
            .iter()
            .map(|provider| format!("{} ({})", Duration::from(provider.default_interval()), provider.name()));
        *description = format!("{description} Default: {}.", defaults.collect::<Vec<_>>().join(", "));
    }
}

/// Gives an account that no operator has looked at yet the generation -1, which no spec has: tools that wait, such as Flux,
/// take an object without a status for one that is done.
fn mark_unobserved(schema: &mut JSONSchemaProps) {
    if let Some(status) = schema.properties.as_mut().and_then(|fields| fields.get_mut("status")) {
        status.default = Some(JSON(json!({"observedGeneration": -1})));
    }
}

/// A provider's settings as the CRD has them: changed in the same way as the rest of it by kube's derive.
fn settings(provider: &dyn Provider) -> JSONSchemaProps {
    let mut schema = provider.settings();
    AddNullable::default().transform(&mut schema);
    StructuralSchemaRewriter.transform(&mut schema);
    OptionalEnum.transform(&mut schema);
    OptionalIntOrString.transform(&mut schema);
    from_json(schema)
}

fn add_rules(schema: &mut JSONSchemaProps, rules: &[Rule]) {
    let added: JSONSchemaProps = from_json(schemars::json_schema!({ RULES: rules }));
    let all = schema.x_kubernetes_validations.take().into_iter().chain(added.x_kubernetes_validations);
    schema.x_kubernetes_validations = Some(all.flatten().collect());
}

fn from_json(schema: Schema) -> JSONSchemaProps {
    // Schemas are constants of this program, and a test makes the CRD of all of them.
    #[allow(clippy::expect_used)]
    serde_json::from_value(Value::from(schema)).expect("a schema that fits into a CRD")
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.description = schema.description.take().map(|text| text.replace('\n', " ").replace('`', ""));
    schema.properties.iter_mut().flatten().for_each(|(_, property)| tidy(property));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
