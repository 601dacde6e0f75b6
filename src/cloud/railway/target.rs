//! Which projects and environments of a Railway account are collected, and how.

use std::time::Duration;

use url::Url;

/// Settings of an account, checked and complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Settings {
    /// The API's base URL without the path `graphql/v2`, ending in a slash, such as `https://backboard.railway.com/`.
    pub endpoint: Url,
    /// Id of the workspace whose projects are collected; `None` for those that the token lists by itself.
    pub workspace: Option<String>,
    /// Names or ids of the projects that are collected; empty for all.
    pub projects: Vec<String>,
    /// Names or ids of the environments that are collected; empty for all.
    pub environments: Vec<String>,
    /// Whether environments of pull requests, which end with them, are collected as well.
    pub preview_environments: bool,
    /// Whether HTTP requests and their durations are asked for.
    pub http: bool,
    /// How old a measurement may be to be exposed, and how far back to ask for it.
    pub metrics_max_age: Duration,
}

impl Settings {
    /// The place of this project among the names and ids of the settings; `None` where they have it not. Without any, every
    /// project is collected.
    pub(super) fn project(&self, name: &str, id: &str) -> Option<usize> {
        place(&self.projects, name, id)
    }

    /// The same of an environment.
    pub(super) fn environment(&self, name: &str, id: &str) -> Option<usize> {
        place(&self.environments, name, id)
    }
}

fn place(wanted: &[String], name: &str, id: &str) -> Option<usize> {
    wanted.iter().position(|one| one == name || one == id)
}

/// A kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Of a user or a workspace: it lists projects.
    Account,
    /// Of one environment of one project: it may list nothing else.
    Project,
}
