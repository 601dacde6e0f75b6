//! Projects, environments and their services as the API sends them. Pure.
//!
//! Reads only what is used, and only what was asked for can be there. An entry that cannot be read costs itself only.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::facts::{self, AddInstance, ListedService, ServiceParts};
use super::page::{Page, connection, entries};
use crate::cloud::ServiceFilter;
use crate::cloud::error::AnswerProblem;
use crate::cloud::filter::Matching;
use crate::cloud::http::body::parse;
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::try_for_each;
use crate::cloud::kit::loose::{Scalar, part};

/// A project with the first of its environments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) environments: Page<Environment>,
}

/// An environment of a project.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Environment {
    pub(super) id: String,
    pub(super) name: String,
}

/// Reads a page of projects from `data`, within the budget.
pub(super) fn projects(data: &str, mut budget: InventoryBudget) -> Result<Page<Project>, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireData<'a> {
        #[serde(borrow)]
        projects: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct WireProject<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        name: Scalar<'a>,
        #[serde(borrow)]
        environments: &'a RawValue,
    }
    let project = |node: &str| {
        let Some(wire) = serde_json::from_str::<WireProject<'_>>(node).ok() else { return Ok(None) };
        let Some(Environment { id, name }) = environment(wire.id, wire.name) else { return Ok(None) };
        budget.spend_entry::<Project>(id.len() + name.len())?;
        let environments = environments_of(wire.environments.get(), &mut budget).ok();
        Ok(environments.map(|environments| Project { id, name, environments }))
    };
    entries(parse::<WireData<'_>>(data)?.projects.get(), project)
}

/// Reads a page of environments from `data`, within the budget.
pub(super) fn environments(
    data: &str,
    mut budget: InventoryBudget,
) -> Result<Page<Environment>, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireData<'a> {
        #[serde(borrow)]
        environments: &'a RawValue,
    }
    environments_of(parse::<WireData<'_>>(data)?.environments.get(), &mut budget)
}

/// Reads the one project and environment of a project token from `data`.
pub(super) fn project_token(data: &str) -> Result<Page<Project>, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireData<'a> {
        #[serde(borrow)]
        project_token: WireToken<'a>,
    }
    #[derive(Deserialize)]
    struct WireToken<'a> {
        #[serde(borrow)]
        project: WireEnvironment<'a>,
        #[serde(borrow)]
        environment: WireEnvironment<'a>,
    }
    let WireToken { project, environment } = parse::<WireData<'_>>(data)?.project_token;
    let (Some(project), Some(environment)) = (project.read(), environment.read()) else {
        return Err(AnswerProblem::Shape);
    };
    let environments = Page::only(environment);
    Ok(Page::only(Project { id: project.id, name: project.name, environments }))
}

/// Reads a page of the services of an environment from `data`: those that the filter wants, of this application, within
/// the budget.
pub(super) fn services(
    data: &str,
    application: &str,
    filter: &ServiceFilter,
    mut budget: InventoryBudget,
) -> Result<Page<ListedService>, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireData<'a> {
        #[serde(borrow)]
        environment: WireServices<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireServices<'a> {
        #[serde(borrow)]
        service_instances: &'a RawValue,
    }
    let (mut services, mut matching) = (Vec::new(), Matching::default());
    let json = parse::<WireData<'_>>(data)?.environment.service_instances.get();
    let page = connection(json, |node| {
        let Some(wire) = serde_json::from_str::<WireService<'_>>(node).ok() else { return Ok(false) };
        let Some(parts) = wire.parts() else { return Ok(false) };
        if !matching.wants(filter, &parts.name)? {
            return Ok(true);
        }
        let deployments = wire.active_deployments.get();
        match facts::service(application, parts, |add| instances(deployments, add), &mut budget) {
            Ok(service) => services.push(service),
            Err(problem @ AnswerProblem::TooLarge) => return Err(problem),
            Err(_) => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Page { entries: services, ..page })
}

#[derive(Deserialize)]
struct WireEnvironment<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
}

impl WireEnvironment<'_> {
    fn read(self) -> Option<Environment> {
        environment(self.id, self.name)
    }
}

/// A name is always there; what has an empty one is named by its id.
fn environment(id: Scalar<'_>, name: Scalar<'_>) -> Option<Environment> {
    let id = id.into_text()?;
    Some(Environment { name: name.into_text().unwrap_or_else(|| id.clone()), id })
}

fn environments_of(json: &str, budget: &mut InventoryBudget) -> Result<Page<Environment>, AnswerProblem> {
    entries(json, |node| {
        let wire = serde_json::from_str::<WireEnvironment<'_>>(node).ok();
        let environment = wire.and_then(WireEnvironment::read);
        if let Some(Environment { id, name }) = &environment {
            budget.spend_entry::<Environment>(id.len() + name.len())?;
        }
        Ok(environment)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireService<'a> {
    #[serde(borrow, default)]
    service_id: Scalar<'a>,
    #[serde(borrow, default)]
    service_name: Scalar<'a>,
    #[serde(borrow, default)]
    num_replicas: Scalar<'a>,
    #[serde(borrow, default)]
    region: Scalar<'a>,
    #[serde(borrow, default)]
    cron_schedule: Scalar<'a>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    domains: Option<&'a RawValue>,
    #[serde(borrow)]
    latest_deployment: Option<&'a RawValue>,
    #[serde(borrow)]
    active_deployments: &'a RawValue,
}

impl WireService<'_> {
    fn parts(&self) -> Option<ServiceParts> {
        #[derive(Deserialize, Default)]
        struct WireSource<'a> {
            #[serde(borrow, default)]
            image: Scalar<'a>,
        }
        #[derive(Deserialize, Default)]
        struct WireDeployment<'a> {
            #[serde(borrow, default)]
            status: Scalar<'a>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct WireDomains {
            service_domains: Vec<serde::de::IgnoredAny>,
            custom_domains: Vec<serde::de::IgnoredAny>,
        }
        let domains: WireDomains = part(self.domains);
        let Environment { id, name } = environment(self.service_id.clone(), self.service_name.clone())?;
        Some(ServiceParts {
            id,
            name,
            desired: self.num_replicas.count(),
            region: self.region.clone().into_text(),
            is_cron: matches!(&self.cron_schedule, Scalar::Text(schedule) if !schedule.is_empty()),
            has_domain: !domains.service_domains.is_empty() || !domains.custom_domains.is_empty(),
            image: part::<WireSource<'_>>(self.source).image.into_text(),
            newest: part::<WireDeployment<'_>>(self.latest_deployment).status.into_text(),
        })
    }
}

/// Calls `add` with the id and the status of each instance of these deployments, and with when its deployment was created.
fn instances(deployments: &str, add: &mut AddInstance<'_>) -> Result<(), AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireDeployment<'a> {
        #[serde(borrow, default)]
        created_at: Scalar<'a>,
        #[serde(borrow)]
        instances: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct WireInstance<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        status: Scalar<'a>,
    }
    try_for_each(deployments, |deployment: WireDeployment<'_>| {
        let created_at = deployment.created_at.epoch_seconds();
        try_for_each(deployment.instances.get(), |instance: WireInstance<'_>| {
            match (instance.id.into_text(), &instance.status) {
                (Some(id), Scalar::Text(status)) => add(id, status, created_at),
                _ => Ok(()),
            }
        })
    })
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
