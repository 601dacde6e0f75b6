//! Pushes each interval until it is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until};

use super::client::{Answer, Client};
use super::round::{Origin, Round};
use super::sent::Sent;
use crate::account::AccountId;
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
    /// Nothing is pushed while `is_behind`: values may be older then than what another replica has pushed.
    pub async fn run(
        self,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        memory: MemoryBudget,
        is_behind: impl Fn() -> bool,
    ) {
        let (sent, cuts) = Sent::new(memory);
        tokio::join!(self.pushes(registry, metrics, sent, is_behind), cuts.follow());
    }

    async fn pushes(
        self,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        sent: Sent,
        is_behind: impl Fn() -> bool,
    ) {
        let endpoint = self.client.endpoint();
        tracing::info!(%endpoint, interval = ?self.interval, "pushing metrics by OTLP");
        let mut next = Instant::now() + self.interval;
        // Only changes are logged: an endpoint may be away for days.
        let (mut failing, mut rejecting) = (false, false);
        // Where the next push begins.
        let mut reached = None;
        metrics.otlp_succeeded(0.0);
        loop {
            sleep_until(next).await;
            let begun = Instant::now();
            next = begun + self.interval;
            if is_behind() {
                continue;
            }
            let (origin, sent) = (self.origin.clone(), sent.clone());
            let (registry, own) = (Arc::clone(&registry), Arc::clone(&metrics));
            let round = Round::new(registry, own, origin, sent.clone(), reached.take());
            match self.push(round, &sent, next, &metrics, &mut reached).await {
                Outcome::Done { rejected } => {
                    metrics.otlp_succeeded(seconds(SystemTime::now()));
                    reached = None;
                    if failing || rejecting != (rejected > 0) {
                        tracing::info!(%endpoint, rejected, "metrics are pushed by OTLP");
                    }
                    (failing, rejecting) = (false, rejected > 0);
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

    /// Pushes all. `reached` becomes the last account of which something was sent.
    async fn push(
        &self,
        mut round: Round,
        sent: &Sent,
        until: Instant,
        metrics: &Metrics,
        reached: &mut Option<AccountId>,
    ) -> Outcome {
        let (mut all_rejected, mut refused) = (0, None);
        loop {
            let made = tokio::task::spawn_blocking(move || (round.next_batch(), round)).await;
            let mut batch = match made {
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
            *reached = round.reached();
            let finished = std::mem::take(&mut batch.finished);
            let mut batches = VecDeque::from([batch]);
            while let Some(batch) = batches.pop_front() {
                let (points, each) =
                    (batch.points(), |answer: Answer| metrics.otlp_requested(&answer.code()));
                match self.client.send(&batch, until, each).await {
                    Answer::Taken { rejected } => {
                        metrics.otlp_points("accepted", points - rejected);
                        metrics.otlp_points("rejected", rejected);
                        all_rejected += rejected;
                    }
                    // Points of one target are no reason to lose those of others.
                    Answer::Refused(_) if batch.is_mixed() => {
                        match tokio::task::spawn_blocking(move || batch.split()).await {
                            Ok(Ok(split)) => batches.extend(split),
                            _ => {
                                return Outcome::failed(
                                    "a bug: a request cannot be split".to_owned(),
                                    Duration::ZERO,
                                );
                            }
                        }
                    }
                    Answer::Refused(status) => {
                        metrics.otlp_points("rejected", points);
                        refused = Some(status);
                    }
                    Answer::Failed { status, wait } => {
                        metrics.otlp_points("lost", points);
                        return Outcome::failed(format!("it responds with {status}"), wait);
                    }
                    Answer::Unreachable(cause) => {
                        metrics.otlp_points("lost", points);
                        return Outcome::failed(format!("it cannot be reached ({cause})"), Duration::ZERO);
                    }
                }
            }
            sent.answered(finished);
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
