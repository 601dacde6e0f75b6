//! `run` with its kubeconfig: a proxy is used where one is named and `NO_PROXY` does not cover the API server, and neither the
//! proxy's password nor a token is told.

use std::process::Command;

use crate::process::{Process, finished, program};

const PROXY: &str = "http://user:hunter2@127.0.0.1:9";

/// Of an API server. Its first label has 64 letters, one too many: it is resolved nowhere, and no name server is asked.
const HOST: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.cluster.invalid";

/// `run` with a kubeconfig for that API server, what else it says of the cluster, and these variables.
fn run(folder: &tempfile::TempDir, cluster: &str, variables: &[(&str, &str)]) -> Command {
    run_at(HOST, folder, cluster, variables)
}

/// The same for an API server of another name.
fn run_at(host: &str, folder: &tempfile::TempDir, cluster: &str, variables: &[(&str, &str)]) -> Command {
    let path = folder.path().join("kubeconfig");
    let server = format!("server: \"https://{host}:6443\"");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{{server}{cluster}}}}}]\nusers: [{{name: a, user: {{}}}}]\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut command = program(&["run", "--listen", "127.0.0.1:0", "--listen-health", "127.0.0.1:0"]);
    command.env("KUBECONFIG", path).envs(variables.iter().copied());
    command
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_told_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let in_file = format!(", proxy-url: \"{PROXY}\"");
    for (cluster, variables) in [
        ("", &[("HTTPS_PROXY", PROXY)][..]),
        (&in_file, &[]),
        ("", &[("HTTPS_PROXY", PROXY), ("NO_PROXY", "cluster.invalid:443,10.0.0.0/8,")]),
    ] {
        // Nothing resolves it, as there is no proxy that could.
        let mut process = Process::start(run_at("api.cluster.invalid", &folder, cluster, variables));
        let log = process
            .says("why the API server cannot be reached", |out, err| {
                let log = format!("{out}{err}");
                log.contains("the API server cannot be reached").then_some(log)
            })
            .await;
        assert!(log.contains("the proxy cannot be reached: "), "{log}");
        assert!(log.contains("http://127.0.0.1:9"), "{log}");
        assert!(!log.contains("hunter2") && !log.contains("user:"), "{log}");
    }
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_refused_with_what_to_do_instead() {
    let folder = tempfile::tempdir().unwrap();
    let socks = [("HTTPS_PROXY", "socks5://user:hunter2@127.0.0.1:9")];
    let output = finished(run(&folder, "", &socks)).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("SOCKS proxies are not supported"), "{error}");
    assert!(error.contains(&format!("add {HOST} to NO_PROXY")), "{error}");
    assert!(!error.contains("hunter2") && !error.contains("user:"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_no_proxy_excludes_is_not_used_and_the_log_says_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let in_file = format!(", proxy-url: \"{PROXY}\"");
    for (cluster, no_proxy) in [("", "10.0.0.0/8,.cluster.invalid,"), (&in_file, "*")] {
        let variables = [("HTTPS_PROXY", PROXY), ("NO_PROXY", no_proxy)];
        let mut process = Process::start(run(&folder, cluster, &variables));
        let log = process
            .says("why the API server cannot be reached", |out, err| {
                let log = format!("{out}{err}");
                log.contains("the API server cannot be reached").then_some(log)
            })
            .await;
        assert!(log.contains("client error (Connect): "), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_broken_is_refused_without_a_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for text in
        ["users:\n- name: a\n  user:\n    token: \"hunter2\n  x: [\n", "users:\n- name: a\n  user: hunter2\n"]
    {
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, format!("apiVersion: v1\nkind: Config\n{text}")).unwrap();
        let mut command = program(&["run", "--listen", "127.0.0.1:0", "--listen-health", "127.0.0.1:0"]);
        command.env("KUBECONFIG", path);
        let output = finished(command).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains("the kubeconfig cannot be used: it is not a YAML kubeconfig"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_is_named() {
    let mut command = program(&["run"]);
    command.env("KUBECONFIG", "/missing:/lost/config");
    let output = finished(command).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("set KUBECONFIG to a file that exists (there is no /missing and no /lost/config)"),
        "{error}"
    );
}
