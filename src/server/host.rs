//! The Host of a request: refused where it is missing, given twice, or no host with a port, and where a list of allowed
//! hosts does not have it.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::HOST;
use http::{HeaderMap, StatusCode, Uri, Version};
use thiserror::Error;

use super::lines::line;

/// The longest name of the domain name system.
const MAX_NAME_BYTES: usize = 253;

/// A host with an optional port, as a request names the server: a DNS name or an IP address, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    text: String,
    /// In lower case, without port, brackets and the dot at the end.
    host: String,
}

impl Authority {
    /// The text as the client wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }
}

impl FromStr for Authority {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or(HostError::Invalid)?;
                address.parse::<Ipv6Addr>().map_err(|_| HostError::Invalid)?;
                let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')) };
                (address, port.map(|port| port.ok_or(HostError::Invalid)).transpose()?)
            }
            None => match text.split_once(':') {
                Some((name, port)) => (checked_name(name)?, Some(port)),
                None => (checked_name(text)?, None),
            },
        };
        if port.is_some_and(|port| !is_port(port)) {
            return Err(HostError::Invalid);
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Ok(Self { text: text.to_owned(), host })
    }
}

/// A DNS name, which may contain underscores, or an IPv4 address.
fn checked_name(name: &str) -> Result<&str, HostError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let labels = name.strip_suffix('.').unwrap_or(name);
    let valid = labels.len() <= MAX_NAME_BYTES
        && labels.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed));
    valid.then_some(name).ok_or(HostError::Invalid)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Why a request's host is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum HostError {
    /// Only HTTP/1.0 allows it.
    #[error("the request has no Host header")]
    Missing,
    /// More than one header of that name.
    #[error("the request has more than one Host header")]
    Several,
    /// Anything that is no authority (RFC 9110, 7.2).
    #[error("the request's Host is not a DNS name or IP address with an optional port")]
    Invalid,
    /// The name is not in the list.
    #[error("the request's Host is not allowed: add its name with --allow-host")]
    NotAllowed,
}

impl HostError {
    fn status(self) -> StatusCode {
        match self {
            Self::NotAllowed => StatusCode::MISDIRECTED_REQUEST,
            Self::Missing | Self::Several | Self::Invalid => StatusCode::BAD_REQUEST,
        }
    }
}

/// The names under which clients may ask for this server, against DNS rebinding: a web page that makes its own name point
/// to this server's address still sends that name.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// Only these names, in whatever case and with any port; none means any name. IP addresses and `localhost` are always
    /// allowed, since no web page can choose what they mean.
    pub fn new(names: impl IntoIterator<Item = HostName>) -> Self {
        Self(names.into_iter().map(|HostName(name)| name).collect())
    }

    fn allows(&self, authority: &Authority) -> bool {
        let Self(names) = self;
        names.is_empty()
            || authority.is_address()
            || authority.host == "localhost"
            || names.contains(&authority.host)
    }
}

/// The name of a host without a port, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// The text is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("use a name such as caas-operator.example.com, without scheme or port")]
pub struct HostNameError;

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let name = checked_name(text).map_err(|_| HostNameError)?;
        Ok(Self(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()))
    }
}

/// The host that a request is sent to; `None` for HTTP/1.0 without one.
fn requested(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, HostError> {
    let mut lines = headers.get_all(HOST).iter();
    let first = lines.next();
    if lines.next().is_some() {
        return Err(HostError::Several);
    }
    let header = match first {
        Some(line) => Some(line.to_str().map_err(|_| HostError::Invalid)?.parse()?),
        None if version == Version::HTTP_10 => None,
        None => return Err(HostError::Missing),
    };
    // A target in absolute form names the host and wins over the header (RFC 9112, 3.2.2).
    match uri.authority() {
        Some(authority) => authority.as_str().parse().map(Some),
        None => Ok(header),
    }
}

/// Middleware: refuses requests by their host. Handlers find the [`Authority`], where there is one, in the extensions.
pub(super) async fn check(State(allowed): State<AllowedHosts>, mut request: Request, next: Next) -> Response {
    let host = requested(request.version(), request.uri(), request.headers());
    let refused = |error: HostError| line(error.status(), &error.to_string());
    match host {
        Ok(Some(host)) if !allowed.allows(&host) => refused(HostError::NotAllowed),
        Ok(host) => {
            if let Some(host) = host {
                request.extensions_mut().insert(host);
            }
            next.run(request).await
        }
        Err(error) => refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_name_or_an_address_with_an_optional_port() {
        for text in [
            "localhost",
            "a",
            "10.0.0.1:8080",
            "caas-operator.monitoring.svc:8080",
            "my_service:1",
            "Example.COM.",
            "[::1]",
            "[fd00::7]:8080",
        ] {
            assert_eq!(text.parse::<Authority>().map(|host| host.text), Ok(text.to_owned()), "{text}");
        }
        for text in [
            "",
            " ",
            ":8080",
            "a b/{{x}}",
            "a/b",
            "a?b",
            "a#b",
            "user@a",
            "{{x}}",
            "a,b",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1:2",
            "a..b",
            ".a",
            ".",
            "ä.example",
            "a%2fb",
            "[::1",
            "[::1]8080",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
            "::1",
            "a\"b",
            "<b>",
            &"a".repeat(254),
        ] {
            assert_eq!(text.parse::<Authority>(), Err(HostError::Invalid), "{text}");
        }
    }

    #[test]
    fn a_list_allows_its_names_addresses_and_localhost() {
        let allowed = AllowedHosts::new(["Caas.Example.com".parse().unwrap()]);
        for (host, yes) in [
            ("caas.example.com", true),
            ("CAAS.example.com.:8080", true),
            ("localhost:9104", true),
            ("127.0.0.1:9104", true),
            ("[::1]:9104", true),
            ("evil.example.com", false),
            ("caas.example.com.evil.example", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(allowed.allows(&host.parse().unwrap()), yes, "{host}");
        }
        assert!(AllowedHosts::default().allows(&"evil.example.com".parse().unwrap()), "no list allows all");
    }

    #[test]
    fn a_name_in_the_list_has_neither_scheme_nor_port() {
        for text in ["https://a", "a:80", "a/", "", "[::1]", "*.example.com"] {
            assert_eq!(text.parse::<HostName>(), Err(HostNameError), "{text}");
        }
    }
}
