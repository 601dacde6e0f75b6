//! The names of projects and environments, which services refer to by id. Looked up seldom.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::cost::SLOW_FACTS_EVERY;
use super::target::Settings;
use super::wire::Entity;
use crate::cloud::CloudError;
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::{KeptBytes, entry_bytes};

/// What is known of environments.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Names {
    /// When they were looked up.
    at: Option<Instant>,
    /// By id. `None` for one that was not found.
    environments: HashMap<String, Option<Environment>>,
    /// What the settings name and was not found beside others: a workspace, a project or an environment.
    pub(super) missing: Option<&'static str>,
    /// Why none could be read, if none could: the key may not read them, or they are not where they should be.
    pub(super) unreadable: Option<CloudError>,
}

impl KeptBytes for Names {
    fn kept_bytes(&self) -> usize {
        let texts = |one: &Environment| one.name.len() + one.project_id.len() + one.project.len();
        let environments = self.environments.iter();
        environments
            .map(|(id, one)| entry_bytes::<Option<Environment>>(id.len() + one.as_ref().map_or(0, texts)))
            .sum()
    }
}

/// An environment.
#[derive(Debug, Clone, PartialEq)]
struct Environment {
    name: String,
    project_id: String,
    project: String,
}

/// The lists that a lookup reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameList {
    /// All workspaces.
    Workspaces,
    /// The projects of the settings' workspaces, or all.
    Projects,
    /// The environments of these projects.
    Environments(Vec<String>),
}

/// A request names at most so many projects, or a proxy might refuse its length.
const MOST_PROJECTS: usize = 50;
/// The most entries of a list of names, of all environments together, and of those that are remembered as not found.
pub(super) const MOST_NAMES: usize = 10_000;

impl Names {
    /// Whether none was ever read.
    pub(super) fn are_unknown(&self) -> bool {
        self.at.is_none() || self.unreadable.is_some()
    }

    /// What is known where none can be read, for as long as between two lookups: each environment is known by its id. Services
    /// are shown that way rather than not at all, and keep their series as long as it is so.
    ///
    /// The error is that without names it cannot be told which services the settings want, or that names can soon be read: a
    /// service that is shown by an id until then would have two series.
    pub(super) fn without<'a>(
        error: CloudError,
        settings: &Settings,
        before: &Self,
        referred: impl Iterator<Item = &'a str>,
    ) -> Result<Self, CloudError> {
        if settings.names_environments() || may_pass(&error) {
            return Err(error);
        }
        let mut names = Self { at: Some(Instant::now()), unreadable: Some(error), ..Self::default() };
        names.remember_missing(before, referred);
        Ok(names)
    }

    /// Whether they are to be looked up for services in these environments.
    pub(super) fn are_due<'a>(
        &self,
        settings: &Settings,
        mut environments: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> bool {
        let is_old = self.at.is_none_or(|at| now.duration_since(at) >= SLOW_FACTS_EVERY);
        let settings_need_them = settings.names_environments() || !settings.workspaces.is_empty();
        // What no service and no setting refers to is not asked for.
        (is_old && settings_need_them) || environments.any(|one| is_old || !self.know(one))
    }

    /// Looks all of them up by `list`, which requests all pages of a list. Environments that services refer to and that are
    /// not found are remembered as such, also those that were not found `before`.
    ///
    /// `NotVisible` where the settings name workspaces, projects or environments and none of them exists.
    pub(super) async fn look_up<L>(
        settings: &Settings,
        list: impl Fn(NameList) -> L,
        before: &Self,
        referred: impl Iterator<Item = &str>,
    ) -> Result<Self, CloudError>
    where
        L: Future<Output = Result<Vec<Entity>, CloudError>>,
    {
        let mut names = Self { at: Some(Instant::now()), ..Self::default() };
        if !settings.workspaces.is_empty() {
            let workspaces = list(NameList::Workspaces).await?;
            names.expect("workspace", &settings.workspaces, &workspaces)?;
        }
        let projects = list(NameList::Projects).await?;
        names.expect("project", &settings.projects, &projects)?;
        let ids: Vec<String> = projects.iter().map(|project| project.id.clone()).collect();
        let by_id: HashMap<&str, &Entity> =
            projects.iter().map(|project| (project.id.as_str(), project)).collect();
        let mut environments = Vec::new();
        for some in ids.chunks(MOST_PROJECTS) {
            environments.append(&mut list(NameList::Environments(some.to_vec())).await?);
            if environments.len() > MOST_NAMES {
                return Err(AnswerProblem::TooLarge.into());
            }
        }
        names.expect("environment", &settings.environments, &environments)?;
        for Entity { id, name, project } in environments {
            let environment = project.as_deref().and_then(|project| by_id.get(project)).map(|project| {
                Environment { name, project_id: project.id.clone(), project: project.name.clone() }
            });
            names.environments.insert(id, environment);
        }
        names.remember_missing(before, referred);
        Ok(names)
    }

    /// Remembers environments that were not found, now or before. Pages of services are looked up one by one: what one refers
    /// to is still known at the next one's.
    fn remember_missing<'a>(&mut self, before: &Self, referred: impl Iterator<Item = &'a str>) {
        let not_found = before.environments.iter().filter(|(_, one)| one.is_none()).take(MOST_NAMES);
        let not_found = not_found.map(|(id, _)| id.clone()).collect::<Vec<_>>();
        for id in not_found.into_iter().chain(referred.map(str::to_owned)) {
            self.environments.entry(id).or_insert(None);
        }
    }

    /// Some of what the settings name may be missing, but not all.
    fn expect(&mut self, what: &'static str, wanted: &[String], found: &[Entity]) -> Result<(), CloudError> {
        let found: HashSet<&str> = found.iter().flat_map(|one| [one.id.as_str(), &one.name]).collect();
        let missing = wanted.iter().filter(|name| !found.contains(name.as_str())).count();
        if missing == 0 {
            return Ok(());
        }
        if missing == wanted.len() {
            return Err(CloudError::NotVisible(what));
        }
        self.missing = self.missing.or(Some(what));
        Ok(())
    }

    /// Whether anything was looked up of this environment.
    pub(super) fn know(&self, environment: &str) -> bool {
        self.environments.contains_key(environment)
    }

    /// The application of services in this environment, `project/environment`: a service's name is unique within it. The id
    /// of an environment that was not found.
    pub(super) fn application(&self, environment: &str) -> String {
        match self.environments.get(environment) {
            Some(Some(one)) => format!("{}/{}", one.project, one.name),
            Some(None) | None => environment.to_owned(),
        }
    }

    /// Whether services in this environment, or in none, are collected.
    pub(super) fn are_wanted(&self, settings: &Settings, environment: Option<&str>) -> bool {
        if !settings.names_environments() {
            return true;
        }
        let Some(id) = environment else { return false };
        let Some(Some(one)) = self.environments.get(id) else { return false };
        let named = |wanted: &[String], id: &str, name: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == id || wanted == name)
        };
        named(&settings.projects, &one.project_id, &one.project)
            && named(&settings.environments, id, &one.name)
    }
}

/// Whether the same request may succeed soon.
fn may_pass(error: &CloudError) -> bool {
    match error {
        CloudError::Unreachable(_) | CloudError::Status(500..) => true,
        CloudError::Answer(problem) => problem.may_pass(),
        error => error.concerns_account(),
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
