//! Which part of the Alauda v1 API a path and query ask for. Pure.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::simulator::counts::Counted;
use crate::simulator::faults::Operation;

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulator) enum Route {
    /// `generate-api-token/`
    Login,
    /// `services/{namespace}/`
    Services { namespace: String },
    /// `services/{namespace}/{service}`
    Service { namespace: String, service: String },
    /// `services/{namespace}/{service}/instances/`
    Instances { namespace: String, service: String },
    /// `services/{namespace}/{service}/instances/{uuid}`
    Instance { namespace: String, service: String, uuid: String },
    /// `services/{namespace}/{service}/instances/{uuid}/metrics`
    Metrics { namespace: String, service: String, uuid: String },
    /// Anything else.
    Unknown,
}

impl Route {
    /// Reads a path, with or without a slash at its end.
    pub(in crate::simulator) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix("/v1/") else { return Self::Unknown };
        let parts: Option<Vec<String>> =
            path.strip_suffix('/').unwrap_or(path).split('/').map(percent_decode).collect();
        let parts = parts.unwrap_or_default();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        match words[..] {
            ["generate-api-token"] => Self::Login,
            ["services", namespace] => Self::Services { namespace: namespace.into() },
            ["services", namespace, service] => {
                Self::Service { namespace: namespace.into(), service: plain(service) }
            }
            ["services", namespace, service, "instances"] => {
                Self::Instances { namespace: namespace.into(), service: plain(service) }
            }
            ["services", namespace, service, "instances", uuid] => {
                Self::Instance { namespace: namespace.into(), service: plain(service), uuid: uuid.into() }
            }
            ["services", namespace, service, "instances", uuid, "metrics"] => {
                Self::Metrics { namespace: namespace.into(), service: plain(service), uuid: uuid.into() }
            }
            _ => Self::Unknown,
        }
    }

    /// The only method that it takes.
    pub(in crate::simulator) fn takes(&self, method: &Method) -> bool {
        match self {
            Self::Login => method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }

    /// The methods that it takes, as the `Allow` header says it.
    pub(in crate::simulator) fn allow(&self) -> &'static str {
        if *self == Self::Login { "POST" } else { "GET, HEAD" }
    }

    /// How faults know it; `None` for what is no part of the API.
    pub(in crate::simulator) fn operation(&self) -> Option<Operation> {
        match self {
            Self::Login => Some(Operation::Login),
            Self::Services { .. } | Self::Service { .. } => Some(Operation::Services),
            Self::Instances { .. } | Self::Instance { .. } => Some(Operation::Instances),
            Self::Metrics { .. } => Some(Operation::Metrics),
            Self::Unknown => None,
        }
    }

    /// How it is counted.
    pub(in crate::simulator) fn counted(&self) -> Counted {
        match self {
            Self::Login => Counted::Login,
            Self::Services { .. } => Counted::ServicesPage,
            Self::Service { .. } => Counted::Service,
            Self::Instances { .. } | Self::Instance { .. } => Counted::Instances,
            Self::Metrics { .. } => Counted::Metrics,
            Self::Unknown => Counted::Other,
        }
    }

    /// The service that it names.
    pub(in crate::simulator) fn service(&self) -> Option<&str> {
        match self {
            Self::Service { service, .. }
            | Self::Instances { service, .. }
            | Self::Instance { service, .. }
            | Self::Metrics { service, .. } => Some(service),
            Self::Login | Self::Services { .. } | Self::Unknown => None,
        }
    }
}

/// A service's own name, where a fault made it longer: all that comes after a newline was added.
fn plain(name: &str) -> String {
    name.split('\n').next().unwrap_or_default().to_owned()
}

/// Undoes percent-encoding; `None` where the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub(in crate::simulator) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query. The official client appends `?application=NAME` to one that has begun already, so a
    /// second `?` counts as `&`.
    pub(in crate::simulator) fn of(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().replace('?', "&");
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Reads a form, which is written like a query.
    pub(in crate::simulator) fn form(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The parameter of this name, unless it is empty.
    pub(in crate::simulator) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_path_is_read_with_and_without_a_slash_at_its_end() {
        let (namespace, service, uuid) = ("acme".to_owned(), "web frontend".to_owned(), "92d0".to_owned());
        for (path, route) in [
            ("generate-api-token", Route::Login),
            ("services/acme", Route::Services { namespace: namespace.clone() }),
            (
                "services/acme/web%20frontend",
                Route::Service { namespace: namespace.clone(), service: service.clone() },
            ),
            (
                "services/acme/web%20frontend/instances",
                Route::Instances { namespace: namespace.clone(), service: service.clone() },
            ),
            (
                "services/acme/web%20frontend/instances/92d0",
                Route::Instance {
                    namespace: namespace.clone(),
                    service: service.clone(),
                    uuid: uuid.clone(),
                },
            ),
            (
                "services/acme/web%20frontend/instances/92d0/metrics",
                Route::Metrics { namespace, service, uuid },
            ),
            ("orgs", Route::Unknown),
            ("services/acme/kibana/logs", Route::Unknown),
        ] {
            assert_eq!(Route::of(&format!("/v1/{path}")), route);
            assert_eq!(Route::of(&format!("/v1/{path}/")), route);
        }
        assert_eq!(Route::of("/services/acme/"), Route::Unknown);
        assert_eq!(Route::of("/v1/services/%ff/"), Route::Unknown);
    }

    #[test]
    fn a_query_of_the_official_client_is_read_in_spite_of_its_second_question_mark() {
        let query = Query::of(Some("page=2?application=shop&empty="));
        assert_eq!((query.get("page"), query.get("application")), (Some("2"), Some("shop")));
        assert_eq!(query.get("empty"), None);
    }

    proptest! {
        #[test]
        fn no_path_makes_the_reader_panic(path in "[/%a-f0-9v1é]{0,40}") {
            let _ = Route::of(&path);
            let _ = Route::of(&format!("/v1/services/{path}"));
        }
    }
}
