//! Which apps of a DigitalOcean account are collected, and how.

use std::time::Duration;

use url::Url;

/// Settings of an account, checked and complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Settings {
    /// The API's base URL without its version, ending in a slash, such as `https://api.digitalocean.com/`.
    pub endpoint: Url,
    /// Ids of the projects whose apps are collected; empty for all.
    pub projects: Vec<String>,
    /// Names or ids of the apps that are collected; empty for all.
    pub apps: Vec<String>,
    /// Kinds of components that are collected.
    pub kinds: Vec<Kind>,
    /// Whether the health of each app is asked for.
    pub health: bool,
    /// How old a measurement may be to be exposed, and how far back to ask for it.
    pub metrics_max_age: Duration,
}

impl Settings {
    /// Whether the app of this name, id and project is collected.
    pub(super) fn wants_app(&self, name: &str, id: &str, project: Option<&str>) -> bool {
        let named = self.apps.iter().any(|app| app == name || app == id);
        let in_project = project.is_some_and(|project| self.projects.iter().any(|one| one == project));
        (self.apps.is_empty() || named) && (self.projects.is_empty() || in_project)
    }
}

/// A kind of component that has instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Serves HTTP.
    Service,
    /// Runs in the background.
    Worker,
    /// Runs around deployments or on a schedule.
    Job,
}

impl Kind {
    /// The word that metrics carry.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Worker => "worker",
            Self::Job => "job",
        }
    }
}
