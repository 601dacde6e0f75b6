//! The limit on open files: raised as far as it may be, and never used up by connections to clouds.

use std::process::Command;
use std::time::Duration;

use caas_operator::simulator::Settings;
use futures::future::join_all;
use tokio::time::{Instant, timeout};

use crate::process::{Process, program, until};
use crate::support::{account, account_is, ask, cloud_with, secret, served, standalone};

/// The program with at most so many open files: the soft limit, and the hard one.
fn limited(arguments: &[&str], soft: u64, hard: u64) -> Command {
    let program = program(arguments);
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().args(["-c", &format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"")]);
    shell.arg(program.get_program()).args(program.get_args());
    shell
}

#[tokio::test]
async fn the_soft_limit_on_open_files_is_raised_to_the_hard_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(limited(&standalone(folder.path()), 64, 200));
    served(&mut process).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("200"), "{files}");
    assert!(process.err().contains("the limit on open files is low"), "{}", process.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn clouds_at_many_ports_leave_files_for_scrapes_and_probes() {
    // Each account keeps 64 requests in flight, all of which are answered late.
    let settings = || Settings { latency: Duration::from_millis(700), ..Settings::default() };
    let clouds = join_all((0..8).map(|_| cloud_with("p", 10, 10, settings()))).await;
    let folder = tempfile::tempdir().unwrap();
    let limits =
        "collection: {interval: 5s, staleAfter: 1m, maxConcurrentRequests: 64, requestsPerSecond: 1000}";
    let accounts = clouds.iter().enumerate().map(|(number, cloud)| {
        let (name, endpoint) = (format!("a{number}"), cloud.url());
        account(&name, "s", &endpoint, limits).replace("team-a", &format!("team-{number}"))
            + &secret("s", "p").replace("team-a", &format!("team-{number}"))
    });
    std::fs::write(folder.path().join("all.yaml"), accounts.collect::<String>()).unwrap();

    let files = 200;
    let mut process = Process::start(limited(&standalone(folder.path()), files, files));
    let base = served(&mut process).await;
    let health = format!("{base}/metrics");
    let open = || std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
    let collected = async {
        for number in 0..8 {
            account_is(&base, &format!("a{number}"), |one| one["reason"] == "Collected").await;
        }
        // A second cycle over connections of the first.
        tokio::time::sleep(Duration::from_secs(6)).await;
    };
    let watching = async {
        let mut most = (0, Duration::ZERO);
        loop {
            let asked = Instant::now();
            let answer = timeout(Duration::from_secs(20), ask(&health)).await.expect("it answers");
            assert!(answer.is_some(), "a scrape is refused with {} open files", open());
            most = (most.0.max(open()), most.1.max(asked.elapsed()));
            assert!(most.0 < 150, "{} files are open", most.0);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = collected => {}
        () = watching => {}
    }
    until("it still answers", async || ask(&health).await).await;
}
