//! The process's own metrics, with and without an account's series after them.

use std::collections::BTreeSet;

use caas_operator::account::AccountId;
use caas_operator::replicas::peers::Peers;
use caas_operator::server::{AllowedHosts, Context, PageOptions, router};
use caas_operator::telemetry::Metrics;
use reqwest::StatusCode;
use tower::ServiceExt;

use crate::{get, header, registry, servers, started};

#[tokio::test]
async fn own_metrics_are_served_alone_unless_an_account_is_appended() {
    let (served, _) = started(None).await;
    let own = get(&served, "/metrics").await.text().await.unwrap();
    assert!(own.contains("caas_operator_build_info{") && !own.contains("caas_account_up"), "{own}");

    let (served, _) = started(Some(AccountId::new("team-c", "new"))).await;
    let own = get(&served, "/metrics").await.text().await.unwrap();
    assert!(
        own.contains("caas_operator_build_info{"),
        "before its first collection there is none of it: {own}"
    );
}

#[test]
fn own_metrics_are_rendered_on_blocking_threads() {
    // There is one such thread, and it is busy.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let context = Context {
            registry: registry(),
            metrics: Metrics::new(),
            append_account: None,
            allowed_hosts: AllowedHosts::default(),
            page: PageOptions::default(),
            peers: Peers::none(),
        };
        let (done, busy) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || busy.recv());
        let request =
            http::Request::get("/metrics").header("host", "x").body(axum::body::Body::empty()).unwrap();
        let response = router(context).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = std::pin::pin!(axum::body::to_bytes(response.into_body(), usize::MAX));

        assert!(futures::poll!(&mut body).is_pending(), "the serving thread renders nothing");

        done.send(()).unwrap();
        busy.await.unwrap().unwrap();
        assert!(body.await.unwrap().starts_with(b"# HELP"));
    });
}

#[tokio::test]
async fn an_appended_account_follows_the_own_metrics_with_modern_and_legacy_names() {
    let (served, _) = started(Some(AccountId::new("team-a", "acme"))).await;
    let response = get(&served, "/metrics").await;
    assert_eq!(header(&response, "content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let all = response.text().await.unwrap();
    for name in ["caas_operator_build_info{", "caas_account_up{", "cpu_cumulative_usage{service=\"kibana\""] {
        assert!(all.contains(name), "{name}: {all}");
    }
    let mut families = BTreeSet::new();
    for family in all.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(families.insert(family.to_owned()), "{family} is duplicated");
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn promtool_has_no_complaint_about_own_metrics_with_an_account() {
    let (served, _) = started(Some(AccountId::new("team-a", "acme"))).await;
    let all = get(&served, "/metrics").await.text().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, all).unwrap();
    let output = tokio::process::Command::new(servers::server("promtool"))
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(&body).unwrap())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
