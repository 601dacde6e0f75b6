//! One request from its arrival to its answer: counted, delayed, befallen by faults. Knows no socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::admin;
use super::alauda::route::Route;
use super::alauda::{self, Alauda, PageFaults};
use super::answer::Answer;
use super::clock::Clock;
use super::counts::Counter;
use super::faults::{FaultKind, Faults, Revocation, wire};
use super::settings::Settings;

/// No request of this API has a longer body.
const LONGEST_BODY: usize = 64 << 10;

/// All that requests share.
pub(super) struct Shared {
    pub(super) alauda: Alauda,
    pub(super) faults: Faults,
    pub(super) counter: Counter,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    latency: Duration,
}

/// The connection is to be closed without an answer.
#[derive(Debug, Error)]
#[error("closed on purpose")]
pub(super) struct Close;

impl Shared {
    /// The state of a cloud of these settings.
    pub(super) fn new(settings: &Settings, stop: CancellationToken) -> Self {
        Self {
            alauda: Alauda::new(settings),
            faults: Faults::new(settings.seed, settings.faults.clone()),
            counter: Counter::default(),
            clock: settings.clock.clone(),
            stop,
            latency: settings.latency,
        }
    }

    /// Answers one request, or has its connection closed.
    pub(super) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Close> {
        let (head, body) = request.into_parts();
        if let Some(path) = head.uri.path().strip_prefix("/_sim/") {
            return Ok(admin::answer(&self, &head.method, path, head.uri.query()).send());
        }
        let route = Route::of(head.uri.path());
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let _under_way = self.counter.begin(route.counted(), format!("{} {target}", head.method));
        let hits =
            route.operation().map_or_else(Vec::new, |operation| self.faults.hits(operation, route.service()));

        let body = Limited::new(body, LONGEST_BODY).collect().await;
        self.delay(&hits).await;
        for hit in &hits {
            match hit {
                FaultKind::Drop => return Err(Close),
                FaultKind::Hang => {
                    self.stop.cancelled().await;
                    return Err(Close);
                }
                FaultKind::RevokedToken(Revocation::Before) => self.alauda.sessions.revoke(),
                _ => {}
            }
        }
        let now = self.clock.now();
        let instead = route
            .operation()
            .and_then(|operation| hits.iter().find_map(|hit| wire::instead(hit, operation, now)));
        let answer = match (instead, body) {
            (Some(answer), _) => answer,
            (None, Err(_)) => Answer::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
            (None, Ok(body)) => {
                let request = alauda::Request {
                    method: &head.method,
                    path: head.uri.path(),
                    query: head.uri.query(),
                    headers: &head.headers,
                    body: &body.to_bytes(),
                };
                self.alauda.answer(&route, &request, now, page_faults(&hits))
            }
        };
        if hits.contains(&FaultKind::RevokedToken(Revocation::AfterUse)) {
            self.alauda.sessions.revoke();
        }
        Ok(wire::spoil(answer, &hits))
    }

    /// Waits as long as an answer takes, unless the cloud stops meanwhile.
    async fn delay(&self, hits: &[FaultKind]) {
        let more = hits.iter().map(|hit| match hit {
            FaultKind::Latency(more) => *more,
            _ => Duration::ZERO,
        });
        let delay = more.fold(self.latency, Duration::saturating_add);
        if delay > Duration::ZERO {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}

fn page_faults(hits: &[FaultKind]) -> PageFaults {
    hits.iter().fold(PageFaults::default(), |faults, hit| match hit {
        FaultKind::PageCycle => PageFaults { cycle: true, ..faults },
        FaultKind::EndlessPages => PageFaults { endless: true, ..faults },
        FaultKind::HugeLabel(bytes) => PageFaults { huge: Some(*bytes), ..faults },
        _ => faults,
    })
}
