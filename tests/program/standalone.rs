//! `standalone`: a single account, and a folder of manifests with changes.

use std::path::Path;
use std::process::Command;

use crate::process::{Process, finished, program, until};
use crate::support::{
    account, account_is, ask, cloud, get, get_json, logged, metric, secret, served, standalone,
};

/// `standalone` with a single account.
fn single_account(endpoint: &str) -> Command {
    let mut command = program(&["standalone", "--alauda-endpoint", endpoint, "--listen", "127.0.0.1:0"]);
    command.env("ALAUDA_USERNAME", "acme").env("ALAUDA_PASSWORD", "secret");
    command
}

#[tokio::test]
async fn the_2015_variables_serve_the_legacy_gauges_next_to_modern_and_own_metrics() {
    let cloud = cloud("secret", 3, 2).await;
    let mut process = Process::start(single_account(&cloud.url()));
    let base = served(&mut process).await;
    let body = until("the first collection", async || {
        ask(&format!("{base}/metrics"))
            .await
            .map(|(_, body)| body)
            .filter(|body| body.contains("\nmemory_usage{"))
    })
    .await;

    assert!(body.contains("\ncaas_operator_build_info{"), "own metrics");
    let world = cloud.world("acme").unwrap();
    let instances: Vec<_> = world
        .services(cloud.now())
        .flat_map(|service| {
            let name = service.name.clone();
            service.instances().map(|instance| (name.clone(), instance)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(instances.len(), 6);
    for (service, instance) in &instances {
        let modern = format!(r#"instance_id="{}""#, instance.uuid);
        #[allow(clippy::cast_possible_truncation)] // whole seconds since the epoch
        let time = metric(&body, &["caas_instance_sample_timestamp_seconds{", &modern]) as i64;
        let point = world.point(instance, time).unwrap();
        let article = [&*format!(r#"service="{service}""#), &*format!(r#"instance="{}""#, instance.name)];
        for (gauge, truth) in [
            ("cpu_cumulative_usage{", point.cpu_nanoseconds as f64),
            ("cpu_utilization{", point.cpu_percent),
            ("memory_usage{", point.memory_bytes as f64),
            ("memory_utilization{", point.memory_percent),
        ] {
            let value = body
                .lines()
                .find(|line| line.starts_with(gauge) && article.iter().all(|label| line.contains(label)));
            let value: f64 = value.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
            assert!((value - truth).abs() <= truth.abs() * 1e-12, "{gauge} {value} {truth}");
        }
        let memory = metric(&body, &["caas_instance_memory_usage_bytes{", &modern]);
        assert!((memory - point.memory_bytes as f64).abs() < 0.5);
    }

    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    cloud.stop().await;
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).unwrap();
}

#[tokio::test]
async fn changes_in_the_folder_are_picked_up_and_a_broken_file_affects_nothing() {
    let cloud = cloud("secret", 4, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |more: &str, name: &str| account(name, "acme", &cloud.url(), more);
    write(folder.path(), "secret.yaml", &secret("acme", "secret"));
    write(folder.path(), "one.yaml", &at("", "one"));
    write(folder.path(), "two.yaml", &at("", "two"));
    let mut process = Process::start(program(&standalone(folder.path())));
    let base = served(&mut process).await;
    let collected = |one: &serde_json::Value| one["reason"] == "Collected";
    for name in ["one", "two"] {
        assert_eq!(account_is(&base, name, collected).await["services"], 4);
    }
    // The accounts that a page speaks of, in labels or paths.
    let on = async |page: &str| {
        let text = get(&format!("{base}/{page}")).await;
        let marks = |name: &str| [format!("account=\"{name}\""), format!("team-a/{name}/metrics")];
        let mut names = vec!["one", "two", "three"];
        names.retain(|name| marks(name).iter().any(|mark| text.contains(mark)));
        names
    };
    for page in ["sd", "metrics"] {
        assert_eq!(on(page).await, ["one", "two"], "{page}");
    }

    // At once: one changed, one broken, one added.
    write(folder.path(), "one.yaml", &at("services: {include: ['kib*']}", "one"));
    write(folder.path(), "two.yaml", "kind: CaasAccount\nspec: {provider: [");
    write(folder.path(), "three.yaml", &at("metrics: {names: Both}", "three"));
    account_is(&base, "three", collected).await;
    assert_eq!(account_is(&base, "one", |one| one["services"] == 1).await["instances"], 2);
    assert_eq!(account_is(&base, "two", collected).await["services"], 4, "as before it broke");
    let kept = |line: &str| {
        line.contains("two.yaml") && line.contains("the previous version of the file remains in use")
    };
    process.says("the broken file", |_, err| err.lines().any(kept).then_some(())).await;

    std::fs::remove_file(folder.path().join("two.yaml")).unwrap();
    until("the removed account is gone", async || {
        (ask(&format!("{base}/accounts/team-a/two/metrics")).await?.0 == 404).then_some(())
    })
    .await;
    assert_eq!(get_json(&format!("{base}/accounts")).await["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(on("sd").await, ["one", "three"]);
    // Its task ends a moment later.
    until("nothing of it in the own metrics", async || {
        (on("metrics").await == ["one", "three"]).then_some(())
    })
    .await;

    process.signal("INT");
    assert_eq!(process.ended().await.code(), Some(0));
    cloud.stop().await;
}

#[tokio::test]
async fn an_account_that_cannot_be_collected_is_listed_with_its_reason_and_goes_with_its_file() {
    let cloud = cloud("secret", 2, 1).await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "acme.yaml", &account("acme", "acme", &cloud.url(), ""));
    write(folder.path(), "resting.yaml", &account("resting", "acme", &cloud.url(), "suspend: true"));
    let mut process = Process::start(program(&standalone(folder.path())));
    let base = served(&mut process).await;
    let metrics = |name: &str| format!("{base}/accounts/team-a/{name}/metrics");
    for (name, reason, says) in [
        ("acme", "SecretNotFound", "Secret team-a/acme does not exist"),
        ("resting", "Suspended", "CaasAccount team-a/resting is suspended"),
    ] {
        let listed = account_is(&base, name, |one| one["reason"] == reason).await;
        let message = listed["message"].as_str().unwrap();
        assert!(message.starts_with(says), "{message}");
        assert_eq!(ask(&metrics(name)).await, Some((503, format!("{message}\n"))));
    }
    let targets = get(&format!("{base}/sd")).await;
    assert!(targets.contains("/accounts/team-a/acme/metrics") && !targets.contains("resting"), "{targets}");

    write(folder.path(), "secret.yaml", &secret("acme", "secret"));
    account_is(&base, "acme", |one| one["reason"] == "Collected").await;
    for file in ["secret.yaml", "resting.yaml"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    until("the removed account is gone", async || (ask(&metrics("resting")).await?.0 == 404).then_some(()))
        .await;
    account_is(&base, "acme", |one| one["reason"] == "SecretNotFound" && one["services"] == 0).await;
    assert_eq!(get_json(&format!("{base}/accounts")).await["accounts"].as_array().unwrap().len(), 1);
    cloud.stop().await;
}

#[tokio::test]
async fn two_accounts_of_one_cloud_account_both_work_with_a_warning() {
    let cloud = cloud("secret", 2, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let twins = ["one", "two"].map(|name| account(name, "acme", &cloud.url(), ""));
    write(folder.path(), "all.yaml", &(secret("acme", "secret") + &twins.concat()));
    let mut process = Process::start(program(&standalone(folder.path())));
    let base = served(&mut process).await;
    for name in ["one", "two"] {
        account_is(&base, name, |one| one["reason"] == "Collected" && one["services"] == 2).await;
    }
    let warning = "both accounts use the same cloud account";
    process.says("the warning", |_, err| err.contains(warning).then_some(())).await;
    cloud.stop().await;
}

#[tokio::test]
async fn health_is_served_at_the_requested_address() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&standalone(folder.path())[..], &["--listen-health", "127.0.0.1:0"]].concat();
    let mut process = Process::start(program(&arguments));
    let base = logged(&mut process, "/livez").await;
    for path in ["livez", "readyz"] {
        until(path, async || (ask(&format!("{base}/{path}")).await?.0 == 200).then_some(())).await;
    }
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_command_that_cannot_run_says_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let mut without_password = single_account("http://127.0.0.1:1/v1/");
    without_password.env_remove("ALAUDA_PASSWORD");
    let mut empty_user = single_account("http://127.0.0.1:1/v1/");
    empty_user.env("ALAUDA_USERNAME", "");
    let mut busy_port = single_account("http://127.0.0.1:1/v1/");
    busy_port.args(["--listen-health", &address]);
    let mut level = single_account("http://127.0.0.1:1/v1/");
    level.env("RUST_LOG", "caas=loud");
    for (command, says) in [
        (program(&standalone(&missing)), vec![missing.to_str().unwrap(), "--manifests"]),
        (program(&["standalone"]), vec!["--manifests", "--alauda-endpoint", "ALAUDA_PASSWORD"]),
        (without_password, vec!["ALAUDA_PASSWORD", "set it"]),
        (empty_user, vec!["ALAUDA_USERNAME", "set it"]),
        (single_account("caas.example.com"), vec!["use an http:// or https:// URL"]),
        (busy_port, vec!["--listen-health", &address]),
        (level, vec!["RUST_LOG", "caas=loud"]),
    ] {
        let output = finished(command).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        let line = error.lines().last().unwrap();
        assert!(line.starts_with("error: "), "{error}");
        assert!(says.iter().all(|word| line.contains(word)), "{says:?}: {error}");
        // Nothing but log lines comes before it.
        assert!(error.lines().rev().skip(1).all(|line| line.contains(" INFO ")), "{error}");
    }
}

#[tokio::test]
async fn the_page_links_to_the_dashboards_of_the_grafana_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let named = ["--grafana-url", "https://grafana.example.com"];
    let mut process = Process::start(program(&[standalone(folder.path()), named.into()].concat()));
    let base = served(&mut process).await;
    let page = get(&format!("{base}/?format=html")).await;
    assert!(page.contains(r#"href="https://grafana.example.com/d/caas-clouds""#), "{page}");

    let refused = finished(program(&["standalone", "--grafana-url", "https://ann:secret@grafana"])).await;
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{error}");
    assert!(error.contains("write a URL such as https://grafana.example.com/"), "{error}");
}
