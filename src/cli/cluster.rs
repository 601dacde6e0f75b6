//! How the API server is reached: with the kubeconfig, read as kubectl reads it, and through the proxy that it or
//! `HTTPS_PROXY` names unless `NO_PROXY` covers the API server; or else with the pod's own service account, directly. No error
//! repeats a kubeconfig or the URL of a proxy, which may hold credentials.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;

use super::no_proxy;
use crate::controller::causes;
use crate::proxy::{Proxy, ProxyProblem};

/// Why there is no way to the API server.
#[derive(Debug, Error)]
pub(super) enum ClusterError {
    /// Neither a kubeconfig nor a pod's service account.
    #[error(
        "no API server configured: set KUBECONFIG{}, or run in a pod with a service account ({problem})",
        missing(files)
    )]
    Nowhere {
        /// Where a kubeconfig was looked for.
        files: Vec<PathBuf>,
        /// Why this is no pod.
        problem: InClusterError,
    },
    /// No such context, or a kubeconfig that cannot be used.
    #[error("the kubeconfig cannot be used: {}; check KUBECONFIG and --context", told(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// A context of a kubeconfig that is not there.
    #[error("--context needs a kubeconfig, and there is none: set KUBECONFIG")]
    NoKubeconfig,
    /// The proxy before the API server of this host cannot be used.
    #[error(
        "HTTPS_PROXY or the kubeconfig's proxy-url: {problem}; if the API server can be reached without a proxy, add {host} to NO_PROXY"
    )]
    Proxy {
        /// The API server's.
        host: String,
        /// What is wrong with the proxy's URL.
        problem: ProxyProblem,
    },
}

/// That none of these files is there.
fn missing(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" to a file that exists (there is no {})", names.join(" and no "))
    }
}

/// What is wrong. The parser's own words quote the file.
fn told(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "it is not a YAML kubeconfig".to_owned(),
        other => causes(other),
    }
}

/// The settings for the API server, of this context or the current one. A proxy in them is one that is to be used.
pub(super) async fn config(context: Option<&str>) -> Result<Config, ClusterError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let files = files(std::env::var_os("KUBECONFIG").as_deref(), home);
    let mut config = match kubeconfig(&files)? {
        Some(kubeconfig) => {
            let context = context.map(str::to_owned);
            let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(kubeconfig, &options).await?
        }
        None if context.is_some() => return Err(ClusterError::NoKubeconfig),
        None => Config::incluster().map_err(|problem| ClusterError::Nowhere { files, problem })?,
    };
    let covered = no_proxy::covers(&no_proxy::variable(), &config.cluster_url);
    config.proxy_url = config.proxy_url.filter(|_| !covered);
    proxy(&config)?;
    Ok(config)
}

/// The proxy in the settings.
pub(super) fn proxy(config: &Config) -> Result<Option<Proxy>, ClusterError> {
    let host = || config.cluster_url.host().unwrap_or_default().to_owned();
    let proxy = config.proxy_url.as_ref().map(|url| url.to_string().parse());
    proxy.transpose().map_err(|problem| ClusterError::Proxy { host: host(), problem })
}

/// The files that are read: those that the variable lists, or the one of the user.
fn files(variable: Option<&OsStr>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let listed = variable.into_iter().flat_map(std::env::split_paths);
    let listed: Vec<PathBuf> = listed.filter(|file| !file.as_os_str().is_empty()).collect();
    if listed.is_empty() { home.map(|home| home.join(".kube/config")).into_iter().collect() } else { listed }
}

/// What the files that are there say together. What the first of them says of a name counts.
fn kubeconfig(files: &[PathBuf]) -> Result<Option<Kubeconfig>, KubeconfigError> {
    let mut merged: Option<Kubeconfig> = None;
    for file in files {
        let mut one = match Kubeconfig::read_from(file) {
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        // As kubectl: a file without a current context leaves it to the next one.
        one.current_context = one.current_context.filter(|context| !context.is_empty());
        merged = Some(match merged {
            Some(before) => before.merge(one)?,
            None => one,
        });
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_missing_are_left_out_and_the_first_current_context_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("bare", "apiVersion: v1\nkind: Config\ncurrent-context: \"\"\n");
        write("good", "apiVersion: v1\nkind: Config\ncurrent-context: here\n");
        write("next", "apiVersion: v1\nkind: Config\ncurrent-context: there\n");
        let of = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
            kubeconfig(&files).unwrap().map(|found| found.current_context)
        };
        assert_eq!(of(&["missing", "bare", "good", "next"]), Some(Some("here".to_owned())));
        assert_eq!(of(&["bare"]), Some(None));
        assert_eq!(of(&["missing"]), None);
    }

    #[test]
    fn a_variable_lists_files_and_an_empty_one_means_the_users() {
        let of = |variable: Option<&str>| files(variable.map(OsStr::new), Some("/home/ann".into()));
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(of(Some("/missing::/good:")), paths(&["/missing", "/good"]));
        assert_eq!(of(Some("")), paths(&["/home/ann/.kube/config"]));
        assert_eq!(of(None), paths(&["/home/ann/.kube/config"]));
        assert_eq!(files(None, None), paths(&[]));
    }
}
