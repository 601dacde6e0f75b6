//! The ServiceMonitor of an account: what is in it, that it stays so, and what is said where it cannot be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Kubeconfig, Operator, OperatorOptions, Proxy, until};
use crate::servers::server;
use crate::stage::{MONITORS, PATIENCE, Stage, value};

async fn stage(hint: &str) -> anyhow::Result<Stage> {
    Stage::set(ControlPlane::shared().await.namespace(hint).await?).await
}

/// The ServiceMonitor of `acme`, once it is as `check` wants it.
async fn monitor(stage: &Stage, awaited: &str, check: impl Fn(&DynamicObject) -> bool) -> DynamicObject {
    until(PATIENCE, awaited, async || {
        let stands = stage.monitors().get_opt("caas-acme").await?.context("there is none")?;
        ensure!(check(&stands), "{}", serde_json::to_string(&stands.data)?);
        Ok(stands)
    })
    .await
}

/// Waits until `acme` has no ServiceMonitor.
async fn no_monitor(stage: &Stage) {
    until(PATIENCE, "the ServiceMonitor to go", async || {
        ensure!(stage.monitors().get_opt("caas-acme").await?.is_none(), "it still stands");
        Ok(())
    })
    .await;
}

/// What stands in the endpoint's list of relabelings.
fn relabelings(stage: &Stage, job: &str, labels: &[(&str, &str)]) -> Value {
    let set =
        |label: &str, value: &str| json!({"action": "replace", "targetLabel": label, "replacement": value});
    let namespace = stage.namespace.name();
    let mut rules: Vec<_> = labels.iter().map(|(label, value)| set(label, value)).collect();
    rules.extend([
        set("namespace", namespace),
        set("instance", &format!("{namespace}/acme")),
        set("job", job),
        set("__address__", "caas-operator.caas-system.svc:8080"),
        set("__tmp_hash", &format!("{namespace}/acme")),
        json!({"action": "labeldrop", "regex": "pod|container|node|service|endpoint"}),
    ]);
    Value::Array(rules)
}

fn spec(endpoints: &Value) -> Value {
    json!({
        "endpoints": endpoints,
        "keepDroppedTargets": 1,
        "namespaceSelector": {"any": false, "matchNames": ["caas-system"]},
        "selector": {"matchLabels": {"caas-operator.io/service": "caas-operator"}},
    })
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn it_says_what_prometheus_operator_needs_and_follows_the_account() -> anyhow::Result<()> {
    let stage = stage("content").await?;
    let _operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;

    let stands = stage.monitors().get("caas-acme").await?;
    let path = stage.path("acme");
    let endpoint = json!({"port": "http", "path": path, "interval": "5s", "scrapeTimeout": "5s",
        "relabelings": relabelings(&stage, "caas", &[])});
    assert_eq!(stands.data["spec"], spec(&json!([endpoint])));
    assert_eq!(
        stands.labels().iter().collect::<Vec<_>>(),
        [(&"app.kubernetes.io/managed-by".to_owned(), &"caas-operator".to_owned())]
    );
    let account = stage.accounts().get("acme").await?;
    let owners: Vec<_> = stands.owner_references().iter().map(|it| (it.uid.clone(), it.controller)).collect();
    assert_eq!(owners, [(account.uid().context("a UID")?, Some(true))]);
    assert!(stands.finalizers().is_empty() && account.finalizers().is_empty());

    let changes = json!({"spec": {
        "serviceMonitor": {"labels": {"release": "stack"}, "annotations": {"note": "ours"}, "scrapeTimeout": "3s"},
        "metrics": {"labels": {"team": "check$1out"}, "names": "both"},
    }});
    stage.change("acme", changes).await?;
    let stands = monitor(&stage, "both endpoints", |it| {
        it.data["spec"]["endpoints"].as_array().is_some_and(|endpoints| endpoints.len() == 2)
    })
    .await;
    // Prometheus reads `$$` as `$`.
    let team = [("team", "check$$1out")];
    let modern = json!({"port": "http", "path": path, "interval": "5s", "scrapeTimeout": "3s",
        "relabelings": relabelings(&stage, "caas", &team)});
    let legacy = json!({"port": "http", "path": format!("{path}/legacy"), "interval": "5s", "scrapeTimeout": "3s",
        "honorLabels": true, "relabelings": relabelings(&stage, "caas-legacy", &team)});
    assert_eq!(stands.data["spec"], spec(&json!([modern, legacy])));
    assert_eq!(stands.labels().get("release").map(String::as_str), Some("stack"));
    assert_eq!(stands.annotations().get("note").map(String::as_str), Some("ours"));

    stage.change("acme", json!({"spec": {"serviceMonitor": {"labels": null, "annotations": null}}})).await?;
    monitor(&stage, "label and annotation to go", |it| {
        !it.labels().contains_key("release") && !it.annotations().contains_key("note")
    })
    .await;
    Ok(())
}

/// What an endpoint makes of its target, as the list at `/sd` would have it.
fn listed(endpoint: &Value) -> BTreeMap<&str, &str> {
    let field = |name: &str| endpoint[name].as_str().unwrap_or_default();
    let rules = endpoint["relabelings"].as_array().into_iter().flatten();
    let set = rules.filter_map(|rule| Some((rule["targetLabel"].as_str()?, rule["replacement"].as_str()?)));
    // How Prometheus gets there is for each of the two to say.
    set.filter(|(label, _)| !label.starts_with("__"))
        .chain([
            ("__metrics_path__", field("path")),
            ("__scrape_interval__", field("interval")),
            ("__scrape_timeout__", field("scrapeTimeout")),
        ])
        .collect()
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_service_monitor_and_discovery_say_the_same_of_each_target() -> anyhow::Result<()> {
    let stage = stage("same-targets").await?;
    let operator = stage.operator().await?;
    let spec = json!({
        "collection": {"interval": "10s500ms"},
        "metrics": {"names": "both", "labels": {"team": "checkout"}},
        "serviceMonitor": {"scrapeTimeout": "7s"},
    });
    stage.account_with("acme", spec).await?;
    stage.ready("acme").await;

    let stands = stage.monitors().get("caas-acme").await?;
    let endpoints = stands.data["spec"]["endpoints"].as_array().context("endpoints")?;
    let groups: Value = serde_json::from_str(&operator.scrape("/sd").await?.1)?;
    let groups = groups.as_array().context("groups")?;
    assert_eq!((endpoints.len(), groups.len()), (2, 2));
    for (endpoint, group) in endpoints.iter().zip(groups) {
        assert_eq!(json!(listed(endpoint)), group["labels"]);
        assert_eq!(listed(endpoint)["__scrape_timeout__"], "7s");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_edited_one_is_put_back_and_a_deleted_one_comes_again() -> anyhow::Result<()> {
    let stage = stage("edited").await?;
    let _operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    let wanted = stage.monitors().get("caas-acme").await?;
    let label = "app.kubernetes.io/managed-by";

    let endpoint = wanted.data["spec"]["endpoints"][0].clone();
    let with = |key: &str, value: Value| {
        let mut endpoint = endpoint.clone();
        endpoint[key] = value;
        json!({"spec": {"endpoints": [endpoint]}})
    };
    for edit in [
        with("path", json!("/elsewhere")),
        with("honorLabels", json!(true)),
        with("scheme", json!("https")),
        with("relabelings", json!([{"action": "replace", "targetLabel": "job", "replacement": "mine"}])),
        json!({"spec": {"selector": {"matchLabels": {"app": "mine"}}}}),
        json!({"spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}}),
        json!({"spec": {"namespaceSelector": {"any": true}}}),
        json!({"metadata": {"labels": {label: null}}}),
    ] {
        let edited =
            stage.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&edit)).await?;
        monitor(&stage, &format!("{edit} to be put back"), |it| {
            it.resource_version() != edited.resource_version()
                && it.data["spec"] == wanted.data["spec"]
                && it.labels().contains_key(label)
        })
        .await;
    }
    stage.monitors().delete("caas-acme", &DeleteParams::default()).await?;
    monitor(&stage, "another one", |it| it.uid() != wanted.uid()).await;
    // It is no news that it stands as it should.
    assert_eq!(stage.events("acme").await?.get("Applied"), Some(&1));
    Ok(())
}

/// A ServiceMonitor of somebody else.
fn foreign(labels: &Value) -> anyhow::Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
        "metadata": {"name": "caas-acme", "labels": labels},
        "spec": {"endpoints": [], "selector": {}},
    }))?)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_foreign_one_of_that_name_is_not_taken_over() -> anyhow::Result<()> {
    for (hint, labels) in
        [("foreign", json!({})), ("foreign-marked", json!({"app.kubernetes.io/managed-by": "caas-operator"}))]
    {
        let stage = stage(hint).await?;
        let theirs = stage.monitors().create(&PostParams::default(), &foreign(&labels)?).await?;
        let operator = stage.operator().await?;
        stage.account("acme").await?;

        let message = stage.becomes("acme", "ServiceMonitorReady", "NotOwned").await;
        assert!(message.contains(&format!("{}/caas-acme", stage.namespace.name())), "{message}");
        stage.becomes("acme", "Collecting", "Collected").await;
        stage.becomes("acme", "Ready", "NotOwned").await;
        stage.scraped(&operator, "acme", 200).await;

        // To remove ours does not mean to remove theirs.
        let enabled = |enabled: bool| json!({"spec": {"serviceMonitor": {"enabled": enabled}}});
        stage.change("acme", enabled(false)).await?;
        stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
        stage.change("acme", enabled(true)).await?;
        stage.becomes("acme", "ServiceMonitorReady", "NotOwned").await;
        let stands = stage.monitors().get("caas-acme").await?;
        assert_eq!(stands.resource_version(), theirs.resource_version());

        stage.monitors().delete("caas-acme", &DeleteParams::default()).await?;
        stage.ready("acme").await;
        assert_ne!(stage.monitors().get("caas-acme").await?.uid(), theirs.uid());
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_monitor_of_a_former_account_of_that_name_is_taken_over_without_a_warning() -> anyhow::Result<()> {
    let mut plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.install_service_monitors().await?;
    let stage = Stage::set(plane.namespace("former").await?).await?;
    let _operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    // Somebody has edited the reference, and so writes it too: what an account leaves out then does not simply go.
    let mut owners = json!(stage.monitors().get("caas-acme").await?.owner_references());
    owners[0]["blockOwnerDeletion"] = json!(true);
    let edit = Patch::Merge(json!({"metadata": {"ownerReferences": owners}}));
    stage.monitors().patch("caas-acme", &PatchParams::default(), &edit).await?;

    plane.stop_controllers().await?;
    stage.delete("acme").await?;
    stage.account("acme").await?;
    stage.ready("acme").await;

    let uid = stage.accounts().get("acme").await?.uid().context("a UID")?;
    let stands = stage.monitors().get("caas-acme").await?;
    let owners: Vec<_> = stands.owner_references().iter().map(|owner| owner.uid.clone()).collect();
    assert_eq!(owners, [uid]);
    let events = stage.events("acme").await?;
    assert_eq!(
        (events.get("Applied"), events.get("NotOwned"), events.get("Invalid")),
        (Some(&2), None, None)
    );
    Ok(())
}

/// How often accounts were reconciled so far.
async fn reconciles(operator: &Operator) -> anyhow::Result<f64> {
    let (_, body) = operator.scrape("/metrics").await?;
    // It is counted when it has ended, and until then there is no such series.
    Ok(value(&body, "caas_operator_reconciles_total{result=\"ok\"}").unwrap_or_default())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn switched_off_it_goes_also_without_our_label() -> anyhow::Result<()> {
    let stage = stage("unlabelled").await?;
    let proxy = Proxy::start(stage.namespace.cluster()).await?;
    let kubeconfig = Some(proxy.kubeconfig(&stage.namespace.cluster().admin()?)?);
    let mut operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    operator.stop(PATIENCE).await?;
    let unlabelled = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    stage.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&unlabelled)).await?;
    stage.change("acme", json!({"spec": {"serviceMonitor": {"enabled": false}}})).await?;

    let options = OperatorOptions { kubeconfig, ..stage.options() };
    let operator = Operator::start(stage.namespace.cluster(), options).await?;
    stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
    assert!(stage.monitors().get_opt("caas-acme").await?.is_none(), "it is told as gone and stands");

    // It is not asked for again each time that the account is looked at.
    let asked = || proxy.count(&stage.call("get", MONITORS, "caas-acme"));
    let times = asked();
    assert!(times > 0);
    for note in ["look", "once more", "and again"] {
        let before = reconciles(&operator).await?;
        stage.change("acme", json!({"metadata": {"annotations": {"note": note}}})).await?;
        until(PATIENCE, "another reconcile", async || {
            ensure!(reconciles(&operator).await? > before, "none yet");
            Ok(())
        })
        .await;
    }
    assert_eq!(asked(), times);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn it_goes_when_it_is_switched_off_and_while_the_account_is_suspended() -> anyhow::Result<()> {
    let stage = stage("switched-off").await?;
    let _operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    for (path, off, on, ready) in [
        ("serviceMonitor", json!({"enabled": false}), json!({"enabled": true}), "Collected"),
        ("suspend", json!(true), json!(false), "Suspended"),
    ] {
        stage.change("acme", json!({"spec": {path: off}})).await?;
        stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
        stage.becomes("acme", "Ready", ready).await;
        no_monitor(&stage).await;
        stage.change("acme", json!({"spec": {path: on}})).await?;
        stage.ready("acme").await;
        monitor(&stage, "it to come again", |_| true).await;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_label_that_the_api_server_refuses_is_told_and_mended() -> anyhow::Result<()> {
    let stage = stage("invalid").await?;
    let operator = stage.operator().await?;
    // Our rules let this prefix pass; the API server knows that a DNS name has no empty part.
    let labels = json!({"serviceMonitor": {"labels": {"a..b/release": "stack"}}});
    stage.account_with("acme", labels).await?;

    let message = stage.becomes("acme", "ServiceMonitorReady", "Invalid").await;
    assert!(message.contains("spec.serviceMonitor"), "{message}");
    stage.becomes("acme", "Collecting", "Collected").await;
    stage.scraped(&operator, "acme", 200).await;

    stage.change("acme", json!({"spec": {"serviceMonitor": {"labels": {"a..b/release": null}}}})).await?;
    stage.ready("acme").await;
    Ok(())
}

/// What a `ServiceAccount` of the namespace is granted, by the name of the role.
fn grant(stage: &Stage, role: &str, rules: &Value) -> Vec<Value> {
    let namespace = stage.namespace.name();
    let api = "rbac.authorization.k8s.io";
    vec![
        json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": {"name": role}, "rules": rules}),
        json!({"apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "caas-operator", "namespace": namespace}]}),
    ]
}

/// A kubeconfig of an operator that may do everything here but what concerns ServiceMonitors.
async fn without_monitors(stage: &Stage) -> anyhow::Result<Kubeconfig> {
    let rules = json!([
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts"], "verbs": ["list", "watch"]},
        {"apiGroups": ["caas-operator.io"], "resources": ["caasaccounts/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]);
    apply(stage, grant(stage, "caas-operator", &rules)).await?;
    stage.namespace.service_account("caas-operator").await
}

async fn apply(stage: &Stage, items: Vec<Value>) -> anyhow::Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    stage.namespace.apply(&list.to_string()).await?.expect_ok();
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_is_forbidden_is_told_while_collection_goes_on_until_it_is_granted() -> anyhow::Result<()> {
    let stage = stage("forbidden").await?;
    let proxy = Proxy::start(stage.namespace.cluster()).await?;
    let kubeconfig = proxy.kubeconfig(&without_monitors(&stage).await?)?;
    let options = OperatorOptions { kubeconfig: Some(kubeconfig), ..stage.options() };
    let operator = Operator::start(stage.namespace.cluster(), options).await?;
    stage.account("acme").await?;

    let message = stage.becomes("acme", "ServiceMonitorReady", "Forbidden").await;
    assert!(message.contains("servicemonitors.monitoring.coreos.com"), "{message}");
    stage.becomes("acme", "Collecting", "Collected").await;
    stage.scraped(&operator, "acme", 200).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    let asked = || proxy.count(&stage.calls("*", MONITORS));
    let (before, since) = (asked(), Instant::now());
    stage.cycles(3).await;
    let (more, bound) = (asked() - before, since.elapsed() + Duration::from_secs(5));
    assert!(Duration::from_secs(more.try_into()?) <= bound, "{more} calls in {:?}", since.elapsed());

    // Who wants none has nothing to grant.
    stage.account_with("none", json!({"serviceMonitor": {"enabled": false}})).await?;
    stage.becomes("none", "ServiceMonitorReady", "Disabled").await;
    assert_eq!(stage.events("none").await?.get("Forbidden"), None);

    let verbs = json!(["get", "list", "watch", "create", "patch", "delete"]);
    let rules =
        json!([{"apiGroups": ["monitoring.coreos.com"], "resources": ["servicemonitors"], "verbs": verbs}]);
    apply(&stage, grant(&stage, "monitors", &rules)).await?;
    stage.ready("acme").await;
    monitor(&stage, "it to be written", |_| true).await;
    assert_eq!(stage.events("acme").await?.get("Forbidden"), Some(&1));
    Ok(())
}

fn definition() -> PathBuf {
    server("prometheus-operator-crds").join("monitoring.coreos.com_servicemonitors.yaml")
}

/// The definition as Prometheus Operator before 0.47 had it: without a field that we write.
fn older_definition() -> anyhow::Result<String> {
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(definition())?)?;
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    spec.and_then(Value::as_object_mut)
        .context("a schema")?
        .remove("keepDroppedTargets")
        .context("a field")?;
    Ok(crd.to_string())
}

/// A definition that takes what this program cannot read, as one of another time may.
fn lenient_definition() -> anyhow::Result<String> {
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(definition())?)?;
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    spec.context("a schema")?["keepDroppedTargets"] = json!({"x-kubernetes-int-or-string": true});
    Ok(crd.to_string())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn one_edited_into_what_cannot_be_read_is_put_back_and_is_removed_when_switched_off()
-> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    plane.apply(&lenient_definition()?).await?;
    let stage = Stage::set(plane.namespace("unreadable").await?).await?;
    let mut operator = stage.operator().await?;
    stage.account("acme").await?;
    stage.ready("acme").await;
    let edit = async |value: Value| {
        let patch = json!({"spec": {"keepDroppedTargets": value}});
        stage.monitors().patch("caas-acme", &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    for value in [json!(-1), json!("many")] {
        edit(value).await?;
        monitor(&stage, "it to be put back", |it| it.data["spec"]["keepDroppedTargets"] == 1).await;
    }

    operator.stop(PATIENCE).await?;
    edit(json!("many")).await?;
    stage.change("acme", json!({"spec": {"serviceMonitor": {"enabled": false}}})).await?;
    let _operator = stage.operator().await?;
    stage.becomes("acme", "ServiceMonitorReady", "Disabled").await;
    no_monitor(&stage).await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_definition_that_is_missing_or_goes_or_is_too_old_heals_without_a_restart() -> anyhow::Result<()> {
    let plane = ControlPlane::own().await?;
    plane.install_our_crds().await?;
    let stage = Stage::set(plane.namespace("definition").await?).await?;
    // Of the whole cluster.
    let options = OperatorOptions { namespaces: Vec::new(), ..stage.options() };
    let mut operator = Operator::start(&plane, options).await?;

    stage.account("acme").await?;
    stage.becomes("acme", "ServiceMonitorReady", "CRDNotInstalled").await;
    stage.becomes("acme", "Collecting", "Collected").await;
    stage.scraped(&operator, "acme", 200).await;
    // Discovery is asked every 10 s; to be told once more is no news.
    stage.cycles(5).await;
    assert_eq!(stage.events("acme").await?.get("CRDNotInstalled"), Some(&1));

    plane.install_service_monitors().await?;
    stage.ready("acme").await;
    monitor(&stage, "it to be written", |_| true).await;

    plane.remove_service_monitors().await?;
    stage.becomes("acme", "ServiceMonitorReady", "CRDNotInstalled").await;
    stage.cycles(2).await;
    assert_eq!(operator.health("/readyz").await?.0, 200);
    stage.scraped(&operator, "acme", 200).await;

    plane.apply(&older_definition()?).await?;
    let message = stage.becomes("acme", "ServiceMonitorReady", "Invalid").await;
    assert!(message.contains("older"), "{message}");

    plane.install_service_monitors().await?;
    stage.ready("acme").await;
    monitor(&stage, "it to come again", |_| true).await;
    assert_eq!(operator.exited()?, None);
    Ok(())
}
