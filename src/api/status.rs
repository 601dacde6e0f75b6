//! `status`: what the operator found. How fresh the data is to the second is a metric: nothing here changes with each cycle.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::condition::{MAX_MESSAGE_LENGTH, MAX_REASON_LENGTH, REASON_PATTERN};

/// What meta/v1 takes as the type of a condition: a name, behind a DNS prefix and a slash where somebody else defines it.
const TYPE_PATTERN: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";

/// Observed state of the account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaasAccountStatus {
    /// The generation of the spec that this status describes. After an edit, it keeps its old value until the first
    /// collection with the new spec has ended; each condition has its own generation. -1 until an operator has seen
    /// the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The provider's name, such as alauda.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,

    /// Base URL of the API in the spec, even while it is not queried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,

    /// Number of collected services; absent while the account is not collected. Updated with any other change of the status, otherwise at most
    /// once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub services: Option<i64>,

    /// Number of running instances of the collected services; absent while the account is not collected. Updated with any other change of the
    /// status, otherwise at most once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub instances: Option<i64>,

    /// End of the last collection that succeeded, fully or partially; absent before the first one of this spec.
    /// Updated with any other change of the status, otherwise at most every 5 minutes, or less often with more than
    /// 2,400 accounts. For the exact time, see the metric `caas_account_last_success_timestamp_seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_time: Option<Time>,

    /// Path of the account's metrics on the operator's http port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<String>,

    /// Ready, and the conditions it depends on: `CredentialsReady`, `Collecting` and `ServiceMonitorReady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// A list of conditions by type, with the limits that meta/v1 sets on their fields: the schema of the type has none.
fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut condition = Value::from(Condition::json_schema(generator));
    for (field, limits) in [
        ("message", json!({"maxLength": MAX_MESSAGE_LENGTH})),
        ("observedGeneration", json!({"minimum": 0})),
        ("reason", json!({"minLength": 1, "maxLength": MAX_REASON_LENGTH, "pattern": REASON_PATTERN})),
        ("status", json!({"enum": ["True", "False", "Unknown"]})),
        ("type", json!({"maxLength": 316, "pattern": TYPE_PATTERN})),
    ] {
        if let (Some(field), Value::Object(limits)) = (condition["properties"][field].as_object_mut(), limits)
        {
            field.extend(limits);
        }
    }
    json_schema!({
        "type": "array",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}
