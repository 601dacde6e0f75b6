//! `caas-operator check`: validates manifests and collects each account once. [`from_cluster`] reads what the files lack.

mod from_cluster;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use thiserror::Error;
use tokio::time::Instant;

use self::from_cluster::{AccountName, Accounts, ReadError, Reader};
use super::files;
use super::options::{Label, PolicyOptions};
use crate::account::admission::Admission;
use crate::account::{Account, AccountId, SecretRead, Uncollected};
use crate::api::Reason;
use crate::cloud::Providers;
use crate::cloud::http::Http;
use crate::collector::{HttpClouds, collect_once};
use crate::limits::ProcessLimits;
use crate::schema;
use crate::standalone::manifests::{self, File};
use crate::standalone::text;
use crate::telemetry::Metrics;

/// What is logged where `RUST_LOG` says nothing. Why a collection failed is printed with its account, so no log line says it.
pub(super) const LOG_FILTER: &str = "warn,caas_operator::collector::cycle=error";

/// Arguments of `check`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Manifests of CaasAccounts and their Secrets; - reads standard input. With --from-cluster, also CaasAccounts
    /// in the cluster, as NAME or NAMESPACE/NAME; files then need an extension (.yaml, .yml, .json) or begin with ./
    /// or /
    #[arg(value_name = "FILE", required_unless_present = "from_cluster")]
    arguments: Vec<PathBuf>,
    /// Read from the kubeconfig's cluster what the files do not contain: Secrets and the named CaasAccounts or,
    /// without arguments, all CaasAccounts in the namespace. Nothing is written
    #[arg(long, env = "CAAS_OPERATOR_CHECK_FROM_CLUSTER")]
    from_cluster: bool,
    /// Namespace for objects without one. Default: with --from-cluster, the namespace of the kubeconfig's context; otherwise default
    #[arg(short, long, value_name = "NAMESPACE", env = "CAAS_OPERATOR_CHECK_NAMESPACE")]
    namespace: Option<Label>,
    /// With --from-cluster, use this context of the kubeconfig. Default: the current one
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_CONTEXT")]
    context: Option<String>,
    #[command(flatten)]
    policy: PolicyOptions,
}

const EXAMPLES: &str = "Examples:
  caas-operator check account.yaml secret.yaml
  caas-operator check --from-cluster account.yaml
  caas-operator check --from-cluster --namespace team-a acme
  kubectl get caas,secret -o yaml | caas-operator check -

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
    /// An argument that is neither a file nor a name.
    #[error("{}: {advice}", argument.display())]
    Name {
        /// Which.
        argument: PathBuf,
        /// What to write.
        advice: &'static str,
    },
    /// No CaasAccount in any of the files.
    #[error(
        "there is no CaasAccount in these files; pass the files that contain the CaasAccount and its Secret"
    )]
    Nothing,
    /// No CaasAccount in the namespace.
    #[error("there is no CaasAccount in namespace {0} of the cluster; choose another namespace with -n")]
    NothingThere(String),
    /// The cluster cannot be read.
    #[error(transparent)]
    Cluster(#[from] ReadError),
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
        let of_accounts = (*of > 0).then(|| format!("{accounts} of {of} accounts not collected completely"));
        let of_documents = match documents {
            0 => None,
            1 => Some("1 invalid document".to_owned()),
            several => Some(format!("{several} invalid documents")),
        };
        let said: Vec<String> = of_accounts.into_iter().chain(of_documents).collect();
        write!(formatter, "{}; see above", said.join(", "))
    }
}

/// Checks the files and the cluster's accounts. Fails unless all documents can be used and all accounts are collected
/// completely.
pub(super) async fn run(args: Args) -> Result<(), CheckError> {
    let cluster = if args.from_cluster { Some(Reader::new(args.context.as_deref()).await?) } else { None };
    let namespace = args.namespace.map(|Label(name)| name);
    let namespace = namespace.or_else(|| cluster.as_ref().map(|cluster| cluster.namespace.clone()));
    let mut admission = Admission::new(Providers::ALL);
    if let Some(namespace) = &namespace {
        admission = admission.in_namespace(namespace);
    }
    let (paths, names) = split(args.arguments, args.from_cluster)?;
    let mut files =
        paths.iter().map(|file| read(&admission, file)).collect::<Result<Vec<File>, CheckError>>()?;
    let (mut missing, mut secrets) = (Vec::new(), BTreeMap::new());
    if let Some(cluster) = &cluster {
        let namespace = namespace.as_deref().unwrap_or(&cluster.namespace);
        let Accounts { objects, missing: not_there } = if paths.is_empty() && names.is_empty() {
            cluster.all(namespace).await?
        } else {
            cluster.named(&names, namespace).await?
        };
        if paths.is_empty() && objects.is_empty() && not_there.is_empty() {
            return Err(CheckError::NothingThere(namespace.to_owned()));
        }
        missing = not_there;
        files.push(manifests::of_objects(&admission, objects));
        secrets = cluster.secrets(manifests::missing_secrets(&files)).await?;
    }
    check(&admission, &files, &Elsewhere { secrets, missing, is_read: cluster.is_some() }, args.policy).await
}

/// What the cluster holds.
struct Elsewhere {
    /// The Secrets that no file holds.
    secrets: BTreeMap<AccountId, SecretRead>,
    /// Accounts that were named and are not there.
    missing: Vec<AccountId>,
    /// Whether it was asked.
    is_read: bool,
}

async fn check(
    admission: &Admission,
    files: &[File],
    elsewhere: &Elsewhere,
    policy: PolicyOptions,
) -> Result<(), CheckError> {
    let limits = ProcessLimits { files: Some(files::limit()), ..ProcessLimits::default() };
    let http = Http::new(policy.policy()).within(limits);
    let desired = manifests::desired_with(admission.providers(), files, &elsewhere.secrets, |url| {
        http.policy().check_endpoint(url)
    });
    let without = desired.problems.len() + elsewhere.missing.len();
    let mut failures =
        Failures { accounts: without, of: without + desired.accounts.len(), documents: desired.faults.len() };
    if failures.of + failures.documents == 0 {
        return Err(CheckError::Nothing);
    }
    let mut out = io::stdout();
    for fault in &desired.faults {
        writeln!(out, "{fault}")?;
    }
    for id in &elsewhere.missing {
        writeln!(
            out,
            "{id}: NotFound\n  CaasAccount {id} does not exist in the cluster. `kubectl get caas --all-namespaces` lists all CaasAccounts."
        )?;
    }
    for account in &desired.problems {
        writeln!(out, "{}: {}\n  {}", account.id, account.problem.reason, advice(account, elsewhere))?;
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

/// The condition's message, with advice for the person who runs `check` instead of for the operator.
fn advice(account: &Uncollected, elsewhere: &Elsewhere) -> String {
    let message = &account.problem.message;
    let mut forbidden = elsewhere.secrets.iter().filter(|(_, read)| **read == SecretRead::Forbidden);
    let forbidden = forbidden.find(|(id, _)| message.contains(&id.to_string()));
    match (account.problem.reason, forbidden) {
        (Reason::SecretForbidden, Some((secret, _))) => format!(
            "Secret {secret} cannot be read with this kubeconfig: request permission to get Secrets in namespace {}, \
             or pass a file that contains it.",
            secret.namespace
        ),
        (Reason::SecretNotFound, _) if !elsewhere.is_read && message.contains("does not exist") => {
            format!("{message} If it is in the cluster, add --from-cluster to read it from there.")
        }
        _ => message.clone(),
    }
}

/// The files and the names of accounts. Only with a cluster is anything a name.
fn split(
    arguments: Vec<PathBuf>,
    from_cluster: bool,
) -> Result<(Vec<PathBuf>, Vec<AccountName>), CheckError> {
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for argument in arguments {
        if !from_cluster || is_file(&argument) {
            files.push(argument);
            continue;
        }
        let name = argument.to_string_lossy().parse();
        names.push(name.map_err(|advice| CheckError::Name { argument, advice })?);
    }
    Ok((files, names))
}

/// Whether an argument is meant as a file: by its form, so that it means the same in every folder.
fn is_file(argument: &Path) -> bool {
    let text = argument.to_string_lossy().to_ascii_lowercase();
    text.starts_with(['.', '/', '-', '~'])
        || [".yaml", ".yml", ".json"].iter().any(|ending| text.ends_with(ending))
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
        return Checked {
            complete: false,
            text: format!("{id}: no metrics could be rendered; see the log\n"),
        };
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
        "shortest interval that the cloud's rate limits allow for this many requests: {shortest} (configured: \
         {interval}); accounts with the same token or user share the limits"
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
        assert!(message.contains("1m30s (configured: 1m)"), "{message}");
        assert!(allowed(Duration::from_secs(60), 0.0).contains(" 1s (configured: 1m)"));
    }

    #[test]
    fn only_with_a_cluster_is_an_argument_without_an_ending_the_name_of_an_account() {
        let arguments =
            || ["-", "acme", "team-a/acme", "a.yaml", "b/c.JSON", "./acme", "/dev/fd/63"].map(PathBuf::from);
        let (files, names) = split(arguments().into(), true).unwrap();
        assert_eq!(files, ["-", "a.yaml", "b/c.JSON", "./acme", "/dev/fd/63"].map(PathBuf::from));
        assert_eq!(names, ["acme", "team-a/acme"].map(|name| name.parse().unwrap()));
        assert_eq!(split(arguments().into(), false).unwrap(), (arguments().into(), vec![]));
        assert!(split(vec!["accounts/of/acme".into()], true).is_err());
    }

    #[test]
    fn what_failed_is_counted_in_words_that_fit_the_numbers() {
        let told = |accounts, of, documents| Failures { accounts, of, documents }.to_string();
        assert_eq!(told(1, 2, 0), "1 of 2 accounts not collected completely; see above");
        assert_eq!(told(0, 0, 1), "1 invalid document; see above");
        assert_eq!(told(0, 2, 3), "0 of 2 accounts not collected completely, 3 invalid documents; see above");
    }

    #[test]
    fn a_clouds_text_stays_on_its_line_and_in_its_column() {
        assert_eq!(shown_text("Läuft"), "Läuft");
        assert_eq!(shown_text("\x1b[2J\nteam-a/acme: Collected"), r"\u{1b}[2J\nteam-a/acme: Collected");
        assert_eq!(shown_text(&"x".repeat(1 << 20)).chars().count(), 101);
    }
}
