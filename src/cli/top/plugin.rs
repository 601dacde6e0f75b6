//! `kubectl caas-top`: the program under the name that kubectl looks for on `PATH`. It is `top`, and asks the cluster unless a
//! server is named.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{ArgMatches, Args as _, Command, FromArgMatches};

use super::Args;
use crate::cli::variables;

/// What kubectl calls the file of `kubectl caas-top`, and that of `kubectl caas top`.
const NAMES: [&str; 2] = ["kubectl-caas_top", "kubectl-caas-top"];

const EXAMPLES: &str = "Examples:
  kubectl caas-top
  kubectl caas-top instances kibana --sort memory --limit 10
  kubectl caas-top -n team-a --watch
  kubectl caas-top accounts --context production";

/// Whether the program was started under such a name.
pub(in crate::cli) fn is_called(program: Option<&OsString>) -> bool {
    let name = program.and_then(|program| Path::new(program).file_name());
    NAMES.iter().any(|known| name == Some(OsStr::new(known)))
}

/// The arguments of this process. Prints help and ends it where they ask for that or cannot be read.
pub(in crate::cli) fn arguments() -> Args {
    let mut command = command();
    let args = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| read(&matches));
    args.unwrap_or_else(|error| error.format(&mut command).exit())
}

fn command() -> Command {
    // The derived options bring texts of their own, which these replace.
    let command = Args::augment_args(Command::new("kubectl caas-top"))
        .bin_name("kubectl caas-top")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Show resource usage of services, instances and accounts of the cluster's operator")
        .after_help(EXAMPLES)
        .max_term_width(110);
    variables::lenient(command)
}

fn read(matches: &ArgMatches) -> Result<Args, clap::Error> {
    let mut args = Args::from_arg_matches(matches)?;
    args.place.cluster |= args.place.server.is_none();
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_that_kubectl_looks_for_make_it_a_plugin() {
        for (name, is) in [
            ("/usr/local/bin/kubectl-caas_top", true),
            ("kubectl-caas-top", true),
            ("caas-operator", false),
            ("/kubectl-caas_top/caas-operator", false),
        ] {
            assert_eq!(is_called(Some(&name.into())), is, "{name}");
        }
        assert!(!is_called(None));
    }

    #[test]
    fn the_plugin_asks_the_cluster_unless_a_server_is_named() {
        for (words, cluster) in
            [(vec![], true), (vec!["accounts"], true), (vec!["--server", "http://localhost:1/"], false)]
        {
            let matches = command().try_get_matches_from([vec!["kubectl-caas_top"], words].concat()).unwrap();
            assert_eq!(read(&matches).unwrap().place.is_cluster(), cluster);
        }
    }
}
