//! A simulated Railway: which token a request carries, what it may ask for, and the response. Knows no connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::graphql::Query;
use super::limits::{LimitState, TokenLimits};
use super::options::{Railway, TokenRefusal};
use super::problem::{self, Problem};
use super::projects::{self, Project, project_token};
use super::roots::{Data, Roots, Token};
use super::wire;
use crate::simulator::accounts::{Account, Accounts};
use crate::simulator::faults::ContentFaults;
use crate::simulator::operation::{Operation, Role};
use crate::simulator::provider::{SimulatedCloud, Target};
use crate::simulator::request::ApiRequest;
use crate::simulator::response::ApiResponse;

/// The path of the API.
const PATH: &str = "/graphql/v2";

const PROJECTS: Operation = Operation { name: "projects", counted_as: "projects", role: Role::Inventory };
const ENVIRONMENT: Operation =
    Operation { name: "environment", counted_as: "environment", role: Role::Inventory };
const METRICS: Operation = Operation { name: "metrics", counted_as: "metrics", role: Role::Other };
const HTTP: Operation = Operation { name: "http", counted_as: "http", role: Role::Other };

/// All operations of the API.
pub(super) const OPERATIONS: &[Operation] = &[PROJECTS, ENVIRONMENT, METRICS, HTTP];

/// A cloud that runs.
pub(super) struct RailwayCloud {
    options: Railway,
    accounts: Arc<Accounts>,
    /// By account.
    limits: Mutex<HashMap<usize, TokenLimits>>,
}

impl RailwayCloud {
    pub(super) fn new(options: Railway, accounts: Arc<Accounts>) -> Self {
        Self { options, accounts, limits: Mutex::default() }
    }

    /// The account and the token of a request.
    fn authenticate(&self, headers: &HeaderMap, now: f64) -> Result<(usize, Token), Problem> {
        if let Some(given) = headers.get("project-access-token").and_then(|value| value.to_str().ok()) {
            let logins = self.accounts.sessions.logins();
            let account = logins.iter().position(|login| project_token(login) == given.trim());
            let (index, account) = account
                .filter(|index| self.accounts.sessions.by_api_token(&logins[*index].password).is_some())
                .and_then(|index| Some((index, self.accounts.get(index)?)))
                .ok_or(Problem::ProjectTokenNotFound)?;
            let environment =
                projects::all(&account.world, now).iter().flat_map(Project::environments).next();
            return Ok((index, Token::Project(environment.ok_or(Problem::ProjectTokenNotFound)?)));
        }
        self.accounts.sessions.by_bearer(headers).map(|account| (account, Token::Account)).ok_or(
            match self.options.refusal {
                TokenRefusal::Reported => Problem::NotAuthorized,
                TokenRefusal::Status => Problem::Unauthorized,
            },
        )
    }

    fn take(&self, account: usize, now: f64) -> LimitState {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(account).or_insert_with(|| TokenLimits::new(&self.options)).take(now)
    }

    fn run(
        &self,
        query: &Query,
        account: &Account,
        token: Token,
        now: f64,
        faults: ContentFaults,
    ) -> ApiResponse {
        let fields = match query.fields() {
            Ok(fields) => fields,
            Err(problem) => return problem.response(),
        };
        if self.options.max_fields > 0 && fields.len() > self.options.max_fields {
            return Problem::TooComplex.response();
        }
        let roots = Roots { options: &self.options, world: &account.world, token, now, faults };
        let mut data = Data::default();
        for (name, field) in &fields {
            // No field at the top may be null, so one that fails leaves no data at all.
            if let Err(problem) = roots.add(name, field, &mut data) {
                return problem.response_at(Some(name));
            }
        }
        let mut answer = json!({ "data": data.fields });
        if !data.errors.is_empty() {
            answer["errors"] = data.errors.into();
        }
        ApiResponse::json(StatusCode::OK, &answer)
    }
}

impl SimulatedCloud for RailwayCloud {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let query = (request.path == PATH).then(|| Query::read(request.body).ok()).flatten();
        let operation = match query.as_ref().and_then(Query::first_field) {
            Some("projects" | "projectToken" | "environments") => Some(PROJECTS),
            Some("environment") => Some(ENVIRONMENT),
            Some("metrics") => Some(METRICS),
            Some("httpMetricsGroupedByStatus" | "httpDurationMetrics") => Some(HTTP),
            _ => None,
        };
        // A request is about all services of an environment.
        Target { operation, service: None }
    }

    fn respond(&self, request: &ApiRequest<'_>, now: f64, faults: ContentFaults) -> ApiResponse {
        if request.path != PATH || request.method != Method::POST {
            return Problem::NoSuchPath.response();
        }
        let (index, token) = match self.authenticate(request.headers, now) {
            Ok(authenticated) => authenticated,
            Err(problem) => return problem.response(),
        };
        let state = self.take(index, now);
        if state.is_refusal() {
            return state.refusal();
        }
        let response = match (Query::read(request.body), self.accounts.get(index)) {
            (Err(problem), _) => problem.response(),
            (Ok(_), None) => Problem::NotAuthorized.response(),
            (Ok(_), Some(_)) if self.options.two_factor => Problem::TwoFactorRequired.response(),
            (Ok(query), Some(account)) => self.run(&query, account, token, now, faults),
        };
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

    fn reported_error(&self, _: &Operation) -> Option<Value> {
        Some(json!({ "errors": [problem::beside(&[])], "data": null }))
    }
}
