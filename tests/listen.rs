//! The listener under slow, stuck and many clients, panics, and a stop (F8, F30).

// Clippy allows unwrap, expect and panic in tests, but not in the helpers of an integration test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/http.rs"]
mod http_support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use caas_operator::server::{Limits, bind};
use futures::stream;
use http_support::{client, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Far longer than anything here takes, and short enough to end a test that hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// For deadlines that must not pass during a test.
const NEVER: Duration = Duration::from_secs(3600);
/// More than the buffers of two sockets hold.
const LARGE: usize = 64 << 20;

/// `/` is a word, `/large` a stream that does not fit into buffers, `/whole` as much in one chunk, `/panic` a bug.
fn routes() -> Router {
    const CHUNK: usize = 1 << 14;
    let chunks = || {
        stream::iter((0..LARGE / CHUNK).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; CHUNK]))))
    };
    Router::new()
        .route("/", get(async || "hello"))
        .route("/large", get(async move || Body::from_stream(chunks())))
        .route("/whole", get(async || Bytes::from(vec![b'x'; LARGE])))
        .route("/panic", get(async || -> &'static str { panic!("a bug") }))
}

async fn hello(address: SocketAddr) -> String {
    let response = timeout(DEADLINE, client().get(format!("http://{address}/")).send());
    response.await.expect("served in time").unwrap().text().await.unwrap()
}

/// A connection that has requested `path` and has read nothing yet.
async fn request(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// All bytes up to the end of the connection, however it ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an error; the bytes before it count.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut all)).await.expect("the connection ends in time");
    all
}

#[tokio::test]
async fn many_idle_connections_and_a_stuck_scraper_do_not_stop_the_others() {
    // Nothing ends by itself here, and there are fewer slots than connections, as 512 are for 1,000. This process holds both
    // ends of each connection and may have no more than 1,024 open files.
    let limits = Limits { connections: 64, head: NEVER, response: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut stuck = request(served.address, "/large").await;
    stuck.read_exact(&mut [0; 100]).await.unwrap();
    let mut idle = Vec::new();
    for number in 0..600 {
        let mut connection = timeout(DEADLINE, TcpStream::connect(served.address)).await.unwrap().unwrap();
        // Some have sent nothing, some half a head. The server may have closed it already.
        if number % 2 == 0 {
            let _ = connection.write_all(b"GET / HTTP/1.1\r\nhost: ").await;
        }
        idle.push(connection);
    }
    for _ in 0..3 {
        assert_eq!(hello(served.address).await, "hello");
    }
    assert!(rest(&mut idle[0]).await.is_empty(), "the oldest ones are closed");
    stuck.read_exact(&mut vec![0; 1 << 20]).await.expect("a response under way goes on");
}

#[tokio::test]
async fn where_every_slot_has_a_response_that_nobody_reads_the_oldest_is_cut_off() {
    let protected = Duration::from_millis(200);
    let limits = Limits { connections: 8, head: NEVER, response: NEVER, protected, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let mut connection = request(served.address, "/large").await;
        connection.read_exact(&mut [0; 100]).await.unwrap();
        stuck.push(connection);
    }
    assert_eq!(hello(served.address).await, "hello");
    assert!(rest(&mut stuck[0]).await.len() < LARGE);
    assert!(rest(&mut stuck[7]).await.len() > LARGE - 100, "the others go on");
}

#[tokio::test]
async fn a_crowd_of_keep_alive_clients_is_served_without_waiting_for_idle_connections() {
    // Idle connections are not closed here, and there are far more clients than permits.
    let limits = Limits { connections: 8, head: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let clients: Vec<_> = (0..40).map(|_| client()).collect();
    for round in ["first", "second"] {
        for client in &clients {
            let response =
                timeout(DEADLINE, client.get(served.url("/")).send()).await.expect("served in time");
            assert_eq!(response.unwrap().text().await.unwrap(), "hello", "{round}");
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_its_response_is_disconnected() {
    let limits =
        Limits { connections: 1, response: Duration::from_secs(1), protected: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut stuck = request(served.address, "/large").await;
    // Its response has begun, so it holds the only permit.
    stuck.read_exact(&mut [0; 100]).await.unwrap();

    assert_eq!(hello(served.address).await, "hello");

    assert!(rest(&mut stuck).await.len() < LARGE);
}

#[tokio::test]
async fn a_client_that_reads_its_response_in_drips_is_disconnected() {
    let limits =
        Limits { connections: 1, response: Duration::from_secs(1), protected: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut slow = request(served.address, "/large").await;
    let drip = async {
        let mut drips = tokio::time::interval(Duration::from_millis(10));
        loop {
            drips.tick().await;
            slow.read_exact(&mut [0; 100]).await.expect("far more than that is buffered");
        }
    };

    tokio::select! {
        word = hello(served.address) => assert_eq!(word, "hello"),
        () = drip => {}
    }

    assert!(rest(&mut slow).await.len() < LARGE / 2);
}

#[tokio::test]
async fn a_response_that_is_read_slowly_is_sent_completely_while_others_wait() {
    let limits = Limits { connections: 1, response: NEVER, protected: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut slow = request(served.address, "/whole").await;
    slow.read_exact(&mut [0; 100]).await.unwrap();
    let other = tokio::spawn(hello(served.address));
    let mut further = request(served.address, "/").await;

    assert!(rest(&mut slow).await.len() > LARGE - 100, "nothing is cut off");

    assert_eq!(other.await.unwrap(), "hello");
    assert!(rest(&mut further).await.ends_with(b"hello"));
}

#[tokio::test]
async fn a_client_that_requests_nothing_is_disconnected() {
    let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut halfway = TcpStream::connect(served.address).await.unwrap();
    halfway.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let mut done = TcpStream::connect(served.address).await.unwrap();
    done.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();

    assert!(rest(&mut silent).await.is_empty());
    assert!(!rest(&mut halfway).await.starts_with(b"HTTP/1.1 200"));
    assert!(rest(&mut done).await.ends_with(b"hello"), "kept for a further request that never came");
}

#[tokio::test]
async fn a_connection_that_is_never_idle_ends_between_two_responses() {
    let age = Duration::from_millis(300);
    let served = serve(routes(), Limits { response: age, ..Limits::default() }).await;
    let begun = Instant::now();
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    loop {
        assert!(begun.elapsed() < DEADLINE, "it is still open");
        let mut response = [0; 1024];
        let sent = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        // An error here means that the server closed the connection before it read the request.
        let length = if sent.is_ok() { stream.read(&mut response).await.unwrap_or(0) } else { 0 };
        if length == 0 {
            break;
        }
        assert!(response[..length].ends_with(b"hello"), "a whole response");
    }
    assert!(begun.elapsed() >= age);
}

#[tokio::test]
async fn a_head_that_never_ends_is_refused() {
    let served = serve(routes(), Limits::default()).await;
    for head in [format!("x: {}\r\n", "y".repeat(100_000)), "x: y\r\n".repeat(1000)] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // The server may close the connection before it has read everything, which the response shows.
        let _ = stream.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await;
        let response = rest(&mut stream).await;
        assert!(!response.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&response));
    }
    assert_eq!(hello(served.address).await, "hello");
}

#[tokio::test]
async fn a_panic_fails_its_own_request_only() {
    let served = serve(routes(), Limits::default()).await;
    let response = client().get(served.url("/panic")).send().await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(response.text().await.unwrap(), "internal error\n");
    assert_eq!(hello(served.address).await, "hello");
}

#[tokio::test]
async fn a_scrape_under_way_finishes_after_the_stop_and_no_new_one_begins() {
    let served = serve(routes(), Limits { grace: NEVER, response: NEVER, ..Limits::default() }).await;
    let mut scrape = request(served.address, "/large").await;
    scrape.read_exact(&mut [0; 100]).await.unwrap();
    let mut kept_alive = TcpStream::connect(served.address).await.unwrap();
    kept_alive.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    kept_alive.read_exact(&mut [0; 100]).await.unwrap();

    served.stop.cancel();

    rest(&mut kept_alive).await;
    assert!(TcpStream::connect(served.address).await.is_err(), "the address is released at once");
    assert!(!served.ended.is_finished());
    assert!(rest(&mut scrape).await.len() > LARGE - 100);
    timeout(DEADLINE, served.ended).await.expect("then the server ends").unwrap();
}

#[tokio::test]
async fn a_stuck_scrape_delays_the_shutdown_by_no_more_than_the_grace_period() {
    let served =
        serve(routes(), Limits { grace: Duration::from_millis(100), response: NEVER, ..Limits::default() })
            .await;
    let mut stuck = request(served.address, "/large").await;
    stuck.read_exact(&mut [0; 100]).await.unwrap();
    served.stop.cancel();
    timeout(DEADLINE, served.ended).await.expect("the server ends").unwrap();
    assert!(rest(&mut stuck).await.len() < LARGE);
}

#[tokio::test]
async fn a_busy_port_is_reported_with_the_option_that_sets_it() {
    let served = serve(routes(), Limits::default()).await;
    let error = bind(served.address, "--listen-health").await.unwrap_err().to_string();
    assert!(error.contains(&served.address.to_string()) && error.contains("--listen-health"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
