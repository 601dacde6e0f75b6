//! Which services of a Northflank account are collected, and how.

use std::time::Duration;

use url::Url;

/// Settings of an account, checked and complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Settings {
    /// The API's base URL without its version, ending in a slash, such as `https://api.northflank.com/`.
    pub endpoint: Url,
    /// The id of the team, for a token of an organization; a team's own token needs none. Letters, digits and hyphens.
    pub team: Option<String>,
    /// Ids or names of the projects whose services are collected; empty for all.
    pub projects: Vec<String>,
    /// How often a service's facts are asked for: plan, region, image, how many instances are desired.
    pub inventory_interval: Duration,
    /// How old a measurement may be to be exposed.
    pub metrics_max_age: Duration,
}

impl Settings {
    /// Whether the services of the project of this id and name are collected.
    pub(super) fn wants_project(&self, id: &str, name: Option<&str>) -> bool {
        self.projects.is_empty() || self.projects.iter().any(|wanted| wanted == id || Some(&**wanted) == name)
    }
}
