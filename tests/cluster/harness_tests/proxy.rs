//! Each fault of the proxy as a kube client meets it.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams};
use tokio::time::timeout;

use crate::harness::{Calls, ControlPlane, Fault, Namespace, Proxy, SOON, Times, until};

/// Long against what the proxy takes to pass a byte; a test that expects no byte takes this long.
const SILENCE: Duration = Duration::from_secs(1);

type Watch = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Send>>;

struct Given {
    namespace: Namespace,
    proxy: Proxy,
    /// Through the proxy.
    maps: Api<ConfigMap>,
}

async fn given(hint: &str) -> anyhow::Result<Given> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace(hint).await?;
    let proxy = Proxy::start(plane).await?;
    let client = proxy.kubeconfig(&plane.admin()?)?.client().await?;
    let maps = Api::namespaced(client, namespace.name());
    Ok(Given { namespace, proxy, maps })
}

impl Given {
    /// A watch from the newest state, which is empty at first but for the controllers' own.
    async fn watch(&self) -> anyhow::Result<Watch> {
        let listed = self.maps.list(&ListParams::default()).await?;
        let version = listed.metadata.resource_version.context("a list has a resourceVersion")?;
        let params = WatchParams::default().fields("metadata.name!=kube-root-ca.crt").disable_bookmarks();
        Ok(self.maps.watch(&params, &version).await?.boxed())
    }

    /// Writes past the proxy.
    async fn write(&self, name: &str) -> anyhow::Result<()> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let object = ConfigMap { metadata, ..ConfigMap::default() };
        self.namespace.api::<ConfigMap>().create(&PostParams::default(), &object).await?;
        Ok(())
    }
}

/// The name of the object in the watch's next event.
async fn next(watch: &mut Watch) -> anyhow::Result<String> {
    match timeout(SOON, watch.next()).await?.context("the watch ended")?? {
        WatchEvent::Added(object) => Ok(object.metadata.name.unwrap_or_default()),
        other => anyhow::bail!("{other:?}"),
    }
}

fn code(result: kube::Result<impl std::fmt::Debug>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not an answer with a status: {other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_meets_no_fault_passes_as_it_comes_and_is_counted() -> anyhow::Result<()> {
    let given = given("passes").await?;
    let mut watch = given.watch().await?;
    for name in ["one", "two"] {
        given.write(name).await?;
        assert_eq!(next(&mut watch).await?, name);
    }
    assert_eq!(code(given.maps.get("three").await), 404);

    let maps = Calls::new("*", "configmaps").of(&format!("{}/*", given.namespace.name()));
    assert_eq!(given.proxy.count(&maps), 3);
    assert_eq!(given.proxy.count(&Calls::new("watch", "configmaps")), 1);
    let seen = given.proxy.seen(&Calls::new("get", "configmaps"));
    assert_eq!(seen.iter().map(|seen| seen.code).collect::<Vec<_>>(), [Some(404)]);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn statuses_come_as_often_as_said() -> anyhow::Result<()> {
    let given = given("statuses").await?;
    given.write("one").await?;
    let gets = || Calls::new("get", "configmaps");
    for (fault, expected) in [
        (Fault::too_many_requests(1), 429),
        (Fault::unavailable(), 503),
        (Fault::conflict(), 409),
        (Fault::forbidden(), 403),
        (Fault::gone(), 410),
    ] {
        given.proxy.inject(gets(), fault, Times::Next(2));
        assert_eq!(code(given.maps.get("one").await), expected);
        given.maps.list(&ListParams::default()).await?;
        assert_eq!(code(given.maps.get("one").await), expected);
        given.maps.get("one").await?;
    }
    given.proxy.inject(gets(), Fault::unavailable(), Times::Always);
    for _ in 0..3 {
        assert_eq!(code(given.maps.get("one").await), 503);
    }
    given.proxy.heal();
    given.maps.get("one").await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn too_many_requests_says_when_to_come_back() -> anyhow::Result<()> {
    let given = given("retry-after").await?;
    given.proxy.inject(Calls::new("get", "/version"), Fault::too_many_requests(7), Times::Next(1));
    let cluster = given.namespace.cluster();
    let through = given.proxy.kubeconfig(&cluster.admin()?)?;
    let url = format!("{}/version", through.url());

    let answer = cluster.http_client()?.get(url).send().await?;

    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_watch_is_told_that_its_version_is_gone() -> anyhow::Result<()> {
    let given = given("watch-gone").await?;
    given.proxy.inject(Calls::new("watch", "configmaps"), Fault::watch_gone(), Times::Next(1));

    let mut watch = given.watch().await?;
    match watch.next().await.context("the watch ended without a word")?? {
        WatchEvent::Error(status) => assert_eq!(status.code, 410),
        other => panic!("{other:?}"),
    }
    assert!(watch.next().await.is_none());

    let mut watch = given.watch().await?;
    given.write("one").await?;
    assert_eq!(next(&mut watch).await?, "one");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_open_watch_falls_silent_without_closing_while_a_new_one_works() -> anyhow::Result<()> {
    let given = given("stall").await?;
    let watches = Calls::new("watch", "configmaps");
    let mut old = given.watch().await?;
    given.write("one").await?;
    assert_eq!(next(&mut old).await?, "one");

    assert_eq!(given.proxy.stall(&watches), 1);
    let mut new = given.watch().await?;
    given.write("two").await?;
    assert_eq!(next(&mut new).await?, "two");
    let silence = timeout(SILENCE, old.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(given.proxy.open_watches(&watches), 2);

    drop(old);
    until(SOON, "the proxy to see that the client has gone", async || {
        let open = given.proxy.open_watches(&watches);
        ensure!(open == 1, "{open} open");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_new_watch_can_be_silent_from_the_start() -> anyhow::Result<()> {
    let given = given("stall-new").await?;
    given.proxy.inject(Calls::new("watch", "configmaps"), Fault::Stall, Times::Next(1));
    let mut watch = given.watch().await?;
    given.write("one").await?;
    let silence = timeout(SILENCE, watch.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_call_can_hang_and_a_connection_can_be_cut() -> anyhow::Result<()> {
    let given = given("cut").await?;
    given.write("one").await?;
    let gets = || Calls::new("get", "configmaps");

    given.proxy.inject(gets(), Fault::Hang, Times::Next(1));
    let silence = timeout(SILENCE, given.maps.get("one")).await;
    assert!(silence.is_err(), "{silence:?}");

    given.proxy.inject(gets(), Fault::Cut, Times::Next(1));
    let cut = given.maps.get("one").await;
    assert!(matches!(&cut, Err(error) if !matches!(error, kube::Error::Api(_))), "{cut:?}");
    given.maps.get("one").await?;

    let mut watch = given.watch().await?;
    given.proxy.cut_connections();
    let cut = timeout(SOON, watch.next()).await?;
    assert!(!matches!(cut, Some(Ok(_))), "{cut:?}");
    given.maps.get("one").await?;
    Ok(())
}
