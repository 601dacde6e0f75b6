//! Several operators that share accounts, each account at a simulated cloud of its own, which tells when it was collected.
//! Knows the operator's command line and HTTP, nothing of how it shares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use caas_operator::simulator::Running;
use futures::future::try_join_all;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{ControlPlane, Kubeconfig, Namespace, Operator, OperatorOptions, until};
use crate::operator_fixture::{DEADLINE, cloud, login, put, secret, spec};

/// From one cycle of an account to the next.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// How much later than it should something may happen on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_secs(4);

/// A namespace, its accounts, and the operators that share them.
pub(crate) struct Group {
    pub(crate) namespace: Namespace,
    pub(crate) replicas: BTreeMap<&'static str, Operator>,
    accounts: BTreeMap<String, Account>,
}

/// An account's cloud, and when its cycles began.
struct Account {
    _cloud: Arc<Running>,
    cycles: Arc<Mutex<Vec<Instant>>>,
    _end: DropGuard,
}

/// Which replica collects which account.
pub(crate) type Owners = BTreeMap<String, &'static str>;

impl Group {
    /// Without replicas yet, with so many accounts.
    pub(crate) async fn new(hint: &str, accounts: usize) -> anyhow::Result<Self> {
        let namespace = ControlPlane::shared().await.namespace(hint).await?;
        let mut group = Self { namespace, replicas: BTreeMap::new(), accounts: BTreeMap::new() };
        for _ in 0..accounts {
            group.add_account().await?;
        }
        Ok(group)
    }

    /// With the replicas `a`, `b` and `c`, of which each collects two accounts at least.
    pub(crate) async fn of_three(hint: &str) -> anyhow::Result<Self> {
        let mut group = Self::new(hint, 6).await?;
        for name in ["a", "b", "c"] {
            group.start(name, None).await?;
        }
        loop {
            let owners = group.until_shared().await;
            let of = |name: &&str| owners.values().filter(|owner| *owner == name).count();
            if group.replicas.keys().all(|name| of(name) >= 2) {
                return Ok(group);
            }
            group.add_account().await?;
        }
    }

    async fn add_account(&mut self) -> anyhow::Result<()> {
        let name = format!("account-{}", self.accounts.len());
        let cloud = Arc::new(cloud().await?);
        secret(&self.namespace, &name, &login(&cloud)).await?;
        put(&self.namespace, &name, spec(&cloud, &name)).await?;
        let (cycles, end) = (Arc::new(Mutex::default()), CancellationToken::new());
        tokio::spawn(end.clone().run_until_cancelled_owned(record(Arc::clone(&cloud), Arc::clone(&cycles))));
        self.accounts.insert(name, Account { _cloud: cloud, cycles, _end: end.drop_guard() });
        Ok(())
    }

    /// Starts a replica, by this way to the API server, and waits until it is ready.
    pub(crate) async fn start(
        &mut self,
        name: &'static str,
        kubeconfig: Option<Kubeconfig>,
    ) -> anyhow::Result<()> {
        let mut operator = self.spawn(name, kubeconfig)?;
        operator.ready().await?;
        self.replicas.insert(name, operator);
        Ok(())
    }

    /// Starts a replica that is none of the group's yet.
    pub(crate) fn spawn(&self, name: &str, kubeconfig: Option<Kubeconfig>) -> anyhow::Result<Operator> {
        let args = [
            format!("--replicas-lease-namespace={}", self.namespace.name()),
            format!("--replica-name={name}"),
            "--replica-address=127.0.0.1".to_owned(),
            "--service-namespace=caas-system".to_owned(),
        ];
        let options = OperatorOptions {
            namespaces: vec![self.namespace.name().to_owned()],
            kubeconfig,
            args: args.into(),
            ..OperatorOptions::default()
        };
        Operator::spawn(self.namespace.cluster(), options)
    }

    /// Waits until each account is collected by one of the replicas that run, and all know that.
    pub(crate) async fn until_shared(&self) -> Owners {
        until(DEADLINE, "each account to be collected by one replica", async || {
            let owners = self.owners().await?;
            let members = self.metric("caas_operator_replicas ").await?;
            let count = self.replicas.len() as u64;
            ensure!(members.values().all(|seen| *seen == count), "{count} replicas see {members:?}");
            Ok(owners)
        })
        .await
    }

    /// Which replica collects which account; an error where not exactly one collects each.
    pub(crate) async fn owners(&self) -> anyhow::Result<Owners> {
        let mut owners = Owners::new();
        for (name, collected) in self.collected().await? {
            for account in collected {
                let other = owners.insert(account.clone(), name);
                ensure!(other.is_none(), "{account} is collected by {name} and {other:?}");
            }
        }
        for account in self.accounts.keys() {
            ensure!(owners.contains_key(account), "{account} is collected by none: {owners:?}");
        }
        Ok(owners)
    }

    /// The accounts that each replica queries the clouds for: it counts requests of those only.
    pub(crate) async fn collected(&self) -> anyhow::Result<BTreeMap<&'static str, BTreeSet<String>>> {
        let scrapes = self.replicas.iter().map(async |(name, operator)| {
            let (_, body) = operator.scrape("/metrics").await?;
            let requests = body.lines().filter(|line| line.starts_with("caas_operator_api_requests_total{"));
            let accounts = requests.filter_map(|line| line.split_once("account=\"")?.1.split('"').next());
            anyhow::Ok((*name, accounts.map(str::to_owned).collect()))
        });
        Ok(try_join_all(scrapes).await?.into_iter().collect())
    }

    /// The value of one metric of each replica; the line begins like this.
    pub(crate) async fn metric(&self, line: &str) -> anyhow::Result<BTreeMap<&'static str, u64>> {
        let scrapes = self.replicas.iter().map(async |(name, operator)| {
            let (_, body) = operator.scrape("/metrics").await?;
            let values = body.lines().filter_map(|of| of.strip_prefix(line)?.trim().parse::<u64>().ok());
            anyhow::Ok((*name, values.sum()))
        });
        Ok(try_join_all(scrapes).await?.into_iter().collect())
    }

    /// How many accounts moved to each replica so far.
    pub(crate) async fn moves(&self) -> anyhow::Result<u64> {
        let mut moves = 0;
        for reason in ["joined", "left", "died"] {
            let line = format!("caas_operator_account_moves_total{{reason=\"{reason}\"}} ");
            moves += self.metric(&line).await?.values().sum::<u64>();
        }
        Ok(moves)
    }

    /// A replica.
    pub(crate) fn replica(&mut self, name: &str) -> anyhow::Result<&mut Operator> {
        self.replicas.get_mut(name).with_context(|| format!("no replica {name}"))
    }

    /// The names of all accounts.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The longest time without the start of a cycle of an account, of those that were under way at `from` or later.
    pub(crate) fn longest_gap(&self, account: &str, from: Instant) -> Duration {
        let cycles = self.accounts[account].cycles.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = cycles.iter().skip(1).copied().chain([Instant::now()]);
        let gaps = cycles.iter().zip(ends).filter(|(_, end)| *end >= from);
        gaps.map(|(start, end)| end - *start).max().unwrap_or_default()
    }

    /// The most cycles of an account that began within this time, from `from` on.
    pub(crate) fn most_cycles(&self, account: &str, within: Duration, from: Instant) -> usize {
        let cycles = self.accounts[account].cycles.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |start: &Instant| cycles.iter().filter(|at| (*start..*start + within).contains(*at)).count();
        cycles.iter().filter(|start| **start >= from).map(of).max().unwrap_or(0)
    }
}

/// Waits until so much time has passed: a fault lasts so long.
pub(crate) async fn passed(time: Duration) {
    let from = Instant::now();
    until(DEADLINE, "time to pass", async || {
        ensure!(from.elapsed() >= time, "{:?}", from.elapsed());
        Ok(())
    })
    .await;
}

/// Records when each cycle asks the cloud for its inventory. Never ends.
async fn record(cloud: Arc<Running>, cycles: Arc<Mutex<Vec<Instant>>>) {
    let mut known = 0;
    loop {
        let count = cloud.counts()["services_page"];
        let began = (known..count).map(|_| Instant::now());
        cycles.lock().unwrap_or_else(PoisonError::into_inner).extend(began);
        known = count;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
