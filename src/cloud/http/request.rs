//! One request to a cloud's API, as a provider describes it. Knows nothing of retries, limits or answers.

use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Body, Method, Request};
use url::{Position, Url};

use crate::cloud::error::Refusal;

const USER_AGENT_VALUE: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// One request: a GET, or with a body a POST. `Debug` shows neither headers nor body, since both may hold credentials.
#[derive(Clone)]
pub struct ApiRequest {
    /// The operation's name in metrics: `login`, `services`…
    pub operation: &'static str,
    /// The URL, with its query. Its host may be any that the administrator's policy allows.
    pub url: Url,
    /// Headers besides those of every request, such as `Authorization`. Mark credentials as sensitive.
    pub headers: HeaderMap,
    /// The body that makes it a POST.
    pub body: Option<RequestBody>,
    /// The most bytes to take of the answer, decompressed.
    pub max_bytes: usize,
}

/// What a POST sends.
#[derive(Clone)]
pub enum RequestBody {
    /// An `application/x-www-form-urlencoded` form, already encoded.
    Form(Bytes),
    /// A JSON text.
    Json(Bytes),
}

impl ApiRequest {
    /// A GET without headers of its own.
    pub fn new(operation: &'static str, url: Url, max_bytes: usize) -> Self {
        Self { operation, url, headers: HeaderMap::new(), body: None, max_bytes }
    }

    /// The request as a POST of this body.
    #[must_use]
    pub fn with_body(self, body: RequestBody) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The same as a connection sends it: `reqwest` makes the request, and the path alone is its target.
    pub(super) fn to_http(&self) -> Result<http::Request<Body>, Refusal> {
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::new(method, self.url.clone());
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| Refusal::NotAnEndpoint)?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.extend(self.headers.clone());
        if let Some(body) = &self.body {
            let (content_type, bytes) = match body {
                RequestBody::Form(bytes) => ("application/x-www-form-urlencoded", bytes),
                RequestBody::Json(bytes) => ("application/json", bytes),
            };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            *request.body_mut() = Some(bytes.clone().into());
        }
        let mut request = http::Request::<Body>::try_from(request).map_err(|_| Refusal::NotAnEndpoint)?;
        let target = &self.url[Position::BeforePath..Position::AfterQuery];
        *request.uri_mut() = target.parse().map_err(|_| Refusal::NotAnEndpoint)?;
        Ok(request)
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, url, headers: _, body: _, max_bytes } = self;
        formatter
            .debug_struct("ApiRequest")
            .field("operation", operation)
            .field("url", &url.as_str())
            .field("max_bytes", max_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, HeaderName};
    use http_body_util::BodyExt;

    use super::*;

    fn request() -> ApiRequest {
        ApiRequest::new("login", "https://caas.example.com/v1/".parse().unwrap(), 1)
    }

    #[test]
    fn a_request_shows_neither_its_headers_nor_its_body() {
        for body in [RequestBody::Form, RequestBody::Json] {
            let mut request = request().with_body(body(Bytes::from_static(b"password=canary")));
            request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Token canary"));
            let shown = format!("{request:?}");
            assert!(shown.contains("caas.example.com") && !shown.contains("canary"), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_body_makes_it_a_post_of_its_type_and_headers_go_along() {
        let mut get = request();
        let token = HeaderName::from_static("project-access-token");
        get.headers.insert(token.clone(), HeaderValue::from_static("given"));
        let sent = get.to_http().unwrap();
        assert_eq!(
            (sent.method(), &sent.headers()[&token]),
            (&Method::GET, &HeaderValue::from_static("given"))
        );

        for (body, content_type) in [
            (RequestBody::Form(Bytes::from_static(b"a=1")), "application/x-www-form-urlencoded"),
            (RequestBody::Json(Bytes::from_static(b"{}")), "application/json"),
        ] {
            let sent = get.clone().with_body(body.clone()).to_http().unwrap();
            assert_eq!(
                (sent.method(), &sent.headers()[CONTENT_TYPE], &sent.headers()[&token]),
                (&Method::POST, &HeaderValue::from_static(content_type), &HeaderValue::from_static("given"))
            );
            let (RequestBody::Form(bytes) | RequestBody::Json(bytes)) = body;
            assert_eq!(sent.into_body().collect().await.unwrap().to_bytes(), bytes);
        }
    }

    #[test]
    fn a_request_names_its_host_and_its_path_with_the_query() {
        for (url, host, target) in [
            ("https://caas.example.com/v1/?a=%26b", "caas.example.com", "/v1/?a=%26b"),
            ("https://caas.example.com:443/", "caas.example.com", "/"),
            ("http://caas.example.com:8443/x#f", "caas.example.com:8443", "/x"),
            ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", "/"),
        ] {
            let sent = ApiRequest::new("login", url.parse().unwrap(), 1).to_http().unwrap();
            assert_eq!(
                (sent.headers()[HOST].to_str().unwrap(), sent.uri().to_string().as_str()),
                (host, target)
            );
        }
    }
}
