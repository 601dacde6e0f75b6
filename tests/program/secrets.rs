//! T6 and T7: no output at any level contains a credential, a token or text of a cloud's response, in any encoding.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use caas_operator::account::admission::Admission;
use caas_operator::account::{Account, AccountId};
use caas_operator::cloud::Providers;
use caas_operator::standalone::manifests;
use k8s_openapi::ByteString;

use crate::process::{Process, finished, program};
use crate::support::{LOCAL, account, account_is, cloud, get, secret, served, standalone};

/// A password of several lines with characters that need escaping; each line contains a word to search for.
const PASSWORD: &str = "canary0first p&ss=wörd\ncanary1second \"quoted\" \\ %41 <b>\n\tcanary2third";
/// Words of the simulated cloud's wrong responses.
const ANSWERS: [&str; 2] = ["Welcome to nginx", "Unable to login"];

/// Base64 as Kubernetes writes it.
fn base64(bytes: &[u8]) -> String {
    serde_json::to_value(ByteString(bytes.to_vec())).unwrap().as_str().unwrap().to_owned()
}

/// All ways in which a word would still be a leak: as it is, percent-encoded, in hex, in base64 at any offset.
fn encodings(word: &str) -> BTreeSet<String> {
    let hex = |separator: &str| {
        word.bytes().map(|byte| format!("{separator}{byte:02x}")).collect::<Vec<_>>().concat()
    };
    let numbers: Vec<String> = word.bytes().map(|byte| byte.to_string()).collect();
    let mut all = BTreeSet::from([
        word.to_lowercase(),
        hex(""),
        hex("%"),
        hex("\\x"),
        numbers.join(", "),
        word.chars().rev().collect::<String>().to_lowercase(),
    ]);
    for offset in 0..3 {
        // What comes before shifts the bits; the characters at both ends hold bits of the neighbours too.
        let shifted = [&b"\0\0"[..offset], word.as_bytes()].concat();
        let text = base64(&shifted[..shifted.len() / 3 * 3]);
        all.insert(text[if offset == 0 { 0 } else { 4 }..].to_lowercase());
    }
    all
}

/// Fails if a text contains one of the words in any encoding.
fn is_clean(what: &str, text: &str, words: &[&str]) {
    let lower = text.to_lowercase();
    for word in words {
        for encoding in encodings(word) {
            let found = lower.find(&encoding);
            let context = found.map(|at| {
                let near: String =
                    lower.get(at.saturating_sub(300)..).unwrap_or_default().chars().take(600).collect();
                near
            });
            assert!(context.is_none(), "{what} contains {word} as {encoding}: {context:?}");
        }
    }
}

#[test]
fn a_leak_is_found_in_every_encoding() {
    for leak in [
        "x CANARY0first".to_owned(),
        format!("Basic {}", base64(b"acme:canary0first x")),
        base64(b"me:canary0first"),
        base64(b"e:canary0first!"),
        "%63%61%6e%61%72%79%30%66%69%72%73%74".to_owned(),
        format!("{:?}", b"canary0first"),
    ] {
        let found = std::panic::catch_unwind(|| is_clean("a leak", &leak, &["canary0first"])).is_err();
        assert!(found, "{leak}");
    }
}

/// All that the server shows of these accounts.
async fn all_bodies(base: &str, accounts: &[&str]) -> String {
    let mut all = String::new();
    for path in ["/", "/accounts", "/sd", "/metrics"] {
        all += &get(&format!("{base}{path}")).await;
    }
    for name in accounts {
        for path in ["", "/metrics"] {
            all += &get(&format!("{base}/accounts/team-a/{name}{path}")).await;
        }
    }
    all
}

#[tokio::test]
async fn the_password_appears_nowhere_at_trace_level() {
    for format in ["text", "json"] {
        let cloud = cloud(PASSWORD, 2, 2).await;
        cloud.set_fault("metrics:revoked-token@x1".parse().unwrap()).unwrap();
        let mut command =
            program(&["standalone", "--alauda-endpoint", &cloud.url(), "--listen", "127.0.0.1:0"]);
        command.env("ALAUDA_USERNAME", "acme").env("ALAUDA_PASSWORD", PASSWORD.to_owned() + "\n");
        command.env("RUST_LOG", "trace").env("CAAS_OPERATOR_LOG_FORMAT", format);
        let mut process = Process::start(command);
        let base = served(&mut process).await;
        account_is(&base, "alauda", |one| one["reason"] == "Collected").await;
        let tokens = cloud.tokens();
        assert_eq!((cloud.counts()["login"], tokens.len()), (2, 2), "two logins with a token each");

        let bodies = get(&format!("{base}/metrics")).await + &get(&format!("{base}/accounts")).await;
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0));

        let mut words = vec!["canary0first", "canary1second", "canary2third"];
        words.extend(tokens.iter().map(String::as_str));
        assert!(process.err().contains("TRACE"), "the libraries below do log");
        assert!(process.err().contains("hyper"), "those that hold the bytes as well");
        is_clean("standard error", &process.err(), &words);
        is_clean("standard output", &process.out(), &words);
        is_clean("a body", &bodies, &words);
        cloud.stop().await;
    }
}

/// Manifests that are good, bad and broken, all with canaries in them, and the names of those that are accounts.
fn manifests_with_canaries(endpoint: &str) -> (Vec<(&'static str, String)>, [&'static str; 4]) {
    let raw = |name: &str, rest: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: team-a}}\n{rest}\n---\n")
    };
    let at = |name: &str, more: &str| account(name, name, endpoint, more);
    let files = vec![
        ("good.yaml", secret("good", PASSWORD) + &at("good", "")),
        ("wrong.yaml", secret("wrong", "canary3wrong\ncanary4second") + &at("wrong", "")),
        ("token.yaml", raw("token", "stringData: {username: acme, token: canary5token}") + &at("token", "")),
        (
            "html.yaml",
            raw("html", &format!("data: {{username: YWNtZQ==, password: {}}}", base64(PASSWORD.as_bytes())))
                + &at("html", "services: {include: [redis]}"),
        ),
        (
            "base64.yaml",
            raw("base64", "data: {username: YWNtZQ==, password: '!canary6base64'}") + &at("base64", ""),
        ),
        ("list.yaml", raw("list", "stringData: {username: acme, password: [canary7list]}") + &at("list", "")),
        ("field.yaml", raw("field", "passphrase: canary8field") + &at("field", "password: canary9inline")),
        (
            "broken.yaml",
            "kind: Secret\nstringData: {password: \"canary10broken\n  nokey\n---\n: canary11key: [".into(),
        ),
        ("broken.json", r#"{"kind": "Secret", "stringData": {"password": "canary12json" oops}}"#.into()),
        (
            "user.yaml",
            secret("user", "canary13user")
                + &account("user", "user", "https://acme:canary14url@caas.example.com/v1/", ""),
        ),
        (
            "query.yaml",
            secret("query", "canary15query")
                + &account("query", "query", "https://caas.example.com/v1/?token=canary16query", ""),
        ),
        (
            "control.yaml",
            raw("control", "stringData: {username: acme, token: \"canary17 two\\nwords\"}")
                + &at("control", ""),
        ),
        (
            "ca.yaml",
            raw("ca", "stringData: {ca.crt: canary18ca}")
                + &secret("tls", "canary19tls")
                + &account("tls", "tls", endpoint, "tls: {caBundleSecretRef: {name: ca}}"),
        ),
    ];
    (files, ["good", "wrong", "token", "html"])
}

/// Every canary of the manifests, and all tokens of the cloud.
fn words(tokens: &[String]) -> Vec<&str> {
    let mut words = vec![
        "canary0first",
        "canary1second",
        "canary2third",
        "canary3wrong",
        "canary4second",
        "canary5token",
        "canary6base64",
        "canary7list",
        "canary8field",
        "canary9inline",
        "canary10broken",
        "canary11key",
        "canary12json",
        "canary13user",
        "canary14url",
        "canary15query",
        "canary16query",
        "canary17",
        "canary18ca",
        "canary19tls",
    ];
    words.extend(tokens.iter().map(String::as_str));
    words
}

#[tokio::test]
async fn good_bad_and_broken_manifests_leak_nothing_of_their_secrets() {
    let cloud = cloud(PASSWORD, 3, 2).await;
    cloud.set_fault("metrics:html@service=redis".parse().unwrap()).unwrap();
    let (files, accounts) = manifests_with_canaries(&cloud.url());
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }

    for format in ["json", "text"] {
        let mut command = program(&standalone(folder.path()));
        command.env("RUST_LOG", "trace").env("CAAS_OPERATOR_LOG_FORMAT", format);
        let mut process = Process::start(command);
        let base = served(&mut process).await;
        for (name, reason) in accounts.iter().zip([
            "PartiallyCollected",
            "LoginRejected",
            "LoginRejected",
            "PartiallyCollected",
        ]) {
            account_is(&base, name, |one| one["reason"] == reason).await;
        }
        let bodies = all_bodies(&base, &accounts).await;
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0));
        let tokens = cloud.tokens();
        for name in
            ["base64", "list", "field", "broken.yaml", "broken.json", "user", "query", "control", "tls"]
        {
            assert!(process.err().contains(name), "{name} is reported");
        }
        for (what, text) in
            [("standard error", process.err()), ("standard output", process.out()), ("a body", bodies)]
        {
            is_clean(what, &text, &words(&tokens));
            is_clean(what, &text, &ANSWERS);
        }
    }

    let paths: Vec<String> =
        files.iter().map(|(name, _)| folder.path().join(name).display().to_string()).collect();
    let arguments: Vec<&str> =
        ["check"].into_iter().chain(LOCAL).chain(paths.iter().map(String::as_str)).collect();
    let mut command = program(&arguments);
    command.env("RUST_LOG", "trace");
    let output = finished(command).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("team-a/good: PartiallyCollected") && said.contains("base64"), "{said}");
    is_clean("check", &said, &words(&cloud.tokens()));
    is_clean("check", &said, &ANSWERS);
    cloud.stop().await;
}

#[tokio::test]
async fn neither_help_nor_a_wrong_command_line_shows_a_password() {
    let given = "--alauda-password=canary0first";
    for arguments in [
        &["standalone", "--help"][..],
        &["standalone", given, "--help"],
        &["standalone", given, "--listen", "nonsense"],
        &["standalone", given, "--alauda-endpoint", "nonsense"],
        &["standalone", given, "--manifests", "/nowhere", "--alauda-endpoint", "http://127.0.0.1:1/"],
        &["standalone", given, "--frobnicate"],
        &["simulate", "alauda", "--help"],
        &["simulate", "alauda", "--password=canary0first", "--churn", "7"],
    ] {
        let mut command = program(arguments);
        command.env("ALAUDA_USERNAME", "acme").env("ALAUDA_PASSWORD", "canary1second\ncanary2third");
        command.env("CAAS_OPERATOR_PASSWORD", "canary3wrong").env("RUST_LOG", "trace");
        let output = finished(command).await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.is_empty());
        is_clean(&format!("{arguments:?}"), &said, &words(&[]));
    }
}

/// A panic message may contain the debug text of our values.
#[test]
fn a_panic_with_an_account_in_its_message_shows_no_secret() {
    let (files, _) = manifests_with_canaries("https://caas.example.com/v1/");
    let admission = Admission::new(Providers::ALL);
    let files: Vec<_> = files.iter().map(|(name, text)| manifests::parse(&admission, name, text)).collect();
    let desired = manifests::desired(Providers::ALL, &files, |_| Ok(()));
    assert!(desired.accounts.len() >= 4 && !desired.problems.is_empty() && !desired.faults.is_empty());
    let good = AccountId::new("team-a", "good");
    let good: &Account = desired.accounts.iter().find(|account| account.id == good).unwrap();
    let messages = [format!("{desired:?} {files:?}"), format!("{good:#?} {:?}", good.connection.provider)];
    for message in messages {
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| std::panic::panic_any(message)));
        let message = *panicked.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("acme"), "the message contains something");
        is_clean("a panic", &message, &words(&[]));
    }
}
