//! `check --from-cluster` where the API server cannot be asked, and what `check` prints of several accounts.

use std::net::SocketAddr;
use std::process::Command;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::process::{finished, program};
use crate::raw_http::read_request;
use crate::support::{LOCAL, account, secret};

/// An API server that gives one answer to everything.
async fn api_server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Ok(Some(_)) = read_request(&mut stream).await {
                    if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// `check --from-cluster` with a kubeconfig for this API server.
fn check(folder: &tempfile::TempDir, server: SocketAddr, words: &[&str]) -> Command {
    let path = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: \"http://{server}\"}}}}]\nusers: [{{name: a, user: {{}}}}]\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut command = program(&[&["check", "--from-cluster"], words].concat());
    command.env("KUBECONFIG", path);
    command
}

/// What is said on stderr where nothing can be checked.
async fn error(command: Command) -> String {
    let output = finished(command).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.len(), error.lines().count()),
        (Some(1), 0, 1),
        "{error}"
    );
    error
}

#[tokio::test]
async fn an_api_server_that_cannot_be_asked_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody_there = nobody.local_addr().unwrap();
    let no_kind = api_server("HTTP/1.1 404 X\r\ncontent-length: 19\r\n\r\n404 page not found\n").await;
    let unauthorized =
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","code":401}"#;
    let unauthorized: &str = Box::leak(
        format!("HTTP/1.1 401 X\r\ncontent-length: {}\r\n\r\n{unauthorized}", unauthorized.len())
            .into_boxed_str(),
    );
    let unauthorized = api_server(unauthorized).await;
    for (server, says) in [
        (nobody_there, ["Connection refused", "check that kubectl reaches the cluster"]),
        (no_kind, ["CaasAccount CRD is not installed", "install the operator first"]),
        (unauthorized, ["rejects the kubeconfig's credentials", "log in again"]),
    ] {
        for words in [&[][..], &["acme"], &["team-a/acme"]] {
            let error = error(check(&folder, server, words)).await;
            assert!(says.iter().all(|word| error.contains(word)), "{says:?}: {error}");
        }
    }
}

#[tokio::test]
async fn without_a_kubeconfig_or_with_a_name_that_is_none_it_says_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let said = error(program(&["check", "--from-cluster"])).await;
    assert!(said.contains("set KUBECONFIG"), "{said}");
    let server = "127.0.0.1:9".parse().unwrap();
    let said = error(check(&folder, server, &["Accounts/acme"])).await;
    assert!(said.contains("NAME or NAMESPACE/NAME"), "{said}");
}

#[tokio::test]
async fn each_account_that_fails_is_told_once() {
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}/v1/", nobody.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let accounts = [("away", "acme"), ("bare", "gone")].map(|(name, key)| account(name, key, &endpoint, ""));
    std::fs::write(&file, secret("acme", "secret") + &accounts.concat()).unwrap();
    let words = [&["check", file.to_str().unwrap()], &LOCAL[..]].concat();

    let output = finished(program(&words)).await;

    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for once in ["team-a/away: CloudUnreachable", "team-a/bare: SecretNotFound", "The collection failed"] {
        assert_eq!(out.matches(once).count(), 1, "{once}: {out}");
    }
    assert_eq!(error, "error: 2 of 2 accounts not collected completely; see above\n");

    // Who asks for the log gets it.
    let mut command = program(&words);
    command.env("RUST_LOG", "warn");
    let error = String::from_utf8(finished(command).await.stderr).unwrap();
    assert!(error.contains("The collection failed"), "{error}");
}

#[tokio::test]
async fn the_namespace_of_the_command_line_is_that_of_manifests_that_name_none() {
    let cloud = crate::support::cloud("secret", 1, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let text = secret("acme", "secret") + &account("acme", "acme", &cloud.url(), "");
    std::fs::write(&file, text.replace(", namespace: team-a", "")).unwrap();
    for (words, namespace) in [(&[][..], "default"), (&["-n", "team-b"], "team-b")] {
        let output =
            finished(program(&[&["check", file.to_str().unwrap()], words, &LOCAL[..]].concat())).await;
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(out.starts_with(&format!("{namespace}/acme: Collected\n")), "{out}");
    }
    let output = finished(program(&["check", file.to_str().unwrap(), "-n", "Team/B"])).await;
    assert_eq!(output.status.code(), Some(2));
    cloud.stop().await;
}
