//! Several operators that share accounts behind a Service, and a Prometheus that scrapes it. Knows the operator's command line
//! and HTTP, nothing of how it shares.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use serde_json::json;
use tokio::time::Instant;

use super::account::Account;
use super::figures::Figures;
use super::prometheus::Prometheus;
use super::service::Service;
use crate::fixture::MONITORS;
use crate::harness::cluster::Cluster;
use crate::harness::{ControlPlane, Kubeconfig, Namespace, Operator, OperatorOptions, until};
use crate::operator_fixture::{DEADLINE, cloud, login, put, secret, spec};

/// From one cycle of an account to the next, where a test does not say otherwise.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// From a replica's end until the others take over at the latest: a Lease is valid for 12 s, and its last change may be seen 3 s
/// late.
pub(super) const EXPIRY: Duration = Duration::from_secs(15);

/// Kubernetes' own time from SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// How many instances each account's cloud has.
const INSTANCES: usize = 4;

/// A namespace, its accounts, the operators that share them, and who scrapes them.
pub(super) struct Group {
    pub(super) namespace: Namespace,
    pub(super) replicas: BTreeMap<&'static str, Operator>,
    pub(super) interval: Duration,
    accounts: BTreeMap<String, Account>,
    service: Service,
    prometheus: Option<Prometheus>,
}

/// How one replica is started.
#[derive(Default)]
pub(super) struct Start {
    /// Its way to the API server; none: directly, as the administrator.
    pub(super) kubeconfig: Option<Kubeconfig>,
    /// Where the others are told that they reach it; none: where it listens.
    pub(super) address: Option<SocketAddr>,
    /// Its environment.
    pub(super) env: Vec<(String, String)>,
}

/// How much of a fault may be seen by Prometheus.
#[derive(Clone, Copy)]
pub(super) struct Price {
    /// Scrapes of one account that fail; `None`: as many as it takes.
    pub(super) failed: Option<u64>,
    /// How often an older body comes after a newer one.
    pub(super) older: Option<u64>,
}

impl Price {
    /// Nothing.
    pub(super) const NONE: Self = Self { failed: Some(0), older: Some(0) };
    /// Scrapes fail while nobody can answer them.
    pub(super) const SCRAPES: Self = Self { failed: None, ..Self::NONE };
}

/// Which replica collects which account.
pub(super) type Owners = BTreeMap<String, &'static str>;

impl Group {
    /// Without replicas yet, with so many accounts, each collected once within this interval.
    pub(super) async fn new(
        cluster: &Cluster,
        hint: &str,
        accounts: usize,
        interval: Duration,
    ) -> anyhow::Result<Self> {
        let mut group = Self {
            namespace: cluster.namespace(hint).await?,
            replicas: BTreeMap::new(),
            interval,
            accounts: BTreeMap::new(),
            service: Service::start().await?,
            prometheus: None,
        };
        for _ in 0..accounts {
            group.add_account().await?;
        }
        Ok(group)
    }

    /// On the shared control plane with the replicas `a`, `b` and `c`; see [`Group::with`].
    pub(super) async fn of_three(hint: &str, interval: Duration) -> anyhow::Result<Self> {
        let replicas = ["a", "b", "c"].map(|name| (name, Start::default()));
        Self::with(ControlPlane::shared().await, hint, interval, replicas.into()).await
    }

    /// With these replicas, of which each collects two accounts at least, and all accounts scraped. Where replicas do not reach
    /// each other, an account is so only by a connection that leads to its own one, which may not come for long.
    pub(super) async fn with(
        cluster: &Cluster,
        hint: &str,
        interval: Duration,
        replicas: Vec<(&'static str, Start)>,
    ) -> anyhow::Result<Self> {
        let mut group = Self::new(cluster, hint, 6, interval).await?;
        let up = u8::from(replicas.iter().all(|(_, start)| start.address.is_none()));
        let mut started = Vec::new();
        for (name, start) in replicas {
            started.push((name, group.spawn(name, start)?));
        }
        for (name, mut operator) in started {
            operator.ready().await?;
            group.join(name, operator);
        }
        loop {
            let owners = group.until_shared().await;
            let of = |name: &&str| owners.values().filter(|owner| *owner == name).count();
            if group.replicas.keys().all(|name| of(name) >= 2) {
                break;
            }
            group.add_account().await?;
        }
        let prometheus = Prometheus::start(cluster, &group.service)?;
        prometheus.until_scraped(group.accounts.len(), up).await;
        group.prometheus = Some(prometheus);
        // So that what the start moved is over: what is seen from now on is the fault's.
        passed(interval).await;
        Ok(group)
    }

    async fn add_account(&mut self) -> anyhow::Result<()> {
        let name = format!("account-{}", self.accounts.len());
        let cloud = cloud().await?;
        let mut spec = spec(&cloud, &name);
        spec["collection"]["interval"] = json!(format!("{}s", self.interval.as_secs()));
        secret(&self.namespace, &name, &login(&cloud)).await?;
        put(&self.namespace, &name, spec).await?;
        self.accounts.insert(name, Account::new(cloud));
        Ok(())
    }

    /// Starts a replica and waits until it is ready.
    pub(super) async fn start(&mut self, name: &'static str) -> anyhow::Result<()> {
        let mut operator = self.spawn(name, Start::default())?;
        operator.ready().await?;
        self.join(name, operator);
        Ok(())
    }

    /// A replica that is ready is one of the group's, and the Service's.
    fn join(&mut self, name: &'static str, operator: Operator) {
        self.service.add(name, &operator);
        self.replicas.insert(name, operator);
    }

    /// Starts a replica that is none of the group's yet.
    pub(super) fn spawn(&self, name: &str, start: Start) -> anyhow::Result<Operator> {
        let address = start.address.map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string());
        let args = [
            format!("--replicas-lease-namespace={}", self.namespace.name()),
            format!("--replica-name={name}"),
            format!("--replica-address={address}"),
            "--service-namespace=caas-system".to_owned(),
        ];
        let options = OperatorOptions {
            namespaces: vec![self.namespace.name().to_owned()],
            kubeconfig: start.kubeconfig,
            args: args.into(),
            env: start.env,
        };
        Operator::spawn(self.namespace.cluster(), options)
    }

    /// A replica.
    pub(super) fn replica(&mut self, name: &str) -> anyhow::Result<&mut Operator> {
        self.replicas.get_mut(name).with_context(|| format!("no replica {name}"))
    }

    /// Takes a replica out of the group; it runs on.
    pub(super) fn take(&mut self, name: &str) -> anyhow::Result<Operator> {
        self.replicas.remove(name).with_context(|| format!("no replica {name}"))
    }

    /// SIGKILL: its pod stays an endpoint until its probe fails.
    pub(super) async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.take(name)?.kill().await
    }

    /// As a kubelet deletes pods: they are no endpoints any more, and are asked to end. Returns once they have ended.
    pub(super) async fn delete(&mut self, names: &[&str]) -> anyhow::Result<()> {
        let mut leaving = Vec::new();
        for name in names {
            self.service.remove(name);
            leaving.push(self.take(name)?);
        }
        for code in try_join_all(leaving.iter_mut().map(|operator| operator.stop(GRACE))).await? {
            ensure!(code == 0, "it ends with {code}");
        }
        Ok(())
    }

    /// Waits until each account is collected by one of the replicas that run, and all know that.
    pub(super) async fn until_shared(&self) -> Owners {
        until(DEADLINE, "each account to be collected by one replica", async || {
            let owners = self.owners().await?;
            let members = self.metric("caas_operator_replicas ").await?;
            let count = self.replicas.len() as u64;
            ensure!(members.values().all(|seen| *seen == count), "{count} replicas see {members:?}");
            Ok(owners)
        })
        .await
    }

    /// Waits until the accounts are collected by whom they were.
    pub(super) async fn until_owned_as(&self, before: &Owners) {
        until(DEADLINE, "each account to be where it was", async || {
            let owners = self.owners().await?;
            ensure!(owners == *before, "{owners:?}");
            Ok(())
        })
        .await;
    }

    /// Which replica collects which account; an error where not exactly one collects each.
    pub(super) async fn owners(&self) -> anyhow::Result<Owners> {
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

    /// The accounts that each replica asks the clouds for: it counts requests of those only.
    pub(super) async fn collected(&self) -> anyhow::Result<BTreeMap<&'static str, BTreeSet<String>>> {
        let scrapes = self.replicas.iter().map(async |(name, operator)| {
            let (_, body) = operator.scrape("/metrics").await?;
            let requests = body.lines().filter(|line| line.starts_with("caas_operator_api_requests_total{"));
            let accounts = requests.filter_map(|line| line.split_once("account=\"")?.1.split('"').next());
            anyhow::Ok((*name, accounts.map(str::to_owned).collect()))
        });
        Ok(try_join_all(scrapes).await?.into_iter().collect())
    }

    /// The sum of the series of each replica whose lines begin like this.
    pub(super) async fn metric(&self, line: &str) -> anyhow::Result<BTreeMap<&'static str, u64>> {
        let scrapes = self.replicas.iter().map(async |(name, operator)| {
            let (_, body) = operator.scrape("/metrics").await?;
            let lines = body.lines().filter(|of| of.starts_with(line));
            let values = lines.filter_map(|of| of.rsplit(' ').next()?.parse::<u64>().ok());
            anyhow::Ok((*name, values.sum()))
        });
        Ok(try_join_all(scrapes).await?.into_iter().collect())
    }

    /// How many accounts have moved to the replicas that run.
    pub(super) async fn moves(&self) -> anyhow::Result<u64> {
        Ok(self.metric("caas_operator_account_moves_total{").await?.values().sum())
    }

    /// The names of all accounts.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The path of an account's series.
    pub(super) fn path(&self, account: &str) -> String {
        format!("/accounts/{}/{account}/metrics", self.namespace.name())
    }

    /// The longest time without the start of a cycle among these accounts, of the cycles that were under way at `from` or later.
    pub(super) fn longest_gap<'a>(
        &self,
        accounts: impl IntoIterator<Item = &'a str>,
        from: Instant,
    ) -> Duration {
        let gaps = accounts.into_iter().map(|account| self.accounts[account].longest_gap(from));
        gaps.max().unwrap_or_default()
    }

    /// The most cycles of one account that began within an interval, from `from` on.
    pub(super) fn most_cycles(&self, from: Instant) -> u64 {
        let within = self.less_than_an_interval();
        self.accounts.values().map(|account| account.most_cycles(within, from)).max().unwrap_or(0)
    }

    /// Within this time an account begins one cycle.
    fn less_than_an_interval(&self) -> Duration {
        self.interval.mul_f64(0.9)
    }

    /// What clouds, Prometheus and API server saw since `from`.
    pub(super) async fn seen(
        &self,
        figures: &mut Figures,
        from: Instant,
        price: Price,
    ) -> anyhow::Result<()> {
        self.requests_since(figures, from);
        let prometheus = self.prometheus.as_ref().context("a Prometheus scrapes the group")?;
        let seconds = from.elapsed().as_secs() + 1;
        let failed = format!("max(count_over_time(up[{seconds}s]) - sum_over_time(up[{seconds}s]))");
        let failed = whole(prometheus.one(&failed).await?);
        figures.measured("failed scrapes of one account", failed, price.failed);
        if price.failed.is_some_and(|most| failed > most) {
            println!("failed scrapes:\n{}", prometheus.failed_scrapes());
        }
        // As long as Prometheus waits: no answer in time, as on a busy machine.
        let lasted = format!("max(max_over_time((scrape_duration_seconds unless up == 1)[{seconds}s:1s]))");
        figures.note("longest of them", prometheus.one(&lasted).await?, " s");
        let counter = format!("caas_instance_cpu_usage_seconds_total[{seconds}s]");
        // Each cycle raises it. Counters go back where an instance restarts, and most of two bodies have the same.
        let cycle = format!("sum(resets(caas_account_last_collection_timestamp_seconds[{seconds}s]))");
        let older = prometheus.one(&cycle).await?;
        figures.measured("older bodies after newer", whole(older), price.older);
        let series = whole(prometheus.one(&format!("count(count_over_time({counter}))")).await?);
        figures.count("series twice", series.saturating_sub((self.accounts.len() * INSTANCES) as u64), 0);
        figures.count("writes to ServiceMonitors", self.monitors_written(from)?, 0);
        Ok(())
    }

    /// How much more than usual the clouds were asked since `from`.
    fn requests_since(&self, figures: &mut Figures, from: Instant) {
        let mut usual: Vec<u64> = self
            .accounts
            .values()
            .flat_map(Account::requests_by_cycle)
            .filter(|requests| *requests > 0)
            .collect();
        usual.sort_unstable();
        let usual = usual.get(usual.len() / 2).copied().unwrap_or(1) as f64;
        let within = self.less_than_an_interval();
        let most = self.accounts.values().map(|account| account.most_requests(within, from)).max();
        figures.note("requests of one account in an interval", most.unwrap_or(0) as f64 / usual, "x");
        let twice = |account: &Account| {
            let by_interval = account.requests_by_interval(self.interval, from);
            by_interval.into_iter().filter(|requests| *requests as f64 > 1.5 * usual).count()
        };
        let twice = self.accounts.values().map(twice).max().unwrap_or(0);
        figures.note("intervals above 1.5x of one account", twice as f64, "");
    }

    /// How often ServiceMonitors of the group were written since `from`.
    fn monitors_written(&self, from: Instant) -> anyhow::Result<u64> {
        let began = k8s_openapi::jiff::Timestamp::now().checked_sub(from.elapsed())?;
        let namespace = format!("{}/", self.namespace.name());
        let log = self.namespace.cluster().audit_log()?;
        let written = log.all().filter(|call| {
            let request = &call.request;
            call.time.0 >= began
                && request.resource == MONITORS
                && request.object.starts_with(&namespace)
                && !matches!(&*request.verb, "list" | "watch" | "get")
        });
        Ok(written.count() as u64)
    }
}

/// A number of things that Prometheus has counted.
fn whole(value: f64) -> u64 {
    // What is counted is neither negative nor large.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = value as u64;
    whole
}

/// Waits until so much time has passed: a fault lasts so long.
pub(super) async fn passed(time: Duration) {
    let from = Instant::now();
    until(DEADLINE, "time to pass", async || {
        ensure!(from.elapsed() >= time, "{:?}", from.elapsed());
        Ok(())
    })
    .await;
}
