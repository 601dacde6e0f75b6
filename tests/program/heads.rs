//! Heads of answers that do not end: what they take is bounded, and a part of the memory limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{Process, memory, program, until};
use crate::raw_http::read_request;
use crate::support::{LOCAL, account, secret, served};

/// A cloud of one service with 300 instances, whose samples begin with 60 KiB of a head that does not end.
async fn cloud(waiting: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&waiting)));
        }
    });
    address
}

async fn answer(stream: TcpStream, waiting: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(path) = read_request(&mut stream).await? else { return Ok(()) };
        if path.contains("/metrics") {
            stream
                .write_all(format!("HTTP/1.1 200 X\r\nx-more: {}", "x".repeat(60 << 10)).as_bytes())
                .await?;
            stream.flush().await?;
            waiting.fetch_add(1, Ordering::SeqCst);
            // Until the client goes away.
            let _ = stream.read(&mut [0]).await;
            waiting.fetch_sub(1, Ordering::SeqCst);
            return Ok(());
        }
        let body = if path.contains("token") {
            r#"{"token": "t"}"#.to_owned()
        } else {
            let instances: Vec<_> = (0..300).map(|id| format!(r#"{{"uuid": "i{id}"}}"#)).collect();
            format!(r#"{{"results": [{{"service_name": "web", "instances": [{}]}}]}}"#, instances.join(","))
        };
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await?;
        stream.flush().await?;
    }
}

/// How much memory as many heads take as may be in flight under this memory limit, in bytes.
async fn taken_by_heads(memory_limit: &str, in_flight: usize) -> u64 {
    let waiting = Arc::default();
    let address = cloud(Arc::clone(&waiting)).await;
    let limits = "collection: {interval: 60s, staleAfter: 5m, requestTimeout: 60s, maxConcurrentRequests: 256, requestsPerSecond: 1000}";
    let accounts = (0..4).map(|number| {
        let account = account("a", "s", &format!("http://{address}/v1/"), limits) + &secret("s", "p");
        account.replace("team-a", &format!("team-{number}"))
    });
    let folder = tempfile::tempdir().unwrap();
    let standalone = ["standalone", "--listen", "127.0.0.1:0", "--memory-limit", memory_limit, "--manifests"];
    let arguments = [&standalone[..], &[folder.path().to_str().unwrap()], &LOCAL].concat();
    let mut process = Process::start(program(&arguments));
    served(&mut process).await;
    let before = memory(&process.id().to_string(), "VmRSS:");

    std::fs::write(folder.path().join("all.yaml"), accounts.collect::<String>()).unwrap();
    let all_wait = async || (waiting.load(Ordering::SeqCst) >= in_flight).then_some(());
    until("as many as may be are in flight", all_wait).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(waiting.load(Ordering::SeqCst), in_flight, "and no more");
    process.peak_memory() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_an_end_take_no_more_than_their_part_of_the_memory_limit() {
    for (limit, mebibytes, in_flight) in [("512Mi", 512, 256), ("1536Mi", 1_536, 768)] {
        let taken = taken_by_heads(limit, in_flight).await;
        println!("{limit}: {in_flight} heads take {} MiB", taken >> 20);
        // Some MiB are the program's own, before its first requests, and what the allocator holds back for each thread.
        assert!(taken < ((mebibytes / 16 + 64) << 20), "{limit}: {taken} bytes");
    }
}
