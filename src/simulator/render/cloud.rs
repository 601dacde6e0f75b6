//! A simulated Render: which key may request what, and the response. Knows no connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};
use serde_json::Value;

use super::inventory::{self, Index};
use super::limit::{LimitState, UserLimit};
use super::metrics::{self, Question};
use super::options::{Render, UnknownResource};
use super::pages::PageRequest;
use super::problem::{self, Problem};
use super::route::{Metric, Route};
use super::wire::{self, Entry};
use crate::simulator::accounts::Accounts;
use crate::simulator::faults::{ContentFaults, NameFormat};
use crate::simulator::numbers::floor;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{SimulatedCloud, Target};
use crate::simulator::request::{ApiRequest, Query};
use crate::simulator::response::ApiResponse;
use crate::simulator::world::{Service, World};

/// Seconds from one point to the next, unless the request says another number, and the least that it may say.
const RESOLUTION: i64 = 60;
const LEAST_RESOLUTION: i64 = 30;
/// How far back metrics go.
const OLDEST: i64 = 30 * 24 * 60 * 60;

/// A cloud that runs.
pub(super) struct RenderCloud {
    options: Render,
    accounts: Arc<Accounts>,
    index: Index,
    /// By account: each is a user's.
    limits: Mutex<HashMap<usize, UserLimit>>,
}

impl RenderCloud {
    pub(super) fn new(options: Render, accounts: Arc<Accounts>) -> Self {
        Self { options, accounts, index: Index::default(), limits: Mutex::default() }
    }
}

impl SimulatedCloud for RenderCloud {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let route = Route::of(request.path);
        let service = match &route {
            Route::Service(id) | Route::Instances(id) => self.index.name(id),
            _ => None,
        };
        Target { operation: route.operation(), service }
    }

    fn respond(&self, request: &ApiRequest<'_>, now: f64, faults: ContentFaults) -> ApiResponse {
        let Some(account) = self.accounts.sessions.by_bearer(request.headers) else {
            return Problem::Unauthorized.response();
        };
        let state = self.take(account, now);
        if state.refused {
            return state.refusal();
        }
        let response = self
            .dispatch(account, request, now, faults)
            .map_or_else(Problem::response, |value| ApiResponse::json(StatusCode::OK, &value));
        state.on(response)
    }

    fn refuse(&self, status: StatusCode, message: &str) -> ApiResponse {
        problem::refusal(status, message)
    }

    fn wrong_json(&self, operation: &Operation) -> Value {
        wire::wrong(operation.name)
    }

    fn deep_json(&self, operation: &Operation, nested: &str) -> String {
        wire::nested(operation.name, nested)
    }
}

impl RenderCloud {
    fn take(&self, account: usize, now: f64) -> LimitState {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(account).or_insert_with(|| UserLimit::new(&self.options)).take(&self.options, now)
    }

    fn dispatch(
        &self,
        account: usize,
        request: &ApiRequest<'_>,
        now: f64,
        faults: ContentFaults,
    ) -> Result<Value, Problem> {
        let route = Route::of(request.path);
        if route == Route::Unknown {
            return Err(Problem::NotFound);
        }
        if request.method != Method::GET {
            return Err(Problem::Method);
        }
        let world = &self.accounts.get(account).ok_or(Problem::Unauthorized)?.world;
        let query = Query::parse(request.query.unwrap_or_default().as_bytes());
        let find = |id: &str| {
            let service = self.index.find(world, id, now).map(Entry::Service);
            service.or_else(|| other(world, id, now)).ok_or(Problem::NotFound)
        };
        match &route {
            Route::Unknown => Err(Problem::NotFound),
            Route::Services => self.services(world, &query, now, faults),
            Route::Service(id) => Ok(find(id)?.object(world, now, NameFormat::default())),
            Route::Instances(id) => Ok(wire::instances(&find(id)?, now)),
            Route::Owners => {
                let owners = [true, false].map(|with_project| inventory::workspace(world, with_project));
                let page = PageRequest::of(&query)?;
                Ok(page.answer(&owners, "owner", faults, |_, id| wire::owner(world, id)))
            }
            Route::Projects => {
                let environments = inventory::environments(world, now);
                let mut projects: Vec<&str> = environments.iter().map(|one| one.project).collect();
                projects.dedup();
                if !is_wanted(&query, "ownerId", &inventory::workspace(world, true)) {
                    projects.clear();
                }
                let object = |_: usize, name: &&str| wire::project(world, name, &environments);
                Ok(PageRequest::of(&query)?.answer(&projects, "project", faults, object))
            }
            Route::Environments => {
                if query.all("projectId").next().is_none() {
                    return Err(Problem::BadRequest("projectId is required"));
                }
                let mut environments = inventory::environments(world, now);
                environments
                    .retain(|one| is_wanted(&query, "projectId", &inventory::id(world, "prj", one.project)));
                let services: Vec<Service> = world.services(now).collect();
                let object =
                    |_: usize, one: &inventory::Environment| wire::environment(world, one, &services);
                Ok(PageRequest::of(&query)?.answer(&environments, "environment", faults, object))
            }
            Route::Metric(metric) => self.metric(world, *metric, &query, now),
        }
    }

    fn services(
        &self,
        world: &World,
        query: &Query,
        now: f64,
        faults: ContentFaults,
    ) -> Result<Value, Problem> {
        let page = PageRequest::of(query)?;
        let services: Vec<Service> = world.services(now).collect();
        self.index.remember(services.iter());
        let mut entries: Vec<Entry> = services.into_iter().map(Entry::Service).collect();
        entries.extend(others(world, now));
        // They are there unless they are not wanted.
        if query.get("includePreviews") == Some("false") {
            entries.retain(|entry| !matches!(entry, Entry::Preview(_)));
        }
        entries.retain(|entry| {
            let suspended = if entry.is_suspended() { "suspended" } else { "not_suspended" };
            is_wanted(query, "ownerId", &entry.workspace(world))
                && is_wanted(query, "type", entry.kind().word())
                && is_wanted(query, "suspended", suspended)
        });
        let object = |nth: usize, entry: &Entry| entry.object(world, now, faults.names_of(nth));
        Ok(page.answer(&entries, "service", faults, object))
    }

    fn metric(&self, world: &World, metric: Metric, query: &Query, now: f64) -> Result<Value, Problem> {
        if self.options.deny_metrics {
            return Err(Problem::Forbidden);
        }
        let time = |name: &str, default: i64| match query.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse::<jiff::Timestamp>()
                .map(jiff::Timestamp::as_second)
                .map_err(|_| Problem::BadRequest("invalid filter parameter")),
        };
        let resolution = query.get("resolutionSeconds").map_or(Some(RESOLUTION), |text| text.parse().ok());
        let resolution = resolution
            .filter(|seconds| *seconds >= LEAST_RESOLUTION)
            .ok_or(Problem::BadRequest("resolutionSeconds must be at least 30"))?;
        let quantiles: Option<Vec<f64>> = query.all("quantile").map(|text| text.parse().ok()).collect();
        let quantiles = quantiles.ok_or(Problem::BadRequest("invalid quantile"))?;
        let by_code = match query.get("aggregateBy") {
            None | Some("host") => false,
            Some("statusCode") => true,
            Some(_) => return Err(Problem::BadRequest("invalid aggregateBy")),
        };
        let end = time("endTime", floor(now))?;
        let start = time("startTime", end - 3600)?;
        if start < floor(now) - OLDEST {
            return Err(Problem::BadRequest("startTime must be within the last 30 days"));
        }
        let question = Question { metric, start, end, resolution, by_code, quantiles: &quantiles };
        let resources: Vec<&str> = query.all("resource").collect();
        if resources.is_empty() {
            return Err(Problem::BadRequest("resource is required"));
        }
        if self.options.most_resources > 0 && resources.len() > self.options.most_resources {
            return Err(Problem::BadRequest("too many resources"));
        }
        if resources.len() * question.points(now) > self.options.most_points {
            return Err(Problem::TooManyPoints);
        }
        let mut series = Vec::new();
        for id in resources {
            match self.index.key(world, id, now) {
                Some((name, application)) => {
                    let service = (id, name.as_str(), application.as_deref());
                    series.extend(metrics::series(&self.options, world, service, question, now));
                }
                None if other(world, id, now).is_some() => {}
                None if self.options.unknown_resource == UnknownResource::NotFound => {
                    return Err(Problem::NotFound);
                }
                None => {}
            }
        }
        Ok(series.into())
    }
}

/// What the list has besides the services of the world: a static site, and the preview of a web service.
fn others(world: &World, now: f64) -> Vec<Entry> {
    let preview = world.services(now).find(|one| inventory::kind(one) == inventory::Kind::Web);
    std::iter::once(Entry::StaticSite).chain(preview.map(Entry::Preview)).collect()
}

fn other(world: &World, id: &str, now: f64) -> Option<Entry> {
    others(world, now).into_iter().find(|entry| entry.id(world) == id)
}

/// Whether a filter lets this value pass: one of its values, or none is given.
fn is_wanted(query: &Query, name: &str, value: &str) -> bool {
    query.all(name).next().is_none() || query.all(name).any(|wanted| wanted == value)
}
