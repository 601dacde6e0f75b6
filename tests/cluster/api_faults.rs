//! The API server fails, refuses, hangs or is away: collection goes on, nothing storms, and reconciles resume by themselves.
//! What the real one does not do on demand, a proxy in front of it does.

use std::time::Duration;

use anyhow::ensure;
use caas_operator::simulator::{Fault as CloudFault, FaultKind, Operation};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Calls, ControlPlane, Fault, Operator, OperatorOptions, Proxy, Times, until};
use crate::stage::{ACCOUNTS, MONITORS, PATIENCE, Stage, value};

const STATUS: &str = "caasaccounts.caas-operator.io/status";

/// An operator of one namespace, with a proxy between it and the API server.
struct Given {
    stage: Stage,
    proxy: Proxy,
    operator: Operator,
}

async fn given(hint: &str) -> anyhow::Result<Given> {
    let plane = ControlPlane::shared().await;
    let stage = Stage::set(plane.namespace(hint).await?).await?;
    let proxy = Proxy::start(plane).await?;
    let kubeconfig = Some(proxy.kubeconfig(&plane.admin()?)?);
    let operator = Operator::start(plane, OperatorOptions { kubeconfig, ..stage.options() }).await?;
    Ok(Given { stage, proxy, operator })
}

/// Waits until the proxy has seen so many calls.
async fn seen(proxy: &Proxy, calls: &Calls, times: usize) {
    until(PATIENCE, &format!("{times} of {calls:?}"), async || {
        let seen = proxy.count(calls);
        ensure!(seen >= times, "{seen} so far");
        Ok(())
    })
    .await;
}

/// The time from each call to the next.
fn gaps(proxy: &Proxy, calls: &Calls) -> Vec<Duration> {
    let times: Vec<Instant> = proxy.seen(calls).iter().map(|seen| seen.at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn while_the_api_server_is_away_collection_and_scrapes_go_on_and_then_reconciles() -> anyhow::Result<()>
{
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("away").await?).await?;
    let mut operator = stage.operator().await?;
    for name in ["acme", "doomed"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    let collected = async || {
        let (code, body) = operator.scrape(&stage.path("acme")).await?;
        ensure!(code == 200, "{code}");
        value(&body, "caas_account_last_success_timestamp_seconds")
    };

    let before = collected().await?;
    plane.stop_api_server().await?;
    stage.cycles(26).await;
    until(PATIENCE, "values of a later collection", async || {
        let now = collected().await?;
        ensure!(now > before, "still {before}");
        Ok(())
    })
    .await;
    assert_eq!(operator.health("/readyz").await?.0, 200);

    plane.start_api_server().await?;
    stage.delete("doomed").await?;
    stage.account("later").await?;
    stage.ready("later").await;
    stage.scraped(&operator, "later", 200).await;
    stage.scraped(&operator, "doomed", 404).await;
    stage.change("acme", json!({"spec": {"suspend": true}})).await?;
    stage.becomes("acme", "Ready", "Suspended").await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_happened_while_nobody_could_watch_is_found_by_a_new_list() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("gone").await?;
    for name in ["acme", "doomed"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    proxy.inject(Calls::all(), Fault::Cut, Times::Always);
    proxy.cut_connections();

    stage.delete("doomed").await?;
    stage.account("later").await?;
    stage.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    stage.cycles(4).await;
    stage.scraped(&operator, "doomed", 200).await;
    proxy.heal();
    let watches = Calls::new("watch", "*");
    let lists = Calls::new("list", "*");
    let before = proxy.count(&lists);
    // Both ways in which the API server says that a version is too old: as an event, and as the answer.
    proxy.inject(Calls::new("watch", ACCOUNTS), Fault::watch_gone(), Times::Next(1));
    proxy.inject(Calls::new("watch", MONITORS), Fault::gone(), Times::Next(1));

    stage.scraped(&operator, "doomed", 404).await;
    stage.ready("later").await;
    until(PATIENCE, "the deleted ServiceMonitor to come again", async || {
        Ok(stage.monitors().get("caas-acme").await.map(drop)?)
    })
    .await;
    seen(&proxy, &lists, before + 2).await;
    stage.cycles(4).await;
    assert!(proxy.count(&lists) <= before + 4, "{:?}", proxy.seen(&lists));
    assert!(proxy.open_watches(&watches) >= 2);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_watch_that_is_answered_with_410_lists_again() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("answered-gone").await?;
    for name in ["acme", "doomed"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    let kinds = [ACCOUNTS, MONITORS].map(|kind| (stage.calls("watch", kind), stage.calls("list", kind)));
    for (watches, _) in &kinds {
        proxy.inject(watches.clone(), Fault::gone(), Times::Always);
    }
    let before = kinds.each_ref().map(|(watches, lists)| (proxy.count(watches), proxy.count(lists)));
    proxy.cut_connections();

    // No watch can tell of these.
    stage.delete("doomed").await?;
    stage.account("later").await?;
    stage.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    stage.scraped(&operator, "doomed", 404).await;
    stage.ready("later").await;
    until(PATIENCE, "the deleted ServiceMonitor to come again", async || {
        Ok(stage.monitors().get("caas-acme").await.map(drop)?)
    })
    .await;
    // As long as it lasts it is a list a watch, with a wait before each.
    for ((watches, lists), (watched, listed)) in kinds.iter().zip(before) {
        seen(&proxy, watches, watched + 4).await;
        assert!(proxy.count(lists) - listed <= proxy.count(watches) - watched, "{:?}", proxy.seen(lists));
        let waits: Duration = gaps(&proxy, watches)[watched..watched + 3].iter().sum();
        assert!(waits > Duration::from_secs(2), "{waits:?}");
    }

    proxy.heal();
    stage.delete("later").await?;
    stage.scraped(&operator, "later", 404).await;
    until(PATIENCE, "a watch of each kind", async || {
        for (watches, _) in &kinds {
            ensure!(proxy.open_watches(watches) == 1, "none among {watches:?}");
        }
        Ok(())
    })
    .await;
    let lists = Calls::new("list", "*");
    let healed = proxy.count(&lists);
    stage.cycles(2).await;
    assert_eq!(proxy.count(&lists), healed);
    Ok(())
}

/// In which ways a watch may miss that an account was deleted and made again.
#[derive(Clone, Copy, Debug)]
enum Missed {
    /// It begins anew with a list, which has only the second object.
    Listed,
    /// It goes on with a change of the second object.
    Changed,
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn made_again_while_nobody_watched_an_account_starts_from_nothing() -> anyhow::Result<()> {
    for missed in [Missed::Listed, Missed::Changed] {
        println!("{missed:?}");
        let Given { stage, proxy, operator } = given("made-again").await?;
        // Its ServiceMonitor would go with the first object, and be told of.
        let spec = json!({"collection": {"requestTimeout": "5m"}, "serviceMonitor": {"enabled": false}});
        stage.account_with("acme", spec.clone()).await?;
        stage.ready("acme").await;
        stall(&proxy, ACCOUNTS).await;
        let before = stage.accounts().get("acme").await?;
        stage.delete("acme").await?;
        stage.account_with("acme", spec).await?;
        let again = stage.accounts().get("acme").await?;
        assert_ne!(again.uid(), before.uid());

        // The new object waits for its Secret, and then for its cloud: whatever is served meanwhile is of the old one.
        proxy.inject(stage.call("get", "secrets", "acme"), Fault::Hold, Times::Always);
        stage.cloud.set_fault(CloudFault::new(FaultKind::Hang));
        let fault = match missed {
            Missed::Listed => Fault::watch_gone(),
            Missed::Changed => Fault::WatchModified(serde_json::to_value(&again)?),
        };
        proxy.inject(stage.calls("watch", ACCOUNTS), fault, Times::Next(1));
        proxy.cut_connections();
        stage.nothing_left(&operator, "acme").await;
        proxy.heal();
        stage.scraped(&operator, "acme", 503).await;
        stage.cloud.clear_faults();
        stage.change("acme", json!({"spec": {"collection": {"requestTimeout": "10s"}}})).await?;
        stage.ready("acme").await;
        stage.scraped(&operator, "acme", 200).await;
    }
    Ok(())
}

/// Silences the watch of a kind, which may just be ending by itself to begin anew.
async fn stall(proxy: &Proxy, kind: &str) {
    until(PATIENCE, &format!("a watch of {kind} to silence"), async || {
        ensure!(proxy.stall(&Calls::new("watch", kind)) == 1, "none is open");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_watch_that_falls_silent_is_noticed_within_a_bounded_time() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("silent").await?;
    for name in ["acme", "doomed"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    let mut silenced = Vec::new();
    for kind in [ACCOUNTS, MONITORS] {
        stall(&proxy, kind).await;
        let watches = Calls::new("watch", kind);
        let before = proxy.count(&watches);
        silenced.push((watches, before, Instant::now()));
    }
    stage.delete("doomed").await?;
    stage.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    stage.account("later").await?;

    stage.scraped(&operator, "doomed", 404).await;
    stage.ready("later").await;
    until(PATIENCE, "the deleted ServiceMonitor to come again", async || {
        Ok(stage.monitors().get("caas-acme").await.map(drop)?)
    })
    .await;
    // A watch is given up after its minute and a quarter. One without a bound of its own would last for five.
    for (watches, before, since) in silenced {
        let took = proxy.seen(&watches)[before].at - since;
        println!("noticed after {took:?}");
        assert!(took < Duration::from_secs(200), "{took:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_conflict_is_retried_on_fresh_data_and_later_each_time() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("conflict").await?;
    let (statuses, monitors) = (stage.calls("patch", STATUS), stage.calls("patch", MONITORS));
    proxy.inject(statuses.clone(), Fault::conflict(), Times::Next(2));
    proxy.inject(monitors.clone(), Fault::conflict(), Times::Next(2));
    stage.account("acme").await?;
    stage.ready("acme").await;
    stage.cycles(2).await;
    // Two that were refused, and one each for what was found at first, of the collection and of the ServiceMonitor. This is
    // applied once more by each reconcile that comes before the watch has told of it.
    let (written, applied) = (proxy.count(&statuses), proxy.count(&monitors));
    assert!((3..=6).contains(&written), "{written} writes of the status");
    assert!((3..=6).contains(&applied), "{applied} writes of the ServiceMonitor");
    stage.cycles(3).await;
    assert_eq!((proxy.count(&statuses), proxy.count(&monitors)), (written, applied));

    // Without an end: after 1, 2, 4, 8 s, with a quarter more or less.
    proxy.inject(statuses.clone(), Fault::conflict(), Times::Always);
    stage.change("acme", json!({"spec": {"suspend": true}})).await?;
    seen(&proxy, &statuses, written + 4).await;
    let waits = gaps(&proxy, &statuses);
    let waits = &waits[waits.len() - 3..];
    // Something else may ask for one of them meanwhile, such as the ServiceMonitor that went.
    assert!(waits.iter().sum::<Duration>() > Duration::from_secs(3), "{waits:?}");
    assert!(waits[2] > Duration::from_millis(1400), "{waits:?}");
    stage.scraped(&operator, "acme", 503).await;
    proxy.heal();
    stage.becomes("acme", "Ready", "Suspended").await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_time_that_the_api_server_asks_to_wait_is_waited() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("throttled").await?;
    let wait = Duration::from_secs(6);
    let unavailable = Fault::Status { code: 503, reason: "ServiceUnavailable", retry_after: Some(6) };
    stage.account("witness").await?;
    stage.ready("witness").await;

    let secrets = stage.call("get", "secrets", "acme");
    proxy.inject(secrets.clone(), Fault::too_many_requests(6), Times::Next(2));
    let applies = stage.call("patch", MONITORS, "caas-acme");
    proxy.inject(applies.clone(), unavailable.clone(), Times::Next(1));
    stage.account("acme").await?;
    stage.ready("acme").await;
    // Two that were turned away and one that was not, and the same with one; what came later was not asked to wait.
    for gap in [&gaps(&proxy, &secrets)[..2], &gaps(&proxy, &applies)[..1]].concat() {
        assert!((wait..wait * 5).contains(&gap), "{gap:?}");
    }

    // A watch that is turned away, and one that it has to list for first.
    let (watches, lists) = (stage.calls("watch", ACCOUNTS), stage.calls("list", ACCOUNTS));
    let before = (proxy.count(&watches), proxy.count(&lists));
    proxy.inject(watches.clone(), Fault::too_many_requests(6), Times::Next(2));
    proxy.inject(watches.clone(), Fault::watch_gone(), Times::Next(1));
    proxy.inject(lists.clone(), unavailable, Times::Next(1));
    proxy.cut_connections();
    seen(&proxy, &watches, before.0 + 4).await;
    let waits = [&gaps(&proxy, &watches)[before.0..before.0 + 2], &gaps(&proxy, &lists)[before.1..=before.1]];
    for gap in waits.concat() {
        assert!(gap >= wait, "{gap:?}");
    }
    stage.change("acme", json!({"spec": {"suspend": true}})).await?;
    stage.becomes("acme", "Ready", "Suspended").await;
    stage.scraped(&operator, "witness", 200).await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_call_that_is_never_answered_ends_at_its_deadline_and_stops_nobody_else() -> anyhow::Result<()> {
    let Given { stage, proxy, operator: _operator } = given("hanging").await?;
    let hanging = stage.call("get", "secrets", "acme");
    proxy.inject(hanging.clone(), Fault::Hang, Times::Next(1));
    stage.account("acme").await?;
    seen(&proxy, &hanging, 1).await;
    stage.account("witness").await?;
    stage.ready("witness").await;
    stage.ready("acme").await;
    let gap = gaps(&proxy, &hanging)[0];
    // Without it the client would wait for a minute and a quarter.
    assert!((Duration::from_secs(10)..Duration::from_secs(60)).contains(&gap), "{gap:?}");
    Ok(())
}

/// What the operator has written about `acme`.
fn writes(stage: &Stage, proxy: &Proxy) -> usize {
    let status = proxy.count(&stage.call("patch", STATUS, "acme"));
    status + proxy.count(&stage.call("*", MONITORS, "caas-acme"))
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_while_it_is_collected_leaves_at_once_and_writes_nothing() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("deleted").await?;
    let witness = Stage::set(ControlPlane::shared().await.namespace("witness").await?).await?;
    // The cycle does not end by itself, which would be written.
    stage.account_with("acme", json!({"collection": {"requestTimeout": "5m"}})).await?;
    stage.ready("acme").await;
    stage.cloud.set_fault(CloudFault::new(FaultKind::Hang).on(Operation::Metrics));
    until(PATIENCE, "a cycle that waits for the cloud", async || {
        ensure!(stage.cloud.counts().in_flight > 0, "{:?}", stage.cloud.counts());
        Ok(())
    })
    .await;

    let before = writes(&stage, &proxy);
    stage.delete("acme").await?;
    stage.scraped(&operator, "acme", 404).await;
    until(PATIENCE, "the cycle to be given up", async || {
        ensure!(stage.cloud.counts().in_flight == 0, "{:?}", stage.cloud.counts());
        Ok(())
    })
    .await;
    stage.cloud.clear_faults();
    let asked = stage.cloud.counts().total;
    // Another account at another cloud says how time goes by.
    let spec = json!({"provider": {"alauda": {"endpoint": witness.cloud.url()}}});
    stage.account_with("witness", spec).await?;
    witness.cycles(4).await;
    assert_eq!(stage.cloud.counts().total, asked);
    assert_eq!(writes(&stage, &proxy), before);
    assert!(!operator.scrape("/metrics").await?.1.contains("account=\"acme\""));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_while_its_secret_is_read_is_never_collected() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("deleted-early").await?;
    let witness = Stage::set(ControlPlane::shared().await.namespace("witness-early").await?).await?;
    let read = stage.call("get", "secrets", "acme");
    proxy.inject(read.clone(), Fault::Hold, Times::Always);
    stage.account("acme").await?;
    seen(&proxy, &read, 1).await;
    stage.delete("acme").await?;
    // Once a later account is known, the deletion is known.
    let spec = json!({"provider": {"alauda": {"endpoint": witness.cloud.url()}}});
    stage.account_with("witness", spec).await?;
    stage.ready("witness").await;
    proxy.heal();

    witness.cycles(3).await;
    assert_eq!(stage.cloud.counts().total, 0);
    assert_eq!(writes(&stage, &proxy), 0);
    assert_eq!(operator.scrape(&stage.path("acme")).await?.0, 404);
    assert!(!operator.logs().contains("could not be reconciled"));
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_deleted_with_its_namespace_hangs_on_nothing() -> anyhow::Result<()> {
    let Given { stage, proxy, operator } = given("namespace").await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    stage.namespace.delete().await?;
    stage.scraped(&operator, "acme", 404).await;
    until(PATIENCE, "the namespace to be gone", async || {
        let namespaces: Api<NamespaceObject> = Api::all(stage.namespace.client());
        ensure!(namespaces.get_opt(stage.namespace.name()).await?.is_none(), "it is still there");
        Ok(())
    })
    .await;
    println!("writes of the status: {}", proxy.count(&stage.calls("patch", STATUS)));
    assert_eq!(operator.health("/readyz").await?.0, 200);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn after_etcd_went_back_in_time_the_operator_follows_what_is_there() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("restored").await?).await?;
    let operator = stage.operator().await?;
    for name in ["kept", "deleted"] {
        stage.account(name).await?;
        stage.ready(name).await;
    }
    let snapshot = plane.etcd_snapshot().await?;
    stage.delete("deleted").await?;
    stage.account("made").await?;
    stage.ready("made").await;
    stage.change("kept", json!({"spec": {"metrics": {"names": "legacy"}}})).await?;
    stage.scraped(&operator, "deleted", 404).await;
    // So that what comes after the restore has older versions than what was seen before it.
    for number in 0..100 {
        let labels = json!({"metadata": {"labels": {"number": number.to_string()}}});
        stage.change("kept", labels).await?;
    }

    plane.etcd_restore(&snapshot).await?;
    let restored = Instant::now();
    stage.scraped(&operator, "deleted", 200).await;
    stage.scraped(&operator, "made", 404).await;
    stage.account("later").await?;
    stage.ready("later").await;
    println!("converged after {:?}", restored.elapsed());
    until(PATIENCE, "the account of before to be collected as before", async || {
        let (code, body) = operator.scrape(&stage.path("kept")).await?;
        ensure!(code == 200 && body.contains("caas_instance_info"), "{code}");
        Ok(())
    })
    .await;
    until(PATIENCE, "a ServiceMonitor for each account and no other", async || {
        let all = stage.monitors().list(&kube::api::ListParams::default()).await?;
        let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
        ensure!(names == ["caas-deleted", "caas-kept", "caas-later"], "{names:?}");
        Ok(())
    })
    .await;
    for name in ["kept", "deleted"] {
        stage.ready(name).await;
    }
    Ok(())
}
