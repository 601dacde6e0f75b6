//! Which endpoints and addresses requests may go to. Pure: resolves nothing and sends nothing.
//!
//! The author of a `CaasAccount` chooses its endpoint, and the operator runs inside the cluster's network. Without this
//! guard an account could direct it at metadata services and at everything else that is private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::cloud::error::Refusal;
use crate::proxy::Proxy;
use crate::schema::address::is_unambiguous;

/// What the administrator allows.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Prefixes of allowed endpoints; empty allows all.
    pub allow_endpoints: Vec<Prefix>,
    /// Networks that are allowed although they are private, local or reserved.
    pub allow_cidrs: Vec<IpNet>,
    /// Whether plain http is allowed.
    pub allow_http: bool,
    /// The proxy through which all clouds are reached; none: directly. It resolves names, so their addresses are its to judge.
    pub proxy: Option<Proxy>,
}

/// A prefix of allowed URLs: an origin and whole path segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Url);

impl FromStr for Prefix {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let url = Url::parse(text).map_err(|_| Refusal::NotAnEndpoint)?;
        check_plain(&url)?;
        if is_unambiguous(url.path()) { Ok(Self(url)) } else { Err(Refusal::AmbiguousPath) }
    }
}

impl Prefix {
    /// Whether the URL has the same origin and its path starts with the same segments.
    pub fn covers(&self, url: &Url) -> bool {
        let wanted = segments(&self.0);
        let given = segments(url);
        self.0.origin() == url.origin() && given.len() >= wanted.len() && given[..wanted.len()] == wanted
    }
}

/// A path's segments, without the empty one after a trailing slash.
fn segments(url: &Url) -> Vec<&str> {
    let mut segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    segments.pop_if(|last| last.is_empty());
    segments
}

/// Refuses all but http(s) URLs with a host and without user, query and fragment.
fn check_plain(url: &Url) -> Result<(), Refusal> {
    let is_bare = url.query().is_none() && url.fragment().is_none();
    if is_bare && is_http(url) { Ok(()) } else { Err(Refusal::NotAnEndpoint) }
}

fn is_http(url: &Url) -> bool {
    let has_no_user = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && has_no_user
}

impl Policy {
    /// Whether an account may use this endpoint. A host that is a name is checked when it is resolved, unless a proxy does that.
    pub fn check_endpoint(&self, url: &Url) -> Result<(), Refusal> {
        check_plain(url)?;
        self.check_request(url)
    }

    /// Whether a request may go to this URL. It may have a query, which an endpoint may not.
    ///
    /// A host that is an address never reaches the resolver, so it is checked here, before each request.
    pub fn check_request(&self, url: &Url) -> Result<(), Refusal> {
        if !is_http(url) {
            return Err(Refusal::NotAnEndpoint);
        }
        // Before the prefixes, which compare the segments as they are written.
        if !is_unambiguous(url.path()) {
            return Err(Refusal::AmbiguousPath);
        }
        if url.scheme() == "http" && !self.allow_http {
            return Err(Refusal::NotHttps);
        }
        if !self.allow_endpoints.is_empty() && !self.allow_endpoints.iter().any(|prefix| prefix.covers(url)) {
            return Err(Refusal::NotAllowed);
        }
        // `Url` has already turned decimal, octal, hexadecimal and short forms into addresses.
        match url.host() {
            Some(Host::Ipv4(address)) if !self.allows(address.into()) => Err(Refusal::PrivateAddress),
            Some(Host::Ipv6(address)) if !self.allows(address.into()) => Err(Refusal::PrivateAddress),
            // The one name that is an address wherever it is resolved (RFC 6761): the proxy's own machine.
            Some(Host::Domain(name))
                if self.proxy.is_some() && is_localhost(name) && !self.allows(Ipv4Addr::LOCALHOST.into()) =>
            {
                Err(Refusal::PrivateAddress)
            }
            _ => Ok(()),
        }
    }

    /// Whether this address may be dialled: it is public or in an allowed network.
    pub fn allows(&self, address: IpAddr) -> bool {
        if self.lists(address) {
            return true;
        }
        match address {
            IpAddr::V4(v4) => is_public_v4(v4),
            IpAddr::V6(v6) => match Embedding::of(v6) {
                Some(Embedding::Transparent(v4)) => self.lists(v4.into()) || is_public_v4(v4),
                Some(Embedding::Obsolete(v4)) => self.lists(v4.into()),
                None => is_public_v6(v6),
            },
        }
    }

    fn lists(&self, address: IpAddr) -> bool {
        self.allow_cidrs.iter().any(|network| network.contains(&address))
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// An IPv6 address that embeds an IPv4 address.
enum Embedding {
    /// `::ffff:a.b.c.d` and NAT64's `64:ff9b::a.b.c.d`: as public as the embedded address.
    Transparent(Ipv4Addr),
    /// `::a.b.c.d` and 6to4's `2002:abcd::`, deprecated long ago: no cloud has such an address.
    Obsolete(Ipv4Addr),
}

impl Embedding {
    fn of(address: Ipv6Addr) -> Option<Self> {
        let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
        match address.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Some(Self::Transparent(v4(high, low)))
            }
            [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(Self::Obsolete(v4(high, low))),
            _ => None,
        }
    }
}

/// IPv4 networks that are not public: IANA's special-purpose registry, multicast, the reserved rest, and the public
/// address at which Azure serves its virtual machines' metadata.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within =
        |&(network, bits): &(Ipv4Addr, u32)| (u32::from(address) ^ u32::from(network)) >> (32 - bits) == 0;
    !NOT_PUBLIC_V4.iter().any(within)
}

/// Only `2000::/3` is allocated to the public (RFC 4291), except protocol assignments with Teredo, benchmarking and
/// ORCHID (`2001::/23`), documentation (`2001:db8::/32`, `3fff::/20`) and 6to4 (`2002::/16`).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_allocated = first & 0xe000 == 0x2000;
    let is_protocol = first == 0x2001 && second < 0x200;
    let is_documentation = (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
    is_allocated && !is_protocol && !is_documentation && first != 0x2002
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
