//! Answers within the size that is read, whose entries take many times their bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{Answer, HostileCloud, Target, account_of, gzip, secret};
use crate::process::until;

/// Accounts that attack, in one namespace.
const ACCOUNTS: usize = 6;

/// Attacks with so many accounts of one tenant at this provider, from when each of them has been sent an answer.
async fn attack(what: &str, provider: &str, answered: &AtomicUsize) {
    let accounts = (0..ACCOUNTS).map(|number| account_of("tenant", &format!("large-{number}"), provider, ""));
    let target = Target::start(&(secret("tenant") + &accounts.collect::<String>())).await;
    until("each account to be sent an answer", async || {
        (answered.load(Ordering::SeqCst) >= ACCOUNTS).then_some(())
    })
    .await;
    target.damage_after(Duration::from_secs(30)).await.assert_bounded(what);
}

// Each environment waits for a request of its own.
#[tokio::test(flavor = "multi_thread")]
async fn environments_by_the_hundred_thousand_are_kept_no_further_than_the_memory_goes() {
    const ENVIRONMENTS: usize = 300_000;
    let page = |first: usize, next: &str| {
        let nodes: Vec<_> = (first..first + ENVIRONMENTS)
            .map(|number| format!(r#"{{"node":{{"id":"{number:06}"}}}}"#))
            .collect();
        let next = format!(r#"{{"hasNextPage":true,"endCursor":"{next}"}}"#);
        format!(r#"{{"edges":[{}],"pageInfo":{next}}}"#, nodes.join(","))
    };
    let project = format!(r#"{{"node":{{"id":"p","environments":{}}}}}"#, page(0, "second"));
    let projects = format!(r#"{{"edges":[{project}],"pageInfo":{{"hasNextPage":false}}}}"#);
    assert!(projects.len() < 8 << 20, "an answer may have no more: {}", projects.len());
    let projects = gzip(format!(r#"{{"data":{{"projects":{projects}}}}}"#).as_bytes());
    let second = gzip(format!(r#"{{"data":{{"environments":{}}}}}"#, page(400_000, "third")).as_bytes());
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let cloud = HostileCloud::answering(move |_, body| {
        if body.contains("query Projects") {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Gzip(projects.clone())
        } else if body.contains("query Environments") {
            Answer::Gzip(second.clone())
        } else {
            Answer::Late(Duration::from_secs(5))
        }
    })
    .await;

    let provider = format!("railway: {{endpoint: '{}'}}", cloud.root());
    attack("six accounts of 300,000 environments a page", &provider, &answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_of_one_answer_are_read_no_further_than_the_memory_goes() {
    const INSTANCES: usize = 470_000;
    let listed = |nodes: &str| format!(r#"{{"edges":[{nodes}],"pageInfo":{{"hasNextPage":false}}}}"#);
    let environments = listed(r#"{"node":{"id":"e"}}"#);
    let projects = listed(&format!(r#"{{"node":{{"id":"p","environments":{environments}}}}}"#));
    let projects = format!(r#"{{"data":{{"projects":{projects}}}}}"#);
    let instances: Vec<_> =
        (0..INSTANCES).map(|number| format!(r#"{{"id":"{number}","status":"RUNNING"}}"#)).collect();
    let deployments = format!(r#"[{{"instances":[{}]}}]"#, instances.join(","));
    let service = format!(r#"{{"node":{{"serviceId":"s","activeDeployments":{deployments}}}}}"#);
    let services = format!(r#"{{"data":{{"environment":{{"serviceInstances":{}}}}}}}"#, listed(&service));
    assert!(services.len() < 16 << 20, "an answer may have no more: {}", services.len());
    let services = gzip(services.as_bytes());
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let cloud = HostileCloud::answering(move |_, body| {
        if body.contains("query Projects") {
            Answer::Body(projects.clone())
        } else {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Gzip(services.clone())
        }
    })
    .await;

    let provider = format!("railway: {{endpoint: '{}'}}", cloud.root());
    attack("six accounts of 470,000 instances in an answer", &provider, &answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_nothing_take_no_memory() {
    const SERIES: usize = 2_700_000;
    let series = vec!["{}"; SERIES].join(",");
    assert!(series.len() < (8 << 20) - 100, "an answer may have no more: {}", series.len());
    let metrics = gzip(format!(r#"{{"data":{{"cpu":{{"values":[{series}]}}}}}}"#).as_bytes());
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let services: Vec<_> = (0..20).map(|number| format!(r#"{{"id":"s{number}"}}"#)).collect();
    let services = format!(r#"{{"data":{{"services":[{}]}}}}"#, services.join(","));
    let cloud = HostileCloud::start(move |path| match path.split('?').next().unwrap_or(path) {
        "/v1/projects" => Answer::Body(r#"{"data":{"projects":[{"id":"p"}]}}"#.to_owned()),
        "/v1/projects/p/services" => Answer::Body(services.clone()),
        path if path.ends_with("/metrics") => {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Gzip(metrics.clone())
        }
        _ => Answer::Body(r#"{"data":{"plans":[],"containers":[]}}"#.to_owned()),
    })
    .await;

    let provider = format!("northflank: {{endpoint: '{}'}}", cloud.root());
    attack("six accounts of 20 services with 2,700,000 series of nothing", &provider, &answered).await;
}

// Reading a page takes a moment and matching its names a second: pages that have been read wait to be matched.
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_take_long_to_match_do_not_wait_by_the_dozen() {
    const SERVICES: usize = 125_000;
    let services: Vec<_> = (0..SERVICES).map(|number| format!(r#"{{"id":"{number:06}"}}"#)).collect();
    let services = format!(r#"{{"data":{{"services":[{}]}}}}"#, services.join(","));
    assert!(services.len() < 2 << 20, "an answer may have no more: {}", services.len());
    let services = gzip(services.as_bytes());
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let cloud = HostileCloud::start(move |path| match path.split('?').next().unwrap_or(path) {
        "/v1/projects" => Answer::Body(r#"{"data":{"projects":[{"id":"p"}]}}"#.to_owned()),
        "/v1/projects/p/services" => {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Gzip(services.clone())
        }
        _ => Answer::Body(r#"{"data":{"plans":[],"containers":[]}}"#.to_owned()),
    })
    .await;
    let globs: Vec<_> = (0..100).map(|number| format!("'*{number:03}*1*2*3*'")).collect();
    let filter = format!("  services:\n    include: ['*']\n    exclude: [{}]\n", globs.join(", "));
    let provider = format!("northflank: {{endpoint: '{}'}}", cloud.root());
    let mut manifests = String::new();
    for namespace in ["tenant-0", "tenant-1", "tenant-2"] {
        manifests += &secret(namespace);
        for number in 0..8 {
            manifests += &account_of(namespace, &format!("pages-{number}"), &provider, &filter);
        }
    }

    let target = Target::start(&manifests).await;
    until("each account to be sent a page", async || (answered.load(Ordering::SeqCst) >= 24).then_some(()))
        .await;
    let damage = target.damage_after(Duration::from_secs(30)).await;

    damage.assert_bounded("24 accounts of 100 globs at pages of 125,000 services");
}
