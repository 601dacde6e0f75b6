//! The API server behind a proxy, be it http or https: `HTTPS_PROXY` and a kubeconfig's `proxy-url` are used, `NO_PROXY`
//! counts, and what is wrong with a proxy is in the log.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::connect_proxy::{Conduct, ConnectProxy};
use crate::fixture::{DEADLINE, Fixture};
use crate::harness::{ControlPlane, Kubeconfig, Operator, OperatorOptions, until};

/// A name in the API server's certificate that nothing on this machine resolves.
const HOST: &str = "kubernetes.default.svc";

/// A proxy in front of the API server.
async fn before(cluster: &ControlPlane, conduct: Conduct) -> anyhow::Result<ConnectProxy> {
    Ok(ConnectProxy::start(address(cluster)?, conduct).await?)
}

fn address(cluster: &ControlPlane) -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], port(cluster)?)))
}

fn port(cluster: &ControlPlane) -> anyhow::Result<u16> {
    Ok(cluster.url().rsplit(':').next().context("a port")?.trim_end_matches('/').parse()?)
}

/// The administrator's kubeconfig with the API server under another name, and with this `proxy-url`.
fn kubeconfig(cluster: &ControlPlane, host: &str, proxy: Option<&str>) -> anyhow::Result<Kubeconfig> {
    let unique = cluster.unique("proxied");
    let kubeconfig = cluster.admin()?.at(&unique, &format!("https://{host}:{}", port(cluster)?))?;
    let mut file: Value = serde_json::from_str(&fs::read_to_string(kubeconfig.path())?)?;
    if let Some(proxy) = proxy {
        file["clusters"][0]["cluster"]["proxy-url"] = json!(proxy);
    }
    fs::write(kubeconfig.path(), file.to_string())?;
    Ok(kubeconfig)
}

fn options(fixture: &Fixture, kubeconfig: Kubeconfig, env: &[(&str, &str)]) -> OperatorOptions {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    OperatorOptions { kubeconfig: Some(kubeconfig), env, ..fixture.options() }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_api_server_is_reached_through_the_proxy_that_the_variable_or_the_kubeconfig_names()
-> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await;
    let fixture = Fixture::new(cluster.namespace("proxied").await?).await?;
    fixture.account("acme").await?;
    for in_file in [false, true] {
        let proxy = before(cluster, Conduct::TunnelFor("ann", "p@ss")).await?;
        let url = proxy.url("ann:p%40ss@");
        let kubeconfig = kubeconfig(cluster, HOST, in_file.then_some(&*url))?;
        let variables = [("HTTPS_PROXY", &*url), ("NO_PROXY", "10.0.0.0/8,.example.com,")];
        let env = if in_file { &variables[1..] } else { &variables[..] };
        let operator = Operator::start(cluster, options(&fixture, kubeconfig, env)).await?;
        fixture.until_ready("acme").await;
        let hosts = proxy.hosts();
        let wanted = format!("{HOST}:{}", port(cluster)?);
        ensure!(!hosts.is_empty() && hosts.iter().all(|host| *host == wanted), "{hosts:?}");
        let log = operator.logs();
        ensure!(!log.contains("p@ss") && !log.contains("p%40ss"), "{log}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_https_proxy_is_verified_with_the_systems_certificates_and_not_with_the_clusters()
-> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await;
    let fixture = Fixture::new(cluster.namespace("https-proxy").await?).await?;
    fixture.account("acme").await?;
    let authority = Authority::new()?;
    let (conduct, tls) = (Conduct::TunnelFor("ann", "p@ss"), authority.server("127.0.0.1")?);
    let proxy = ConnectProxy::start_tls(address(cluster)?, conduct, tls).await?;
    let url = proxy.url("ann:p%40ss@");
    let folder = tempfile::tempdir()?;
    let roots = folder.path().join("roots.pem");

    fs::write(&roots, Authority::new()?.pem)?;
    let variables = [("HTTPS_PROXY", &*url), ("SSL_CERT_FILE", roots.to_str().context("a path")?)];
    let stranger = Operator::spawn(cluster, options(&fixture, kubeconfig(cluster, HOST, None)?, &variables))?;
    until(DEADLINE, "the proxy to be refused", async || {
        let log = stranger.logs();
        let advice =
            "signed by a CA of this system (SSL_CERT_FILE), and its port must be an https port: invalid peer certificate";
        ensure!(log.contains(advice), "{log}");
        Ok(())
    })
    .await;
    ensure!(proxy.hosts().is_empty(), "{:?}", proxy.hosts());
    drop(stranger);

    fs::write(&roots, &authority.pem)?;
    for in_file in [false, true] {
        let kubeconfig = kubeconfig(cluster, HOST, in_file.then_some(&*url))?;
        let env = if in_file { &variables[1..] } else { &variables[..] };
        let operator = Operator::start(cluster, options(&fixture, kubeconfig, env)).await?;
        fixture.until_ready("acme").await;
        ensure!(!operator.logs().contains("p@ss"), "{}", operator.logs());
    }
    let (hosts, wanted) = (proxy.hosts(), format!("{HOST}:{}", port(cluster)?));
    ensure!(!hosts.is_empty() && hosts.iter().all(|host| *host == wanted), "{hosts:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_api_server_that_no_proxy_covers_is_reached_without_the_proxy() -> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await;
    let fixture = Fixture::new(cluster.namespace("no-proxy").await?).await?;
    fixture.account("acme").await?;
    let proxy = before(cluster, Conduct::Tunnel).await?;
    let kubeconfig = kubeconfig(cluster, "localhost", None)?;
    let env = [("HTTPS_PROXY", &*proxy.url("")), ("NO_PROXY", "localhost")];
    let _operator = Operator::start(cluster, options(&fixture, kubeconfig, &env)).await?;
    fixture.until_ready("acme").await;
    ensure!(proxy.hosts().is_empty(), "{:?}", proxy.hosts());
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_proxy_that_wants_credentials_or_hangs_is_told_in_the_log() -> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await;
    let fixture = Fixture::new(cluster.namespace("proxy-refuses").await?).await?;
    for (conduct, sentence) in [
        (
            Conduct::TunnelFor("ann", "other"),
            "the proxy requires a user and password, or rejects those in its URL (407)",
        ),
        (Conduct::Answer(502), "the proxy cannot connect to the host: it answers 502"),
    ] {
        let proxy = before(cluster, conduct).await?;
        let kubeconfig = kubeconfig(cluster, HOST, Some(&proxy.url("ann:hunter2@")))?;
        let operator = Operator::spawn(cluster, options(&fixture, kubeconfig, &[]))?;
        until(DEADLINE, sentence, async || {
            let log = operator.logs();
            ensure!(log.contains(sentence), "{log}");
            Ok(())
        })
        .await;
        ensure!(!operator.logs().contains("hunter2"), "{}", operator.logs());
    }
    Ok(())
}
