//! Which services of a Render account are collected, and how.

use std::time::Duration;

use url::Url;

/// Settings of an account, checked and complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Settings {
    /// The API's base URL with its version, ending in a slash, such as `https://api.render.com/v1/`.
    pub endpoint: Url,
    /// Ids of the workspaces whose services are collected; empty for all that the key sees.
    pub workspaces: Vec<String>,
    /// Names or ids of the projects whose services are collected; empty for all services.
    pub projects: Vec<String>,
    /// Names or ids of the environments whose services are collected; empty for all services.
    pub environments: Vec<String>,
    /// Kinds of services that are collected.
    pub kinds: Vec<Kind>,
    /// Whether previews of pull requests are collected.
    pub previews: bool,
    /// Whether requests and latency of web services are asked for.
    pub http: bool,
    /// How many services one request for a metric names; at least 1.
    pub services_per_request: usize,
    /// How old a measurement may be to be exposed.
    pub metrics_max_age: Duration,
}

impl Settings {
    /// Whether services are chosen by their project or environment.
    pub(super) fn names_environments(&self) -> bool {
        !self.projects.is_empty() || !self.environments.is_empty()
    }

    /// Those of tests: all web services at the public endpoint.
    #[cfg(test)]
    pub(super) fn of_tests() -> Self {
        Self {
            endpoint: "https://api.render.com/v1/".parse().unwrap(),
            workspaces: Vec::new(),
            projects: Vec::new(),
            environments: Vec::new(),
            kinds: vec![Kind::WebService],
            previews: false,
            http: true,
            services_per_request: 30,
            metrics_max_age: Duration::from_secs(600),
        }
    }
}

/// A kind of service that has instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Serves HTTP to everyone.
    WebService,
    /// Serves others in the private network.
    PrivateService,
    /// Receives no requests.
    BackgroundWorker,
    /// Runs on a schedule, and has an instance while it does.
    CronJob,
}

impl Kind {
    const ALL: [Self; 4] = [Self::WebService, Self::PrivateService, Self::BackgroundWorker, Self::CronJob];

    /// The API's word, which metrics carry too.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::WebService => "web_service",
            Self::PrivateService => "private_service",
            Self::BackgroundWorker => "background_worker",
            Self::CronJob => "cron_job",
        }
    }

    /// The kind of this word. `None` for static sites, which have no instances, and for unknown words.
    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
