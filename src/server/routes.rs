//! The paths of the main port and their handlers.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, StatusCode, Uri};

use super::context::Context;
use super::everything::Everything;
use super::host::{self, Authority};
use super::kept_body::KeptBody;
use super::lines::{line, with_fallbacks};
use super::negotiate::{Format, accepts_gzip, format, wants_html};
use super::query::Query;
use super::selection::Selection;
use super::{detail, discovery, forward, found, list, page, scrape, told, views};
use crate::account::{AccountId, Uncollected};
use crate::collector::registry::{Listed, Snapshot};
use crate::exposition::{Body, openmetrics, text};
use crate::replicas::peers::ACCOUNTS_PATH;

/// What the handlers of lists and pages read.
type Shown = State<(Context, Everything)>;

/// The type of JSON.
const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

/// The paths of the main port.
pub fn router(context: Context) -> Router {
    let everything = Everything::new(Arc::clone(&context.registry), context.peers.clone());
    let of_one_account = Router::new()
        .route("/accounts/{namespace}/{name}", get(account))
        .route("/accounts/{namespace}/{name}/services/{service}", get(service))
        .route("/accounts/{namespace}/{name}/metrics", get(account_metrics))
        .route("/accounts/{namespace}/{name}/metrics/legacy", get(legacy_metrics))
        .layer(from_fn_with_state(context.clone(), forward::to_its_collector));
    let of_all_accounts = Router::new()
        .route("/", get(index))
        .route("/services", get(services))
        .route("/instances", get(instances))
        .route("/accounts", get(accounts))
        .with_state((context.clone(), everything));
    let routes = of_one_account
        .merge(of_all_accounts)
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(async || page::icon()))
        .route("/sd", get(targets))
        .route("/metrics", get(own_metrics))
        .route(ACCOUNTS_PATH, get(told_of_all))
        .route(&format!("{ACCOUNTS_PATH}/{{namespace}}/{{name}}"), get(told_of_one));
    let check_host = from_fn_with_state(context.allowed_hosts.clone(), host::check);
    with_fallbacks(routes, "no such path: / lists all paths").layer(check_host).with_state(context)
}

fn unknown_account() -> Response {
    line(StatusCode::NOT_FOUND, "no such account: /accounts lists all accounts")
}

fn not_collected_yet() -> Response {
    line(
        StatusCode::SERVICE_UNAVAILABLE,
        "this account has not been collected yet; its first collection is in progress",
    )
}

fn uncollected(account: &Uncollected) -> Response {
    line(StatusCode::SERVICE_UNAVAILABLE, &account.problem.message)
}

/// What a request asks for and whether as HTML; the error is the response to one that cannot be read.
fn read(uri: &Uri, headers: &HeaderMap) -> Result<(Query, bool), Box<Response>> {
    let query = Query::of(uri).map_err(|error| Box::new(line(StatusCode::BAD_REQUEST, &error)))?;
    let html = match query.format.as_deref() {
        Some("json") => false,
        Some("html") => true,
        _ => wants_html(headers),
    };
    Ok((query, html))
}

async fn index(State((context, everything)): Shown, uri: Uri, headers: HeaderMap) -> Response {
    match read(&uri, &headers) {
        Ok((query, _)) => {
            let registry = everything.registry().await;
            page::answer(&headers, move || page::overview(&registry, &query, &context.page)).await
        }
        Err(refused) => *refused,
    }
}

async fn services(State((_, everything)): Shown, uri: Uri, headers: HeaderMap) -> Response {
    match read(&uri, &headers) {
        Ok((query, html)) => {
            let registry = everything.registry().await;
            let services = if html { page::services } else { found::services };
            page::answer(&headers, move || services(&registry, &query)).await
        }
        Err(refused) => *refused,
    }
}

async fn instances(State((_, everything)): Shown, uri: Uri, headers: HeaderMap) -> Response {
    match read(&uri, &headers) {
        Ok((query, _)) => {
            let registry = everything.registry().await;
            page::answer(&headers, move || found::instances(&registry, &query)).await
        }
        Err(refused) => *refused,
    }
}

async fn accounts(State((_, everything)): Shown, uri: Uri, headers: HeaderMap) -> Response {
    match read(&uri, &headers) {
        Ok((query, true)) => {
            let registry = everything.registry().await;
            page::answer(&headers, move || page::accounts(&registry, &query)).await
        }
        // In an order, they are made as a whole.
        Ok((query, false)) if query.sort.is_some() => {
            let registry = everything.registry().await;
            page::answer(&headers, move || found::accounts(&registry, &query)).await
        }
        Ok((query, false)) => {
            let accounts = views::Accounts::at(SystemTime::now(), Selection::new(&query));
            (JSON, [(VARY, "Accept")], list::body(everything.registry().await, accounts)).into_response()
        }
        Err(refused) => *refused,
    }
}

async fn account(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let id = AccountId::new(&namespace, &name);
    let Some(account) = context.registry.listed(&id) else { return unknown_account() };
    match read(&uri, &headers) {
        Ok((query, true)) => {
            page::answer(&headers, move || page::account(&account, &query, &context.page)).await
        }
        Ok((query, false)) => {
            drop(account);
            let account = detail::answer(context.registry, id, SystemTime::now(), Selection::new(&query));
            ([(VARY, "Accept")], account).into_response()
        }
        Err(refused) => *refused,
    }
}

async fn service(
    State(context): State<Context>,
    Path((namespace, name, service)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(account) = context.registry.listed(&AccountId::new(&namespace, &name)) else {
        return unknown_account();
    };
    match read(&uri, &headers) {
        Ok((query, _)) => {
            page::answer(&headers, move || page::service(&account, &service, &query, &context.page)).await
        }
        Err(refused) => *refused,
    }
}

async fn told_of_all(State(context): State<Context>) -> Response {
    told::all(context.registry)
}

async fn told_of_one(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    told::one(context.registry, AccountId::new(&namespace, &name))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    page::asset(&name, &headers)
}

async fn account_metrics(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let snapshot = match context.registry.listed(&AccountId::new(&namespace, &name)) {
        Some(Listed::Uncollected(account)) => return uncollected(&account),
        Some(account) => account.own_snapshot().cloned(),
        None => return unknown_account(),
    };
    let Some(snapshot) = snapshot else { return not_collected_yet() };
    let (body, content_type) = match format(&headers) {
        Format::Text => (&snapshot.bodies.text, text::CONTENT_TYPE),
        Format::OpenMetrics => (&snapshot.bodies.openmetrics, openmetrics::CONTENT_TYPE),
    };
    let response = scrape::response(body, content_type, accepts_gzip(&headers), "Accept, Accept-Encoding");
    kept(response, &snapshot, body)
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
            "this account does not serve legacy names: set spec.metrics.names to Legacy or Both",
        );
    }
    if let Listed::Uncollected(account) = account {
        return uncollected(&account);
    }
    let snapshot = account.own_snapshot().cloned();
    let Some(snapshot) = snapshot else { return not_collected_yet() };
    let Some(body) = &snapshot.bodies.legacy else { return not_collected_yet() };
    let response = scrape::response(body, text::CONTENT_TYPE, accepts_gzip(&headers), "Accept-Encoding");
    kept(response, &snapshot, body)
}

/// A response that keeps this body of a snapshot in memory.
fn kept(response: Response, snapshot: &Arc<Snapshot>, body: &Body) -> Response {
    (Extension(KeptBody::new(snapshot, &body.gzip)), response).into_response()
}

async fn targets(State(context): State<Context>, host: Option<Extension<Authority>>) -> Response {
    match host {
        Some(Extension(host)) => {
            let groups = discovery::Groups::new(host.as_str().to_owned());
            (JSON, list::body(context.registry, groups)).into_response()
        }
        None => line(
            StatusCode::BAD_REQUEST,
            "the request has no Host header, which the targets' addresses are taken from",
        ),
    }
}

async fn own_metrics(State(context): State<Context>) -> Response {
    let appended = context.append_account.as_ref().and_then(|id| context.registry.get(id)?.snapshot);
    let own = scrape::as_read(&scrape::SCRAPES, (context, None), |(context, pages)| {
        let pages = pages.get_or_insert_with(|| {
            context.metrics.set_accounts(&context.registry.states());
            let (owned, known) = context.registry.shares();
            context.metrics.set_shares(owned, known);
            context.metrics.pages()
        });
        Ok(pages.next_chunk(scrape::CHUNK_BYTES).map(Bytes::from))
    });
    // Own families begin with caas_operator_ or process_, those of an account do not: none is duplicated.
    let bodies = appended.iter().flat_map(|it| std::iter::once(&it.bodies.text).chain(&it.bodies.legacy));
    let response = ([(CONTENT_TYPE, text::CONTENT_TYPE)], scrape::plain_after(own, bodies)).into_response();
    match &appended {
        Some(snapshot) => kept(response, snapshot, &snapshot.bodies.text),
        None => response,
    }
}
