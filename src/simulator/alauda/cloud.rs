//! A simulated Alauda cloud: which account may request what, and the response. Knows no connection.
//!
//! It follows the documented v1 API and what its official client of 2015 reads. Where both are silent, it does
//! what the framework does with which the API was visibly built (`count`/`next`/`results`, `Authorization: Token`).

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::Alauda;
use super::problem::Problem;
use super::route::{self, Route};
use super::wire::{self, Format};
use crate::simulator::accounts::{Account, Accounts};
use crate::simulator::faults::ContentFaults;
use crate::simulator::numbers::{floor, hash, hash_text, hex};
use crate::simulator::operation::Operation;
use crate::simulator::provider::{SimulatedCloud, Target};
use crate::simulator::request::{ApiRequest, Query};
use crate::simulator::response::ApiResponse;
use crate::simulator::world::{Service, World};

/// A cloud that runs.
pub(super) struct AlaudaCloud {
    pub(super) options: Alauda,
    pub(super) accounts: Arc<Accounts>,
    pub(super) scheme: &'static str,
}

impl SimulatedCloud for AlaudaCloud {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let route = Route::of(request.path);
        Target { operation: route.operation(), service: route.service().map(str::to_owned) }
    }

    fn respond(&self, request: &ApiRequest<'_>, now: f64, faults: ContentFaults) -> ApiResponse {
        let route = Route::of(request.path);
        let response = self
            .dispatch(&route, request, now, faults)
            .unwrap_or_else(|problem| problem.response(&route, self.options.drift));
        if !self.options.drift {
            return response;
        }
        let id = hex(hash(&[now.to_bits(), hash_text(request.path)]), 32);
        response.header(HeaderName::from_static("alauda-request-id"), &id)
    }

    fn refuse(&self, status: StatusCode, message: &str) -> ApiResponse {
        ApiResponse::json(status, &json!({ "detail": message }))
    }

    fn wrong_json(&self, operation: &Operation) -> Value {
        wire::wrong(operation.name)
    }

    fn deep_json(&self, operation: &Operation, nested: &str) -> String {
        wire::nested(operation.name, nested)
    }
}

impl AlaudaCloud {
    fn dispatch(
        &self,
        route: &Route,
        request: &ApiRequest<'_>,
        now: f64,
        faults: ContentFaults,
    ) -> Result<ApiResponse, Problem> {
        if *route == Route::Unknown {
            return Err(Problem::NotFound);
        }
        if *route == Route::Login {
            return if route.takes(request.method) { self.log_in(request) } else { Err(Problem::Method) };
        }
        let account = self.authenticate(request.headers)?;
        if !route.takes(request.method) {
            return Err(Problem::Method);
        }
        let query = route::query(request.query);
        let format = Format {
            drift: self.options.drift,
            inline_instances: !self.options.no_inline_instances,
            names: faults.names_of(0),
            huge: 0,
        };
        match route {
            Route::Login | Route::Unknown => Err(Problem::NotFound),
            Route::Services { namespace } => {
                let world = self.world(account, namespace)?;
                self.page(world, request, &query, now, (format, faults))
            }
            Route::Service { namespace, service } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let format = Format { huge: faults.huge_label.unwrap_or(0), ..format };
                Ok(ApiResponse::json(StatusCode::OK, &wire::service(&service, now, format)))
            }
            Route::Instances { namespace, service } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let instances: Vec<Value> =
                    service.instances().map(|instance| wire::instance(&instance, now, format)).collect();
                Ok(ApiResponse::json(StatusCode::OK, &instances))
            }
            Route::Instance { namespace, service, uuid } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let instance = service.instance(uuid).ok_or(Problem::NotFound)?;
                Ok(ApiResponse::json(StatusCode::OK, &wire::instance(&instance, now, format)))
            }
            Route::Metrics { namespace, service, uuid } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let instance = service.instance(uuid).ok_or(Problem::NotFound)?;
                let window = Window::of(&query)?;
                let points = instance.points(window.start, window.end, window.period, now);
                let metrics = wire::metrics(&instance, points, format);
                Ok(metrics.map_or_else(
                    || ApiResponse::empty(StatusCode::OK),
                    |metrics| ApiResponse::json(StatusCode::OK, &metrics),
                ))
            }
        }
    }

    /// Logs in with a form as the official client sends it, or with JSON as the documentation shows it.
    fn log_in(&self, request: &ApiRequest<'_>) -> Result<ApiResponse, Problem> {
        #[derive(Deserialize)]
        struct Form {
            username: String,
            password: String,
            organization: Option<String>,
        }
        let is_json = request
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("json"));
        let form: Form = if is_json || request.body.starts_with(b"{") {
            serde_json::from_slice(request.body).map_err(|_| Problem::LoginForm)?
        } else {
            let fields = Query::parse(request.body);
            let field = |name: &str| fields.get(name).map(str::to_owned);
            Form {
                username: field("username").ok_or(Problem::LoginForm)?,
                password: field("password").ok_or(Problem::LoginForm)?,
                organization: field("organization"),
            }
        };
        let organization = form.organization.as_deref().filter(|name| !name.is_empty());
        let token = self.accounts.sessions.log_in(&form.username, &form.password, organization);
        let token = token.ok_or(Problem::Password)?;
        Ok(ApiResponse::json(StatusCode::OK, &json!({ "token": token })))
    }

    /// The account whose token the request carries.
    fn authenticate(&self, headers: &HeaderMap) -> Result<&Account, Problem> {
        let header = headers.get(AUTHORIZATION).map(HeaderValue::to_str).ok_or(Problem::NoToken)?;
        let value = header.map_err(|_| Problem::BadToken)?;
        let token = value.strip_prefix("Token ").ok_or(Problem::NoToken)?;
        let account = self.accounts.sessions.by_token(token.trim());
        account.and_then(|index| self.accounts.get(index)).ok_or(Problem::BadToken)
    }

    /// The world of a namespace, if it is the account's own.
    fn world<'a>(&self, account: &'a Account, namespace: &str) -> Result<&'a World, Problem> {
        let has_namespace = |account: &Account| {
            account.username == namespace || account.world.settings().namespace == namespace
        };
        if has_namespace(account) {
            Ok(&account.world)
        } else if self.accounts.iter().any(has_namespace) {
            Err(Problem::Forbidden)
        } else {
            Err(Problem::NotFound)
        }
    }

    fn page(
        &self,
        world: &World,
        request: &ApiRequest<'_>,
        query: &Query,
        now: f64,
        (format, faults): (Format, ContentFaults),
    ) -> Result<ApiResponse, Problem> {
        let page_size = self.options.page_size.max(1);
        let application = query.get("application");
        let number = query.get("page").map_or(Ok(1), str::parse::<usize>).map_err(|_| Problem::Page)?;
        let count = world.count(now, application);
        let pages = count.div_ceil(page_size).max(1);
        if number == 0 || (number > pages && !faults.endless_pages) {
            return Err(Problem::Page);
        }
        // With endless pages, those after the last repeat.
        let first = ((number - 1) % pages) * page_size;
        let services = world.page(now, first, page_size, application);
        let results: Vec<_> = services
            .iter()
            .enumerate()
            .map(|(index, service)| {
                let huge = if index == 0 { faults.huge_label.unwrap_or(0) } else { 0 };
                wire::service(service, now, Format { huge, ..format })
            })
            .collect();
        let next = match number {
            _ if faults.endless_pages || number < pages => Some(number + 1),
            _ if faults.page_cycle => Some(1),
            _ => None,
        };
        let link = |page: usize| self.link(request, application, page);
        let previous = number.checked_sub(1).filter(|page| *page > 0);
        let page = Page { count, previous: previous.map(link), next: next.map(link), results };
        Ok(ApiResponse::json(StatusCode::OK, &page))
    }

    /// The URL of another page, at the host and path of the request.
    fn link(&self, request: &ApiRequest<'_>, application: Option<&str>, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(application) = application {
            query.append_pair("application", application);
        }
        let query = query.append_pair("page", &page.to_string()).finish();
        let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        match host {
            Some(host) if !self.options.relative_next => {
                format!("{}://{host}{}?{query}", self.scheme, request.path)
            }
            _ => format!("{}?{query}", request.path),
        }
    }
}

/// A page of services.
#[derive(Serialize)]
struct Page<T> {
    count: usize,
    previous: Option<String>,
    next: Option<String>,
    results: Vec<T>,
}

/// The service that a path and query name. A service of an application is found only with its application.
fn find(world: &World, name: &str, query: &Query, now: f64) -> Result<Service, Problem> {
    world.service(now, name, query.get("application")).ok_or(Problem::NotFound)
}

/// The measurements that a query selects.
struct Window {
    start: i64,
    end: i64,
    period: i64,
}

impl Window {
    fn of(query: &Query) -> Result<Self, Problem> {
        // The documentation says whole seconds; a client in a dynamic language may send a fraction.
        let seconds = |name: &str| {
            let value: f64 = query.get(name)?.parse().ok()?;
            value.is_finite().then(|| floor(value))
        };
        Ok(Self {
            start: seconds("start_time").ok_or(Problem::Window)?,
            end: seconds("end_time").ok_or(Problem::Window)?,
            period: query.get("point_per_period").and_then(wire::period).ok_or(Problem::Window)?,
        })
    }
}
