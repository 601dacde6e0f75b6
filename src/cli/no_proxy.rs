//! Whether `NO_PROXY` keeps a URL from a proxy, by the rules of Go's httpproxy, which kubectl and other operators follow.
//!
//! kube has rules of its own, but compares them with the proxy's address and ends at an empty entry.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

/// The value of `NO_PROXY` or, where that is unset or empty, of `no_proxy`.
pub(super) fn variable() -> String {
    let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    value("NO_PROXY").or_else(|| value("no_proxy")).unwrap_or_default()
}

/// Whether a list of hosts, domains, addresses and networks has this URL's host; all but networks may have a port. `*` has every
/// host, and this machine itself is in every list.
pub(super) fn covers(list: &str, url: &Uri) -> bool {
    let Some(host) = url.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    let address = host.parse::<IpAddr>().ok();
    let is_own = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    is_own || list.split(',').any(|entry| has(&entry.trim().to_ascii_lowercase(), &host, address, port))
}

/// Whether one entry has this host.
fn has(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| network.contains(&address));
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        // An IPv6 address without a port.
        Some(_) if entry.parse::<IpAddr>().is_ok() => (entry, None),
        Some((name, wanted)) => (name, Some(wanted)),
        None => (entry, None),
    };
    if wanted.is_some_and(|wanted| wanted.parse() != Ok(port)) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let Some(address) = address {
        return name.parse() == Ok(address);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some("") => false,
        Some(_) => host.ends_with(name),
        None => !name.is_empty() && (host == name || host.ends_with(&format!(".{name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_go_reads_them() {
        for (list, url, covered) in [
            ("", "https://10.0.0.1:6443/", false),
            ("10.0.0.0/8", "https://10.0.0.1:6443/", true),
            ("10.0.0.0/8", "https://11.0.0.1:6443/", false),
            ("10.0.0.1", "https://10.0.0.1:6443/", true),
            ("10.0.0.1:443", "https://10.0.0.1:6443/", false),
            ("10.0.0.1:6443", "https://10.0.0.1:6443/", true),
            ("fd00::/8", "https://[fd00::1]:6443/", true),
            ("fd00::1", "https://[fd00::1]:6443/", true),
            ("[fd00::1]:6443", "https://[fd00::1]:6443/", true),
            ("[fd00::1]:443", "https://[fd00::1]:6443/", false),
            ("example.com", "https://api.example.com/", true),
            ("example.com", "https://example.com/", true),
            ("example.com", "https://badexample.com/", false),
            (".example.com", "https://api.example.com/", true),
            (".example.com", "https://example.com/", false),
            ("*.example.com", "https://api.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("EXAMPLE.com", "https://API.example.com./", true),
            ("example.com:443", "https://api.example.com/", true),
            ("example.com:443", "https://api.example.com:6443/", false),
            ("example.com:word", "https://api.example.com/", false),
            ("other.example, , 10.0.0.0/8,", "https://10.0.0.1/", true),
            (",.", "https://api.example.com/", false),
            ("*", "https://api.example.com/", true),
            ("", "https://127.0.0.1:6443/", true),
            ("", "https://localhost:6443/", true),
        ] {
            assert_eq!(covers(list, &url.parse().unwrap()), covered, "{list} {url}");
        }
    }
}
