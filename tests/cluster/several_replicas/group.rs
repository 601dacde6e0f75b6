//! The fixture: accounts, each at a cloud account of its own, and replicas of the operator that share them. Records when the
//! cloud is asked for which account.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use caas_operator::simulator::{AccountSettings, Settings};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::fixture::{DEADLINE, Fixture, manifest};
use crate::harness::{ControlPlane, Operator, until};

/// From one cycle of an account to the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// How often it is looked for new requests.
const LOOK: Duration = Duration::from_millis(50);

/// Accounts and the cloud that they are at.
pub(super) struct Group {
    pub(super) fixture: Arc<Fixture>,
    asked: Arc<Mutex<Vec<Vec<Instant>>>>,
    _recorder: AbortOnDropHandle<()>,
}

impl Group {
    /// So many accounts.
    pub(super) async fn new(hint: &str, accounts: usize) -> anyhow::Result<Self> {
        let users = (0..accounts).map(|index| AccountSettings {
            services: 2,
            instances: 1,
            ..AccountSettings::new(format!("user-{index}"))
        });
        let settings = Settings { accounts: users.collect(), ..Settings::default() };
        let fixture = Fixture::with(ControlPlane::shared().await.namespace(hint).await?, settings).await?;
        let logins = fixture.cloud.credentials();
        let mut items = Vec::new();
        for (index, login) in logins.iter().enumerate() {
            let name = account(index);
            items.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                "stringData": {"username": login.username, "password": login.password}}));
            let spec = json!({"collection": {"interval": format!("{}s", INTERVAL.as_secs())},
                "provider": {"alauda": {"namespace": login.username}}});
            items.push(manifest(&name, &fixture.spec(&name, spec)));
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        fixture.namespace.apply(&list.to_string()).await?.expect_ok();
        let fixture = Arc::new(fixture);
        let asked = Arc::new(Mutex::new(vec![Vec::new(); accounts]));
        let recorder = tokio::spawn(record(Arc::clone(&fixture), Arc::clone(&asked)));
        Ok(Self { fixture, asked, _recorder: AbortOnDropHandle::new(recorder) })
    }

    /// Starts the replica of this pod's name, and does not wait.
    pub(super) fn spawn(&self, pod: &str) -> anyhow::Result<Operator> {
        let namespace = self.fixture.namespace.name();
        let env = [("CAAS_OPERATOR_REPLICA_NAME", pod), ("CAAS_OPERATOR_REPLICA_ADDRESS", "127.0.0.1")];
        let mut options = self.fixture.options();
        options.args.push(format!("--replicas-lease-namespace={namespace}"));
        options.env.extend(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Operator::spawn(self.fixture.namespace.cluster(), options)
    }

    /// Starts replicas and waits until all are ready.
    pub(super) async fn start<const N: usize>(&self, pods: [&str; N]) -> anyhow::Result<[Operator; N]> {
        let mut replicas = Vec::new();
        for pod in pods {
            replicas.push(self.spawn(pod)?);
        }
        for replica in &mut replicas {
            replica.ready().await?;
        }
        replicas.try_into().ok().context("as many as there are names")
    }

    /// How many accounts there are.
    pub(super) fn accounts(&self) -> usize {
        self.asked().len()
    }

    /// When the cloud was asked for each account.
    pub(super) fn asked(&self) -> Vec<Vec<Instant>> {
        self.asked.lock().unwrap().clone()
    }

    /// The longest time since `from` in which the cloud was not asked for an account, by account.
    pub(super) fn gaps(&self, from: Instant) -> Vec<Duration> {
        let gap = |asked: &Vec<Instant>| {
            let before = asked.iter().rfind(|at| **at <= from).copied().unwrap_or(from);
            let after = asked.iter().filter(|at| **at > from).copied().chain([Instant::now()]);
            let mut last = before;
            after.map(|at| at - std::mem::replace(&mut last, at)).max().unwrap_or_default()
        };
        self.asked().iter().map(gap).collect()
    }

    /// The most that an account was asked for within so much time, since `from`.
    pub(super) fn most_within(&self, time: Duration, from: Instant) -> usize {
        let most = |asked: &Vec<Instant>| {
            let within =
                |at: &Instant| asked.iter().filter(|other| (*at..*at + time).contains(*other)).count();
            asked.iter().filter(|at| **at >= from).map(within).max().unwrap_or_default()
        };
        self.asked().iter().map(most).max().unwrap_or_default()
    }

    /// Waits until exactly these replicas collect all accounts, each one of them; returns which collects which.
    pub(super) async fn until_shared(&self, replicas: &[&Operator]) -> BTreeMap<String, usize> {
        until(DEADLINE, "each account to be collected by one replica", async || {
            let mut collectors = BTreeMap::new();
            for (index, replica) in replicas.iter().enumerate() {
                let (code, told) = replica.scrape("/replicas/accounts").await?;
                ensure!(code == 200, "{code} {told}");
                for line in told.lines().filter_map(|line| line.strip_prefix("{\"account\":")) {
                    let account: serde_json::Value = serde_json::from_str(&line[..line.len() - 1])?;
                    let name = account["name"].as_str().context("a name")?.to_owned();
                    ensure!(account["reason"] == "Collected", "{account}");
                    let before = collectors.insert(name, index);
                    ensure!(before.is_none(), "{} is collected by {before:?} and {index}", account["name"]);
                }
            }
            ensure!(collectors.len() == self.accounts(), "{collectors:?}");
            Ok(collectors)
        })
        .await
    }
}

/// The name of an account.
pub(super) fn account(index: usize) -> String {
    format!("account-{index}")
}

async fn record(fixture: Arc<Fixture>, asked: Arc<Mutex<Vec<Vec<Instant>>>>) {
    let mut seen = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let requests = fixture.cloud.requests();
        assert!(requests.len() < 10_000, "no more are kept");
        let now = Instant::now();
        for request in &requests[seen..] {
            // A list of services is one cycle.
            let Some((_, path)) = request.split_once("/v1/services/user-") else { continue };
            let (index, rest) = path.split_at(path.find(|c: char| !c.is_ascii_digit()).unwrap_or(path.len()));
            if matches!(rest.split('?').next(), Some("" | "/"))
                && let Ok(index) = index.parse::<usize>()
            {
                asked.lock().unwrap()[index].push(now);
            }
        }
        seen = requests.len();
    }
}
