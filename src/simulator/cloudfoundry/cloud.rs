//! A simulated installation: which user may request what, and the response. Knows no connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{HOST, HeaderName};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::inventory::{self, Place, Process};
use super::limit::Limiter;
use super::options::CloudFoundry;
use super::problem::{self, Problem};
use super::route::Route;
use super::uaa::Uaa;
use super::wire::{self, Page};
use crate::simulator::accounts::Accounts;
use crate::simulator::faults::ContentFaults;
use crate::simulator::operation::Operation;
use crate::simulator::provider::{SimulatedCloud, Target};
use crate::simulator::request::{ApiRequest, Query};
use crate::simulator::response::ApiResponse;
use crate::simulator::world::{Service, World};

/// The most entries that a client may request on a page, and how many it gets where it requests none.
const MOST_PER_PAGE: usize = 5000;
const PER_PAGE: usize = 50;

/// An installation that runs.
pub(super) struct Installation {
    options: CloudFoundry,
    accounts: Arc<Accounts>,
    scheme: &'static str,
    limiter: Limiter,
    /// Name and application of the service behind a guid, so that one is found without building all.
    names: Mutex<HashMap<String, (String, Option<String>)>>,
}

/// What a request is answered from.
struct Context<'a> {
    world: &'a World,
    query: Query,
    /// The address of the API.
    base: String,
    path: &'a str,
    now: f64,
    faults: ContentFaults,
}

impl Installation {
    pub(super) fn new(options: CloudFoundry, accounts: Arc<Accounts>, scheme: &'static str) -> Self {
        Self { options, accounts, scheme, limiter: Limiter::default(), names: Mutex::default() }
    }

    fn uaa(&self) -> Uaa<'_> {
        Uaa { options: &self.options, accounts: &self.accounts }
    }

    fn base(&self, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", self.scheme)
    }

    fn dispatch(
        &self,
        request: &ApiRequest<'_>,
        now: f64,
        faults: ContentFaults,
    ) -> Result<ApiResponse, Problem> {
        let route = Route::of(request.path);
        if route == Route::Unknown || !route.takes(request.method) {
            return Err(Problem::Unknown);
        }
        let base = self.base(request.headers);
        match route {
            Route::Root => {
                let login = self.options.login_url.as_deref().unwrap_or(&base);
                return Ok(ApiResponse::json(StatusCode::OK, &wire::root(&base, login)));
            }
            Route::Login => return self.uaa().log_in(request, now),
            _ => {}
        }
        let user = self.uaa().authenticate(request.headers, now)?;
        let left = self.options.rate_limit.map(|limit| self.limiter.count(user, limit, now));
        let response = if let Some(left) = left.filter(|left| left.is_exceeded()) {
            left.refusal(now)
        } else {
            let account = self.accounts.get(user).ok_or(Problem::BadToken)?;
            let query = Query::parse(request.query.unwrap_or_default().as_bytes());
            let world = &*account.world;
            let context = Context { world, query, base, path: request.path, now, faults };
            self.resource(&route, &context).unwrap_or_else(Problem::response)
        };
        Ok(match left {
            Some(left) => left.add_to(response),
            None => response,
        })
    }

    fn resource(&self, route: &Route, context: &Context<'_>) -> Result<ApiResponse, Problem> {
        let Context { world, base, now, .. } = context;
        let ok = |value: &Value| Ok(ApiResponse::json(StatusCode::OK, value));
        match route {
            Route::Root | Route::Login | Route::Unknown => Err(Problem::Unknown),
            Route::Organizations => {
                let organization = inventory::organization(world);
                let is_wanted =
                    context.lists("names", &organization.name) && context.lists("guids", &organization.guid);
                let all: Vec<Value> =
                    is_wanted.then(|| wire::organization(&organization, base)).into_iter().collect();
                self.page(context, all.len(), |place, _| all[place].clone(), |_| None)
            }
            Route::Spaces => {
                let organization = inventory::organization(world);
                let spaces: Vec<Value> = spaces(world, *now)
                    .iter()
                    .filter(|space| {
                        context.lists("names", &space.name) && context.lists("guids", &space.guid)
                    })
                    .filter(|_| context.lists("organization_guids", &organization.guid))
                    .map(|space| wire::space(space, &organization, base))
                    .collect();
                self.page(context, spaces.len(), |place, _| spaces[place].clone(), |_| None)
            }
            Route::Organization(guid) => {
                let organization = inventory::organization(world);
                let is_it = organization.guid == *guid;
                if is_it {
                    ok(&wire::organization(&organization, base))
                } else {
                    Err(Problem::NotFound("Organization"))
                }
            }
            Route::Space(guid) => {
                let space = spaces(world, *now).into_iter().find(|space| space.guid == *guid);
                let space = space.ok_or(Problem::NotFound("Space"))?;
                ok(&wire::space(&space, &inventory::organization(world), base))
            }
            Route::Apps => {
                let apps = self.apps(context);
                let app = |place: usize, suffix: &str| {
                    let app = &apps[place];
                    wire::app(app, &inventory::space(world, app), base, suffix)
                };
                self.page(context, apps.len(), app, |places| included(context, &apps[places]))
            }
            Route::App(guid) => {
                let app = self.find(guid, context).ok_or(Problem::NotFound("App"))?;
                ok(&wire::app(&app, &inventory::space(world, &app), base, ""))
            }
            Route::Processes => {
                let apps = self.apps(context);
                let processes: Vec<Process<'_>> =
                    apps.iter().flat_map(inventory::processes).filter(|one| context.wants(one)).collect();
                let process = |place: usize, _: &str| wire::process(&processes[place], base);
                self.page(context, processes.len(), process, |_| None)
            }
            Route::ProcessesOf(guid) => {
                let app = self.find(guid, context).ok_or(Problem::NotFound("App"))?;
                let processes = inventory::processes(&app);
                self.page(context, 2, |place, _| wire::process(&processes[place], base), |_| None)
            }
            Route::Process(guid) | Route::Stats(guid) => {
                let app = self.find(guid, context).ok_or(Problem::NotFound("Process"))?;
                let process = inventory::processes(&app).into_iter().find(|process| process.guid == *guid);
                let process = process.ok_or(Problem::NotFound("Process"))?;
                if matches!(route, Route::Process(_)) {
                    return ok(&wire::process(&process, base));
                }
                let states = process.states(*now, self.options.crashed);
                let body = wire::stats(&process, &states, &self.options, *now);
                let response = ApiResponse::json(StatusCode::OK, &body);
                if !self.options.log_cache_down {
                    return Ok(response);
                }
                let warning = "Stats%20server%20temporarily%20unavailable.";
                Ok(response.header(HeaderName::from_static("x-cf-warnings"), warning))
            }
        }
    }

    /// The applications that the query selects.
    fn apps(&self, context: &Context<'_>) -> Vec<Service> {
        let organization = inventory::organization(context.world);
        let is_wanted = |app: &Service| {
            let selector = context.query.get("label_selector").filter(|_| context.path.ends_with("/apps"));
            context.lists("space_guids", &inventory::space(context.world, app).guid)
                && context.lists("organization_guids", &organization.guid)
                && context.lists("app_guids", &app.uuid)
                && (context.path.ends_with("/processes")
                    || (context.lists("guids", &app.uuid) && context.lists("names", &app.name)))
                && selector.is_none_or(|selector| inventory::selects(selector, &inventory::labels(app)))
        };
        let apps: Vec<Service> = context.world.services(context.now).filter(is_wanted).collect();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for app in &apps {
            for process in inventory::processes(app) {
                names.insert(process.guid, (app.name.clone(), app.application.clone()));
            }
        }
        apps
    }

    /// The application of this guid, or with a process of it.
    fn find(&self, guid: &str, context: &Context<'_>) -> Option<Service> {
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(guid).cloned();
        let has_guid = |app: &Service| inventory::processes(app).iter().any(|process| process.guid == guid);
        match known {
            Some((name, application)) => {
                context.world.service(context.now, &name, application.as_deref()).filter(has_guid)
            }
            None => context.world.services(context.now).find(has_guid),
        }
    }

    /// The page of a list of `total` entries that the query names. `entry` builds one, given what a fault appends to its
    /// name.
    fn page(
        &self,
        context: &Context<'_>,
        total: usize,
        entry: impl Fn(usize, &str) -> Value,
        included: impl Fn(std::ops::Range<usize>) -> Option<Value>,
    ) -> Result<ApiResponse, Problem> {
        let number =
            |name: &str, default: usize| context.query.get(name).map_or(Ok(default), str::parse::<usize>);
        let per_page = number("per_page", PER_PAGE)
            .ok()
            .filter(|per_page| (1..=MOST_PER_PAGE).contains(per_page))
            .ok_or(Problem::Parameter("Per page must be between 1 and 5000"))?
            .min(self.options.page_size);
        let number = number("page", 1)
            .ok()
            .filter(|number| *number > 0)
            .ok_or(Problem::Parameter("Page must be greater than 0"))?;
        let pages = total.div_ceil(per_page).max(1);
        // With endless pages, those after the last repeat.
        let shown = if context.faults.endless_pages { (number - 1) % pages } else { number - 1 };
        let first = shown.saturating_mul(per_page).min(total);
        let last = first.saturating_add(per_page).min(total);
        let suffix = |place: usize| context.faults.names_of(place - first).name("");
        let resources: Vec<Value> = (first..last).map(|place| entry(place, &suffix(place))).collect();
        let next = match number {
            _ if context.faults.endless_pages || number < pages => Some(number + 1),
            _ if context.faults.page_cycle => Some(1),
            _ => None,
        };
        let page = Page { number, pages, total, next };
        let url = |number: usize| context.url(number, per_page);
        Ok(ApiResponse::json(StatusCode::OK, &page.json(&url, &resources, included(first..last))))
    }
}

impl Context<'_> {
    /// Whether a parameter that lists values has this one, or is not given.
    fn lists(&self, parameter: &str, value: &str) -> bool {
        self.query.get(parameter).is_none_or(|list| list.split(',').any(|one| one == value))
    }

    fn wants(&self, process: &Process<'_>) -> bool {
        self.lists("types", process.kind.as_str()) && self.lists("guids", &process.guid)
    }

    /// The URL of another page of the same list.
    fn url(&self, page: usize, per_page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in [
            "include",
            "guids",
            "names",
            "types",
            "app_guids",
            "space_guids",
            "organization_guids",
            "label_selector",
        ] {
            if let Some(value) = self.query.get(name) {
                query.append_pair(name, value);
            }
        }
        query.append_pair("page", &page.to_string()).append_pair("per_page", &per_page.to_string());
        format!("{}{}?{}", self.base, self.path, query.finish())
    }
}

/// The spaces of an account, each once.
fn spaces(world: &World, now: f64) -> Vec<Place> {
    let mut spaces: Vec<Place> = Vec::new();
    for service in world.services(now) {
        let space = inventory::space(world, &service);
        if !spaces.contains(&space) {
            spaces.push(space);
        }
    }
    spaces
}

/// What the query wants included with a page of applications.
fn included(context: &Context<'_>, apps: &[Service]) -> Option<Value> {
    let wanted: Vec<&str> = context.query.get("include")?.split(',').collect();
    let organization = inventory::organization(context.world);
    let mut spaces: Vec<Place> = Vec::new();
    for app in apps {
        let space = inventory::space(context.world, app);
        if !spaces.contains(&space) {
            spaces.push(space);
        }
    }
    let mut included = json!({});
    // The organization of a space comes with the space.
    if wanted.contains(&"space") || wanted.contains(&"space.organization") {
        included["spaces"] =
            spaces.iter().map(|space| wire::space(space, &organization, &context.base)).collect();
    }
    if wanted.contains(&"space.organization") {
        let organizations =
            if apps.is_empty() { vec![] } else { vec![wire::organization(&organization, &context.base)] };
        included["organizations"] = organizations.into();
    }
    Some(included)
}

impl SimulatedCloud for Installation {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let route = Route::of(request.path);
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let service = route.guid().and_then(|guid| names.get(guid)).map(|(name, _)| name.clone());
        Target { operation: route.operation(), service }
    }

    fn respond(&self, request: &ApiRequest<'_>, now: f64, faults: ContentFaults) -> ApiResponse {
        self.dispatch(request, now, faults).unwrap_or_else(Problem::response)
    }

    fn refuse(&self, status: StatusCode, message: &str) -> ApiResponse {
        problem::api(status, 10001, "CF-UnknownError", message)
    }

    fn wrong_json(&self, operation: &Operation) -> Value {
        wire::wrong(operation.name)
    }

    fn deep_json(&self, operation: &Operation, nested: &str) -> String {
        wire::nested(operation.name, nested)
    }
}
