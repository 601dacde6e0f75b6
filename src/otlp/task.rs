//! Pushes each interval until it is dropped.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until};

use super::client::{Answer, Client};
use super::round::{Origin, Round};
use super::sent::Sent;
use crate::collector::Registry;
use crate::limits::MemoryBudget;
use crate::telemetry::Metrics;

/// Pushes to one endpoint.
pub struct Pusher {
    client: Client,
    interval: Duration,
    origin: Origin,
}

/// What became of a push.
enum Outcome {
    /// Every request was answered, and all points but so many were taken.
    Done { rejected: usize },
    /// It ended early. The endpoint is left alone for so long.
    Failed { cause: String, wait: Duration },
}

impl Pusher {
    /// Pushes with this client, the first time after an interval.
    pub fn new(client: Client, interval: Duration, origin: Origin) -> Self {
        Self { client, interval, origin }
    }

    /// Pushes what the registry holds and the own metrics, one request at a time. A push that takes longer than the interval
    /// delays the next one. What is kept between pushes is charged to this memory. Ends only when it is dropped.
    pub async fn run(self, registry: Arc<Registry>, metrics: Arc<Metrics>, memory: MemoryBudget) {
        let (sent, cuts) = Sent::new(memory);
        tokio::join!(self.pushes(registry, metrics, sent), cuts.follow());
    }

    async fn pushes(self, registry: Arc<Registry>, metrics: Arc<Metrics>, sent: Sent) {
        let endpoint = self.client.endpoint();
        tracing::info!(%endpoint, interval = ?self.interval, "pushing metrics by OTLP");
        let mut next = Instant::now() + self.interval;
        // Only changes are logged: an endpoint may be away for days.
        let mut failing = false;
        metrics.otlp_succeeded(0.0);
        loop {
            sleep_until(next).await;
            let begun = Instant::now();
            next = begun + self.interval;
            let (origin, sent) = (self.origin.clone(), sent.clone());
            let round = Round::new(Arc::clone(&registry), Arc::clone(&metrics), origin, sent.clone());
            match self.push(round, &sent, next, &metrics).await {
                Outcome::Done { rejected } => {
                    metrics.otlp_succeeded(seconds(SystemTime::now()));
                    if failing || rejected > 0 {
                        tracing::info!(%endpoint, rejected, "metrics are pushed by OTLP");
                    }
                    failing = false;
                }
                Outcome::Failed { cause, wait } => {
                    if !failing {
                        tracing::warn!(%endpoint, %cause, "metrics are not pushed by OTLP");
                    }
                    failing = true;
                    next = next.max(Instant::now() + wait);
                }
            }
            next = next.max(Instant::now());
        }
    }

    async fn push(&self, mut round: Round, sent: &Sent, until: Instant, metrics: &Metrics) -> Outcome {
        let (mut all_rejected, mut refused) = (0, None);
        loop {
            let made = tokio::task::spawn_blocking(move || (round.next_batch(), round)).await;
            let batch = match made {
                Ok((Ok(Some(batch)), rest)) => {
                    round = rest;
                    batch
                }
                Ok((Ok(None), _)) => break,
                Ok((Err(error), _)) => return Outcome::failed(format!("a bug: {error}"), Duration::ZERO),
                Err(_) => {
                    return Outcome::failed("a bug: making a request panicked".to_owned(), Duration::ZERO);
                }
            };
            let answer =
                self.client.send(&batch, until, |answer| metrics.otlp_requested(&answer.code())).await;
            match answer {
                Answer::Taken { rejected } => {
                    metrics.otlp_points("accepted", batch.points - rejected);
                    metrics.otlp_points("rejected", rejected);
                    all_rejected += rejected;
                    sent.answered(batch.finished);
                }
                Answer::Refused(status) => {
                    metrics.otlp_points("rejected", batch.points);
                    refused = Some(status);
                    sent.answered(batch.finished);
                }
                Answer::Failed { status, wait } => {
                    metrics.otlp_points("lost", batch.points);
                    return Outcome::failed(format!("it responds with {status}"), wait);
                }
                Answer::Unreachable(cause) => {
                    metrics.otlp_points("lost", batch.points);
                    return Outcome::failed(format!("it cannot be reached ({cause})"), Duration::ZERO);
                }
            }
        }
        match refused {
            None => Outcome::Done { rejected: all_rejected },
            Some(status) => Outcome::failed(format!("it rejects requests with {status}"), Duration::ZERO),
        }
    }
}

impl Outcome {
    fn failed(cause: String, wait: Duration) -> Self {
        Self::Failed { cause, wait }
    }
}

impl Answer {
    /// The status, or why there is none, for the label `code`.
    fn code(self) -> String {
        match self {
            Self::Taken { .. } => "200".to_owned(),
            Self::Refused(status) | Self::Failed { status, .. } => status.to_string(),
            Self::Unreachable(cause) => cause.to_owned(),
        }
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
