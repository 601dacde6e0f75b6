//! Programs other than Prometheus that scrape the accounts: each is run with the very block of `docs/scrapers.md`, and what it
//! writes to a Prometheus is what a Prometheus that scrapes by itself has.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::blocks::{blocks, page};
use crate::process::{DEADLINE, Process, finished, until_within};
use crate::prometheus::{Prometheus, demo, now, through_discovery};
use crate::servers::server;
use crate::support::get_json;

/// The labels of a series, its name among them.
type Series = BTreeMap<String, String>;

/// The only block of a section, with the addresses of this test.
fn configuration(path: &str, section: &str, base: &str, written_to: &str) -> String {
    let mut found = blocks(&page(path).unwrap()).unwrap();
    found.retain(|block| block.section == section);
    assert_eq!(found.len(), 1, "{section}");
    let text = found.remove(0).text;
    let (list, write) =
        ("http://caas-operator.caas-system.svc:8080/sd", "https://prometheus.example.com/api/v1/write");
    assert!(text.contains(list), "{text}");
    text.replace(list, &format!("{base}/sd")).replace(write, written_to)
}

/// All series of accounts' targets; what scrapers say of a scrape itself differs from one to the other, but for `up`.
const OF_ACCOUNTS: &str = r#"{job=~"caas|caas-legacy",__name__!~"scrape_.+"}"#;

async fn series(prometheus: &Prometheus) -> BTreeSet<Series> {
    prometheus.query(OF_ACCOUNTS, now()).await.into_iter().map(|(labels, _)| labels).collect()
}

/// How many there are.
async fn number(prometheus: &Prometheus) -> f64 {
    let counted = prometheus.query(&format!("count({OF_ACCOUNTS})"), now()).await;
    counted.first().map_or(0.0, |(_, number)| *number)
}

/// Runs the program that `start` makes of a folder, the section's block and an address to write to, and waits until what it
/// has written is what Prometheus has scraped by itself.
async fn writes_what_prometheus_scrapes(
    prometheus: &Prometheus,
    base: &str,
    section: &str,
    start: impl FnOnce(&Path, String, &str) -> Command,
) {
    let (receiver, address) = Prometheus::receiver().await;
    let folder = tempfile::tempdir().unwrap();
    let block = configuration("docs/scrapers.md", section, base, &address);
    let program = RefCell::new(Process::start(start(folder.path(), block, &address)));
    // Of an account with an interval of a minute, the first scrape is up to a minute away.
    let number = until_within(2 * DEADLINE, &format!("{section}: the series of Prometheus"), async || {
        let ended = program.borrow_mut().has_ended();
        assert!(ended.is_none(), "{section}: {ended:?}\n{}", program.borrow().err());
        // Cheap to ask again and again; all of them are compared once their number is right.
        let (scraped, written) = (number(prometheus).await, number(&receiver).await);
        if scraped.to_bits() != written.to_bits() {
            return None;
        }
        let (scraped, written) = (series(prometheus).await, series(&receiver).await);
        let differ: Vec<_> = scraped.symmetric_difference(&written).take(2).collect();
        if !differ.is_empty() {
            println!("{section}: {differ:?}");
            return None;
        }
        Some(written.len())
    })
    .await;
    println!("{section}: {number} series, as Prometheus has them");
    let mut program = program.into_inner();
    program.signal("TERM");
    program.ended().await;
    receiver.stop().await;
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn agent(folder: &Path, block: String, _: &str) -> Command {
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, block).unwrap();
    let mut command = Command::new(server("prometheus"));
    command.arg("--agent").arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.agent.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={}", free_address()));
    command
}

fn vmagent(folder: &Path, block: String, address: &str) -> Command {
    let file = folder.join("scrape.yml");
    std::fs::write(&file, block).unwrap();
    let mut command = Command::new(server("vmagent"));
    command.arg(format!("-promscrape.config={}", file.display()));
    command.arg(format!("-remoteWrite.url={address}"));
    command.arg(format!("-remoteWrite.tmpDataPath={}", folder.join("data").display()));
    command.arg(format!("-httpListenAddr={}", free_address()));
    command
}

fn collector(folder: &Path, block: String, _: &str) -> Command {
    let (file, quiet) = (folder.join("collector.yaml"), folder.join("quiet.yaml"));
    std::fs::write(&file, block).unwrap();
    // It serves its own metrics at a fixed port unless it is told not to.
    std::fs::write(&quiet, "service: {telemetry: {metrics: {level: none}}}\n").unwrap();
    let mut command = Command::new(server("otelcol"));
    command.args([file, quiet].map(|file| format!("--config={}", file.display())));
    command
}

/// A test of another version than the page names would tell its readers nothing.
#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_page_names_the_versions_that_are_run() {
    let page = page("docs/scrapers.md").unwrap();
    let programs = [
        ("Prometheus agent", "prometheus", "--version"),
        ("vmagent", "vmagent", "-version"),
        ("OpenTelemetry Collector", "otelcol", "-v"),
    ];
    for (name, binary, argument) in programs {
        let row = page.lines().find(|line| line.starts_with(&format!("| [{name}]"))).unwrap();
        let named = row.split('|').nth(2).unwrap().trim();
        let mut command = Command::new(server(binary));
        command.arg(argument);
        let output = finished(command).await;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let words: Vec<_> = said.split_whitespace().collect();
        assert!(words.iter().any(|word| word.trim_start_matches("vmagent-v") == named), "{row}\n{said}");
    }
}

/// All at once, on one demo: most of it is waiting for accounts that are scraped once a minute.
#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn each_program_of_the_page_writes_the_series_that_prometheus_scrapes() {
    let (demo, base, _) = demo().await;
    let targets = get_json(&format!("{base}/sd")).await.as_array().unwrap().len();
    let prometheus = Prometheus::start(&through_discovery(&base), targets).await;
    let legacy = series(&prometheus).await.into_iter().filter(|labels| labels["__name__"] == "memory_usage");
    assert_eq!(legacy.map(|labels| labels["instance"].clone()).collect::<BTreeSet<_>>().len(), 100);

    let run = async |section: &str, start: fn(&Path, String, &str) -> Command| {
        writes_what_prometheus_scrapes(&prometheus, &base, section, start).await;
    };
    tokio::join!(
        run("Prometheus agent", agent),
        run("vmagent of VictoriaMetrics", vmagent),
        run("OpenTelemetry Collector", collector),
    );

    prometheus.stop().await;
    demo.ends_cleanly_by("TERM").await;
}
