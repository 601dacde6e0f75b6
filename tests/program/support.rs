//! Helpers of the program's tests: a client, a simulated cloud, manifests, addresses in outputs.

use std::path::Path;
use std::sync::Once;

use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use serde_json::Value;

use crate::process::{Process, until};

/// A client that follows no redirect and uses no proxy.
pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // The client needs a TLS provider even for plain HTTP.
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The status and body of a URL, or `None` if the connection fails.
pub(crate) async fn ask(url: &str) -> Option<(u16, String)> {
    let answer = client().get(url).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// The body of a URL, which must answer with 200.
pub(crate) async fn get(url: &str) -> String {
    let (status, body) = ask(url).await.unwrap_or_else(|| panic!("{url} does not answer"));
    assert_eq!(status, 200, "{url}: {body}");
    body
}

/// The JSON of a URL, which must answer with 200.
pub(crate) async fn get_json(url: &str) -> Value {
    serde_json::from_str(&get(url).await).unwrap()
}

/// A simulated cloud with one user, `acme`, and this password.
pub(crate) async fn cloud(password: &str, services: usize, instances: usize) -> Running {
    cloud_with(password, services, instances, Settings::default()).await
}

/// The same with other settings.
pub(crate) async fn cloud_with(
    password: &str,
    services: usize,
    instances: usize,
    settings: Settings,
) -> Running {
    let password = Some(password.to_owned());
    let user = AccountSettings { password, services, instances, ..AccountSettings::new("acme") };
    Simulator::start(Settings { accounts: vec![user], ..settings }).await.unwrap()
}

/// A Secret with user `acme`; the password is written as a JSON string, so it may contain anything.
pub(crate) fn secret(name: &str, password: &str) -> String {
    let password = serde_json::to_string(password).unwrap();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: team-a}}\n\
         stringData: {{username: acme, password: {password}}}\n---\n"
    )
}

/// A CaasAccount in team-a that uses the Secret `secret`, collected every 5 s; `more` holds further fields of its spec.
pub(crate) fn account(name: &str, secret: &str, endpoint: &str, more: &str) -> String {
    let interval = if more.contains("collection:") { "" } else { "  collection: {interval: 5s}\n" };
    format!(
        "apiVersion: caas-operator.io/v1alpha1\nkind: CaasAccount\nmetadata: {{name: {name}, namespace: team-a}}\n\
         spec:\n  provider: {{alauda: {{endpoint: '{endpoint}'}}}}\n  credentials: {{secretRef: {{name: {secret}}}}}\n\
         {interval}  {more}\n---\n"
    )
}

/// The options that allow a cloud on loopback.
pub(crate) const LOCAL: [&str; 3] = ["--allow-http", "--allow-cidr", "127.0.0.0/8"];

/// The arguments of `standalone` on a folder, on any free port, with clouds on loopback.
pub(crate) fn standalone(folder: &Path) -> Vec<&str> {
    let folder = folder.to_str().unwrap();
    [&["standalone", "--manifests", folder, "--listen", "127.0.0.1:0"][..], &LOCAL].concat()
}

/// The base URL that a process serves, read from its log in either format.
pub(crate) async fn served(process: &mut Process) -> String {
    logged(process, "serving").await
}

/// The base URL in the first log line that contains this word.
pub(crate) async fn logged(process: &mut Process, word: &str) -> String {
    let address = process.says("an address", |_, err| {
        // The last line may be incomplete.
        let (whole, _) = err.rsplit_once('\n')?;
        let line = whole.lines().find(|line| line.contains(word))?;
        let (_, address) = line.split_once("127.0.0.1:")?;
        Some(address.chars().take_while(char::is_ascii_digit).collect::<String>())
    });
    format!("http://127.0.0.1:{}", address.await)
}

/// Waits until an account of this name fulfils a condition, and returns its summary.
pub(crate) async fn account_is(base: &str, name: &str, what: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the account {name} of {base}"), async || {
        let all: Value = serde_json::from_str(&ask(&format!("{base}/accounts")).await?.1).ok()?;
        all["accounts"].as_array()?.iter().find(|one| one["name"] == name && what(one)).cloned()
    })
    .await
}

/// The value of the first series whose line contains all of these parts; 0 if there is none.
pub(crate) fn metric(body: &str, parts: &[&str]) -> f64 {
    metrics(body, parts).next().unwrap_or(0.0)
}

/// The values of the series whose lines contain all of these parts.
pub(crate) fn metrics(body: &str, parts: &[&str]) -> impl Iterator<Item = f64> {
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let found = lines.filter(|line| parts.iter().all(|part| line.contains(part)));
    found.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
