//! `demo`: its addresses work, edits are picked up, and it leaves nothing behind.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Process, finished, program, until};
use crate::support::{ask, client, get, get_json, metric};

/// A demo on free ports, with a folder for its temporary files that is the test's own: it goes after the process, also
/// where that is killed.
pub(crate) struct Demo {
    process: Process,
    temporary: TempDir,
}

impl Demo {
    fn start() -> Self {
        Self::with(&["--listen-cloud", "127.0.0.1:0"])
    }

    /// With further arguments, the one for the cloud's address among them.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::started(arguments, Process::start)
    }

    fn started(arguments: &[&str], start: impl FnOnce(Command) -> Process) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = program(&[&["demo", "--listen", "127.0.0.1:0"], arguments].concat());
        command.env("TMPDIR", temporary.path());
        Self { process: start(command), temporary }
    }

    /// Waits for the greeting.
    pub(crate) async fn greeting(&mut self) -> String {
        self.process.says("the greeting", |out, _| out.contains("Ctrl-C").then(|| out.to_owned())).await
    }

    /// Sends a signal and asserts that it exits with 0 and leaves nothing behind.
    pub(crate) async fn ends_cleanly_by(mut self, signal: &str) {
        self.process.signal(signal);
        let status = self.process.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.process.err());
        assert!(!self.process.left_something_running());
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The addresses of a greeting, in its order.
pub(crate) fn addresses(greeting: &str) -> Vec<String> {
    let words = greeting.split_whitespace().filter(|word| word.starts_with("http://"));
    words.map(|word| word.trim_end_matches([';', ',']).to_owned()).collect()
}

#[tokio::test]
async fn the_demo_shows_what_it_prints_follows_edits_and_ends_with_ctrl_c() {
    let mut demo = Demo::start();
    let greeting = demo.greeting().await;

    // First the clouds: one of each provider.
    let all = addresses(&greeting);
    let clouds = all.iter().take_while(|address| !address.contains("/accounts")).count();
    let [series, legacy, accounts, account, own, targets, page] = &all[clouds..] else {
        panic!("{greeting}")
    };
    let series = get(series).await;
    assert!(series.contains(r#"caas_instance_memory_usage_bytes{account_namespace="team-a",account="acme""#));
    let legacy = get(legacy).await;
    for gauge in ["cpu_cumulative_usage", "cpu_utilization", "memory_usage", "memory_utilization"] {
        assert!(legacy.contains(&format!("\n{gauge}{{service=\"kibana\",instance=\"")), "{gauge}");
    }
    let collected = get_json(accounts).await;
    let collected = collected["accounts"].as_array().unwrap();
    assert_eq!(collected.len(), clouds + 1, "an account of each cloud, and two of the first");
    let mut providers: Vec<_> = collected.iter().map(|account| account["provider"].as_str()).collect();
    providers.sort_unstable();
    providers.dedup();
    assert_eq!(providers.len(), clouds);
    assert!(collected.iter().all(|account| account["reason"] == "Collected"), "{collected:?}");
    assert_eq!(get_json(account).await["account"]["reason"], "Collected");
    assert!(get(own).await.contains("caas_operator_build_info"));
    let of_accounts = get_json(targets).await.as_array().unwrap().len();
    assert_eq!(of_accounts, clouds + 2, "only acme has legacy names as well");
    assert!(get(page).await.contains("\"accounts/team-b/globex/metrics\""));

    let (_, folder) = greeting.split_once("manifests in ").unwrap();
    let folder = PathBuf::from(folder.split_whitespace().next().unwrap());
    assert!(folder.starts_with(demo.temporary.path()));
    let manifest = folder.join("acme.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("team: a", "team: blue")).unwrap();
    std::fs::remove_file(folder.join("globex.yaml")).unwrap();
    until("both edits are picked up", async || {
        let targets = ask(targets).await?.1;
        (targets.contains(r#""team":"blue""#) && !targets.contains("globex")).then_some(())
    })
    .await;

    let page = page.clone();
    demo.ends_cleanly_by("INT").await;
    for address in all[..clouds].iter().chain([&page]) {
        assert!(client().get(address).send().await.unwrap_err().is_connect());
    }
}

#[tokio::test]
async fn a_demo_stopped_before_its_greeting_ends_cleanly() {
    let mut demo = Demo::start();
    demo.process.says("its first log line", |_, err| err.contains("serving").then_some(())).await;
    demo.ends_cleanly_by("TERM").await;
}

#[tokio::test]
async fn a_busy_port_of_the_demo_is_one_line_that_names_the_option() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    for (option, other) in [("--listen", "--listen-cloud"), ("--listen-cloud", "--listen")] {
        let output = finished(program(&["demo", option, &address, other, "127.0.0.1:0"])).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
        assert_eq!((error.lines().count(), error.starts_with("error: ")), (1, true), "{error}");
        assert!(error.contains(&address), "{error}");
        let named: Vec<&str> = error.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        assert!(named.contains(&option) && !named.contains(&other), "{error}");
    }
}

#[tokio::test]
async fn collection_continues_when_the_log_cannot_be_written() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    // A cloud that listens on all addresses is reachable as well.
    let mut demo = Demo::started(&["--listen-cloud", "0.0.0.0:0"], |mut command| {
        // Each step of a collection writes a line.
        command.env("RUST_LOG", "trace");
        Process::start_with_stderr(command, full().into())
    });
    let addresses = addresses(&demo.greeting().await);
    let series = addresses.iter().find(|address| address.ends_with("/metrics")).unwrap().clone();
    let collected =
        async || Some(metric(&ask(&series).await?.1, &["caas_account_last_success_timestamp_seconds{"]));
    let first = until("the first collection", collected).await;
    until("a later one", async || collected().await.filter(|time| *time > first)).await;
    demo.ends_cleanly_by("TERM").await;

    let mut command = program(&["crd"]);
    command.stdout(full()).stderr(full());
    assert_eq!(
        command.status().unwrap().code(),
        Some(1),
        "an error that cannot be printed is still an error"
    );
}
