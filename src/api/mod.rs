//! The custom resource `CaasAccount` (`caas-operator.io/v1alpha1`): what people write, and what they read back.
//!
//! Only types, their schema and the rules that an API server applies to them. Knows no cloud and does no I/O.

pub mod cel;
pub mod condition;
pub mod duration;
pub mod provider;
pub mod spec;
pub mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

pub use condition::{ConditionType, Finding, Reason};
pub use duration::Duration;
pub use provider::{Alauda, AlaudaCloud, Provider};
pub use spec::{CaasAccount, CaasAccountSpec};
pub use status::CaasAccountStatus;

/// The API group.
pub const GROUP: &str = "caas-operator.io";

/// `apiVersion` of every CaasAccount.
pub const API_VERSION: &str = "caas-operator.io/v1alpha1";

/// `kind` of every CaasAccount.
pub const KIND: &str = "CaasAccount";

/// The definition to install, as `caas-operator crd` prints it.
///
/// Descriptions are plain text without the line breaks and marks of this program's source, as `kubectl explain` shows them.
/// No field is nullable: an API server then takes `labels:` without a value for a field that is left out,
/// and gives it its default, where a nullable field would hand the null on.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = CaasAccount::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
        }
    }
    crd
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

#[cfg(test)]
mod tests;
