//! `spec.provider.cloudfoundry`: the settings that people write. The doc lines are the texts of `kubectl explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::Rule;
use crate::schema::address::endpoint;
use crate::schema::rule::matches;

/// What names and selectors may hold: anything but control characters, as they go into a query.
const TEXT_PATTERN: &str = r"^[^\x00-\x1f\x7f]+$";

/// A name in a list of names: the API separates them by commas.
const NAME_PATTERN: &str = r"^[^,\x00-\x1f\x7f]+$";

/// Cloud Foundry API version 3: SAP BTP, cloud.gov, `VMware` Tanzu and any other installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CloudFoundrySpec {
    /// Base URL of the API, such as `https://api.sys.example.com`; `cf api` shows it.
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint()]))]
    pub(super) endpoint: String,

    /// Names of the organizations whose applications are collected. Default: all organizations that the credentials can access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub(super) organizations: Vec<EntityName>,

    /// Names of the spaces whose applications are collected, in any of the organizations. Default: all spaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub(super) spaces: Vec<EntityName>,

    /// Label selector for applications, such as `env=prod,team in (a,b)`. Default: all applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [text("a label selector")]))]
    pub(super) label_selector: Option<String>,

    /// Base URL of the login server, such as `https://login.sys.example.com`. The credentials are sent to it. Default:
    /// the login server that the API reports, if the API is `https://api.<domain>` and the login server is in that
    /// domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = [endpoint()]))]
    pub(super) login_endpoint: Option<String>,

    /// Identity provider of the user, as in `cf login --origin`. Default: the login server's own users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-kubernetes-validations" = [text("an identity provider")]))]
    pub(super) login_origin: Option<String>,
}

/// Name of an organization or a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct EntityName(
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-kubernetes-validations" = [name()]))]
    pub(super) String,
);

fn text(what: &str) -> Rule {
    Rule::new(matches("self", TEXT_PATTERN), format!("use {what} without control characters"))
}

fn name() -> Rule {
    let advice = "use the name of an organization or space without commas; commas separate names in the API";
    Rule::new(matches("self", NAME_PATTERN), advice)
}

/// Whether a text can be one name in a list of names.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == ',' || c.is_ascii_control())
}
