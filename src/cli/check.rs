//! `caas-operator check`: validates manifests and collects each account once.

use std::fmt::{self, Write as _};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use thiserror::Error;
use tokio::time::Instant;

use super::files;
use super::options::PolicyOptions;
use crate::account::Account;
use crate::account::admission::Admission;
use crate::cloud::Providers;
use crate::cloud::http::Http;
use crate::collector::{HttpClouds, collect_once};
use crate::limits::ProcessLimits;
use crate::schema;
use crate::standalone::manifests::{self, File};
use crate::standalone::text;
use crate::telemetry::Metrics;

/// Arguments of `check`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Manifests with CaasAccounts and their Secrets; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    policy: PolicyOptions,
}

const EXAMPLES: &str = "Examples:
  caas-operator check account.yaml secret.yaml
  kubectl get caas,secret acme -o yaml | caas-operator check -

Exits with 0 only if every account was collected completely.";

/// Why nothing could be checked.
#[derive(Debug, Error)]
pub(super) enum CheckError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No CaasAccount in any of the files.
    #[error(
        "there is no CaasAccount in these files; give the files that hold the CaasAccount and its Secret"
    )]
    Nothing,
    /// Something is wrong; standard output has the details.
    #[error("{0}")]
    Failed(Failures),
    /// The output is closed.
    #[error("the result cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// How much failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Accounts that were not collected completely.
    accounts: usize,
    /// Accounts in all.
    of: usize,
    /// Documents that are not manifests, or are refused.
    documents: usize,
}

impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, of, documents } = self;
        write!(formatter, "{accounts} of {of} accounts not collected completely")?;
        if *documents > 0 {
            write!(formatter, ", {documents} documents that cannot be used")?;
        }
        formatter.write_str("; see above")
    }
}

/// Checks the files. Fails unless all documents can be used and all accounts are collected completely.
pub(super) async fn run(args: Args) -> Result<(), CheckError> {
    let admission = Admission::new(Providers::ALL);
    let files =
        args.files.iter().map(|file| read(&admission, file)).collect::<Result<Vec<File>, CheckError>>()?;
    let limits = ProcessLimits { files: Some(files::limit()), ..ProcessLimits::default() };
    let http = Http::new(args.policy.policy()).within(limits);
    let desired = manifests::desired(admission.providers(), &files, |url| http.policy().check_endpoint(url));
    if desired.accounts.is_empty() && desired.problems.is_empty() && desired.faults.is_empty() {
        return Err(CheckError::Nothing);
    }
    let mut out = io::stdout();
    let mut failures = Failures {
        accounts: desired.problems.len(),
        of: desired.problems.len() + desired.accounts.len(),
        documents: desired.faults.len(),
    };
    for fault in &desired.faults {
        writeln!(out, "{fault}")?;
    }
    for account in &desired.problems {
        let (id, problem) = (&account.id, &account.problem);
        writeln!(out, "{id}: {}\n  {}", problem.reason, problem.message)?;
    }
    for account in desired.accounts {
        let checked = collect(&http, account).await;
        failures.accounts += usize::from(!checked.complete);
        out.write_all(checked.text.as_bytes())?;
    }
    if failures.accounts + failures.documents > 0 {
        return Err(CheckError::Failed(failures));
    }
    Ok(())
}

fn read(admission: &Admission, file: &Path) -> Result<File, CheckError> {
    let text = bytes(file).and_then(|bytes| text::decode(bytes).map_err(io::Error::other));
    let text = text.map_err(|error| CheckError::Read { file: file.to_owned(), error })?;
    Ok(manifests::parse(admission, &file.display().to_string(), &text))
}

fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The result for one account.
struct Checked {
    complete: bool,
    text: String,
}

async fn collect(http: &Http, account: Account) -> Checked {
    let (id, metrics) = (account.id.clone(), Metrics::new());
    let meter = metrics.account(&id.namespace, &id.name);
    let clouds = Arc::new(HttpClouds::new(http.clone(), Arc::clone(&metrics)));
    let interval = account.schedule.interval;
    let started = Instant::now();
    let snapshot = collect_once(clouds, Arc::new(account), &metrics).await;
    let took = started.elapsed();
    let requests = meter.api_requests();
    let Some(snapshot) = snapshot else {
        return Checked { complete: false, text: format!("{id}: nothing could be rendered; see the log\n") };
    };
    let (services, instances) = snapshot.counts();
    let (health, series) = (&snapshot.health, snapshot.series);
    let mut text = format!(
        "{id}: {}\n  {}\n  services {services}, instances {instances}, series {series}, API requests {requests}, \
         time {}\n",
        health.reason(),
        health.message(),
        shown(took),
    );
    if let Some(ratio) = snapshot.values.gauges.request_budget {
        let _ = writeln!(text, "  {}", allowed(interval, ratio));
    }
    for service in &snapshot.values.services {
        let with_data = service.instances.iter().filter(|instance| instance.sample.is_some()).count();
        let status = shown_text(service.facts.status.as_deref().unwrap_or("-"));
        let name = shown_text(&service.facts.name);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    {name:<32} {status:<10} {} instances, {with_data} with data",
            service.instances.len(),
        );
    }
    Checked { complete: health.reason().holds(), text }
}

/// Which interval the cloud's limits on requests allow, where `ratio` of what may be spent is needed for this one.
fn allowed(interval: Duration, ratio: f64) -> String {
    let shortest = Duration::from_secs(interval.mul_f64(ratio).as_secs() + 1);
    let (shortest, interval) = (schema::Duration::from(shortest), schema::Duration::from(interval));
    format!(
        "shortest interval that the cloud's limits allow for this many requests: {shortest} (set: {interval}); accounts of \
         one token or user share them"
    )
}

/// A cloud's text for a terminal: cut, and with nothing in it that moves a cursor or begins a line.
fn shown_text(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn shown(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_interval_that_a_limit_allows_is_named_beside_the_one_that_is_set() {
        let message = allowed(Duration::from_secs(60), 1.49);
        assert!(message.contains("1m30s (set: 1m)"), "{message}");
        assert!(allowed(Duration::from_secs(60), 0.0).contains(" 1s (set: 1m)"));
    }

    #[test]
    fn a_clouds_text_stays_on_its_line_and_in_its_column() {
        assert_eq!(shown_text("Läuft"), "Läuft");
        assert_eq!(shown_text("\x1b[2J\nteam-a/acme: Collected"), r"\u{1b}[2J\nteam-a/acme: Collected");
        assert_eq!(shown_text(&"x".repeat(1 << 20)).chars().count(), 101);
    }
}
