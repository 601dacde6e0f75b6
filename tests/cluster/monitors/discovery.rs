//! Discovery is queried for the whole process, however many namespaces have trouble with their watch.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::fixture;
use crate::fixture::{DEADLINE, MONITORS};
use crate::harness::{Calls, ControlPlane, Fault, Operator, OperatorOptions, Proxy, Times, until};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn failing_watches_of_many_namespaces_query_discovery_once_each_and_at_most_once_a_second()
-> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let mut fixtures = Vec::new();
    for hint in ["watch-a", "watch-b", "watch-c", "watch-d", "watch-e", "watch-f"] {
        fixtures.push(fixture(hint).await?);
    }
    let proxy = Proxy::start(plane).await?;
    let options = OperatorOptions {
        namespaces: fixtures.iter().map(|fixture| fixture.namespace.name().to_owned()).collect(),
        kubeconfig: Some(proxy.kubeconfig(&plane.admin()?)?),
        ..OperatorOptions::default()
    };
    let _operator = Operator::start(plane, options).await?;
    let watches = Calls::new("watch", MONITORS);
    until(DEADLINE, "a watch in each namespace", async || {
        let open = proxy.open_watches(&watches);
        ensure!(open == fixtures.len(), "{open} are open");
        Ok(())
    })
    .await;

    let discovery = Calls::new("get", "/apis/monitoring.coreos.com/v1");
    let (began, before) = (Instant::now(), (proxy.count(&discovery), proxy.count(&watches)));
    proxy.inject(watches.clone(), Fault::unavailable(), Times::Always);
    proxy.cut_connections();
    until(DEADLINE, "each watch to fail three times", async || {
        let failed = proxy.count(&watches) - before.1;
        ensure!(failed >= 3 * fixtures.len(), "{failed} so far");
        Ok(())
    })
    .await;
    let (queried, failed) = (proxy.count(&discovery) - before.0, proxy.count(&watches) - before.1);
    println!("{queried} queries of discovery for {failed} failures in {:?}", began.elapsed());
    let seconds = usize::try_from(began.elapsed().as_secs())?;
    assert!(queried <= seconds + 2, "{queried} queries in {seconds} s");
    // The regular query counts too.
    let by_the_clock = usize::try_from(began.elapsed().as_millis() / Duration::from_secs(10).as_millis())?;
    assert!(queried <= failed + by_the_clock + 2, "{queried} queries for {failed} failures");
    Ok(())
}
