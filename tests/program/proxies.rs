//! Clouds through a proxy: `--cloud-proxy` is used for all of them and says what is wrong with it, and nothing else makes a
//! request take one.

use std::net::SocketAddr;
use std::process::Command;

use caas_operator::simulator::{Running, Settings};

use crate::authority::Authority;
use crate::connect_proxy::{Conduct, ConnectProxy};
use crate::process::{Process, finished, program};
use crate::support::{LOCAL, account, account_is, cloud, cloud_with, secret, served};

/// A name that nothing but the proxy knows.
const ENDPOINT: &str = "http://cloud.invalid/v1/";

/// A proxy in front of a cloud.
async fn before(cloud: &Running, conduct: Conduct) -> ConnectProxy {
    ConnectProxy::start(address(cloud), conduct).await.unwrap()
}

fn address(cloud: &Running) -> SocketAddr {
    cloud.url().split('/').nth(2).unwrap().parse().unwrap()
}

/// `check` of an account at this endpoint: whether it was collected, and all that it said.
async fn checked(endpoint: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    checked_of(&account("acme", "acme", endpoint, ""), arguments, variables).await
}

/// The same of this manifest of an account.
async fn checked_of(account: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.yaml");
    std::fs::write(&file, secret("acme", "secret") + account).unwrap();
    let mut command: Command = program(&["check", file.to_str().unwrap(), "--allow-http"]);
    command.args(arguments).envs(variables.iter().copied());
    let output = finished(command).await;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), said)
}

#[tokio::test]
async fn an_account_is_collected_through_the_proxy_that_resolves_its_host() {
    let cloud = cloud("secret", 2, 1).await;
    let proxy = before(&cloud, Conduct::TunnelFor("ann", "p@ss:word")).await;
    let folder = tempfile::tempdir().unwrap();
    let manifests = secret("acme", "secret") + &account("acme", "acme", ENDPOINT, "");
    std::fs::write(folder.path().join("account.yaml"), manifests).unwrap();
    let mut command = program(&["standalone", "--listen", "127.0.0.1:0", "--allow-http"]);
    command.arg("--manifests").arg(folder.path());
    command.env("CAAS_OPERATOR_CLOUD_PROXY", proxy.url("ann:p%40ss%3Aword@"));
    command.env("RUST_LOG", "trace");
    let mut process = Process::start(command);
    let base = served(&mut process).await;
    account_is(&base, "acme", |one| one["reason"] == "Collected").await;
    assert!(proxy.hosts().iter().all(|host| host == "cloud.invalid:80"), "{:?}", proxy.hosts());
    let said = process.says("the log", |out, err| Some(format!("{out}{err}"))).await;
    assert!(said.contains(&proxy.url("")), "which proxy is used: {said}");
    for secret in ["p@ss", "p%40ss", "ann:", "YW5u"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[tokio::test]
async fn an_https_proxy_is_verified_with_the_systems_certificates_and_never_with_an_accounts() {
    let (system, own) = (Authority::new().unwrap(), Authority::new().unwrap());
    let settings = Settings { tls: Some(own.server("cloud.invalid").unwrap()), ..Settings::default() };
    let cloud = cloud_with("secret", 2, 1, settings).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &system.pem).unwrap();
    let variables = [("SSL_CERT_FILE", roots.to_str().unwrap())];
    let bundle = serde_json::to_string(&format!("{}{}", own.pem, system.pem)).unwrap();
    let account = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: authority, namespace: team-a}}\n\
         stringData: {{ca.crt: {bundle}}}\n---\n{}",
        account("acme", "acme", "https://cloud.invalid/v1/", "tls: {caBundleSecretRef: {name: authority}}")
    );
    let start = async |authority: &Authority, name| {
        let (conduct, tls) = (Conduct::TunnelFor("ann", "p@ss"), authority.server(name).unwrap());
        ConnectProxy::start_tls(address(&cloud), conduct, tls).await.unwrap()
    };

    let proxy = start(&system, "127.0.0.1").await;
    let url = proxy.url("ann:p%40ss@");
    let (collected, said) = checked_of(&account, &["--cloud-proxy", &url], &variables).await;
    assert!(url.starts_with("https://") && collected, "{said}");
    let hosts = proxy.hosts();
    assert!(!hosts.is_empty() && hosts.iter().all(|host| host == "cloud.invalid:443"), "{hosts:?}");

    let refused = async |proxy: &ConnectProxy, variables: &[(&str, &str)]| {
        let (url, advice) = (proxy.url("ann:hunter2@"), "signed by a CA of this system (SSL_CERT_FILE)");
        let (collected, said) = checked_of(&account, &["--cloud-proxy", &url], variables).await;
        assert!(!collected && said.contains("CloudUnreachable") && said.contains(advice), "{said}");
        assert!(said.contains("--cloud-proxy (chart: clouds.proxy)") && !said.contains("hunter2"), "{said}");
    };
    // The account's bundle has its CA, and the system's certificates do not.
    let proxy = start(&own, "127.0.0.1").await;
    refused(&proxy, &variables).await;
    assert_eq!(proxy.hosts(), Vec::<String>::new());
    let proxy = start(&system, "proxy.invalid").await;
    refused(&proxy, &variables).await;
    assert_eq!(proxy.hosts(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_wrong_with_the_proxy_is_said_with_whom_to_ask() {
    let cloud = cloud("secret", 1, 1).await;
    for (conduct, what) in [
        (
            Conduct::TunnelFor("ann", "other"),
            "requires a user and password, or rejects those in its URL (407)",
        ),
        (Conduct::Answer(403), "refuses to connect to the host (403)"),
        (Conduct::Answer(502), "cannot connect to the host"),
        (Conduct::Hang, "cannot connect to the host"),
    ] {
        let proxy = before(&cloud, conduct).await;
        let url = proxy.url("ann:hunter2@");
        let (collected, said) = checked(ENDPOINT, &["--cloud-proxy", &url], &[]).await;
        assert!(!collected && said.contains("CloudUnreachable") && said.contains(what), "{what}: {said}");
        assert!(said.contains("administrator") && said.contains("clouds.proxy"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!proxy.hosts().is_empty());
    }
    // Bound but not listening: the port is reserved, and connections to it are refused.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let (_, said) = checked(ENDPOINT, &["--cloud-proxy", &url], &[]).await;
    assert!(said.contains("cannot be reached") && said.contains("--cloud-proxy"), "{said}");
}

#[tokio::test]
async fn a_private_address_and_a_host_that_is_not_allowed_are_refused_before_the_proxy_is_asked() {
    let cloud = cloud("secret", 1, 1).await;
    let proxy = before(&cloud, Conduct::Tunnel).await;
    let url = proxy.url("");
    for (endpoint, more) in [
        ("http://127.0.0.1/v1/", &[][..]),
        ("http://169.254.169.254/v1/", &[]),
        ("http://[::1]/v1/", &[]),
        ("http://localhost/v1/", &[]),
        ("http://api.localhost./v1/", &[]),
        ("http://cloud.invalid/v1/", &["--allow-endpoint", "https://caas.example.com/"]),
    ] {
        let arguments = [&["--cloud-proxy", &url][..], more].concat();
        let (collected, said) = checked(endpoint, &arguments, &[]).await;
        assert!(!collected && said.contains("EndpointRefused"), "{endpoint}: {said}");
    }
    assert_eq!(proxy.hosts(), Vec::<String>::new());
}

#[tokio::test]
async fn no_variable_but_its_own_makes_clouds_take_a_proxy() {
    let cloud = cloud("secret", 1, 1).await;
    let proxy = before(&cloud, Conduct::Tunnel).await;
    let url = proxy.url("");
    let variables = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let (collected, said) = checked(&cloud.url(), &LOCAL[1..], &variables.map(|name| (name, &*url))).await;
    assert!(collected, "{said}");
    assert_eq!(proxy.hosts(), Vec::<String>::new());
    // Nor does NO_PROXY keep them from it.
    let arguments = ["--cloud-proxy", &url];
    let (collected, said) = checked(ENDPOINT, &arguments, &[("NO_PROXY", "*")]).await;
    assert!(collected && !proxy.hosts().is_empty(), "{said}");
}

#[tokio::test]
async fn a_value_that_is_no_proxy_is_refused_without_a_word_of_it() {
    for (value, advice) in [
        ("socks5://ann:hunter2@127.0.0.1:1080", "SOCKS proxies are not supported"),
        ("http://ann:hunter2#x@127.0.0.1:3128", "use http://host:port"),
    ] {
        for (arguments, variables) in
            [(vec!["--cloud-proxy", value], vec![]), (vec![], vec![("CAAS_OPERATOR_CLOUD_PROXY", value)])]
        {
            let (collected, said) = checked(ENDPOINT, &arguments, &variables).await;
            assert!(!collected && said.contains(advice) && said.contains("--cloud-proxy"), "{said}");
            assert!(!said.contains("hunter2") && !said.contains("ann:"), "{said}");
        }
    }
    let mut help = program(&["check", "--help"]);
    help.env("CAAS_OPERATOR_CLOUD_PROXY", "http://ann:hunter2@127.0.0.1:3128");
    let help = String::from_utf8(finished(help).await.stdout).unwrap();
    assert!(help.contains("--cloud-proxy") && !help.contains("hunter2"), "{help}");
}
