//! `caas-operator top`: services, instances or accounts as a table in the terminal, from an operator that runs elsewhere.
//!
//! Options, and when what is printed. [`operator`] asks, [`rows`] is what it answers, [`table`] aligns it, [`plugin`] is the same
//! as `kubectl caas-top`.

mod operator;
pub(super) mod plugin;
mod rows;
mod table;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use thiserror::Error;

use super::cluster::{self, ClusterError};
use crate::account::admission::is_label;
use crate::server::Sort;
use operator::{AskError, Found, Operator, Question, ServerUrl};
use rows::List;

/// Arguments of `top`.
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to show
    #[arg(value_name = "WHAT", value_enum, default_value_t = List::Services)]
    what: List,
    /// Words that must all match, as on the web page: text, or key:value such as namespace:team-a or state:failed
    #[arg(value_name = "FILTER")]
    words: Vec<String>,
    /// FILTER as one text; needed for words that begin with -, which negates them
    #[arg(
        short = 'q',
        long,
        value_name = "EXPRESSION",
        env = "CAAS_OPERATOR_TOP_QUERY",
        allow_hyphen_values = true
    )]
    query: Option<String>,
    /// Only accounts of this namespace; can be repeated or comma-separated. Default: all
    #[arg(
        short,
        long = "namespace",
        value_name = "NAMESPACE",
        env = "CAAS_OPERATOR_NAMESPACE",
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
    /// Sort by state (worst first), name, account, instances, cpu, memory, network, restarts, image or age; numbers in
    /// descending order
    #[arg(long, value_name = "COLUMN", env = "CAAS_OPERATOR_TOP_SORT", default_value = "state",
        allow_hyphen_values = true, value_parser = order)]
    sort: Sort,
    /// Reverse the order
    #[arg(long, env = "CAAS_OPERATOR_TOP_REVERSE")]
    reverse: bool,
    /// Maximum number of rows. Default: all; with --watch, as many as fit on the terminal
    #[arg(long, value_name = "ROWS", env = "CAAS_OPERATOR_TOP_LIMIT", value_parser = positive)]
    limit: Option<usize>,
    /// Refresh every few seconds until Ctrl-C; redraws if the output is a terminal
    #[arg(short, long, env = "CAAS_OPERATOR_TOP_WATCH")]
    watch: bool,
    /// Seconds between two refreshes with --watch
    #[arg(long, value_name = "SECONDS", env = "CAAS_OPERATOR_TOP_INTERVAL", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", env = "CAAS_OPERATOR_TOP_OUTPUT", value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Print no header line
    #[arg(long, env = "CAAS_OPERATOR_TOP_NO_HEADERS")]
    no_headers: bool,
    #[command(flatten)]
    place: Place,
}

/// Where the operator is.
#[derive(ClapArgs)]
#[command(next_help_heading = "Which operator")]
struct Place {
    /// Query the program at this URL: demo, standalone, or an operator behind an Ingress. Default: port
    /// 9104 of this machine, unless an option below is given
    #[arg(long, value_name = "URL", env = "CAAS_OPERATOR_SERVER")]
    server: Option<ServerUrl>,
    /// Query the operator in the kubeconfig's cluster through the API server, even if a server is set
    #[arg(long, env = "CAAS_OPERATOR_TOP_CLUSTER")]
    cluster: bool,
    /// Like --cluster, with this context of the kubeconfig. Default: the current one
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_CONTEXT")]
    context: Option<String>,
    /// Like --cluster, with the operator's Service in this namespace. Default: search all namespaces
    #[arg(long, value_name = "NAMESPACE", env = "CAAS_OPERATOR_SERVICE_NAMESPACE", value_parser = label)]
    service_namespace: Option<String>,
    /// Like --cluster, with the operator's Service of this name. Default: the one with the label caas-operator.io/service
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_SERVICE_NAME", value_parser = label)]
    service_name: Option<String>,
}

const EXAMPLES: &str = "Examples:
  caas-operator top
  caas-operator top instances kibana --sort memory --limit 10
  caas-operator top --watch -q 'namespace:team-a -state:stopped'
  caas-operator top accounts --cluster --context production

Without any of these options, it queries demo or standalone on this machine.";

/// A format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Human-readable columns
    Table,
    /// The operator's JSON as one object; with --watch, one object per line
    Json,
}

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub(super) enum TopError {
    /// No way to the cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No answer, or one of no use.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The output is full.
    #[error("the result cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// `cpu` begins with the largest, as the first click on a header of the page does; `-cpu` is the JSON paths' word for it.
fn order(text: &str) -> Result<Sort, String> {
    let named: Sort = text.parse()?;
    Ok(Sort { descending: named.descending || named.column.is_number(), ..named })
}

fn positive(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("use a number of at least 1")
}

/// Any other text would be another path of the API.
fn label(text: &str) -> Result<String, &'static str> {
    is_label(text).then(|| text.to_owned()).ok_or("use a name of lowercase letters, digits and -")
}

/// Prints what was asked for, once or until Ctrl-C. A reader that has left, such as `head`, is no error.
pub(super) async fn run(args: Args) -> Result<(), TopError> {
    match show(&args).await {
        Err(TopError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}

async fn show(args: &Args) -> Result<(), TopError> {
    let operator = args.place.operator().await?;
    if !args.watch {
        let found = operator.ask(&args.question(args.limit)).await?;
        if args.output == Output::Table && found.rows.is_empty() {
            // As kubectl: what reads the output gets nothing.
            writeln!(io::stderr(), "{}", args.nothing())?;
            return Ok(());
        }
        return Ok(print(args.block(&found, usize::MAX)?.as_bytes())?);
    }
    // Beside the loop, which a reader that takes nothing may hold up.
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(0);
        }
    });
    let terminal = io::stdout().is_terminal();
    let mut last: Option<String> = None;
    loop {
        let (columns, lines) = if terminal { size() } else { (usize::MAX, usize::MAX) };
        // Lines that the rows cannot have: the first, the headers, that of the cursor.
        let fitting = terminal.then(|| lines.saturating_sub(3).max(1));
        let begin = match operator.ask(&args.question(args.limit.or(fitting))).await {
            Ok(found) => {
                last = Some(args.block(&found, columns)?);
                args.summary(&found)
            }
            // The address may be wrong; after a first answer it is not, and the operator comes back.
            Err(error) if last.is_none() => return Err(error.into()),
            Err(error) => format!("{}  {error}", time()),
        };
        let block = last.as_deref().unwrap_or_default();
        let drawn = match (args.output, terminal) {
            (Output::Json, _) => block.to_owned(),
            (Output::Table, true) => format!("\x1b[H\x1b[2J{}\n{block}", table::cut(&begin, columns)),
            (Output::Table, false) => format!("{begin}\n{block}\n"),
        };
        print(drawn.as_bytes())?;
        tokio::time::sleep(Duration::from_secs(args.interval)).await;
    }
}

fn print(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

/// The columns and lines of the terminal.
fn size() -> (usize, usize) {
    let size =
        rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
}

/// Now, to the second.
fn time() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Args {
    fn question(&self, limit: Option<usize>) -> Question {
        let words = self.words.iter().chain(&self.query).map(String::as_str);
        let sort = Sort { descending: self.sort.descending != self.reverse, ..self.sort };
        Question {
            list: self.what,
            expression: words.collect::<Vec<_>>().join(" "),
            namespaces: self.namespaces.join(","),
            sort: sort.text(),
            limit,
        }
    }

    /// What is printed for an answer, in lines of at most so many characters.
    fn block(&self, found: &Found, columns: usize) -> Result<String, AskError> {
        Ok(match self.output {
            Output::Table => table::aligned(&self.what.cells(&found.read()?, !self.no_headers), columns),
            Output::Json => found.json(self.what),
        })
    }

    /// The line above a table that is drawn again.
    fn summary(&self, found: &Found) -> String {
        if found.rows.is_empty() {
            return format!("{}  {}", time(), self.nothing());
        }
        format!("{}  {} of {} {}", time(), found.rows.len(), found.total, self.what.as_str())
    }

    fn nothing(&self) -> String {
        let question = self.question(None);
        let filtered = !question.expression.is_empty() || !question.namespaces.is_empty();
        let list = self.what.as_str();
        if filtered { format!("no {list} match the filter") } else { format!("there are no {list} yet") }
    }
}

impl Place {
    fn is_cluster(&self) -> bool {
        let names_one =
            self.context.is_some() || self.service_namespace.is_some() || self.service_name.is_some();
        self.cluster || (self.server.is_none() && names_one)
    }

    async fn operator(&self) -> Result<Operator, TopError> {
        if !self.is_cluster() {
            return Ok(Operator::at(self.server.clone().unwrap_or_default())?);
        }
        let config = cluster::config(self.context.as_deref()).await?;
        let (namespace, name) = (self.service_namespace.as_deref(), self.service_name.as_deref());
        Ok(Operator::of_cluster(config, namespace, name).await?)
    }
}
