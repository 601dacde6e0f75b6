//! Releases that are installed, changed and removed. Each test starts without a release and without our CRD.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::blocks::commands;
use crate::control::until;
use crate::harness::cloud::NETWORK;
use crate::harness::helm::chart;
use crate::harness::prometheus::{Prometheus, Series};
use crate::harness::tenant::Tenant;
use crate::harness::world::{NAMESPACE, World};
use crate::harness::{PATIENCE, timeout};

const CRD: &str = "caasaccounts.caas-operator.io";

/// Values of every release that is changed.
pub(crate) fn values() -> Value {
    json!({"clouds": {"allowedCIDRs": [NETWORK]}, "log": {"level": "info,caas_operator=debug", "format": "text"}})
}

/// Uninstalls what an earlier test left behind.
pub(crate) async fn clean(world: &World) {
    let releases =
        world.helm(&["list", "--all-namespaces", "--output", "json"], &Value::Null).await.expect_ok();
    let releases: Value = serde_json::from_str(&releases).unwrap();
    for release in releases.as_array().unwrap() {
        let (name, namespace) = (release["name"].as_str().unwrap(), release["namespace"].as_str().unwrap());
        world.helm(&["uninstall", name, "--namespace", namespace, "--wait"], &Value::Null).await.expect_ok();
    }
    kubectl(world, &["delete", "crd", CRD, "--ignore-not-found", &timeout()]).await;
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The output of the administrator's `kubectl`.
pub(crate) async fn kubectl(world: &World, words: &[&str]) -> String {
    world.plane.kubectl(words).await.unwrap().expect_ok()
}

/// Installs the release.
pub(crate) async fn install(world: &World, values: &Value) {
    world.deploy("install", "caas-operator", NAMESPACE, &chart(), values).await;
}

/// Names and restarts of the operator's Pods.
async fn pods(world: &World) -> String {
    let path = "jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}";
    kubectl(world, &["--namespace", NAMESPACE, "get", "pods", "-o", path]).await
}

/// A field of an account, by its `JSONPath`.
pub(crate) async fn field(team: &Tenant, account: &str, path: &str) -> String {
    team.kubectl(&["get", "caas", account, "-o", &format!("jsonpath={{{path}}}")], "").await.expect_ok()
}

async fn has_series(prometheus: &Prometheus, team: &Tenant) {
    let query = format!("caas_instance_memory_usage_bytes{{namespace=\"{}\"}}", team.namespace);
    prometheus.until(&query, |series| !series.is_empty()).await;
}

pub(crate) async fn prometheus_operator_may_be_installed_after_the_operator(world: &'static World) {
    clean(world).await;
    install(world, &values()).await;
    let team = Tenant::new(world, "early").await;
    team.apply("acme", &world.cloud, "acme", json!({})).await;
    team.wait("acme", "Ready").await;
    let reason = field(&team, "acme", ".status.conditions[?(@.type==\"ServiceMonitorReady\")].reason").await;
    assert_eq!(reason, "PrometheusOperatorNotInstalled");
    let before = pods(world).await;

    let prometheus = world.prometheus().await;

    team.wait("acme", "Ready").await;
    has_series(prometheus, &team).await;
    assert_eq!(pods(world).await, before, "nothing was restarted");
}

pub(crate) async fn an_operator_of_some_namespaces_ignores_the_others(world: &'static World) {
    clean(world).await;
    let prometheus = world.prometheus().await;
    let (ours, also, elsewhere) = (
        Tenant::new(world, "ours").await,
        Tenant::new(world, "also").await,
        Tenant::new(world, "elsewhere").await,
    );
    let mut values = values();
    values["namespaces"] = json!([ours.namespace, also.namespace]);
    world.deploy("install", "teams", "caas-teams", &chart(), &values).await;

    elsewhere.apply("acme", &world.cloud, "acme", json!({})).await;
    for team in [&ours, &also] {
        team.apply_and_wait("acme", &world.cloud, "acme", json!({})).await;
        has_series(prometheus, team).await;
    }

    assert_eq!(field(&elsewhere, "acme", ".status.conditions").await, "");
    let operator = "system:serviceaccount:caas-teams:teams-caas-operator";
    let used = world.plane.audit_log().unwrap().used_by(operator);
    assert!(used.len() > 5, "{used:?}");
    for ((resource, verb), usage) in &used {
        let allowed = |namespace: &String| {
            [&ours.namespace, &also.namespace].contains(&namespace)
                || (namespace.is_empty() && resource.starts_with("/api"))
                || (namespace == "caas-teams" && resource == "leases.coordination.k8s.io")
        };
        assert!(usage.namespaces.iter().all(allowed), "{verb} {resource} in {:?}", usage.namespaces);
        assert!(!usage.codes.contains(&403), "{verb} {resource}");
    }
    let bindings = kubectl(world, &["get", "clusterrolebindings", "-o", "json"]).await;
    assert!(!bindings.contains("teams-caas-operator"), "a ClusterRole is bound to it");
}

/// A copy of the chart as another version: other version numbers and another CRD.
fn chart_as(copied: PathBuf, version: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    copy(&chart(), &copied);
    let file = copied.join("Chart.yaml");
    let mut about: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for number in ["version", "appVersion"] {
        assert!(about[number].is_string());
        about[number] = version.into();
    }
    fs::write(&file, about.to_string()).unwrap();
    let file = copied.join("files/crd.yaml");
    let mut crd: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    change(&mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]);
    fs::write(&file, crd.to_string()).unwrap();
    copied
}

/// Removes a field of `spec.metrics` from the CRD.
fn without(spec: &mut Value, field: &str) {
    let metrics = &mut spec["properties"]["metrics"];
    metrics["properties"].as_object_mut().unwrap().remove(field).unwrap();
    if let Some(defaults) = metrics["default"].as_object_mut() {
        defaults.remove(field);
    }
}

/// The previous version, whose CRD lacks one of the fields.
fn chart_before(folder: &Path) -> PathBuf {
    chart_as(folder.join("before/caas-operator"), "0.0.9", |spec| without(spec, "timestamps"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Seconds between scrapes of the account that is scraped during an upgrade.
const INTERVAL: f64 = 15.0;

/// How many scrapes brought nothing, from the first that did: those that failed, and those that never were since the
/// target was gone.
fn missed(scrapes: &[(f64, f64)]) -> f64 {
    let failed = scrapes.iter().filter(|(_, up)| *up < 1.0).count();
    let between = scrapes.windows(2).map(|pair| (pair[1].0 - pair[0].0) / INTERVAL);
    let never: f64 = between.map(|intervals| (intervals.round() - 1.0).max(0.0)).sum();
    failed as f64 + never
}

pub(crate) async fn an_upgrade_keeps_accounts_and_series_with_at_most_one_scrape_missed(
    world: &'static World,
) {
    clean(world).await;
    let prometheus = world.prometheus().await;
    let folder = tempfile::tempdir().unwrap();
    world.deploy("install", "caas-operator", NAMESPACE, &chart_before(folder.path()), &values()).await;
    let team = Tenant::new(world, "upgraded").await;
    // Rarely enough that a busy machine misses none by itself.
    let rhythm = json!({"collection": {"interval": format!("{INTERVAL}s")}});
    team.apply_and_wait("acme", &world.cloud, "acme", rhythm).await;
    has_series(prometheus, &team).await;
    let timestamps = json!({"metrics": {"timestamps": "Source"}});
    let (uid, pods_before) = (field(&team, "acme", ".metadata.uid").await, pods(world).await);

    world.deploy("upgrade", "caas-operator", NAMESPACE, &chart(), &values()).await;

    // The old Pod is gone, and the new one alone has been scraped for a while.
    until(PATIENCE, "the old Pod to be gone", async || {
        let now = pods(world).await;
        ensure!(now.lines().count() == 1 && now != pods_before, "{now}");
        Ok(())
    })
    .await;
    let values_of = |query: String| async move { prometheus.values(&query).await.unwrap().remove(0).1 };
    let up = format!("up{{namespace=\"{}\"}}", team.namespace);
    let scraped = values_of(format!("{up}[30m]")).await.len();
    until(PATIENCE, "four more scrapes", async || {
        let now = values_of(format!("{up}[30m]")).await.len();
        ensure!(now >= scraped + 4, "{} more", now - scraped);
        Ok(())
    })
    .await;

    let all = values_of(format!("{up}[30m]")).await;
    let first = all.iter().position(|(_, value)| *value > 0.0).unwrap();
    let missed = missed(&all[first..]);
    println!("{} scrapes over the upgrade, {missed} missed", all.len() - first);
    assert!(missed <= 1.0, "{all:?}");
    let series = format!("caas_account_up{{namespace=\"{}\"}}[30m]", team.namespace);
    let series = prometheus.values(&series).await.unwrap();
    assert_eq!(series.len(), 1, "one series from before to after: {series:?}");
    let brought: Vec<_> = series[0].1.iter().map(|(time, _)| *time).collect();
    let empty = all[first..].iter().find(|(time, up)| *up > 0.0 && !brought.contains(time));
    assert_eq!(empty, None, "a scrape that brought nothing of the account: {brought:?}");
    assert_eq!(field(&team, "acme", ".metadata.uid").await, uid);
    let version = kubectl(world, &["get", "crd", CRD, "-o", "jsonpath={.metadata.labels}"]).await;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    // A field that the older CRD did not have is taken.
    team.apply_and_wait("acme", &world.cloud, "acme", timestamps).await;
    assert_eq!(field(&team, "acme", ".spec.metrics.timestamps").await, "Source");
    world.no_complaints();
}

/// An account that no operator reconciles yet.
const ACCOUNT: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "taken-over"}},
    {"apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccount", "metadata": {"name": "acme", "namespace": "taken-over"},
        "spec": {"provider": {"alauda": {"cloud": "io"}}, "credentials": {"secretRef": {"name": "none"}}}}]}"#;

async fn uid(world: &World) -> String {
    kubectl(world, &["--namespace", "taken-over", "get", "caas", "acme", "-o", "jsonpath={.metadata.uid}"])
        .await
}

pub(crate) async fn a_crd_that_kubectl_installed_is_adopted_and_upgraded(world: &'static World) {
    let folder = tempfile::tempdir().unwrap();
    let page = "docs/upgrade.md";
    let take_over = commands(page, "Adopting a CRD that kubectl installed").unwrap();
    let upgrade = commands(page, "Upgrade").unwrap().remove(0);
    assert!(
        upgrade.starts_with("helm upgrade caas-operator charts/caas-operator -n caas-system "),
        "{upgrade}"
    );
    let later = folder.path().join("charts/caas-operator");
    chart_as(later, "99.0.0", |spec| without(spec, "maxSeries"));
    // What differs is a conflict on taking over, and what does not is one on a later upgrade, as long as both own it.
    let (older, same) = (chart_before(folder.path()).join("files/crd.yaml"), chart().join("files/crd.yaml"));
    let fields = async || {
        let path = "{.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.metrics.properties}";
        kubectl(world, &["get", "crd", CRD, "-o", &format!("jsonpath={path}")]).await
    };
    for installed in [older, same] {
        for way in [&["--server-side"][..], &[]] {
            clean(world).await;
            let file = installed.display().to_string();
            kubectl(world, &[&["apply", "-f", &file], way].concat()).await;
            kubectl(world, &["wait", "crd", CRD, "--for=condition=Established", &timeout()]).await;
            // By the administrator: what lets teams use accounts comes with the release.
            world.plane.apply(ACCOUNT).await.unwrap();
            let account = uid(world).await;

            for block in &take_over {
                world.typed(block, &project()).await.expect_ok();
            }
            let taken = fields().await;
            assert!(taken.contains("timestamps") && taken.contains("maxSeries"), "{way:?}: {taken}");

            world.typed(&upgrade, folder.path()).await.expect_ok();
            let upgraded = fields().await;
            assert!(
                upgraded.contains("timestamps") && !upgraded.contains("maxSeries"),
                "{way:?}: {upgraded}"
            );
            assert_eq!(uid(world).await, account);
        }
    }
}

pub(crate) async fn an_uninstalled_release_leaves_accounts_and_a_new_one_adopts_them(world: &'static World) {
    clean(world).await;
    let prometheus = world.prometheus().await;
    install(world, &values()).await;
    let team = Tenant::new(world, "kept").await;
    for account in ["acme", "globex"] {
        team.apply_and_wait(account, &world.cloud, account, json!({})).await;
    }
    has_series(prometheus, &team).await;

    world
        .helm(&["uninstall", "caas-operator", "--namespace", NAMESPACE, "--wait"], &Value::Null)
        .await
        .expect_ok();

    until(PATIENCE, "no Pod", async || {
        ensure!(pods(world).await.is_empty(), "still there");
        Ok(())
    })
    .await;
    let left = kubectl(
        world,
        &["--namespace", NAMESPACE, "get", "all,configmaps,secrets,roles,rolebindings", "-o", "name"],
    )
    .await;
    let left: Vec<_> = left.lines().filter(|name| *name != "configmap/kube-root-ca.crt").collect();
    assert!(left.is_empty(), "{left:?}");
    let wide = kubectl(world, &["get", "clusterroles,clusterrolebindings", "-o", "name"]).await;
    assert!(!wide.contains("caas-operator"), "{wide}");
    // No finalizer holds what people delete meanwhile, and what belonged to it goes.
    kubectl(world, &["--namespace", &team.namespace, "delete", "caas", "globex", &timeout()]).await;
    until(PATIENCE, "its ServiceMonitor to be gone", async || {
        let left =
            kubectl(world, &["--namespace", &team.namespace, "get", "servicemonitors", "-o", "name"]).await;
        ensure!(left.trim() == "servicemonitor.monitoring.coreos.com/caas-acme", "{left}");
        Ok(())
    })
    .await;
    let query = format!("caas_account_up{{namespace=\"{}\",account=\"acme\"}}", team.namespace);
    prometheus.until(&query, <[Series]>::is_empty).await;

    install(world, &values()).await;
    prometheus.until(&query, |series| series.len() == 1).await;
    team.wait("acme", "Ready").await;
    world.no_complaints();
}

pub(crate) async fn nothing_remains_if_the_crd_is_not_kept(world: &'static World) {
    clean(world).await;
    world.prometheus().await;
    let mut values = values();
    values["crds"] = json!({"keep": false});
    install(world, &values).await;
    let team = Tenant::new(world, "unkept").await;
    team.apply_and_wait("acme", &world.cloud, "acme", json!({})).await;

    world
        .helm(&["uninstall", "caas-operator", "--namespace", NAMESPACE, "--wait"], &Value::Null)
        .await
        .expect_ok();

    until(PATIENCE, "the CRD and the ServiceMonitor to be gone", async || {
        let left = kubectl(world, &["get", "crds", "-o", "name"]).await;
        ensure!(!left.contains(CRD), "the CRD exists");
        let left =
            kubectl(world, &["--namespace", &team.namespace, "get", "servicemonitors", "-o", "name"]).await;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
    .await;
    kubectl(world, &["delete", "namespace", &team.namespace, &timeout()]).await;
}
