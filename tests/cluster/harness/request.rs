//! A call to the API server in Kubernetes' words: verb, resource, object. Shared by the proxy, which sees HTTP, and by the
//! audit log. Knows nothing of either.

/// A call. `resource` is written as `kubectl auth can-i` takes it: `secrets`, `caasaccounts.caas-operator.io/status`; a path
/// that names no resource is kept as it is (`/readyz`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for a plain path, the method.
    pub(crate) verb: String,
    /// See the type.
    pub(crate) resource: String,
    /// `namespace/name`, with either side empty where the call names none.
    pub(crate) object: String,
}

impl Request {
    /// Reads a call as the API server does.
    pub(crate) fn from_http(method: &http::Method, uri: &http::Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _version, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => return Self::path(method, uri),
        };
        let (namespace, rest) = match rest {
            // A namespace's own subresources; everything else behind a namespace is an object in it.
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let resource = rest.first().copied().unwrap_or_default();
        let name = rest.get(1).copied().unwrap_or_default();
        let subresource = rest.get(2..).unwrap_or_default().join("/");
        Self {
            verb: verb(method, !name.is_empty(), watches(uri)).to_owned(),
            resource: resource_name(resource, group, &subresource),
            object: format!("{namespace}/{name}"),
        }
    }

    fn path(method: &http::Method, uri: &http::Uri) -> Self {
        let verb = method.as_str().to_lowercase();
        Self { verb, resource: uri.path().to_owned(), object: "/".to_owned() }
    }
}

/// `resource.group/subresource`, without what is empty.
pub(crate) fn resource_name(resource: &str, group: &str, subresource: &str) -> String {
    let mut name = resource.to_owned();
    for (mark, part) in [('.', group), ('/', subresource)] {
        if !part.is_empty() {
            name.push(mark);
            name.push_str(part);
        }
    }
    name
}

fn watches(uri: &http::Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| ["watch=true", "watch=1", "watch"].contains(&pair))
}

fn verb(method: &http::Method, named: bool, watches: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET" | "HEAD", _) if watches => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => "other",
    }
}

#[test]
fn a_path_reads_as_the_api_server_reads_it() {
    let cases = [
        ("GET", "/api/v1/namespaces/a/secrets/s", "get secrets a/s"),
        ("GET", "/api/v1/secrets?limit=5", "list secrets /"),
        (
            "GET",
            "/apis/caas-operator.io/v1alpha1/caasaccounts?limit=5&watch=true",
            "watch caasaccounts.caas-operator.io /",
        ),
        ("PATCH", "/apis/g.io/v1/namespaces/a/things/t/status?force=true", "patch things.g.io/status a/t"),
        ("POST", "/api/v1/namespaces/a/serviceaccounts/s/token", "create serviceaccounts/token a/s"),
        ("POST", "/api/v1/namespaces", "create namespaces /"),
        ("DELETE", "/api/v1/namespaces/a", "delete namespaces /a"),
        ("PUT", "/api/v1/namespaces/a/finalize", "update namespaces/finalize /a"),
        ("DELETE", "/apis/g.io/v1/namespaces/a/things", "deletecollection things.g.io a/"),
        ("GET", "/apis/monitoring.coreos.com/v1", "get /apis/monitoring.coreos.com/v1 /"),
        ("GET", "/readyz?verbose", "get /readyz /"),
    ];
    for (method, uri, expected) in cases {
        let request = Request::from_http(&method.parse().unwrap(), &uri.parse().unwrap());
        assert_eq!(
            format!("{} {} {}", request.verb, request.resource, request.object),
            expected,
            "{method} {uri}"
        );
    }
}
