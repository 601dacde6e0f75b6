//! `check`: what would be exposed and what it costs, or the reason that a condition would have.

use std::io::{Seek, Write};
use std::sync::Arc;

use caas_operator::simulator::{Alauda, Running, Settings};

use crate::process::{finished, program};
use crate::support::{LOCAL, account, cloud, cloud_with, secret};

/// The exit code of a check of this text, from standard input, and what it printed.
async fn check(manifests: &str, options: &[&str]) -> (Option<i32>, String) {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(manifests.as_bytes()).unwrap();
    input.rewind().unwrap();
    let mut command = program(&[&["check", "-"], options].concat());
    command.stdin(input);
    let output = finished(command).await;
    let error = String::from_utf8(output.stderr).unwrap();
    // The last line of stderr reports the failure too.
    let failed = error.lines().last().is_some_and(|line| line.starts_with("error: "));
    assert_eq!(failed, output.status.code() != Some(0), "{error}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The number behind a name in the line of a check's counts.
fn number(words: &str, name: &str) -> u64 {
    let line = words.lines().find(|line| line.contains("API requests")).unwrap();
    let rest = line.split_once(&format!("{name} ")).unwrap_or_else(|| panic!("{name}: {line}")).1;
    rest.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_good_account_costs_one_login_and_one_request_per_page_and_instance() {
    let cloud = cloud_with("secret", 20, 5, Alauda { page_size: 8, ..Alauda::default() }.into()).await;
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("secret.yaml"), folder.path().join("account.yaml"));
    std::fs::write(&one, secret("acme", "secret")).unwrap();
    std::fs::write(&two, account("acme", "acme", &cloud.url(), "")).unwrap();
    let files = [one.to_str().unwrap(), two.to_str().unwrap()];

    let output = finished(program(&[&["check"], &files[..], &LOCAL].concat())).await;

    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.starts_with("team-a/acme: Collected\n"), "{words}");
    let counts = cloud.counts();
    assert_eq!((counts["login"], counts["services_page"], counts["metrics"], counts.total), (1, 3, 100, 104));
    assert_eq!(number(&words, "API requests"), counts.total);
    assert_eq!((number(&words, "services"), number(&words, "instances")), (20, 100));
    assert!(number(&words, "series") > 1000, "{words}");
    assert_eq!(words.matches("5 instances, 5 with data").count(), 20, "{words}");
    cloud.stop().await;
}

/// Asserts that a check of this exits with 1 and prints these words.
async fn rejected(what: &str, manifests: &str, options: &[&str], says: &[&str]) {
    let (code, words) = check(manifests, options).await;
    assert_eq!(code, Some(1), "{what}: {words}");
    assert!(says.iter().all(|word| words.contains(word)), "{what}: {says:?}: {words}");
}

#[tokio::test]
async fn check_reports_problems_of_credentials_as_the_condition_does() {
    let cloud = cloud("secret", 1, 1).await;
    let endpoint = cloud.url();
    let good = account("acme", "acme", &endpoint, "");
    rejected("wrong password", &(secret("acme", "wrong") + &good), &LOCAL, &["team-a/acme: LoginRejected"])
        .await;
    assert_eq!((cloud.counts()["login"], cloud.counts().total), (1, 1));
    cloud.reset_counts();

    let keyed = |data: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: acme, namespace: team-a}}\nstringData: {{{data}}}\n---\n{good}"
        )
    };
    for (what, manifests, says) in [
        ("no Secret", good.clone(), ["SecretNotFound", "Secret team-a/acme does not exist"]),
        ("no key", keyed("username: acme"), ["SecretKeyMissing", "has no key password"]),
        ("an empty key", keyed("username: acme, password: ''"), ["SecretKeyEmpty", "Key password of Secret"]),
        (
            "bound elsewhere",
            keyed("username: acme, password: secret, endpoint: 'https://caas.example.com/v1/'"),
            ["EndpointMismatch", "Key endpoint of Secret"],
        ),
    ] {
        rejected(what, &manifests, &LOCAL, &says).await;
    }
    assert_eq!(cloud.counts().total, 0, "nothing is sent");

    // A trailing newline, as editors add it, is not part of a password.
    let (code, words) = check(&(secret("acme", "secret\n") + &good), &LOCAL).await;
    assert_eq!(code, Some(0), "{words}");
    cloud.stop().await;
}

#[tokio::test]
async fn a_private_address_is_rejected_in_every_notation_and_nothing_is_sent() {
    let cloud = cloud("secret", 1, 1).await;
    let port = cloud.addr.port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
    ];
    let accounts: String = (0..)
        .zip(hosts)
        .map(|(n, host)| account(&format!("a{n}"), "acme", &format!("http://{host}:{port}/v1/"), ""))
        .collect();

    let (code, words) = check(&(secret("acme", "secret") + &accounts), &["--allow-http"]).await;

    assert_eq!(code, Some(1));
    for (n, host) in hosts.iter().enumerate() {
        let (_, of_account) = words.split_once(&format!("team-a/a{n}: ")).unwrap();
        assert!(of_account.starts_with("EndpointRefused\n"), "{host}: {words}");
        assert!(of_account.lines().nth(1).unwrap().contains("--allow-cidr"), "{host}: {words}");
    }
    assert_eq!(cloud.counts().total, 0);

    let plain = secret("acme", "secret") + &account("acme", "acme", &cloud.url(), "");
    let inside = ["--allow-cidr", "127.0.0.0/8"];
    rejected("plain http", &plain, &inside, &["EndpointRefused", "--allow-http"]).await;
    let listed = [&LOCAL[..], &["--allow-endpoint", "https://caas.example.com/"]].concat();
    rejected("not in the list", &plain, &listed, &["EndpointRefused", "--allow-endpoint"]).await;
    assert_eq!(cloud.counts().total, 0);
    cloud.stop().await;
}

#[tokio::test]
async fn check_reports_problems_of_a_cloud_as_the_condition_does() {
    // Bound but not listening: the port is reserved, and connections to it are refused.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = nobody.local_addr().unwrap();
    let at = |endpoint: &str, more: &str| secret("acme", "secret") + &account("acme", "acme", endpoint, more);
    let unreachable = at(&format!("http://{address}/v1/"), "");
    rejected(
        "nobody there",
        &unreachable,
        &LOCAL,
        &["CloudUnreachable", "the connection was refused or failed"],
    )
    .await;

    let cloud = cloud("secret", 2, 2).await;
    for (fault, more, says) in [
        ("services:500", "", ["CloudError", "server error (5xx)"]),
        ("services:html", "", ["CloudError", "not JSON"]),
        ("services:429=60", "", ["RateLimited", "requestsPerSecond"]),
        (
            "services:hang",
            "collection: {requestTimeout: 1s}",
            ["CloudUnreachable", "within the request timeout"],
        ),
        ("metrics:404@service=kibana", "", ["PartiallyCollected", "(404)"]),
        ("latency=1ms", "metrics: {maxSeries: 20}", ["TooManySeries", "spec.metrics.maxSeries"]),
    ] {
        let fault =
            if fault.starts_with("metrics:404") { "metrics:status=404@service=kibana" } else { fault };
        cloud.clear_faults();
        cloud.set_fault(fault.parse().unwrap()).unwrap();
        rejected(fault, &at(&cloud.url(), more), &LOCAL, &says).await;
    }
    cloud.stop().await;
}

#[tokio::test]
async fn check_rejects_what_an_api_server_would_reject_with_the_same_message() {
    let at = |more: &str| {
        secret("acme", "secret") + &account("acme", "acme", "https://caas.example.com/v1/", more)
    };
    for (what, more, says) in [
        ("a rule", "collection: {interval: 60s, staleAfter: 30s}", ["staleAfter", "interval"]),
        ("an unknown field", "metrics: {prefix: acme}", ["spec.metrics.prefix", "is an unknown field"]),
        ("a wrong type", "metrics: {maxSeries: many}", ["spec.metrics.maxSeries", "integer"]),
        ("suspended", "suspend: true", ["Suspended", "spec.suspend"]),
    ] {
        rejected(what, &at(more), &LOCAL, &says).await;
    }
    rejected("no YAML", "kind: [", &LOCAL, &["-, document 1", "is not valid YAML"]).await;
}

#[tokio::test]
async fn one_bad_account_of_several_fails_the_check_and_not_the_others() {
    let cloud = cloud("secret", 2, 2).await;
    let accounts =
        [("bad", "missing"), ("good", "acme")].map(|(name, key)| account(name, key, &cloud.url(), ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, secret("acme", "secret") + &accounts.concat() + "kind: [").unwrap();
    let output = finished(program(&[&["check", file.to_str().unwrap()], &LOCAL[..]].concat())).await;
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words.contains("team-a/bad: SecretNotFound") && words.contains("team-a/good: Collected"),
        "{words}"
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error.lines().last(),
        Some("error: 1 of 2 accounts not collected completely, 1 invalid document; see above"),
        "{error}"
    );
    cloud.stop().await;
}

#[tokio::test]
async fn files_without_an_account_or_that_cannot_be_read_are_an_error_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, missing) = (folder.path().join("empty.yaml"), folder.path().join("missing.yaml"));
    std::fs::write(&empty, secret("acme", "secret")).unwrap();
    for (file, says) in [(&empty, "there is no CaasAccount"), (&missing, "missing.yaml cannot be read")] {
        let output = finished(program(&["check", file.to_str().unwrap()])).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len(), error.lines().count()),
            (Some(1), 0, 1),
            "{error}"
        );
        assert!(error.starts_with("error: ") && error.contains(says), "{error}");
    }
}

/// A cloud whose certificate is signed by itself, and that certificate.
async fn https_cloud() -> (Running, String) {
    // Installs the process's TLS provider.
    let _ = crate::support::client();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let settings = Settings { tls: Some(Arc::new(tls)), ..Settings::default() };
    (cloud_with("secret", 2, 2, settings).await, certified.cert.pem())
}

#[tokio::test]
async fn a_private_certificate_is_accepted_with_its_ca_bundle_and_rejected_without() {
    let (cloud, certificate) = https_cloud().await;
    let bundle = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: ca, namespace: team-a}}\nstringData: {{ca.crt: {}}}\n---\n",
        serde_json::to_string(&certificate).unwrap()
    );
    let at = |more: &str| secret("acme", "secret") + &bundle + &account("acme", "acme", &cloud.url(), more);
    let inside = ["--allow-cidr", "127.0.0.0/8"];

    let (code, words) = check(&at("tls: {caBundleSecretRef: {name: ca}}"), &inside).await;
    assert_eq!(code, Some(0), "{words}");
    cloud.reset_counts();
    rejected("without the bundle", &at(""), &inside, &["CloudUnreachable"]).await;
    assert_eq!(cloud.counts().total, 0);
    cloud.stop().await;
}
