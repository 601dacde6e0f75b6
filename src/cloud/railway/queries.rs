//! The queries, and the bodies that carry them. Pure.
//!
//! A query that the API's schema does not fit fails as a whole, so the inventory, the measurements and the HTTP traffic have
//! one each.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::cost::{PROJECTS_PER_PAGE, SERVICES_PER_PAGE};
use super::usage::{Measured, RESOLUTION};
use crate::cloud::http::RequestBody;

const PROJECTS: &str =
    "query Projects($workspaceId: String, $isEphemeral: Boolean, $first: Int, $after: String) {
  projects(workspaceId: $workspaceId, first: $first, after: $after) {
    edges { node {
      id name
      environments(isEphemeral: $isEphemeral, first: $first) {
        edges { node { id name } }
        pageInfo { hasNextPage endCursor }
      }
    } }
    pageInfo { hasNextPage endCursor }
  }
}";

const ENVIRONMENTS: &str =
    "query Environments($projectId: String!, $isEphemeral: Boolean, $first: Int, $after: String) {
  environments(projectId: $projectId, isEphemeral: $isEphemeral, first: $first, after: $after) {
    edges { node { id name } }
    pageInfo { hasNextPage endCursor }
  }
}";

const PROJECT_TOKEN: &str = "query ProjectToken {
  projectToken { project { id name } environment { id name } }
}";

const ENVIRONMENT: &str = "query Environment($id: String!, $projectId: String, $first: Int, $after: String) {
  environment(id: $id, projectId: $projectId) {
    serviceInstances(first: $first, after: $after) {
      edges { node {
        serviceId serviceName numReplicas region cronSchedule
        source { image }
        domains { serviceDomains { id } customDomains { id } }
        latestDeployment { status }
        activeDeployments { createdAt instances { id status } }
      } }
      pageInfo { hasNextPage endCursor }
    }
  }
}";

const METRICS: &str = "query Metrics($environmentId: String, $startDate: DateTime!, $sampleRateSeconds: Int,
    $measurements: [MetricMeasurement!]!, $groupBy: [MetricTag!]) {
  metrics(environmentId: $environmentId, startDate: $startDate, sampleRateSeconds: $sampleRateSeconds,
      measurements: $measurements, groupBy: $groupBy) {
    measurement
    tags { deploymentInstanceId region }
    values { ts value }
  }
}";

/// What `first` and `after` select of a list, and whether environments of pull requests are in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    pub(super) after: Option<&'a str>,
    pub(super) preview_environments: bool,
}

impl Selection<'_> {
    fn add_to(self, variables: &mut Map<String, Value>) {
        variables.insert("first".to_owned(), PROJECTS_PER_PAGE.into());
        if !self.preview_environments {
            variables.insert("isEphemeral".to_owned(), false.into());
        }
        add(variables, "after", self.after);
    }
}

/// A page of the projects of a workspace, or of those that the token lists by itself, with their environments.
pub(super) fn projects(workspace: Option<&str>, selection: Selection<'_>) -> RequestBody {
    let mut variables = Map::new();
    add(&mut variables, "workspaceId", workspace);
    selection.add_to(&mut variables);
    body(PROJECTS, variables)
}

/// A further page of the environments of a project.
pub(super) fn environments(project: &str, selection: Selection<'_>) -> RequestBody {
    let mut variables = Map::new();
    add(&mut variables, "projectId", Some(project));
    selection.add_to(&mut variables);
    body(ENVIRONMENTS, variables)
}

/// The project and the environment of a project token.
pub(super) fn project_token() -> RequestBody {
    body(PROJECT_TOKEN, Map::new())
}

/// A page of the services of an environment.
pub(super) fn environment(id: &str, project: &str, after: Option<&str>) -> RequestBody {
    let mut variables = Map::new();
    add(&mut variables, "id", Some(id));
    add(&mut variables, "projectId", Some(project));
    variables.insert("first".to_owned(), SERVICES_PER_PAGE.into());
    add(&mut variables, "after", after);
    body(ENVIRONMENT, variables)
}

/// The measurements of all instances of an environment from `start` (since the epoch) on.
pub(super) fn metrics(environment: &str, start: Duration) -> RequestBody {
    let measurements: Vec<&str> = Measured::ALL.iter().map(|measured| measured.name()).collect();
    let variables = json!({
        "environmentId": environment,
        "startDate": date_time(start),
        "sampleRateSeconds": RESOLUTION,
        "measurements": measurements,
        "groupBy": ["SERVICE_ID", "DEPLOYMENT_INSTANCE_ID", "REGION"],
    });
    body(METRICS, variables)
}

/// The HTTP requests and durations of these services, two fields each: `r0` and `d0`, `r1` and `d1`…
pub(super) fn http(environment: &str, services: &[String], start: Duration, end: Duration) -> RequestBody {
    let mut variables = Map::new();
    add(&mut variables, "environmentId", Some(environment));
    variables.insert("startDate".to_owned(), date_time(start).into());
    variables.insert("endDate".to_owned(), date_time(end).into());
    variables.insert("stepSeconds".to_owned(), RESOLUTION.into());
    let mut query =
        "query Http($environmentId: String!, $startDate: DateTime!, $endDate: DateTime!, $stepSeconds: Int"
            .to_owned();
    let mut fields = String::new();
    for (number, service) in services.iter().enumerate() {
        add(&mut variables, &format!("s{number}"), Some(service));
        let arguments = format!(
            "serviceId: $s{number}, environmentId: $environmentId, startDate: $startDate, endDate: $endDate, stepSeconds: $stepSeconds"
        );
        // Writing to a String never fails.
        let _ = write!(query, ", $s{number}: String!");
        let _ = write!(
            fields,
            "\n  r{number}: httpMetricsGroupedByStatus({arguments}) {{ statusCode samples {{ ts value }} }}\
             \n  d{number}: httpDurationMetrics({arguments}) {{ samples {{ ts p50 p90 p95 p99 }} }}"
        );
    }
    let _ = write!(query, ") {{{fields}\n}}");
    body(&query, variables)
}

fn add(variables: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        variables.insert(name.to_owned(), value.into());
    }
}

fn body(query: &str, variables: impl Into<Value>) -> RequestBody {
    let body = json!({ "query": query, "variables": variables.into() });
    RequestBody::Json(Bytes::from(body.to_string()))
}

/// A time since the epoch as the API takes it: RFC 3339, to the second.
fn date_time(time: Duration) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    // The clock would have to be thousands of years ahead; the API refuses an empty text.
    jiff::Timestamp::from_second(second).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: RequestBody) -> Value {
        let (RequestBody::Json(bytes) | RequestBody::Form(bytes)) = body;
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn environments_of_pull_requests_are_left_out_unless_they_are_wanted() {
        let selection = |preview_environments| Selection { after: None, preview_environments };
        let sent = |preview| sent(projects(Some("w1"), selection(preview)))["variables"].clone();
        assert_eq!(sent(false), json!({"workspaceId": "w1", "first": 100, "isEphemeral": false}));
        assert_eq!(sent(true), json!({"workspaceId": "w1", "first": 100}), "null would be a value");
    }

    #[test]
    fn what_names_something_is_a_variable_and_never_a_part_of_the_query() {
        let evil = "x\") { me { email } } #";
        let selection = Selection { after: Some(evil), preview_environments: false };
        for body in [
            projects(Some(evil), selection),
            environments(evil, selection),
            environment(evil, evil, Some(evil)),
            metrics(evil, Duration::ZERO),
            http(evil, &[evil.to_owned()], Duration::ZERO, Duration::ZERO),
        ] {
            let sent = sent(body);
            assert!(!sent["query"].as_str().unwrap().contains("email"), "{sent}");
            assert!(sent["variables"].as_object().unwrap().values().any(|value| value == evil));
        }
    }

    #[test]
    fn the_measurements_of_all_instances_of_an_environment_are_one_query() {
        let sent = sent(metrics("e1", Duration::from_secs(1_772_000_000)));
        assert_eq!(
            sent["variables"],
            json!({
                "environmentId": "e1", "startDate": "2026-02-25T06:13:20Z", "sampleRateSeconds": 60,
                "measurements": ["CPU_USAGE", "MEMORY_USAGE_GB", "EPHEMERAL_DISK_USAGE_GB", "CPU_LIMIT", "MEMORY_LIMIT_GB"],
                "groupBy": ["SERVICE_ID", "DEPLOYMENT_INSTANCE_ID", "REGION"],
            })
        );
    }

    #[test]
    fn several_services_share_one_query_for_their_http_traffic() {
        let services = ["a", "b"].map(str::to_owned);
        let sent = sent(http("e1", &services, Duration::from_secs(60), Duration::from_secs(120)));
        let query = sent["query"].as_str().unwrap();
        for field in
            ["r0: httpMetricsGroupedByStatus(serviceId: $s0,", "d1: httpDurationMetrics(serviceId: $s1,"]
        {
            assert!(query.contains(field), "{query}");
        }
        assert_eq!(
            (&sent["variables"]["s1"], &sent["variables"]["endDate"]),
            (&json!("b"), &json!("1970-01-01T00:02:00Z"))
        );
    }
}
