//! Every fault, as a client sees it on the wire.

use std::io::Read;
use std::time::{Duration, Instant};

use caas_operator::simulator::{Alauda, Running};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{NOW, User, cloud};

/// Longer than anything takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A cloud with this fault, and a user who logged in before it.
async fn cloud_with(fault: &str) -> (Running, User) {
    let cloud = cloud(Alauda { page_size: 7, ..Alauda::default() }.into()).await;
    let user = User::of(&cloud).await;
    cloud.set_fault(fault.parse().expect("a fault")).expect("a fault of this cloud");
    (cloud, user)
}

/// A bare socket that has requested the first page.
async fn request_page(cloud: &Running, user: &User) -> TcpStream {
    let mut socket = TcpStream::connect(cloud.addr).await.expect("a connection");
    let request =
        format!("GET /v1/services/acme/ HTTP/1.1\r\nHost: x\r\nAuthorization: Token {}\r\n\r\n", user.token);
    socket.write_all(request.as_bytes()).await.expect("sent");
    socket
}

/// What a bare socket reads until the other side closes, after it requested the first page.
async fn read_until_closed(cloud: &Running, user: &User) -> Vec<u8> {
    let mut socket = request_page(cloud, user).await;
    let mut read = Vec::new();
    timeout(DEADLINE, socket.read_to_end(&mut read)).await.expect("it closes").expect("it was read");
    read
}

/// What arrives within half a second, during which the connection must stay open.
async fn read_more(socket: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let closed = timeout(Duration::from_millis(500), socket.read_to_end(&mut read)).await;
    assert!(closed.is_err(), "it stays open");
    read
}

fn split(response: &[u8]) -> (String, usize) {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_lowercase(), body.len())
}

#[tokio::test]
async fn latency_delays_responses() {
    let (cloud, user) = cloud_with("latency=150ms").await;
    let begun = Instant::now();
    assert_eq!(user.status("services/acme/").await, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    cloud.stop().await;
}

#[tokio::test]
async fn a_slow_body_sends_its_head_at_once_and_then_hardly_a_byte() {
    let (cloud, user) = cloud_with("slow-body").await;
    let mut socket = request_page(&cloud, &user).await;
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let byte = timeout(DEADLINE, socket.read_u8()).await.expect("a head at once").expect("it stays open");
        read.push(byte);
    }
    let head = String::from_utf8(read).expect("text").to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: "), "{head}");
    let sent = read_more(&mut socket).await.len();
    assert!(sent <= 100, "{sent}");
    cloud.stop().await;
}

#[tokio::test]
async fn too_many_requests_has_each_form_of_retry_after() {
    let date = jiff::Timestamp::from_second(1_772_000_005).expect("a time");
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (fault, header) in [
        ("429", Some("1")),
        ("429=7", Some("7")),
        ("429=none", None),
        ("429=date:5", Some(date.as_str())),
        ("503=3", Some("3")),
        ("503", None),
    ] {
        let (cloud, user) = cloud_with(fault).await;
        let response = user.get("services/acme/").await.expect("a response");
        assert_eq!(response.status().as_str(), &fault[..3]);
        assert_eq!(response.headers().get("retry-after").map(|value| value.to_str().expect("text")), header);
        cloud.stop().await;
    }
}

#[tokio::test]
async fn statuses_of_failure_are_sent_as_given() {
    for (fault, status) in [("500", 500), ("502", 502), ("504", 504), ("status=418", 418)] {
        let (cloud, user) = cloud_with(fault).await;
        assert_eq!(user.status("services/acme/").await, status);
        cloud.stop().await;
    }
}

#[tokio::test]
async fn html_and_empty_bodies_come_with_status_200() {
    for (fault, begins) in [("html", "<!DOCTYPE html>"), ("empty-body", "")] {
        let (cloud, user) = cloud_with(fault).await;
        let response = user.get("services/acme/").await.expect("a response");
        assert_eq!(response.status(), 200);
        let text = response.text().await.expect("a text");
        assert!(text.starts_with(begins) && text.is_empty() == begins.is_empty());
        cloud.stop().await;
    }
}

#[tokio::test]
async fn a_truncated_body_ends_before_its_content_length() {
    let (cloud, user) = cloud_with("truncated-body").await;
    let (head, sent) = split(&read_until_closed(&cloud, &user).await);
    let promised: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .expect("a length");
    assert!(sent > 1000 && promised > sent, "{sent} of {promised}");
    assert!(user.get("services/acme/").await.expect("a head").bytes().await.is_err());
    cloud.stop().await;
}

#[tokio::test]
async fn wrong_json_is_json_of_other_types() {
    let (cloud, user) = cloud_with("wrong-json").await;
    let page = user.json("services/acme/").await;
    assert!(page["results"].is_object() && page["count"].is_string());
    assert!(user.json("services/acme/kibana/instances/").await.is_object());
    let metrics = user.json("services/acme/kibana/instances/x/metrics").await;
    assert!(metrics["points"].is_object());
    cloud.stop().await;
}

#[tokio::test]
async fn invalid_utf8_makes_a_response_unreadable_as_text() {
    let (cloud, user) = cloud_with("invalid-utf8").await;
    let bytes = user.get("services/acme/").await.expect("a response").bytes().await.expect("a body");
    assert!(bytes.starts_with(b"{") && std::str::from_utf8(&bytes).is_err());
    assert!(serde_json::from_slice::<Value>(&bytes).is_err());
    cloud.stop().await;
}

#[tokio::test]
async fn revoked_tokens_are_refused_before_or_after_their_use() {
    let (cloud, user) = cloud_with("revoked-token").await;
    assert_eq!(user.status("services/acme/").await, 401);
    assert_eq!(User::of(&cloud).await.status("services/acme/").await, 401);
    cloud.clear_faults();
    assert_eq!(user.status("services/acme/").await, 401);
    let user = User::of(&cloud).await;
    cloud.set_fault("revoked-token=after-use@x1".parse().expect("a fault")).expect("a fault of this cloud");
    assert_eq!([user.status("services/acme/").await, user.status("services/acme/").await], [200, 401]);
    assert_eq!(User::of(&cloud).await.status("services/acme/").await, 200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_right_password_can_be_rejected() {
    for (fault, status) in [("reject-login", 401), ("reject-login=400", 400), ("login:reject-login=403", 403)]
    {
        let (cloud, user) = cloud_with(fault).await;
        let login = cloud.credentials().remove(0);
        let form = json!({"username": login.username, "password": login.password});
        let response = user.client.post(cloud.url() + "generate-api-token/").form(&form).send().await;
        assert_eq!(response.expect("a response").status(), status);
        assert_eq!(user.status("services/acme/").await, 200);
        cloud.stop().await;
    }
}

#[tokio::test]
async fn pages_form_a_cycle() {
    let (cloud, user) = cloud_with("page-cycle").await;
    let last = user.json("services/acme/?page=3").await;
    assert!(last["next"].as_str().expect("a link").ends_with("page=1"));
    cloud.stop().await;
}

#[tokio::test]
async fn pages_never_end() {
    let (cloud, user) = cloud_with("endless-pages").await;
    let page = user.json("services/acme/?page=1000").await;
    assert!(page["next"].as_str().expect("a link").ends_with("page=1001"));
    assert!(!page["results"].as_array().expect("services").is_empty());
    cloud.stop().await;
}

#[tokio::test]
async fn a_gzip_bomb_of_a_mebibyte_unpacks_to_a_gibibyte() {
    let (cloud, user) = cloud_with("gzip-bomb").await;
    let response = user.get("services/acme/").await.expect("a response");
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.bytes().await.expect("a body");
    assert!(packed.len() > 900_000 && packed.len() < 1_300_000, "{}", packed.len());
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut reader = flate2::bufread::GzDecoder::new(&packed[..]);
        let (mut piece, mut total) = (vec![0; 1 << 20], 0_u64);
        loop {
            // The decoder reaches the end only if checksum and length are right.
            match reader.read(&mut piece).expect("sound gzip") {
                0 => break total,
                read => total += read as u64,
            }
        }
    });
    assert_eq!(unpacked.await.expect("unpacked"), 1 << 30);
    cloud.stop().await;
}

#[tokio::test]
async fn deep_json_is_nested_100_000_times() {
    let (cloud, user) = cloud_with("deep-json").await;
    for path in
        ["services/acme/", "services/acme/kibana/instances/", "services/acme/kibana/instances/x/metrics"]
    {
        let text = user.get(path).await.expect("a response").text().await.expect("a text");
        assert!(text.contains(&"[".repeat(100_000)), "{path}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_redirect_leads_to_the_given_url() {
    for (fault, target) in
        [("redirect", "http://169.254.169.254/"), ("redirect=http://x:1/y", "http://x:1/y")]
    {
        let (cloud, user) = cloud_with(fault).await;
        let response = user.get("services/acme/").await.expect("a response");
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()["location"], target);
        cloud.stop().await;
    }
}

#[tokio::test]
async fn a_hanging_cloud_keeps_the_connection_and_sends_nothing() {
    let (cloud, user) = cloud_with("hang").await;
    let mut socket = request_page(&cloud, &user).await;
    assert_eq!(read_more(&mut socket).await.len(), 0);
    timeout(DEADLINE, cloud.stop()).await.expect("it does not wait for an hour");
}

#[tokio::test]
async fn a_dropped_connection_closes_without_a_byte() {
    let (cloud, user) = cloud_with("drop").await;
    assert!(read_until_closed(&cloud, &user).await.is_empty());
    cloud.stop().await;
}

#[tokio::test]
async fn huge_labels_have_newlines_quotes_and_megabytes_and_still_find_their_service() {
    let (cloud, user) = cloud_with("huge-label").await;
    let page = user.json("services/acme/").await;
    let name = |value: &Value| value["service_name"].as_str().expect("a name").to_owned();
    let (first, second) = (name(&page["results"][0]), name(&page["results"][1]));
    assert!(first.len() > 1 << 20 && second.len() < 100, "{} {}", first.len(), second.len());
    assert!(second.contains('\n') && second.contains('"') && second.contains('\\'));
    let instance = page["results"][0]["instances"][0]["instance_name"].as_str().expect("a name");
    assert!(instance.len() > 1 << 20);
    assert!(page["results"][0]["image_name"].as_str().expect("an image").len() > 1 << 20);

    let uuid = page["results"][1]["instances"][0]["uuid"].as_str().expect("a uuid");
    let encoded = second.bytes().fold(String::new(), |so_far, byte| format!("{so_far}%{byte:02X}"));
    let window = format!("start_time={}&end_time={NOW}&point_per_period=1m", NOW - 300.0);
    let path = format!("services/acme/{encoded}/instances/{uuid}/metrics?{window}");
    assert!(user.json(&path).await["points"].is_array());
    cloud.stop().await;
}

#[tokio::test]
async fn a_fault_is_limited_to_its_operation_service_and_count() {
    let (cloud, user) = cloud_with("instances:500@x1@service=redis").await;
    assert_eq!(user.status("services/acme/redis").await, 200);
    assert_eq!(user.status("services/acme/kibana/instances/").await, 200);
    assert_eq!(user.status("services/acme/redis/instances/").await, 500);
    assert_eq!(user.status("services/acme/redis/instances/").await, 200);
    cloud.stop().await;
}
