//! One request a cycle: the project's services, with their instances and all measurements.

use std::collections::BTreeMap;
use std::sync::Arc;

use caas_operator::cloud::error::AnswerProblem;
use caas_operator::cloud::http::{AccountClient, ApiRequest};
use caas_operator::cloud::kit::path;
use caas_operator::cloud::model::{
    Instance, InstanceFacts, Limits, Measurement, Reading, Sample, Scale, Service, ServiceFacts, State,
};
use caas_operator::cloud::{Cloud, CloudError, Collection, ServiceFilter};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Project;

const LARGEST_LIST: usize = 1 << 20;

pub(super) struct Client {
    pub(super) project: Project,
    pub(super) client: AccountClient,
}

#[derive(Deserialize)]
struct List {
    services: Vec<Ship>,
}

#[derive(Deserialize)]
struct Ship {
    id: String,
    fleet: String,
    name: String,
    phase: String,
    crew: Vec<Sailor>,
    requests: BTreeMap<String, f64>,
    at: f64,
}

#[derive(Deserialize)]
struct Sailor {
    id: String,
    cores: f64,
    bytes: f64,
    most_cores: f64,
    most_bytes: f64,
}

impl Cloud for Client {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        async move {
            let url =
                path::below(&self.project.endpoint, &format!("projects/{}/services", self.project.name));
            let mut request = ApiRequest::new("services", url, LARGEST_LIST);
            let mut token = HeaderValue::from_str(self.project.token.expose_secret())
                .map_err(|_| CloudError::LoginRejected)?;
            token.set_sensitive(true);
            request.headers.insert(HeaderName::from_static("project-token"), token);
            let parse = |body: &[u8]| serde_json::from_slice::<List>(body).map_err(|_| AnswerProblem::Shape);
            let list = match self.client.fetch(&request, parse).await {
                Err(CloudError::Status(401)) => return Err(CloudError::LoginRejected),
                list => list?,
            };
            let services = list.services.into_iter().filter(|ship| filter.wants(&ship.name)).map(service);
            Ok(Collection { services: services.collect(), ..Collection::default() })
        }
        .boxed()
    }
}

fn service(ship: Ship) -> Service {
    let mut requests = Sample::builder();
    for (code, rate) in &ship.requests {
        requests.add_labeled(Measurement::ServiceHttpRequests, code, Scale::Base, *rate, ship.at);
    }
    let instance = |(number, sailor): (usize, Sailor)| {
        let limits = Limits {
            cpu_cores: Some(sailor.most_cores),
            memory_bytes: Some(sailor.most_bytes),
            ..Limits::default()
        };
        let overrides = caas_operator::cloud::model::Overrides { limits, ..Default::default() };
        let sample = Sample::at(
            ship.at,
            &[
                (Measurement::CpuUsageCores, Scale::Base, sailor.cores),
                (Measurement::MemoryUsage, Scale::Base, sailor.bytes),
            ],
        );
        Instance {
            facts: Arc::new(InstanceFacts {
                name: format!("{}-{number}", ship.name),
                id: sailor.id,
                overrides: Some(Box::new(overrides)),
                ..InstanceFacts::default()
            }),
            reading: Reading::measured(sample),
        }
    };
    let running = i64::try_from(ship.crew.len()).unwrap_or(i64::MAX);
    let instances = ship.crew.into_iter().enumerate().map(instance).collect();
    Service {
        facts: Arc::new(ServiceFacts {
            state: Some(if ship.phase == "sailing" { State::Running } else { State::Stopped }),
            name: ship.name,
            application: Some(ship.fleet),
            id: Some(ship.id),
            status: Some(ship.phase),
            running_instances: Some(running),
            ..ServiceFacts::default()
        }),
        reading: Reading::measured(requests.build()),
        instances: Ok(instances),
    }
}
