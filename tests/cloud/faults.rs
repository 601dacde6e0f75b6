//! Clouds that fail, hang, close connections early or send nonsense.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use caas_operator::cloud::error::{AnswerProblem, Unreachable};
use caas_operator::cloud::model::Reading;
use caas_operator::cloud::{CloudError, Credentials};

use crate::support::{
    Account, Fake, Reply, json, lenient, limits, password, points, status, timeout_of, until,
};

fn raw(head: &str, body: &[u8]) -> Reply {
    Reply::Raw([format!("HTTP/1.1 200 X\r\n{head}\r\n\r\n").as_bytes(), body].concat())
}

/// A name, what the server sends, and the expected error.
type Case = (&'static str, fn() -> Reply, CloudError);

fn is_page(path: &str) -> bool {
    path == "/v1/services/acme/"
}

#[tokio::test]
async fn server_errors_and_html_are_retried_until_they_succeed() {
    for code in [500, 502, 503, 504, 200] {
        let fake = Fake::with(move |seen| {
            (is_page(&seen.path) && seen.earlier < 2)
                .then(|| Reply::Http(code, Vec::new(), b"<html>sorry</html>".to_vec()))
        })
        .await;
        let account = Account::at(&fake);
        assert_eq!(account.collect().await.unwrap().failures(), (0, None), "{code}");
        let reason = if code == 200 { "not_json" } else { "status" };
        assert!((account.metric(&["api_retries_total", reason]) - 2.0).abs() < 0.1, "{code}");
    }
}

#[tokio::test]
async fn a_server_error_with_rate_limit_headers_is_retried() {
    let fake = Fake::with(|seen| {
        let headers = vec![("ratelimit-reset", "3600".to_owned()), ("ratelimit-remaining", "99".to_owned())];
        (is_page(&seen.path) && seen.earlier == 0).then(|| Reply::Http(503, headers.clone(), Vec::new()))
    })
    .await;
    assert_eq!(Account::at(&fake).collect().await.unwrap().failures(), (0, None));
}

#[tokio::test]
async fn a_cloud_that_keeps_failing_gets_four_attempts() {
    let down = Fake::with(|seen| is_page(&seen.path).then(|| status(503))).await;
    assert_eq!(Account::at(&down).collect().await, Err(CloudError::Status(503)));
    assert_eq!(down.count("/v1/services/"), 4);

    let html = Fake::with(|seen| is_page(&seen.path).then(|| json("<html></html>"))).await;
    assert_eq!(Account::at(&html).collect().await, Err(AnswerProblem::NotJson.into()));
}

#[tokio::test]
async fn a_503_that_asks_for_a_long_wait_is_retried_with_the_next_cycle() {
    let fake = Fake::with(|seen| {
        is_page(&seen.path).then(|| Reply::Http(503, vec![("retry-after", "600".to_owned())], Vec::new()))
    })
    .await;
    let account = Account::at(&fake);
    for cycle in 1..=3 {
        assert_eq!(account.collect().await, Err(CloudError::Status(503)));
        assert_eq!(fake.count("/v1/services/"), cycle, "once a cycle, and no more often");
    }
    assert!(
        account.metric(&["api_throttled_total"]).abs() < 0.1,
        "503 may be of one instance: the account is not slowed"
    );
}

#[tokio::test]
async fn a_cloud_that_never_answers_or_drips_costs_its_deadline_and_no_more() {
    for drip in [false, true] {
        let fake = Fake::with(move |seen| {
            is_page(&seen.path).then_some(if drip { Reply::Drip(0) } else { Reply::Hang })
        })
        .await;
        // With a token there is no login that the deadline could end on a slow machine.
        let token = Credentials::Token("given".to_owned().into());
        let account = Account::new(&lenient(), &fake.endpoint(), timeout_of(300), None, token);
        let start = Instant::now();
        assert_eq!(account.collect().await, Err(Unreachable::Timeout.into()));
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(60), "{took:?}");
        assert!((account.metric(&["api_requests_total", "services", "timeout"]) - 1.0).abs() < 0.1);
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_used_costs_its_own_instance_only() {
    let cases: [Case; 8] = [
        ("truncated", || raw("content-length: 500", b"{\"columns\""), Unreachable::BrokeOff.into()),
        ("cut in a chunk", || raw("transfer-encoding: chunked", b"ff\r\n{\"c"), Unreachable::BrokeOff.into()),
        ("length too short", || raw("content-length: 5", points().as_bytes()), AnswerProblem::NotJson.into()),
        ("not HTTP", || Reply::Raw(b"SSH-2.0-OpenSSH_9\r\n".to_vec()), Unreachable::BrokeOff.into()),
        ("closed at once", || Reply::Raw(Vec::new()), Unreachable::BrokeOff.into()),
        (
            "invalid UTF-8",
            || Reply::Http(200, vec![], b"{\"a\": \"\xff\xfe\"}".to_vec()),
            AnswerProblem::NotJson.into(),
        ),
        ("wrong types", || json(r#"{"columns": {"a": 1}, "points": "x"}"#), AnswerProblem::Shape.into()),
        ("gone", || status(404), CloudError::Status(404)),
    ];
    for (what, reply, expected) in cases {
        let fake = Fake::with(move |seen| seen.path.contains("/w0/metrics").then(reply)).await;
        let collection = Account::at(&fake).collect().await.unwrap();
        assert_eq!(collection.failures(), (1, Some(&expected)), "{what}");
        let other = &collection.services[1].instances.as_ref().unwrap()[0].reading;
        assert!(other.sample.is_some(), "{what}: other services are collected");
    }
}

#[tokio::test]
async fn an_empty_response_is_an_instance_without_data() {
    let fake = Fake::with(|seen| seen.path.contains("/metrics").then(|| json(""))).await;
    let collection = Account::at(&fake).collect().await.unwrap();
    assert_eq!(collection.failures(), (0, None));
    assert_eq!(collection.services[0].instances.as_ref().unwrap()[0].reading, Reading::no_data());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Fake::healthy().await;
    for code in [301, 302, 307, 308] {
        let target = inside.endpoint();
        let fake = Fake::with(move |seen| {
            is_page(&seen.path).then(|| Reply::Http(code, vec![("location", target.clone())], Vec::new()))
        })
        .await;
        assert_eq!(Account::at(&fake).collect().await, Err(AnswerProblem::Redirect.into()));
    }
    assert_eq!(inside.connected(), 0);
}

#[tokio::test]
async fn an_address_where_nothing_listens_is_unreachable() {
    // Bound, so that no other test gets the port, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}/v1/", socket.local_addr().unwrap());
    let account = Account::new(&lenient(), &endpoint, limits(), None, password());
    assert_eq!(account.collect().await, Err(Unreachable::Connect.into()));
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_never_made_is_given_up_before_its_request_and_tried_again() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nothing accepts: two connections fill the backlog, and every further one waits forever.
    let mut backlog = vec![TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
    while let Ok(further) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        backlog.push(further);
    }
    let account =
        Account::new(&lenient(), &format!("http://{address}/v1/"), timeout_of(60_000), None, password());

    assert_eq!(account.collect().await, Err(Unreachable::Connect.into()));

    assert!((account.metric(&["api_requests_total", "login", "connect"]) - 4.0).abs() < 0.1);
}

#[tokio::test]
async fn a_dropped_cycle_drops_its_requests() {
    let fake = Fake::with(|seen| seen.path.contains("/metrics").then_some(Reply::Hang)).await;
    let account = Account::at(&fake);
    {
        let cycle = account.collect();
        tokio::pin!(cycle);
        tokio::select! {
            _ = &mut cycle => panic!("it hangs"),
            () = until("three samples are requested", || fake.count("/metrics") == 3) => {}
        }
        assert!((account.metric(&["api_requests_in_flight"]) - 3.0).abs() < 0.1);
    }
    assert!(account.metric(&["api_requests_in_flight"]).abs() < 0.1);
    until("their connections are closed", || fake.closed.load(Ordering::Relaxed) == 3).await;
}
