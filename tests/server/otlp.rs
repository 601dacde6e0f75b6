//! Pushes by OTLP of a registry that changes: which accounts are pushed, and what is said of series that end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use caas_operator::account::{Account, AccountId, Names};
use caas_operator::collector::Registry;
use caas_operator::collector::health::Health;
use caas_operator::collector::registry::{Elsewhere, Snapshot};
use caas_operator::exposition::Renderer;
use caas_operator::limits::MemoryBudget;
use caas_operator::otlp::{Client, Origin, Pusher};
use caas_operator::telemetry::Metrics;
use reqwest::header::HeaderMap;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::accounts::{account, uncollected};
use crate::http_support::client;
use crate::otlp_endpoint::{Endpoint, Received, Reply, Series, instances};
use crate::pages::ALL;
use crate::{resting, snapshot};

/// A registry with `team-a/acme` and `team-b/other`, pushed ten times a second in one request each time.
struct Pushed {
    registry: Arc<Registry>,
    endpoint: Endpoint,
    _pushing: AbortOnDropHandle<()>,
}

impl Pushed {
    async fn start() -> Self {
        Self::of_accounts(&[("team-a", "acme"), ("team-b", "other")]).await
    }

    async fn of_accounts(accounts: &[(&str, &str)]) -> Self {
        // The client needs a TLS provider even for plain HTTP, which this one installs.
        client();
        let registry = Arc::new(Registry::default());
        for (namespace, name) in accounts {
            let account = account(namespace, name, Names::Modern);
            registry.put(Arc::clone(&account));
            registry.publish(&account, snapshot(&ALL, Health::Collected));
        }
        let (endpoint, url) = Endpoint::start(&[]).await;
        let client = Client::new(url.parse().unwrap(), HeaderMap::new(), None).unwrap();
        let origin = Origin { instance: "here".into(), started: SystemTime::now() };
        let run = Pusher::new(client, Duration::from_millis(100), origin).run(
            Arc::clone(&registry),
            Metrics::new(),
            MemoryBudget::default(),
            || false,
        );
        let task = tokio::spawn(run);
        let pushed = Self { registry, endpoint, _pushing: AbortOnDropHandle::new(task) };
        let (namespace, name) = accounts[0];
        until("the first account", || !pushed.of(&format!("{namespace}/{name}")).is_empty()).await;
        pushed
    }

    /// What the endpoint has of an account that has not ended.
    fn of(&self, instance: &str) -> BTreeSet<Series> {
        let is_of = |series: &Series| series.1["instance"] == instance;
        self.endpoint.series().into_keys().filter(is_of).collect()
    }

    fn requests(&self) -> usize {
        self.endpoint.look(<[_]>::len)
    }

    /// Waits for a push that begins and ends after this moment.
    async fn push(&self) {
        let before = self.requests();
        until("two more requests", || self.requests() >= before + 2).await;
    }

    /// Publishes the account's values without its first service.
    fn lose_a_service(&self, account: &Account) {
        let mut lost = Arc::into_inner(snapshot(&ALL, Health::Collected)).unwrap();
        lost.values.services.remove(0);
        let bodies = Renderer::default().render(&lost.values, &ALL).bodies;
        self.registry.publish(account, Arc::new(Snapshot { bodies, ..lost }));
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("timed out waiting for: {what}"));
}

#[tokio::test]
async fn series_that_end_are_said_to_have_ended_once_and_no_others() {
    let pushed = Pushed::start().await;
    pushed.push().await;
    assert_eq!(pushed.endpoint.ended(), Vec::new(), "nothing ends while nothing changes");

    let all = pushed.of("team-a/acme");
    pushed.lose_a_service(&account("team-a", "acme", Names::Modern));
    until("a service ends", || !pushed.endpoint.ended().is_empty()).await;
    pushed.push().await;
    let ended = pushed.endpoint.ended();
    assert!(ended.len() > 10, "{ended:?}");
    let left = pushed.of("team-a/acme");
    let expected: BTreeSet<_> = all.difference(&left).cloned().collect();
    let once: BTreeSet<_> = ended.iter().cloned().collect();
    assert_eq!((once, ended.len()), (expected.clone(), expected.len()), "once each");
    assert!(expected.iter().all(|(_, labels)| labels["service_name"] == "kibana"), "{expected:?}");
    assert!(!left.is_empty());
}

#[tokio::test]
async fn all_series_of_an_account_end_when_it_goes_is_not_collected_or_has_other_labels() {
    let pushed = Pushed::start().await;
    let all = pushed.of("team-a/acme");
    let suspended = || uncollected("team-a", "acme", Names::Modern, resting());
    let other_labels = || {
        let mut changed = Arc::into_inner(account("team-a", "acme", Names::Modern)).unwrap();
        for (_, value) in changed.targets[0].labels.iter_mut().filter(|(name, _)| name == "team") {
            *value = "payments".to_owned();
        }
        Arc::new(changed)
    };
    let put = |account: Arc<Account>| {
        pushed.registry.put(Arc::clone(&account));
        pushed.registry.publish(&account, snapshot(&ALL, Health::Collected));
    };

    put(other_labels());
    until("it has other labels", || {
        let now = pushed.of("team-a/acme");
        now.len() == all.len() && now.iter().all(|(_, labels)| labels["team"] == "payments")
    })
    .await;
    put(account("team-a", "acme", Names::Modern));
    until("it has its labels again", || pushed.of("team-a/acme") == all).await;
    pushed.registry.mark_uncollected(suspended());
    until("it is suspended", || pushed.of("team-a/acme").is_empty()).await;
    put(account("team-a", "acme", Names::Modern));
    until("it is back", || pushed.of("team-a/acme") == all).await;
    pushed.registry.remove(&AccountId::new("team-a", "acme"));
    until("it is gone", || pushed.of("team-a/acme").is_empty()).await;
    assert_eq!(pushed.of("team-b/other").len(), all.len());
}

#[tokio::test]
async fn an_account_whose_points_are_refused_costs_no_other_its_points() {
    let pushed = Pushed::start().await;
    pushed.endpoint.refuse("team-a/acme");
    let from = pushed.requests();
    let of_it_alone = || {
        let is_alone = |one: &Received| instances(&one.message) == ["team-b/other"];
        pushed.endpoint.look(|all| all[from..].iter().any(is_alone))
    };
    until("the other account alone", of_it_alone).await;
}

#[tokio::test]
async fn a_push_that_ends_early_is_gone_on_with_by_the_next_one() {
    let names: Vec<String> = (0..100).map(|number| format!("acme-{number:03}")).collect();
    let accounts: Vec<_> = names.iter().map(|name| ("team-a", &**name)).collect();
    let pushed = Pushed::of_accounts(&accounts).await;
    let before = pushed.requests();
    pushed.push().await;
    // One request of each push is taken, and the next one is not.
    pushed.endpoint.reply(&[Reply::Taken(0), Reply::Status(500)].repeat(40));
    pushed.push().await;
    let from = pushed.requests();
    until("every account", || {
        let since =
            pushed.endpoint.look(|all| all[from..].iter().flat_map(|one| instances(&one.message)).collect());
        let since: BTreeSet<String> = since;
        names.iter().all(|name| since.contains(&format!("team-a/{name}")))
    })
    .await;
    assert!(pushed.requests() < before + 80, "while each push fails");
}

#[tokio::test]
async fn the_end_of_series_is_said_again_when_it_was_lost() {
    let pushed = Pushed::start().await;
    pushed.endpoint.reply(&[Reply::Status(500); 3]);
    pushed.lose_a_service(&account("team-a", "acme", Names::Modern));
    until("the end is said", || !pushed.endpoint.ended().is_empty()).await;
    pushed.push().await;
    pushed.push().await;
    let ended = pushed.endpoint.ended();
    let once: BTreeSet<_> = ended.iter().cloned().collect();
    assert!(ended.len() > once.len() && ended.len() <= once.len() * 4, "{} {}", ended.len(), once.len());
}

#[tokio::test]
async fn an_account_is_pushed_by_the_replica_that_collects_it_alone_and_does_not_end_when_it_moves() {
    let pushed = Pushed::start().await;
    let all = pushed.of("team-a/acme");
    let moved = account("team-a", "acme", Names::Modern);
    pushed.registry.mark_elsewhere(Elsewhere {
        id: moved.id.clone(),
        uid: moved.uid.clone(),
        provider: "alauda",
        targets: moved.targets.clone(),
        is_suspended: false,
        is_coming: false,
        before: None,
        report: None,
    });
    // The snapshot that was made here is still known.
    assert!(pushed.registry.listed(&moved.id).unwrap().own_snapshot().is_some());
    pushed.push().await;
    let (after, others) = (pushed.requests(), pushed.of("team-b/other").len());
    pushed.push().await;
    pushed.push().await;
    let since = pushed.endpoint.since(after);
    let of = |instance: &str| since.iter().filter(|(_, labels)| labels["instance"] == instance).count();
    assert!(of("team-a/acme") == 0 && of("team-b/other") >= 4 * others, "{}", of("team-b/other"));
    assert_eq!(pushed.endpoint.ended(), Vec::new());

    // Nor when it is deleted: the replica that collected it says so.
    pushed.registry.remove(&moved.id);
    pushed.push().await;
    assert_eq!((pushed.of("team-a/acme"), pushed.endpoint.ended()), (all, Vec::new()));
}
