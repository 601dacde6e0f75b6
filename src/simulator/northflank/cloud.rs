//! A simulated Northflank: which token may request what, and the response. Knows no connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::limits::{LimitState, TokenLimit};
use super::metrics::{self, Wanted};
use super::options::Northflank;
use super::plans;
use super::problem::{self, Problem};
use super::projects::{self, BUILDER};
use super::route::{Resource, Route};
use super::wire;
use crate::simulator::accounts::Accounts;
use crate::simulator::faults::ContentFaults;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{SimulatedCloud, Target};
use crate::simulator::request::{ApiRequest, Query};
use crate::simulator::response::ApiResponse;
use crate::simulator::world::{Service, World};

/// Entries on a page, unless the request says another number, and the most that it may say.
const PER_PAGE: usize = 50;
const MOST_PER_PAGE: usize = 100;

/// A cloud that runs.
pub(super) struct NorthflankCloud {
    options: Northflank,
    accounts: Arc<Accounts>,
    /// By account.
    limits: Mutex<HashMap<usize, TokenLimit>>,
}

/// What a request is answered from.
struct Context<'a> {
    world: &'a World,
    query: Query,
    now: f64,
    faults: ContentFaults,
}

impl NorthflankCloud {
    pub(super) fn new(options: Northflank, accounts: Arc<Accounts>) -> Self {
        Self { options, accounts, limits: Mutex::default() }
    }
}

impl SimulatedCloud for NorthflankCloud {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let Route { resource, .. } = Route::of(request.path);
        let service = resource.service().map(|id| wire::usual(id).to_owned());
        Target { operation: resource.operation(), service }
    }

    fn respond(&self, request: &ApiRequest<'_>, now: f64, faults: ContentFaults) -> ApiResponse {
        let route = Route::of(request.path);
        let Some(account) = self.accounts.sessions.by_bearer(request.headers) else {
            // The plans are for everybody.
            let is_public = route.resource == Resource::Plans && request.method == Method::GET;
            return if is_public {
                ApiResponse::json(StatusCode::OK, &all_plans())
            } else {
                Problem::Unauthorized.response()
            };
        };
        let state = self.take(account, now);
        if state.refused {
            return state.refusal(&self.options);
        }
        let response = self
            .dispatch(account, &route, request, now, faults)
            .map_or_else(Problem::response, |value| ApiResponse::json(StatusCode::OK, &value));
        state.on(response, &self.options)
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

impl NorthflankCloud {
    fn take(&self, account: usize, now: f64) -> LimitState {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(account).or_insert_with(|| TokenLimit::new(self.options.hourly_limit)).take(now)
    }

    fn dispatch(
        &self,
        account: usize,
        route: &Route,
        request: &ApiRequest<'_>,
        now: f64,
        faults: ContentFaults,
    ) -> Result<Value, Problem> {
        let world = &*self.accounts.get(account).ok_or(Problem::Unauthorized)?.world;
        let is_own = route.team.as_ref().is_none_or(|team| *team == world.settings().namespace);
        if route.resource == Resource::Unknown || !is_own {
            return Err(Problem::NotFound);
        }
        if request.method != Method::GET {
            return Err(Problem::Method);
        }
        if !route.resource.permission().is_none_or(|one| self.options.permissions.contains(&one)) {
            return Err(Problem::Forbidden);
        }
        let query = Query::parse(request.query.unwrap_or_default().as_bytes());
        self.resource(&route.resource, &Context { world, query, now, faults })
    }

    fn resource(&self, resource: &Resource, context: &Context<'_>) -> Result<Value, Problem> {
        let Context { world, query, now, faults } = context;
        let find = |project: &str, service: &str| {
            projects::service(world, project, wire::usual(service), *now).ok_or(Problem::NotFound)
        };
        let is_builder =
            |project: &str, service: &str| service == BUILDER && projects::exists(world, project, *now);
        Ok(match resource {
            Resource::Unknown => return Err(Problem::NotFound),
            Resource::Plans => all_plans(),
            Resource::Projects => {
                let ids = projects::all(world, *now);
                context.page("projects", ids.len(), |nth| wire::project(&ids[nth]))?
            }
            Resource::Services(project) => {
                if !projects::exists(world, project, *now) {
                    return Err(Problem::NotFound);
                }
                let services: Vec<Service> = projects::services(world, project, *now);
                // What only builds is somewhere among the others.
                let place = services.len().min(1);
                let object = |nth: usize| match nth.cmp(&place) {
                    std::cmp::Ordering::Equal => wire::builder(world, project),
                    order => {
                        let nth = nth - usize::from(order.is_gt());
                        wire::service(project, &services[nth], faults.names_of(nth))
                    }
                };
                context.page("services", services.len() + 1, object)?
            }
            Resource::Service(project, service) if is_builder(project, service) => {
                json!({ "data": wire::builder_details(world, project) })
            }
            Resource::Service(project, service) => {
                json!({ "data": wire::details(project, &find(project, service)?, &self.options) })
            }
            Resource::Containers(project, service) => {
                let list = if is_builder(project, service) {
                    Vec::new()
                } else {
                    let service = find(project, service)?;
                    wire::containers(world, project, &service, &self.options, *now, *faults)
                };
                context.page("containers", list.len(), |nth| list[nth].clone())?
            }
            Resource::Metrics(project, service) => {
                let wanted = Wanted::of(query, &self.options, *now)?;
                if !is_builder(project, service) {
                    find(project, service)?;
                }
                let place = (project.as_str(), wire::usual(service));
                json!({ "data": metrics::answer(world, place, &wanted, &self.options) })
            }
        })
    }
}

impl Context<'_> {
    /// A page of a list of so many entries, as the query wants it.
    fn page(&self, name: &str, entries: usize, object: impl Fn(usize) -> Value) -> Result<Value, Problem> {
        let number = |name: &str, default: usize| {
            self.query.get(name).map_or(Some(default), |text| text.parse().ok()).filter(|number| *number > 0)
        };
        let per_page = number("per_page", PER_PAGE)
            .filter(|number| *number <= MOST_PER_PAGE)
            .ok_or(Problem::BadRequest("per_page is no number from 1 to 100"))?;
        let page = number("page", 1).ok_or(Problem::BadRequest("page is no number above 0"))?;
        let first = match self.query.get("cursor") {
            Some(cursor) => place(cursor).ok_or(Problem::BadRequest("cursor is not one of a page before"))?,
            None => (page - 1).saturating_mul(per_page),
        };
        // With endless pages, those after the last repeat.
        let shown = if self.faults.endless_pages && first >= entries { 0 } else { first };
        let list: Vec<Value> = (shown..entries.min(shown.saturating_add(per_page))).map(object).collect();
        let next = match first.saturating_add(per_page) {
            next if next < entries || self.faults.endless_pages => Some(next),
            _ if self.faults.page_cycle => Some(0),
            _ => None,
        };
        let mut pagination = json!({ "hasNextPage": next.is_some(), "count": list.len() });
        if let Some(next) = next {
            pagination["cursor"] = cursor(next).into();
        }
        Ok(json!({ "data": { name: list }, "pagination": pagination }))
    }
}

fn all_plans() -> Value {
    let plans: Vec<Value> = plans::LISTED.into_iter().map(plans::object).collect();
    json!({ "data": { "plans": plans } })
}

/// The cursor of the page that begins at a place. What it says is for the API alone.
fn cursor(place: usize) -> String {
    format!("nf{:08x}", place ^ 0x5a5a_5a5a)
}

fn place(cursor: &str) -> Option<usize> {
    Some(usize::from_str_radix(cursor.strip_prefix("nf")?, 16).ok()? ^ 0x5a5a_5a5a)
}
