//! The program under attack, the bystander, and what is measured of both.

mod cgroup;
mod cloud;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use cloud::{Answer, HostileCloud, gzip};

use crate::process::{Process, until};
use cgroup::ControlGroup;

/// What the process may use, in bytes.
const MEMORY: u64 = 512 << 20;
/// Names another build to attack: an optimized one, to which the bound of a quiet machine applies.
const PROGRAM: &str = "CAAS_TEST_PROGRAM";
/// The longest that a probe or a scrape may take.
const BOUND: Duration = Duration::from_millis(100);
/// The same without optimization, next to other tests.
const UNOPTIMIZED: Duration = Duration::from_secs(2);
/// How often the bystander is collected.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often probes and scrapes are sent.
const PERIOD: Duration = Duration::from_millis(250);
/// A probe or scrape that takes longer counts as so long.
const LONGEST: Duration = Duration::from_secs(30);

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

/// A program with a bystander in the namespace `bystander`, whose cloud is healthy, and attackers.
pub(crate) struct Target {
    process: Process,
    group: Option<ControlGroup>,
    base: String,
    health: String,
    _folder: tempfile::TempDir,
    _healthy: HostileCloud,
    damage: Arc<Mutex<Damage>>,
    watching: JoinHandle<()>,
}

impl Target {
    /// Starts the program with these manifests besides the bystander's.
    pub(crate) async fn start(manifests: &str) -> Self {
        let healthy = HostileCloud::start(|_| Answer::None).await;
        let folder = tempfile::tempdir().unwrap();
        let bystander = account("bystander", "bystander", &healthy.endpoint(), "");
        write(folder.path(), "bystander.yaml", &[secret("bystander"), bystander].concat());
        write(folder.path(), "attack.yaml", manifests);

        let group = ControlGroup::with_memory(MEMORY);
        let mut process = Process::start(program(folder.path(), group.as_ref()));
        let base = address(&mut process, "serving").await;
        let health = address(&mut process, "health").await;
        // The attack begins with the process; only what the bystander has from then on counts.
        let metrics = format!("{base}/accounts/bystander/bystander/metrics");
        until("the bystander's first collection", async || collected_at(&metrics).await).await;
        let damage = Arc::<Mutex<Damage>>::default();
        let watching = tokio::spawn(watch(format!("{health}/livez"), metrics, Arc::clone(&damage)));
        Self { process, group, base, health, _folder: folder, _healthy: healthy, damage, watching }
    }

    /// The URL of a path at the main port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The URL of a path at the health port.
    pub(crate) fn health_url(&self, path: &str) -> String {
        format!("{}{path}", self.health)
    }

    /// Waits until the account has one of these reasons.
    pub(crate) async fn until_reason(&self, namespace: &str, name: &str, reasons: &[&str]) -> String {
        let url = self.url(&format!("/accounts/{namespace}/{name}"));
        until(&format!("{namespace}/{name} is one of {reasons:?}"), async || {
            let account: serde_json::Value = client().get(&url).send().await.ok()?.json().await.ok()?;
            let reason = account["account"]["reason"].as_str()?.to_owned();
            reasons.contains(&&*reason).then_some(reason)
        })
        .await
    }

    /// Lets the attack go on for so long, and returns what it did. Fails where the process has ended.
    pub(crate) async fn damage_after(mut self, time: Duration) -> Damage {
        sleep(time).await;
        self.watching.abort();
        assert!(
            self.process.has_ended().is_none(),
            "the process ended under the attack:\n{}",
            self.process.err()
        );
        let mut damage = *self.damage.lock().unwrap();
        damage.peak_memory = self.process.peak_memory();
        self.process.signal("TERM");
        let ended = timeout(Duration::from_secs(60), self.process.ended()).await;
        assert!(ended.is_ok_and(|status| status.code() == Some(0)), "SIGTERM is heard under the attack");
        drop(self.group);
        damage
    }
}

/// Whether another build is attacked, which is taken for an optimized one.
pub(crate) fn is_optimized() -> bool {
    std::env::var_os(PROGRAM).is_some()
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
        let bound = if is_optimized() { BOUND } else { UNOPTIMIZED };
        assert!(*slowest_probe < bound && *slowest_scrape < bound, "{self:?}");
        assert!(*longest_gap < 3 * INTERVAL, "{self:?}");
    }
}

fn program(folder: &Path, group: Option<&ControlGroup>) -> Command {
    let path = std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_caas-operator").into());
    let mut command = match group {
        Some(group) => group.command(&path),
        None => Command::new(path),
    };
    command.env_clear().args(["standalone", "--allow-http", "--allow-cidr", "127.0.0.0/8"]);
    command.args(["--listen", "127.0.0.1:0", "--listen-health", "127.0.0.1:0"]);
    command.arg("--manifests").arg(folder);
    if group.is_none() {
        command.args(["--memory-limit", &MEMORY.to_string()]);
    }
    command
}

/// Probes and scrapes until it is aborted.
async fn watch(livez: String, metrics: String, damage: Arc<Mutex<Damage>>) {
    let (mut newest, mut since) = (0.0, Instant::now());
    loop {
        let probe = timed(&livez).await.0;
        let (scrape, body) = timed(&metrics).await;
        let collected = body.as_deref().and_then(last_collection).unwrap_or(newest);
        if collected > newest {
            (newest, since) = (collected, Instant::now());
        }
        {
            let mut damage = damage.lock().unwrap();
            damage.slowest_probe = damage.slowest_probe.max(probe);
            damage.slowest_scrape = damage.slowest_scrape.max(scrape);
            damage.longest_gap = damage.longest_gap.max(since.elapsed());
        }
        sleep(PERIOD).await;
    }
}

/// How long an answer takes, and its body if it is one of status 200.
async fn timed(url: &str) -> (Duration, Option<String>) {
    let start = Instant::now();
    let answer = async {
        let answer = client().get(url).send().await.ok()?;
        let is_ok = answer.status() == 200;
        answer.text().await.ok().filter(|_| is_ok)
    };
    let body = timeout(LONGEST, answer).await.ok().flatten();
    let took = if body.is_some() { start.elapsed() } else { LONGEST };
    (took, body)
}

async fn collected_at(metrics: &str) -> Option<f64> {
    last_collection(&timed(metrics).await.1?)
}

fn last_collection(body: &str) -> Option<f64> {
    let line = body.lines().find(|line| line.starts_with("caas_account_last_success_timestamp_seconds{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // The client needs a TLS provider even for plain HTTP.
        rustls::crypto::ring::default_provider().install_default().unwrap();
        // Each request has a connection of its own, as probes have.
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
    });
    &CLIENT
}

/// The base URL in the first log line that contains this word.
async fn address(process: &mut Process, word: &str) -> String {
    let port = process.says(word, |_, err| {
        let (whole, _) = err.rsplit_once('\n')?;
        let line = whole.lines().find(|line| line.contains(word))?;
        let (_, address) = line.split_once("127.0.0.1:")?;
        Some(address.chars().take_while(char::is_ascii_digit).collect::<String>())
    });
    format!("http://127.0.0.1:{}", port.await)
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).unwrap();
}

/// The Secret `acme` of a namespace.
pub(crate) fn secret(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: acme, namespace: {namespace}}}\n\
         stringData: {{username: acme, password: secret}}\n---\n"
    )
}

/// An account that uses it; `more` holds further lines of its spec.
pub(crate) fn account(namespace: &str, name: &str, endpoint: &str, more: &str) -> String {
    format!(
        "apiVersion: caas-operator.io/v1alpha1\nkind: CaasAccount\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  provider: {{alauda: {{endpoint: '{endpoint}'}}}}\n  \
         credentials: {{secretRef: {{name: acme}}}}\n  collection: {{interval: {}s}}\n{more}\n---\n",
        INTERVAL.as_secs()
    )
}
