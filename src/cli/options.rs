//! Options shared by several commands.

use std::ffi::OsStr;
use std::fmt::Display;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use ipnet::IpNet;

use crate::account::admission::is_label;
use crate::cloud::http::{Policy, Prefix};
use crate::proxy::Proxy;
use crate::server::{AllowedHosts, GrafanaUrl, HostName, PageOptions};

/// Values separated by commas, as an option or its variable has them. Blanks around a value and empty elements, such as
/// after a comma at the end, are ignored.
#[derive(Debug, Clone)]
pub(super) struct List<T>(Vec<T>);

impl<T> List<T> {
    /// The values of an option that is given any number of times.
    pub(super) fn values(lists: Vec<Self>) -> impl Iterator<Item = T> {
        lists.into_iter().flat_map(|Self(values)| values)
    }
}

impl<T: FromStr<Err: Display>> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
        let parse = |element: &str| element.parse().map_err(|error| format!("{element}: {error}"));
        let values: Vec<T> = elements.map(parse).collect::<Result<_, _>>()?;
        if values.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(values)) }
    }
}

/// The name of a namespace, Service or pod; any other text would be another path of the API.
#[derive(Debug, Clone)]
pub(super) struct Label(pub(super) String);

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "use a name of at most 63 lowercase letters, digits and -, starting and ending with a letter or digit",
            )
        }
    }
}

/// A network with its prefix length.
#[derive(Debug, Clone, Copy)]
struct Network(IpNet);

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse().map(Self);
        network.map_err(
            |_| "use an address with a prefix length, such as 10.20.0.0/16, or 10.20.3.4/32 for one address",
        )
    }
}

/// The endpoints that the administrator allows accounts to use.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Allowed endpoints")]
pub(super) struct PolicyOptions {
    /// Allow only endpoints below this URL; can be repeated. Default: any public endpoint
    #[arg(long = "allow-endpoint", value_name = "URL", env = "CAAS_OPERATOR_ALLOW_ENDPOINT")]
    endpoints: Vec<List<Prefix>>,
    /// Allow a network of private, local or reserved addresses, such as 10.20.0.0/16; can be repeated
    #[arg(long = "allow-cidr", value_name = "CIDR", env = "CAAS_OPERATOR_ALLOW_CIDR")]
    cidrs: Vec<List<Network>>,
    /// Allow plain HTTP, which sends the credentials unencrypted
    #[arg(long = "allow-http", env = "CAAS_OPERATOR_ALLOW_HTTP")]
    http: bool,
    /// Connect to all clouds through this HTTP proxy, which resolves their names; docs/security.md lists what
    /// it must block. If it needs a password, set the variable instead: other users of the machine can see
    /// command lines. HTTPS_PROXY and NO_PROXY are ignored for clouds. Default: no proxy
    // The help would show backticks as they are.
    #[allow(clippy::doc_markdown)]
    #[arg(
        long = "cloud-proxy",
        value_name = "URL",
        env = "CAAS_OPERATOR_CLOUD_PROXY",
        hide_env_values = true,
        value_parser = Unrepeated { name: "--cloud-proxy or CAAS_OPERATOR_CLOUD_PROXY", read: str::parse::<Proxy> }
    )]
    proxy: Option<Proxy>,
}

/// Reads a value that may have a password in it. Unlike the usual parsers, it repeats none of a value that it refuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unrepeated<T, E> {
    /// The option and its variable, which the error names instead.
    pub(super) name: &'static str,
    /// What reads it.
    pub(super) read: fn(&str) -> Result<T, E>,
}

impl<T, E> TypedValueParser for Unrepeated<T, E>
where
    T: Clone + Send + Sync + 'static,
    E: Clone + Display + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        (self.read)(&value.to_string_lossy()).map_err(|problem| {
            let message = format!("{}: {problem}", self.name);
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

impl PolicyOptions {
    /// The policy that the options describe.
    pub(super) fn policy(self) -> Policy {
        Policy {
            allow_endpoints: List::values(self.endpoints).collect(),
            allow_cidrs: List::values(self.cidrs).map(|Network(network)| network).collect(),
            allow_http: self.http,
            proxy: self.proxy,
        }
    }
}

/// The names under which clients may ask for the metrics port.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct HostOptions {
    /// Serve only requests for this host name, IP addresses and localhost; can be repeated. Protects against DNS
    /// rebinding. Default: any name
    #[arg(long = "allow-host", value_name = "NAME", env = "CAAS_OPERATOR_ALLOW_HOST")]
    names: Vec<List<HostName>>,
}

impl HostOptions {
    /// The names, and those that the program itself puts into ServiceMonitors.
    pub(super) fn allowed(self, own: impl IntoIterator<Item = HostName>) -> AllowedHosts {
        if self.names.is_empty() {
            return AllowedHosts::default();
        }
        AllowedHosts::new(List::values(self.names).chain(own))
    }
}

/// Where the page links to.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct LinkOptions {
    /// URL of a Grafana with the chart's dashboards; the web page links to it. Default: none
    #[arg(long, value_name = "URL", env = "CAAS_OPERATOR_GRAFANA_URL")]
    grafana_url: Option<GrafanaUrl>,
}

impl LinkOptions {
    /// What the page shows by these options.
    pub(super) fn page(self) -> PageOptions {
        PageOptions { grafana: self.grafana_url, ..PageOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> Result<Vec<String>, String> {
        let list = text.parse::<List<Network>>()?;
        Ok(List::values(vec![list]).map(|Network(network)| network.to_string()).collect())
    }

    #[test]
    fn blanks_and_empty_elements_of_a_list_are_ignored() {
        let both = Ok(vec!["10.0.0.0/8".to_owned(), "172.16.0.0/12".to_owned()]);
        for text in
            ["10.0.0.0/8,172.16.0.0/12", "10.0.0.0/8, 172.16.0.0/12", " 10.0.0.0/8 ,,\n172.16.0.0/12,\n"]
        {
            assert_eq!(networks(text), both, "{text:?}");
        }
        assert!(networks(" , ").is_err(), "a list that names nothing would allow everything");
    }

    #[test]
    fn an_element_that_is_no_network_is_named_with_what_to_write() {
        for wrong in ["10.20.3.4", "10.0.0.0/33", "10.0.0.0/", "office", "10.0.0.0/8 10.1.0.0/16"] {
            let error = networks(&format!("10.0.0.0/8, {wrong}")).unwrap_err();
            assert!(error.starts_with(&format!("{wrong}: use an address with a prefix length")), "{error}");
        }
    }
}
