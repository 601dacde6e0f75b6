//! What the listener bears: slow, stuck and many clients, panics, a stop (F8, F30).

// Clippy's leave to unwrap, expect and panic in tests does not reach the helpers of an integration test.
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
use tokio::time::timeout;

/// Far longer than anything here takes, and short enough to end a test that hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// For what must not happen during a test.
const NEVER: Duration = Duration::from_secs(3600);
/// More than the buffers of two sockets hold.
const LARGE: usize = 64 << 20;

/// `/` a word, `/large` more than a client that does not read can be sent, `/whole` the same in one piece, `/panic` a bug.
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

/// A connection that has asked for `path` and reads nothing yet.
async fn asking(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// All that still comes, up to the end of the connection, however it ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // An end by force is an error here, and what came before it counts.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut all)).await.expect("the connection ends in time");
    all
}

#[tokio::test]
async fn many_idle_connections_and_a_stuck_scraper_do_not_stop_the_others() {
    // Fewer places than connections, as 512 are for 1,000; both ends of each are files of this process, which may have
    // no more than 1,024 in all.
    let limits = Limits {
        connections: 64,
        quiet: Duration::from_millis(50),
        request: NEVER,
        write_stall: NEVER,
        ..Limits::default()
    };
    let served = serve(routes(), limits).await;
    let stuck = asking(served.address, "/large").await;
    let mut idle = Vec::new();
    for _ in 0..600 {
        let connected = timeout(DEADLINE, TcpStream::connect(served.address)).await;
        idle.push(connected.expect("accepted in time").unwrap());
    }
    for _ in 0..3 {
        assert_eq!(hello(served.address).await, "hello");
    }
    assert!(rest(&mut idle[0]).await.is_empty(), "the one idle for longest had to go");
    drop(stuck);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_let_go() {
    // One place, and nobody makes room: the second client is served only when the first is gone.
    let limits =
        Limits { connections: 1, quiet: NEVER, write_stall: Duration::from_secs(2), ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut stuck = asking(served.address, "/large").await;
    // Its answer has begun, so the place is taken.
    stuck.read_exact(&mut [0; 100]).await.unwrap();

    // The waiting place is looked at only when one is freed, or after a quarter of `quiet`.
    assert_eq!(hello(served.address).await, "hello");

    assert!(rest(&mut stuck).await.len() < LARGE);
}

#[tokio::test]
async fn a_client_that_takes_its_answer_in_drips_is_let_go() {
    // One place, and nobody makes room; some bytes move all the time.
    let limits = Limits {
        connections: 1,
        quiet: NEVER,
        write_stall: NEVER,
        answer: Duration::from_secs(2),
        ..Limits::default()
    };
    let served = serve(routes(), limits).await;
    let mut slow = asking(served.address, "/large").await;
    let drip = async {
        let mut drips = tokio::time::interval(Duration::from_millis(10));
        loop {
            drips.tick().await;
            slow.read_exact(&mut [0; 100]).await.expect("far more than that was sent at once");
        }
    };

    tokio::select! {
        word = hello(served.address) => assert_eq!(word, "hello"),
        () = drip => {}
    }

    assert!(rest(&mut slow).await.len() < LARGE / 2);
}

#[tokio::test]
async fn a_connection_whose_answer_is_taken_makes_room_at_once() {
    // One place that nobody loses by being quiet, and far more clients than that, each of which keeps its connection.
    let limits = Limits { connections: 1, quiet: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let client = client();
        let response = timeout(DEADLINE, client.get(served.url("/")).send()).await.expect("served in time");
        assert_eq!(response.unwrap().text().await.unwrap(), "hello");
        kept.push(client);
    }
    for client in kept {
        let again = timeout(DEADLINE, client.get(served.url("/")).send()).await.expect("served in time");
        assert_eq!(again.expect("a kept connection that was let go is made anew").status(), 200);
    }
}

#[tokio::test]
async fn an_answer_that_is_made_and_not_taken_yet_keeps_its_place() {
    let limits = Limits { connections: 1, quiet: NEVER, write_stall: NEVER, ..Limits::default() };
    let served = serve(routes(), limits).await;
    let mut slow = asking(served.address, "/whole").await;
    slow.read_exact(&mut [0; 100]).await.unwrap();
    let other = tokio::spawn(hello(served.address));
    // Accepted, and waiting for the one place.
    let mut further = asking(served.address, "/").await;

    assert!(rest(&mut slow).await.len() > LARGE - 100, "nothing of it is cut off");

    assert_eq!(other.await.unwrap(), "hello");
    assert!(rest(&mut further).await.ends_with(b"hello"));
}

#[tokio::test]
async fn a_client_that_asks_nothing_is_let_go() {
    let limits = Limits { request: Duration::from_millis(50), ..Limits::default() };
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
async fn a_head_that_does_not_end_is_refused() {
    let served = serve(routes(), Limits::default()).await;
    for head in [format!("x: {}\r\n", "y".repeat(100_000)), "x: y\r\n".repeat(1000)] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // The server may hang up before it has read all, which the answer tells.
        let _ = stream.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(hello(served.address).await, "hello");
}

#[tokio::test]
async fn a_panic_costs_its_request_only() {
    let served = serve(routes(), Limits::default()).await;
    let response = client().get(served.url("/panic")).send().await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(response.text().await.unwrap(), "internal error\n");
    assert_eq!(hello(served.address).await, "hello");
}

#[tokio::test]
async fn a_scrape_under_way_ends_after_the_stop_and_nothing_new_begins() {
    let served = serve(routes(), Limits { grace: NEVER, ..Limits::default() }).await;
    let mut scrape = asking(served.address, "/large").await;
    scrape.read_exact(&mut [0; 100]).await.unwrap();
    let mut kept_alive = TcpStream::connect(served.address).await.unwrap();
    kept_alive.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    kept_alive.read_exact(&mut [0; 100]).await.unwrap();

    served.stop.cancel();

    rest(&mut kept_alive).await;
    assert!(TcpStream::connect(served.address).await.is_err(), "the address is given up at once");
    assert!(!served.ended.is_finished());
    assert!(rest(&mut scrape).await.len() > LARGE - 100);
    timeout(DEADLINE, served.ended).await.expect("then the server ends").unwrap();
}

#[tokio::test]
async fn a_scrape_that_is_stuck_does_not_hold_up_the_shutdown_for_longer_than_the_grace() {
    let served = serve(
        routes(),
        Limits { grace: Duration::from_millis(100), write_stall: NEVER, ..Limits::default() },
    )
    .await;
    let mut stuck = asking(served.address, "/large").await;
    stuck.read_exact(&mut [0; 100]).await.unwrap();
    served.stop.cancel();
    timeout(DEADLINE, served.ended).await.expect("the server ends").unwrap();
    assert!(rest(&mut stuck).await.len() < LARGE);
}

#[tokio::test]
async fn a_busy_port_is_named_with_the_option_that_chose_it() {
    let served = serve(routes(), Limits::default()).await;
    let error = bind(served.address, "--listen-health").await.unwrap_err().to_string();
    assert!(error.contains(&served.address.to_string()) && error.contains("--listen-health"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
