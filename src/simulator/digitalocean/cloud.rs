//! A simulated DigitalOcean: which token may request what, and the response. Knows no connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::HOST;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::apps::{self, App, Index};
use super::limits::{LimitState, TokenLimits};
use super::metrics::{self, Window};
use super::options::DigitalOcean;
use super::problem::{self, Problem};
use super::route::{Metric, Route};
use super::sizes;
use super::wire;
use crate::simulator::accounts::Accounts;
use crate::simulator::faults::{ContentFaults, NameFormat};
use crate::simulator::numbers::floor;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{SimulatedCloud, Target};
use crate::simulator::request::{ApiRequest, Query};
use crate::simulator::response::ApiResponse;
use crate::simulator::world::World;

/// Apps on a page, unless the request says another number, and the most that it may say.
const PER_PAGE: usize = 20;
const MOST_PER_PAGE: usize = 200;

/// A cloud that runs.
pub(super) struct DigitalOceanCloud {
    options: DigitalOcean,
    accounts: Arc<Accounts>,
    scheme: &'static str,
    index: Index,
    /// By account.
    limits: Mutex<HashMap<usize, TokenLimits>>,
}

impl DigitalOceanCloud {
    pub(super) fn new(options: DigitalOcean, accounts: Arc<Accounts>, scheme: &'static str) -> Self {
        Self { options, accounts, scheme, index: Index::default(), limits: Mutex::default() }
    }
}

impl SimulatedCloud for DigitalOceanCloud {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let route = Route::of(request.path);
        let app = match &route {
            Route::App(id) | Route::Instances(id) | Route::Health(id) => Some(id.clone()),
            Route::Metric(_) => query(request).get("app_id").map(str::to_owned),
            Route::Apps | Route::Sizes | Route::Size(_) | Route::Unknown => None,
        };
        Target { operation: route.operation(), service: app.and_then(|id| self.index.name(&id)) }
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

    fn reported_error(&self, operation: &Operation) -> Option<Value> {
        let error = json!({ "status": "error", "data": { "resultType": "", "result": [] } });
        (operation.name == "metrics").then_some(error)
    }
}

impl DigitalOceanCloud {
    fn take(&self, account: usize, now: f64) -> LimitState {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || TokenLimits::new(self.options.hourly_limit, self.options.burst_limit);
        limits.entry(account).or_insert_with(new).take(now)
    }

    fn has_scope(&self, scope: &str) -> bool {
        self.options.scopes.iter().any(|one| one == scope)
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
        if !self.has_scope(route.scope()) {
            return Err(Problem::Forbidden);
        }
        let world = &self.accounts.get(account).ok_or(Problem::Unauthorized)?.world;
        let find = |id: &str| self.index.find(world, id, now).ok_or(Problem::NotFound);
        Ok(match &route {
            Route::Unknown => return Err(Problem::NotFound),
            Route::Apps => self.page(world, request, now, faults)?,
            Route::App(id) => json!({ "app": wire::app(&find(id)?, now, None, NameFormat::default()) }),
            Route::Instances(id) => wire::instances(&find(id)?, faults.names_of(0)),
            Route::Health(id) => wire::health(&find(id)?, now, faults.names_of(1)),
            Route::Sizes => {
                let sizes: Vec<Value> = sizes::LISTED.into_iter().map(sizes::object).collect();
                json!({ "discount_percent": 0.0, "instance_sizes": sizes })
            }
            Route::Size(slug) => {
                let size = sizes::LISTED.into_iter().find(|size| size.0 == slug).ok_or(Problem::NotFound)?;
                json!({ "instance_size": sizes::object(size) })
            }
            Route::Metric(metric) => self.metric(world, *metric, &query(request), now)?,
        })
    }

    fn metric(&self, world: &World, metric: Metric, query: &Query, now: f64) -> Result<Value, Problem> {
        let seconds = |name: &str| {
            let value: f64 = query.get(name)?.parse().ok()?;
            value.is_finite().then(|| floor(value))
        };
        let window = Window {
            start: seconds("start").ok_or(Problem::BadRequest("start is required"))?,
            end: seconds("end").ok_or(Problem::BadRequest("end is required"))?,
        };
        let id = query.get("app_id").ok_or(Problem::BadRequest("app_id is required"))?;
        let app = self.index.find(world, id, now).ok_or(Problem::NotFound)?;
        let component = query.get("app_component");
        Ok(metrics::matrix(&self.options, world, &app, metric, component, window, now))
    }

    fn page(
        &self,
        world: &World,
        request: &ApiRequest<'_>,
        now: f64,
        faults: ContentFaults,
    ) -> Result<Value, Problem> {
        let query = query(request);
        let number = |name: &str, default: usize| {
            query.get(name).map_or(Some(default), |text| text.parse().ok()).filter(|number| *number > 0)
        };
        let page = number("page", 1).ok_or(Problem::BadRequest("page is no number above 0"))?;
        let per_page = number("per_page", PER_PAGE)
            .filter(|number| *number <= MOST_PER_PAGE)
            .ok_or(Problem::BadRequest("per_page is no number from 1 to 200"))?;
        let with_projects = query.get("with_projects").is_some_and(|value| value == "true");
        if with_projects && !self.has_scope("project:read") {
            return Err(Problem::Forbidden);
        }
        let apps = apps::all(world, now);
        self.index.remember(&apps, world);
        let pages = apps.len().div_ceil(per_page).max(1);
        // With endless pages, those after the last repeat.
        let shown = if faults.endless_pages { (page - 1) % pages } else { page - 1 };
        let object = |(nth, app): (usize, &App)| {
            let project = with_projects.then(|| wire::project(app));
            wire::app(app, now, project, faults.names_of(nth))
        };
        let list: Vec<Value> =
            apps.iter().skip(shown * per_page).take(per_page).enumerate().map(object).collect();
        let link = |page: usize| self.link(request, page, per_page, with_projects);
        let mut links = Map::new();
        if page > 1 {
            links.insert("first".to_owned(), link(1).into());
            links.insert("prev".to_owned(), link(page - 1).into());
        }
        match page {
            _ if faults.endless_pages || page < pages => {
                links.insert("next".to_owned(), link(page + 1).into());
                links.insert("last".to_owned(), link(pages).into());
            }
            _ if faults.page_cycle => {
                links.insert("next".to_owned(), link(1).into());
            }
            _ => {}
        }
        let links = if links.is_empty() { json!({}) } else { json!({ "pages": links }) };
        Ok(json!({ "apps": list, "links": links, "meta": { "total": apps.len() } }))
    }

    /// The absolute URL of another page, at the host of the request.
    fn link(&self, request: &ApiRequest<'_>, page: usize, per_page: usize, with_projects: bool) -> String {
        let host =
            request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("api.digitalocean.com");
        let projects = if with_projects { "&with_projects=true" } else { "" };
        format!("{}://{host}{}?page={page}&per_page={per_page}{projects}", self.scheme, request.path)
    }
}

fn query(request: &ApiRequest<'_>) -> Query {
    Query::parse(request.query.unwrap_or_default().as_bytes())
}
