//! What an attack does to everybody else: memory, the slowest probe and scrape, and how late the bystander is collected.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{INTERVAL, MEMORY, is_alone};

/// The longest that a probe or a scrape may take.
const BOUND: Duration = Duration::from_millis(100);
/// The same next to other tests.
const BOUND_ON_BUSY_MACHINE: Duration = Duration::from_secs(2);
/// How often probes and scrapes are sent.
const PERIOD: Duration = Duration::from_millis(250);
/// A probe or scrape that takes longer counts as so long. Longer than all bounds.
const LONGEST: Duration = Duration::from_secs(3);

/// What one attack did to everybody else.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Damage {
    /// Peak memory of the process, in bytes.
    pub(crate) peak_memory: u64,
    pub(crate) slowest_probe: Duration,
    pub(crate) slowest_scrape: Duration,
    /// The longest time between two collections of the bystander.
    pub(crate) longest_gap: Duration,
}

impl Damage {
    /// Fails where others noticed the attack; prints the figures.
    pub(crate) fn assert_bounded(&self, attack: &str) {
        let Self { peak_memory, slowest_probe, slowest_scrape, longest_gap } = self;
        println!(
            "{attack}: peak {} MiB, slowest probe {slowest_probe:?}, slowest scrape {slowest_scrape:?}, \
             longest gap {longest_gap:?}",
            peak_memory >> 20
        );
        assert!(*peak_memory < MEMORY, "{self:?}");
        let (bound, gap) =
            if is_alone() { (BOUND, 2 * INTERVAL) } else { (BOUND_ON_BUSY_MACHINE, 4 * INTERVAL) };
        assert!(*slowest_probe < bound && *slowest_scrape < bound, "{self:?}");
        assert!(*longest_gap < gap, "{self:?}");
    }
}

/// Probes and scrapes that are timed until it is dropped, on a thread of their own: what the attack itself costs the test
/// does not count.
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    _stop: DropGuard,
}

/// What has been measured, and what still waits.
struct Seen {
    damage: Damage,
    /// When the bystander was last seen collected anew.
    collected_since: Instant,
    /// Since when a probe, or else a scrape, has been waiting for its answer.
    probing: Option<Instant>,
    scraping: Option<Instant>,
}

impl Seen {
    /// The damage with what has not ended yet: a program that hangs ends no probe.
    fn damage(&self) -> Damage {
        let waited = |since: Option<Instant>| since.map_or(Duration::ZERO, |since| since.elapsed());
        let damage = self.damage;
        Damage {
            slowest_probe: damage.slowest_probe.max(waited(self.probing)),
            slowest_scrape: damage.slowest_scrape.max(waited(self.scraping)),
            longest_gap: damage.longest_gap.max(self.collected_since.elapsed()),
            ..damage
        }
    }
}

impl Watch {
    /// Times probes of the first URL and scrapes of the bystander's metrics at the second.
    pub(crate) fn start(livez: String, metrics: String) -> Self {
        let seen = Seen {
            damage: Damage::default(),
            collected_since: Instant::now(),
            probing: None,
            scraping: None,
        };
        let (seen, stop) = (Arc::new(Mutex::new(seen)), CancellationToken::new());
        let (shared, stopped) = (Arc::clone(&seen), stop.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(watch(livez, metrics, shared)))
        });
        Self { seen, _stop: stop.drop_guard() }
    }

    /// The damage so far, with this peak of memory.
    pub(crate) fn damage(&self, peak_memory: u64) -> Damage {
        Damage { peak_memory, ..self.seen.lock().unwrap().damage() }
    }
}

/// Probes and scrapes for ever.
async fn watch(livez: String, metrics: String, seen: Arc<Mutex<Seen>>) {
    let mut newest = 0.0;
    loop {
        seen.lock().unwrap().probing = Some(Instant::now());
        let probe = timed(&livez).await.0;
        {
            let mut seen = seen.lock().unwrap();
            seen.damage.slowest_probe = seen.damage.slowest_probe.max(probe);
            (seen.probing, seen.scraping) = (None, Some(Instant::now()));
        }
        let (scrape, body) = timed(&metrics).await;
        {
            let mut seen = seen.lock().unwrap();
            seen.scraping = None;
            seen.damage.slowest_scrape = seen.damage.slowest_scrape.max(scrape);
            seen.damage.longest_gap = seen.damage().longest_gap;
            let collected = body.as_deref().and_then(last_collection).unwrap_or(newest);
            if collected > newest {
                (newest, seen.collected_since) = (collected, Instant::now());
            }
        }
        sleep(PERIOD).await;
    }
}

/// How long it takes to get an answer of status 200, and its body. A connection that a flood of others closed before its
/// request arrived is made again, and the time counts as one.
async fn timed(url: &str) -> (Duration, Option<String>) {
    let start = Instant::now();
    let answer = async {
        loop {
            if let Ok(answer) = client().get(url).send().await
                && answer.status() == 200
                && let Ok(body) = answer.text().await
            {
                return body;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let body = timeout(LONGEST, answer).await.ok();
    let took = if body.is_some() { start.elapsed() } else { LONGEST };
    (took, body)
}

/// When an account was last collected, by its metrics at this URL.
pub(crate) async fn collected_at(metrics: &str) -> Option<f64> {
    last_collection(&client().get(metrics).send().await.ok()?.text().await.ok()?)
}

fn last_collection(body: &str) -> Option<f64> {
    let line = body.lines().find(|line| line.starts_with("caas_account_last_success_timestamp_seconds{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A client whose requests have a connection each, as probes have.
pub(super) fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // The client needs a TLS provider even for plain HTTP. Other tests of the process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
    });
    &CLIENT
}
