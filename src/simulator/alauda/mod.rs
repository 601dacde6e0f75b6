//! A simulated Alauda cloud: who may ask, what is answered. Pure but for the tokens; knows no connection.
//!
//! Follows the documented v1 API and what its official client of 2015 reads. Where neither says anything, it does
//! as the framework does whose marks the API bears (`count`/`next`/`results`, `Authorization: Token`).

pub(super) mod route;
mod wire;

use std::sync::Arc;

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::numbers::{floor, hash, hash_text, hex};
use super::sessions::Sessions;
use super::settings::Settings;
use super::world::{Service, World, WorldSettings};
use route::{Query, Route};
use wire::Format;

/// A request that was read whole.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What faults change about the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PageFaults {
    /// The last page names the first.
    pub(super) cycle: bool,
    /// Every page names another.
    pub(super) endless: bool,
    /// Names are hard to bear, and one of each kind is this much longer.
    pub(super) huge: Option<usize>,
}

/// All accounts of one simulated cloud.
pub(super) struct Alauda {
    page_size: usize,
    drift: bool,
    inline_instances: bool,
    relative_next: bool,
    scheme: &'static str,
    pub(super) sessions: Sessions,
    pub(super) accounts: Vec<Account>,
}

/// What belongs to one user.
pub(super) struct Account {
    pub(super) username: String,
    pub(super) world: Arc<World>,
}

impl Alauda {
    /// The cloud of these settings.
    pub(super) fn new(settings: &Settings) -> Self {
        let account = |(number, account): (usize, &super::AccountSettings)| Account {
            username: account.username.clone(),
            world: Arc::new(World::new(WorldSettings {
                seed: hash(&[settings.seed, number as u64, hash_text(&account.username)]),
                namespace: account.namespace().to_owned(),
                services: account.services,
                instances: account.instances,
                applications: account.applications.min(account.services),
                churn: settings.churn,
            })),
        };
        Self {
            page_size: settings.page_size.max(1),
            drift: settings.drift,
            inline_instances: settings.inline_instances,
            relative_next: settings.relative_next,
            scheme: if settings.tls.is_some() { "https" } else { "http" },
            sessions: Sessions::new(settings.seed, &settings.accounts),
            accounts: settings.accounts.iter().enumerate().map(account).collect(),
        }
    }

    /// Answers one request.
    pub(super) fn answer(
        &self,
        route: &Route,
        request: &Request<'_>,
        now: f64,
        faults: PageFaults,
    ) -> Answer {
        let answer = match self.route(route, request, now, faults) {
            Ok(answer) => answer,
            Err(problem) => self.problem(problem, route),
        };
        if !self.drift {
            return answer;
        }
        let id = hex(hash(&[now.to_bits(), hash_text(request.path)]), 32);
        answer.header(HeaderName::from_static("alauda-request-id"), &id)
    }

    fn route(
        &self,
        route: &Route,
        request: &Request<'_>,
        now: f64,
        faults: PageFaults,
    ) -> Result<Answer, Problem> {
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
        let query = Query::of(request.query);
        let format = Format {
            drift: self.drift,
            inline_instances: self.inline_instances,
            nasty_names: faults.huge.is_some(),
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
                let format = Format { huge: faults.huge.unwrap_or(0), ..format };
                Ok(Answer::json(StatusCode::OK, &wire::service(&service, now, format)))
            }
            Route::Instances { namespace, service } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let instances: Vec<Value> =
                    service.instances().map(|instance| wire::instance(&instance, now, format)).collect();
                Ok(Answer::json(StatusCode::OK, &instances))
            }
            Route::Instance { namespace, service, uuid } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let instance = service.instance(uuid).ok_or(Problem::NotFound)?;
                Ok(Answer::json(StatusCode::OK, &wire::instance(&instance, now, format)))
            }
            Route::Metrics { namespace, service, uuid } => {
                let service = find(self.world(account, namespace)?, service, &query, now)?;
                let instance = service.instance(uuid).ok_or(Problem::NotFound)?;
                let window = Window::of(&query)?;
                let points = instance.points(window.start, window.end, window.period, now);
                let answer = wire::metrics(&instance, points, format);
                Ok(answer.map_or_else(
                    || Answer::empty(StatusCode::OK),
                    |answer| Answer::json(StatusCode::OK, &answer),
                ))
            }
        }
    }

    /// A form as the official client sends it, or JSON as the documentation shows it.
    fn log_in(&self, request: &Request<'_>) -> Result<Answer, Problem> {
        #[derive(Deserialize)]
        struct Form {
            username: String,
            password: String,
            organization: Option<String>,
        }
        let said_json = request
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("json"));
        let form: Form = if said_json || request.body.starts_with(b"{") {
            serde_json::from_slice(request.body).map_err(|_| Problem::LoginForm)?
        } else {
            let fields = Query::form(request.body);
            let field = |name: &str| fields.get(name).map(str::to_owned);
            Form {
                username: field("username").ok_or(Problem::LoginForm)?,
                password: field("password").ok_or(Problem::LoginForm)?,
                organization: field("organization"),
            }
        };
        let organization = form.organization.as_deref().filter(|name| !name.is_empty());
        let token = self.sessions.log_in(&form.username, &form.password, organization);
        token.map_or(Err(Problem::Password), |token| {
            Ok(Answer::json(StatusCode::OK, &json!({ "token": token })))
        })
    }

    /// The number of the account that asks.
    fn authenticate(&self, headers: &HeaderMap) -> Result<usize, Problem> {
        let header = headers.get(AUTHORIZATION).map(HeaderValue::to_str);
        match header {
            None => Err(Problem::NoToken),
            Some(Ok(value)) => {
                let token = value.strip_prefix("Token ").ok_or(Problem::NoToken)?;
                self.sessions.account(token.trim()).ok_or(Problem::BadToken)
            }
            Some(Err(_)) => Err(Problem::BadToken),
        }
    }

    /// The world of a namespace, if it is the account's own.
    fn world(&self, account: usize, namespace: &str) -> Result<&World, Problem> {
        let is = |account: &Account| {
            account.username == namespace || account.world.settings().namespace == namespace
        };
        match self.accounts.get(account) {
            Some(own) if is(own) => Ok(&own.world),
            _ if self.accounts.iter().any(is) => Err(Problem::Forbidden),
            _ => Err(Problem::NotFound),
        }
    }

    fn page(
        &self,
        world: &World,
        request: &Request<'_>,
        query: &Query,
        now: f64,
        (format, faults): (Format, PageFaults),
    ) -> Result<Answer, Problem> {
        let application = query.get("application");
        let number = query.get("page").map_or(Ok(1), str::parse::<usize>).map_err(|_| Problem::Page)?;
        let count = world.count(now, application);
        let pages = count.div_ceil(self.page_size).max(1);
        if number == 0 || (number > pages && !faults.endless) {
            return Err(Problem::Page);
        }
        // Pages behind the end, where there is no end, repeat.
        let first = ((number - 1) % pages) * self.page_size;
        let services = world.page(now, first, self.page_size, application);
        let results: Vec<_> = services
            .iter()
            .enumerate()
            .map(|(place, service)| {
                let huge = if place == 0 { faults.huge.unwrap_or(0) } else { 0 };
                wire::service(service, now, Format { huge, ..format })
            })
            .collect();
        let next = match number {
            _ if faults.endless || number < pages => Some(number + 1),
            _ if faults.cycle => Some(1),
            _ => None,
        };
        let link = |page: usize| self.link(request, application, page);
        Ok(Answer::json(
            StatusCode::OK,
            &Page {
                count,
                previous: number.checked_sub(1).filter(|page| *page > 0).map(link),
                next: next.map(link),
                results,
            },
        ))
    }

    /// Where another page is: at the host that was asked, as the client wrote it.
    fn link(&self, request: &Request<'_>, application: Option<&str>, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(application) = application {
            query.append_pair("application", application);
        }
        let query = query.append_pair("page", &page.to_string()).finish();
        let host = request.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        match host {
            Some(host) if !self.relative_next => format!("{}://{host}{}?{query}", self.scheme, request.path),
            _ => format!("{}?{query}", request.path),
        }
    }

    fn problem(&self, problem: Problem, route: &Route) -> Answer {
        let (status, code, words) = problem.told();
        let body = match (self.drift, problem) {
            (true, _) => json!({ "errors": [{ "code": code, "message": words, "source": "1001" }] }),
            (false, Problem::LoginForm) => json!({ "username": [words], "password": [words] }),
            (false, Problem::Password) => json!({ "non_field_errors": [words] }),
            (false, _) => json!({ "detail": words }),
        };
        let answer = Answer::json(status, &body);
        match problem {
            Problem::Method => answer.header(ALLOW, route.allow()),
            Problem::NoToken | Problem::BadToken => answer.header(WWW_AUTHENTICATE, "Token"),
            _ => answer,
        }
    }
}

/// A page of services.
#[derive(serde::Serialize)]
struct Page<T> {
    count: usize,
    previous: Option<String>,
    next: Option<String>,
    results: Vec<T>,
}

/// The service that a path and query name. One of an application is found only with its application.
fn find(world: &World, name: &str, query: &Query, now: f64) -> Result<Service, Problem> {
    world.service(now, name, query.get("application")).ok_or(Problem::NotFound)
}

/// Which measurements are asked for.
struct Window {
    start: i64,
    end: i64,
    period: i64,
}

impl Window {
    fn of(query: &Query) -> Result<Self, Problem> {
        // Whole seconds are documented; a client in a dynamic language may well send a fraction.
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

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    LoginForm,
    Password,
    NoToken,
    BadToken,
    Forbidden,
    NotFound,
    Page,
    Method,
    Window,
}

impl Problem {
    /// Status, code and words.
    fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::LoginForm => (StatusCode::BAD_REQUEST, "invalid_args", "This field is required."),
            Self::Password => {
                (StatusCode::UNAUTHORIZED, "invalid_login", "Unable to login with provided credentials.")
            }
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "not_authenticated",
                "Authentication credentials were not provided.",
            ),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "invalid_token", "Invalid token."),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "permission_denied",
                "You do not have permission to perform this action.",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "resource_not_exist", "Not found."),
            Self::Page => (StatusCode::NOT_FOUND, "resource_not_exist", "Invalid page."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed."),
            Self::Window => (
                StatusCode::BAD_REQUEST,
                "invalid_args",
                "start_time, end_time (seconds) and point_per_period (1s 1m 5m 15m 30m 1h 4h 12h 1d 7d 30d) are required.",
            ),
        }
    }
}
