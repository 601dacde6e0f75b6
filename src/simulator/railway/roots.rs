//! The fields at the top of a query: which token may ask for which, and what each returns.

use serde_json::{Map, Value};

use super::graphql::{Paging, Requested};
use super::metrics;
use super::options::Railway;
use super::problem::{self, Problem};
use super::projects::{self, Environment, Project};
use super::traffic::{self, Window};
use super::wire;
use crate::simulator::faults::ContentFaults;
use crate::simulator::numbers::floor;
use crate::simulator::world::{Service, World};

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// A user: everything of the account.
    Account,
    /// The token of one environment.
    Project(Environment),
}

/// What answers a query.
pub(super) struct Roots<'a> {
    pub(super) options: &'a Railway,
    pub(super) world: &'a World,
    pub(super) token: Token,
    pub(super) now: f64,
    pub(super) faults: ContentFaults,
}

/// The data of an answer, and the errors beside it.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) fields: Map<String, Value>,
    pub(super) errors: Vec<Value>,
}

impl Roots<'_> {
    /// Answers a field; `name` is under which it is returned.
    pub(super) fn add(&self, name: &str, field: &Requested<'_>, data: &mut Data) -> Result<(), Problem> {
        let value = match field.name {
            "projects" => self.projects(field)?,
            "projectToken" => match &self.token {
                Token::Project(environment) => wire::project_token(environment),
                Token::Account => return Err(Problem::ProjectTokenNotFound),
            },
            "environments" => wire::environments(&self.project(field.required("projectId")?)?),
            "environment" => {
                let environment = self.environment(field.required("id")?)?;
                if field.text("projectId")?.is_some_and(|id| id != environment.project.id) {
                    return Err(Problem::NotFound("Environment"));
                }
                let services = environment.services(self.world, self.now);
                if self.options.partial && !services.is_empty() {
                    let path = [name, "serviceInstances", "edges"].map(Value::from);
                    let node = [0.into(), "node".into(), "latestDeployment".into()];
                    data.errors.push(problem::beside(&[&path[..], &node[..]].concat()));
                }
                wire::environment(&environment, &services, self.options, self.now, self.faults)
            }
            "metrics" => self.metrics(field)?,
            "httpMetricsGroupedByStatus" => {
                let (environment, service, window) = self.traffic(field)?;
                traffic::by_status(self.world, (&environment, &service), window, self.now)
            }
            "httpDurationMetrics" => {
                let (environment, service, window) = self.traffic(field)?;
                traffic::durations(self.world, (&environment, &service), window, self.now)
            }
            _ => {
                return Err(Problem::Invalid(format!(
                    "Cannot query field \"{}\" on type \"Query\".",
                    field.name
                )));
            }
        };
        let paging = Paging {
            most: self.options.page_size,
            cycle: self.faults.page_cycle,
            endless: self.faults.endless_pages,
        };
        data.fields.insert(name.to_owned(), field.select(&value, paging)?);
        Ok(())
    }

    fn projects(&self, field: &Requested<'_>) -> Result<Value, Problem> {
        let is_foreign = |id: &str| id != projects::workspace(self.world);
        match self.token {
            Token::Account if !field.text("workspaceId")?.is_some_and(is_foreign) => {
                Ok(wire::projects(&projects::all(self.world, self.now), self.faults))
            }
            Token::Account | Token::Project(_) => Err(Problem::NotAuthorized),
        }
    }

    fn project(&self, id: &str) -> Result<Project, Problem> {
        let found = projects::all(self.world, self.now).into_iter().find(|project| project.id == id);
        match &self.token {
            Token::Account => found.ok_or(Problem::NotFound("Project")),
            Token::Project(environment) => {
                found.filter(|project| project.id == environment.project.id).ok_or(Problem::NotAuthorized)
            }
        }
    }

    /// The environment of this id, if it exists and the token may see it.
    fn environment(&self, id: &str) -> Result<Environment, Problem> {
        let found = projects::environment(self.world, self.now, id);
        match &self.token {
            Token::Account => found.ok_or(Problem::NotFound("Environment")),
            Token::Project(environment) => {
                found.filter(|found| found.id == environment.id).ok_or(Problem::NotAuthorized)
            }
        }
    }

    fn metrics(&self, field: &Requested<'_>) -> Result<Value, Problem> {
        let (measurements, group_by) = (field.words("measurements")?, field.words("groupBy")?);
        if measurements.is_empty() {
            field.required("measurements")?;
        }
        let unknown = measurements
            .iter()
            .find(|word| !metrics::is_measurement(word))
            .or_else(|| group_by.iter().find(|word| !metrics::is_tag(word)));
        if let Some(word) = unknown {
            return Err(Problem::Invalid(format!("Value \"{word}\" does not exist in this enum.")));
        }
        let environments = match (field.text("environmentId")?, field.text("projectId")?) {
            (Some(id), _) => vec![self.environment(id)?],
            (None, Some(id)) => self.project(id)?.environments(),
            (None, None) => match field.text("workspaceId")? {
                Some(id) if id == projects::workspace(self.world) => {
                    projects::all(self.world, self.now).iter().flat_map(Project::environments).collect()
                }
                Some(_) | None => return Err(Problem::NotAuthorized),
            },
        };
        let query = metrics::Query {
            measurements,
            group_by,
            service: field.text("serviceId")?,
            start: time(field, "startDate")?.ok_or_else(|| missing("startDate"))?,
            end: time(field, "endDate")?.unwrap_or_else(|| floor(self.now)),
            step: field.number("sampleRateSeconds")?,
        };
        Ok(metrics::results(self.options, self.world, &environments, &query, self.now))
    }

    fn traffic(&self, field: &Requested<'_>) -> Result<(Environment, Service, Window), Problem> {
        let environment = self.environment(field.required("environmentId")?)?;
        let id = field.required("serviceId")?;
        let window = Window {
            start: time(field, "startDate")?.ok_or_else(|| missing("startDate"))?,
            end: time(field, "endDate")?.ok_or_else(|| missing("endDate"))?,
            step: field.number("stepSeconds")?.unwrap_or(60),
        };
        let services = environment.services(self.world, self.now);
        let service =
            services.into_iter().find(|service| service.uuid == id).ok_or(Problem::NotFound("Service"))?;
        Ok((environment, service, window))
    }
}

/// A time in RFC 3339, in seconds since the epoch.
fn time(field: &Requested<'_>, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = field.text(name)? else { return Ok(None) };
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| Problem::Invalid(format!("DateTime cannot represent an invalid {name}.")))?;
    Ok(Some(time.as_second()))
}

fn missing(name: &str) -> Problem {
    Problem::Invalid(format!("Argument \"{name}\" is required, but it was not provided."))
}
