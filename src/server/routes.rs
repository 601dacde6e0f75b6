//! The paths of the main port and their handlers.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::host::{self, AllowedHosts, Authority};
use super::lines::{line, with_fallbacks};
use super::negotiate::{Format, accepts_gzip, format};
use super::{detail, discovery, page, scrape, views};
use crate::account::{AccountId, Uncollected};
use crate::collector::registry::{Listed, Registry};
use crate::exposition::{openmetrics, text};
use crate::telemetry::Metrics;

/// What the handlers read.
#[derive(Clone)]
pub struct Context {
    /// The accounts with their newest snapshots.
    pub registry: Arc<Registry>,
    /// The process's own metrics.
    pub metrics: Arc<Metrics>,
    /// An account whose series `/metrics` serves after the process's own: the one account of `standalone`.
    pub append_account: Option<AccountId>,
    /// The names under which clients may ask for this server.
    pub allowed_hosts: AllowedHosts,
}

/// The paths of the main port.
pub fn router(context: Context) -> Router {
    let routes = Router::new()
        .route("/", get(index))
        .route("/accounts", get(accounts))
        .route("/accounts/{namespace}/{name}", get(account))
        .route("/accounts/{namespace}/{name}/metrics", get(account_metrics))
        .route("/accounts/{namespace}/{name}/metrics/legacy", get(legacy_metrics))
        .route("/sd", get(targets))
        .route("/metrics", get(own_metrics));
    let check_host = from_fn_with_state(context.allowed_hosts.clone(), host::check);
    with_fallbacks(routes, "no such path: / lists all").layer(check_host).with_state(context)
}

fn unknown_account() -> Response {
    line(StatusCode::NOT_FOUND, "no such account: /accounts lists all")
}

fn not_collected_yet() -> Response {
    line(
        StatusCode::SERVICE_UNAVAILABLE,
        "this account has not been collected yet; its first collection is under way",
    )
}

fn uncollected(account: &Uncollected) -> Response {
    line(StatusCode::SERVICE_UNAVAILABLE, &account.problem.message)
}

async fn index(State(context): State<Context>) -> Response {
    let accounts = views::accounts(&context.registry.all(), SystemTime::now());
    ([(CONTENT_SECURITY_POLICY, page::POLICY)], Html(page::page(&accounts).into_string())).into_response()
}

async fn accounts(State(context): State<Context>) -> Json<views::Accounts> {
    Json(views::accounts(&context.registry.all(), SystemTime::now()))
}

async fn account(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let Some(account) = context.registry.listed(&AccountId::new(&namespace, &name)) else {
        return unknown_account();
    };
    detail::answer(account, SystemTime::now())
}

async fn account_metrics(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let snapshot = match context.registry.listed(&AccountId::new(&namespace, &name)) {
        Some(Listed::Collected(entry)) => entry.snapshot,
        Some(Listed::Uncollected(account)) => return uncollected(&account),
        None => return unknown_account(),
    };
    let Some(snapshot) = snapshot else { return not_collected_yet() };
    let (body, content_type) = match format(&headers) {
        Format::Text => (&snapshot.bodies.text, text::CONTENT_TYPE),
        Format::OpenMetrics => (&snapshot.bodies.openmetrics, openmetrics::CONTENT_TYPE),
    };
    scrape::response(body, content_type, accepts_gzip(&headers), "Accept, Accept-Encoding")
}

async fn legacy_metrics(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(account) = context.registry.listed(&AccountId::new(&namespace, &name)) else {
        return unknown_account();
    };
    if !account.targets().iter().any(|target| target.legacy) {
        return line(
            StatusCode::NOT_FOUND,
            "this account does not serve legacy names: set spec.metrics.names to legacy or both",
        );
    }
    if let Listed::Uncollected(account) = &account {
        return uncollected(account);
    }
    match account.snapshot().and_then(|snapshot| snapshot.bodies.legacy.as_ref()) {
        Some(body) => scrape::response(body, text::CONTENT_TYPE, accepts_gzip(&headers), "Accept-Encoding"),
        None => not_collected_yet(),
    }
}

async fn targets(State(context): State<Context>, host: Option<Extension<Authority>>) -> Response {
    match host {
        Some(Extension(host)) => {
            Json(discovery::targets(&context.registry.all(), host.as_str())).into_response()
        }
        None => {
            line(StatusCode::BAD_REQUEST, "the request has no Host header, which the targets are named after")
        }
    }
}

async fn own_metrics(State(context): State<Context>) -> Response {
    let appended = context.append_account.as_ref().and_then(|id| context.registry.get(id)?.snapshot);
    let headers = [(CONTENT_TYPE, text::CONTENT_TYPE)];
    // Several series for each account: too much work for the threads that serve other requests.
    let rendered = tokio::task::spawn_blocking(move || {
        context.metrics.set_accounts(&context.registry.states());
        context.metrics.render()
    });
    let own = match rendered.await {
        Ok(own) => own,
        Err(error) => {
            tracing::error!(%error, "the own metrics were not rendered");
            return line(StatusCode::INTERNAL_SERVER_ERROR, "internal error");
        }
    };
    match appended {
        None => (headers, own).into_response(),
        // Own families begin with caas_operator_ or process_, those of an account do not: none is duplicated.
        Some(snapshot) => {
            let bodies = std::iter::once(&snapshot.bodies.text).chain(&snapshot.bodies.legacy);
            (headers, scrape::plain_after(own.into(), bodies)).into_response()
        }
    }
}
