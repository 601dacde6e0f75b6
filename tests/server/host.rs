//! The Host of a request: what is refused, and what discovery echoes.

use caas_operator::replicas::peers::Peers;
use caas_operator::server::{AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http_support::{Served, serve};
use crate::{registry, started};

/// Sends a head as it is written here and returns the response.
async fn raw(served: &Served, head: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_host_that_is_missing_given_twice_or_no_authority_is_refused_on_every_path() {
    let (served, _) = started(None).await;
    for path in ["/", "/services", "/sd", "/accounts", "/accounts/team-a/acme", "/metrics", "/nowhere"] {
        for host in [
            "",
            "\r\nhost:",
            "\r\nhost: ",
            "\r\nhost: a b/{{x}}",
            "\r\nhost: a/../b",
            "\r\nhost: {{x}}",
            "\r\nhost: user@a",
            "\r\nhost: a:99999",
            "\r\nhost: \u{fc}.example",
            "\r\nhost: a\r\nhost: a",
            "\r\nhost: a\r\nHost: b",
        ] {
            let response = raw(&served, &format!("GET {path} HTTP/1.1{host}")).await;
            assert_eq!(status(&response), "400", "{path} {host:?}: {response}");
            assert!(!response.contains("{{x}}"), "{response}");
        }
    }
}

#[tokio::test]
async fn discovery_names_the_host_that_was_asked_for_and_nothing_else() {
    let (served, _) = started(None).await;
    for (head, host) in [
        ("GET /sd HTTP/1.1\r\nhost: Caas.example.com:8080", "Caas.example.com:8080"),
        ("GET /sd HTTP/1.1\r\nhost: [fd00::7]:8080", "[fd00::7]:8080"),
        ("GET /sd HTTP/1.0\r\nhost: caas", "caas"),
        // The target wins over the header.
        ("GET http://caas:8080/sd HTTP/1.1\r\nhost: other", "caas:8080"),
    ] {
        let response = raw(&served, &head.replace("HTTP/1.1", "HTTP/1.0")).await;
        let body = response.split_once("\r\n\r\n").unwrap().1;
        let groups: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {response}"));
        for group in groups.as_array().unwrap() {
            assert_eq!(group["targets"], serde_json::json!([host]), "{head}");
        }
    }
    assert_eq!(status(&raw(&served, "GET http://user@caas/sd HTTP/1.1\r\nhost: caas").await), "400");
    assert_eq!(status(&raw(&served, "GET /sd HTTP/1.0").await), "400", "nothing to name the targets after");
    assert_eq!(status(&raw(&served, "GET /accounts HTTP/1.0").await), "200");
}

#[tokio::test]
async fn with_a_list_of_hosts_another_name_is_answered_on_no_path() {
    let allowed_hosts = AllowedHosts::new(["caas.example.com".parse().unwrap()]);
    let context = Context {
        registry: registry(),
        metrics: Metrics::new(),
        append_account: None,
        allowed_hosts,
        page: PageOptions::default(),
        peers: Peers::none(),
    };
    let served = serve(router(context), Limits::default()).await;
    for path in
        ["/", "/sd", "/accounts", "/accounts/team-a/acme", "/metrics", "/accounts/team-a/acme/metrics"]
    {
        for (host, expected) in [
            ("caas.example.com", "200"),
            ("CAAS.example.com:8080", "200"),
            ("10.1.2.3:8080", "200"),
            ("localhost:8080", "200"),
            ("rebound.example", "421"),
        ] {
            let response = raw(&served, &format!("GET {path} HTTP/1.1\r\nhost: {host}")).await;
            assert_eq!(status(&response), expected, "{path} {host}: {response}");
            assert!(expected == "200" || !response.contains("team-a"), "{response}");
        }
    }
}
