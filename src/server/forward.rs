//! Answers for an account that another replica collects: what that one answers, as it comes in.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{TryStreamExt, stream};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::context::Context;
use super::lines::line;
use crate::account::AccountId;
use crate::collector::registry::Listed;
use crate::replicas::peers::{
    AGE, ASK_FIRST, BEFORE, FROM_REPLICA, Found, HAS_LAST, NOR_BEFORE, NOT_HERE, OWNER, PeerError, Peers,
};
use crate::replicas::{Member, Membership};
use crate::telemetry::Metrics;

/// How long Prometheus waits for a scrape.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// How long other clients wait, and a scrape whose timeout is not known.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is left of a scrape's timeout for the answer on its way back.
const SPARE: Duration = Duration::from_millis(250);

/// Passes a request about an account to the replica that collects it, where that is another one.
pub(super) async fn to_its_collector(
    State(Context { registry, peers, metrics, .. }): State<Context>,
    Path(names): Path<HashMap<String, String>>,
    request: Request,
    next: Next,
) -> Response {
    let name = |name: &str| names.get(name).map(String::as_str).unwrap_or_default();
    let account = registry.listed(&AccountId::new(name("namespace"), name("name")));
    match account {
        Some(account) => match instead(&peers, &metrics, &account, request.uri(), request.headers()).await {
            Some(response) => response,
            None => next.run(request).await,
        },
        None => next.run(request).await,
    }
}

/// The response to a request about an account that this replica should not answer by itself.
async fn instead(
    peers: &Peers,
    metrics: &Metrics,
    account: &Listed,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response> {
    let uid = account.uid()?;
    let membership = peers.membership();
    if membership.is_behind() {
        let text = "this replica was paused, and does not know yet who collects this account";
        return Some(([(NOT_HERE, NOR_BEFORE)], line(StatusCode::SERVICE_UNAVAILABLE, text)).into_response());
    }
    let has_body = account.own_snapshot().is_some();
    // An account that has come back is listed with the body from before it went, until this replica has reconciled it.
    let is_collected = membership.collects(uid) && matches!(account, Listed::Collected(_));
    if is_collected && has_body {
        return instead_of_own(peers, metrics, &membership.next_owner(uid)?, uri, headers).await;
    }
    if let Some(role) = headers.get(FROM_REPLICA) {
        // Nobody is asked further. What this replica had last is answered where those after it have nothing.
        let is_newest = role == BEFORE && membership.hands_over(uid);
        return (!is_newest || !has_body).then(|| not_here(membership, uid, role == BEFORE, has_body));
    }
    let by = Instant::now() + within(headers);
    let answer = peers.forward(uid, target(uri), &forwarded(headers), by, has_body).await;
    // An account of its own that nobody else had before waits for its first collection here.
    let is_forwarded = !(membership.collects(uid) && matches!(answer, Err(PeerError::Nobody)));
    if is_forwarded && is_scrape(uri) {
        let result = match &answer {
            Ok(Found::There(_)) => "answered",
            Ok(Found::Here) => "not_here",
            Err(error) => error.result(),
        };
        metrics.forwarded_scrapes.with_label_values(&[result]).inc();
    }
    match answer {
        Ok(Found::There(answer)) => Some(passed_on(answer, by)),
        Ok(Found::Here) => None,
        // Its first collection is under way.
        Err(_) if membership.collects(uid) && !has_body => None,
        Err(error) => {
            tracing::debug!(account = uid, %error, "a request could not be answered");
            Some(line(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()))
        }
    }
}

/// The response to a request about an account that this replica collects, and perhaps its next owner too: that of the next owner,
/// where it does, since what this one has is not always newer than what that one has answered others.
async fn instead_of_own(
    peers: &Peers,
    metrics: &Metrics,
    next_owner: &Member,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response> {
    match headers.get(FROM_REPLICA) {
        // The next owner was asked, and has nothing.
        Some(role) if role == BEFORE => None,
        Some(_) => Some(away(Some(next_owner), "another replica may collect this account", ASK_FIRST)),
        None => {
            let by = Instant::now() + within(headers);
            let answer = peers.ask(next_owner, target(uri), &forwarded(headers), by).await?;
            if is_scrape(uri) {
                metrics.forwarded_scrapes.with_label_values(&["answered"]).inc();
            }
            Some(passed_on(answer, by))
        }
    }
}

fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// The headers of a request to another replica.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut forwarded = headers.clone();
    for name in [HOST, CONNECTION, TRANSFER_ENCODING] {
        forwarded.remove(name);
    }
    forwarded
}

/// Whether this is the path of an account's metrics, or of its legacy ones.
fn is_scrape(uri: &Uri) -> bool {
    uri.path().split('/').nth(4) == Some("metrics")
}

/// The answer to another replica about an account that this one has no body of, or none that may be answered; `has_last` is
/// whether it has one from before the account moved.
fn not_here(membership: &Membership, uid: &str, is_before: bool, has_last: bool) -> Response {
    let other = membership.owner(uid).filter(|owner| membership.me().is_some_and(|me| me.name != owner.name));
    let text = match other {
        Some(_) => "another replica collects this account",
        None => "this replica has not collected this account yet",
    };
    let hands_over = membership.hands_over(uid);
    // One that has started anew may have answered something before that it knows no longer, nor of the changes then.
    let is_new = if is_before { !hands_over } else { other.is_none() && membership.before(uid).is_empty() };
    let not_here = match other {
        _ if is_new => NOR_BEFORE,
        Some(_) if hands_over && has_last => HAS_LAST,
        _ => HeaderValue::from_static("1"),
    };
    let mut response = away(other.as_ref(), text, not_here);
    let age = u64::try_from(membership.age().as_millis()).unwrap_or(u64::MAX);
    response.headers_mut().insert(AGE, age.into());
    response
}

/// The answer to another replica that is to ask this one next, if there is one.
fn away(other: Option<&Member>, text: &str, not_here: HeaderValue) -> Response {
    let mut response = line(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(NOT_HERE, not_here);
    let other =
        other.and_then(|Member { name, address }| HeaderValue::from_str(&format!("{name} {address}")).ok());
    if let Some(other) = other {
        response.headers_mut().insert(OWNER, other);
    }
    response
}

/// How long the client waits.
fn within(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok()?.parse().ok());
    let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(TIMEOUT);
    timeout.min(TIMEOUT * 6).saturating_sub(SPARE).max(SPARE)
}

fn passed_on(answer: Response<Incoming>, by: Instant) -> Response {
    let (mut head, body) = answer.into_parts();
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    // A replica that stops in mid-answer must not keep the client's connection for ever.
    let chunks = stream::try_unfold(body.into_data_stream(), move |mut body| async move {
        let chunk = timeout_at(by, body.try_next()).await.map_err(io::Error::other)?;
        Ok::<_, io::Error>(chunk.map_err(io::Error::other)?.map(|chunk| (chunk, body)))
    });
    Response::from_parts(head, Body::from_stream(chunks))
}
