//! Checks bodies with Prometheus' own tool. Needs its binary: `make servers` builds it.

// Clippy's exception for tests does not cover the helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "support/pages.rs"]
mod pages;
#[path = "support/servers.rs"]
mod servers;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use caas_operator::exposition::{Body, Options, Renderer};
use caas_operator::telemetry::Metrics;
use flate2::read::GzDecoder;
use pages::{ALL, acme, beyond_alauda};

fn plain(body: &Body) -> String {
    let mut text = String::new();
    GzDecoder::new(&*body.gzip).read_to_string(&mut text).unwrap();
    text
}

/// Runs promtool with a standard input: its exit code and its output.
fn promtool(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut tool = Command::new(servers::server("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&words).into_owned())
}

/// Reads and lints a body of the text format: exit code 1 if it cannot be read, 3 if it breaks conventions.
fn check(body: &str) -> (Option<i32>, String) {
    promtool(&["check", "metrics"], body)
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn promtool_finds_no_fault_in_an_accounts_body() {
    for source_timestamps in [false, true] {
        let rendered = Renderer::default().render(&acme(), &Options { source_timestamps, ..ALL });
        assert_eq!(check(&plain(&rendered.bodies.text)), (Some(0), String::new()));
    }
}

/// Clouds give quantiles without the sum and count of a summary, so their family is a gauge: that is all that promtool dislikes.
#[test]
#[ignore = "needs the real servers: run make test"]
fn promtool_finds_one_fault_in_all_that_alauda_cannot_say() {
    let rendered = Renderer::default().render(&beyond_alauda(), &ALL);
    let (code, words) = check(&plain(&rendered.bodies.text));
    let quantile = "caas_service_http_request_duration_quantile_seconds non-summary metrics should not have \"quantile\" label\n";
    assert_eq!((code, words.as_str()), (Some(3), quantile));
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn promtool_finds_no_fault_in_the_operators_own_metrics() {
    let metrics = Metrics::new();
    let meter = metrics.account("team-a", "acme");
    meter.request("services", "200", std::time::Duration::from_millis(5));
    meter.retry("status");
    meter.throttled();
    meter.login_failure();
    meter.collection_error("status");
    meter.skipped_cycles(1);
    meter.dropped_series("duplicate", 1);
    meter.cut_label_values(1);
    meter.replaced_label_values(1);
    meter.unknown_units(1);
    meter.render("text", 100, 10);
    metrics.secret_reads.with_label_values(&["found"]).inc();
    metrics.set_accounts(&std::collections::BTreeMap::from([("Collected", 1)]));
    assert_eq!(check(&metrics.render()), (Some(0), String::new()));
}

/// Old dashboards need the legacy names, which break conventions: here they only have to be readable.
#[test]
#[ignore = "needs the real servers: run make test"]
fn promtool_reads_the_legacy_body() {
    let rendered = Renderer::default().render(&acme(), &ALL);
    let (code, words) = check(&plain(rendered.bodies.legacy.as_ref().unwrap()));
    assert!(matches!(code, Some(0 | 3)), "{words}");
}

/// `check metrics` knows the text format only; the OpenMetrics reader is behind the backfilling of blocks,
/// which wants a time on every sample.
#[test]
#[ignore = "needs the real servers: run make test"]
fn prometheus_reads_every_series_of_the_openmetrics_body() {
    let rendered = Renderer::default().render(&acme(), &Options { legacy: false, ..ALL });
    let folder = tempfile::tempdir().unwrap();
    let (file, blocks) = (folder.path().join("body"), folder.path().join("blocks"));
    let stamped: String = plain(&rendered.bodies.openmetrics)
        .lines()
        .map(|line| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1480000020\n") })
        .collect();
    std::fs::write(&file, stamped).unwrap();
    let (file, blocks) = (file.to_str().unwrap(), blocks.to_str().unwrap());
    let (code, words) = promtool(&["tsdb", "create-blocks-from", "openmetrics", file, blocks], "");
    assert_eq!(code, Some(0), "{words}");

    // A database has a log too, if an empty one; without its folder, the tool does not read the blocks.
    std::fs::create_dir(folder.path().join("blocks/wal")).unwrap();
    let (code, dump) = promtool(&["tsdb", "dump", blocks], "");
    assert_eq!(code, Some(0), "{dump}");
    assert_eq!(dump.lines().filter(|line| line.starts_with('{')).count(), rendered.series, "{dump}");
    assert!(dump.contains(r#"service_name="odd \"name\"\\\n""#), "{dump}");
}
