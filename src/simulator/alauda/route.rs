//! The routes of the Alauda v1 API. Pure.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::simulator::operation::{Operation, Role};
use crate::simulator::request::Query;

const LOGIN: Operation = Operation { name: "login", counted_as: "login", role: Role::Login };
const PAGE: Operation = Operation { name: "services", counted_as: "services_page", role: Role::Inventory };
const SERVICE: Operation = Operation { name: "services", counted_as: "service", role: Role::Inventory };
const INSTANCES: Operation = Operation { name: "instances", counted_as: "instances", role: Role::Other };
const METRICS: Operation = Operation { name: "metrics", counted_as: "metrics", role: Role::Other };

/// All operations of the API.
pub(super) const OPERATIONS: &[Operation] = &[LOGIN, PAGE, SERVICE, INSTANCES, METRICS];

/// The resource of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
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
    /// Reads a path, with or without a trailing slash.
    pub(super) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix("/v1/") else { return Self::Unknown };
        let parts: Option<Vec<String>> =
            path.strip_suffix('/').unwrap_or(path).split('/').map(percent_decode).collect();
        let parts = parts.unwrap_or_default();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        match words[..] {
            ["generate-api-token"] => Self::Login,
            ["services", namespace] => Self::Services { namespace: namespace.into() },
            ["services", namespace, service] => {
                Self::Service { namespace: namespace.into(), service: without_suffix(service) }
            }
            ["services", namespace, service, "instances"] => {
                Self::Instances { namespace: namespace.into(), service: without_suffix(service) }
            }
            ["services", namespace, service, "instances", uuid] => Self::Instance {
                namespace: namespace.into(),
                service: without_suffix(service),
                uuid: uuid.into(),
            },
            ["services", namespace, service, "instances", uuid, "metrics"] => Self::Metrics {
                namespace: namespace.into(),
                service: without_suffix(service),
                uuid: uuid.into(),
            },
            _ => Self::Unknown,
        }
    }

    /// Whether it takes this method.
    pub(super) fn takes(&self, method: &Method) -> bool {
        match self {
            Self::Login => method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }

    /// The methods that it takes, for the `Allow` header.
    pub(super) fn allow(&self) -> &'static str {
        if *self == Self::Login { "POST" } else { "GET, HEAD" }
    }

    /// Its operation; `None` for what is not part of the API.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self {
            Self::Login => Some(LOGIN),
            Self::Services { .. } => Some(PAGE),
            Self::Service { .. } => Some(SERVICE),
            Self::Instances { .. } | Self::Instance { .. } => Some(INSTANCES),
            Self::Metrics { .. } => Some(METRICS),
            Self::Unknown => None,
        }
    }

    /// The service that it names.
    pub(super) fn service(&self) -> Option<&str> {
        match self {
            Self::Service { service, .. }
            | Self::Instances { service, .. }
            | Self::Instance { service, .. }
            | Self::Metrics { service, .. } => Some(service),
            Self::Login | Self::Services { .. } | Self::Unknown => None,
        }
    }
}

/// The name of a service without what a fault appended to it, which begins with a newline.
fn without_suffix(name: &str) -> String {
    name.split('\n').next().unwrap_or_default().to_owned()
}

/// Undoes percent-encoding; `None` where the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// Reads a query. The official client appends `?application=NAME` to a query that has begun already, so a
/// second `?` is read as `&`.
pub(super) fn query(query: Option<&str>) -> Query {
    Query::parse(query.unwrap_or_default().replace('?', "&").as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_path_is_read_with_and_without_a_trailing_slash() {
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
    fn the_official_clients_second_question_mark_separates_parameters() {
        let query = query(Some("page=2?application=shop&empty="));
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
