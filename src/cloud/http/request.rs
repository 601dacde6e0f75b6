//! One request to a cloud's API, as a provider describes it. Knows nothing of retries, limits or answers.

use std::fmt;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request};
use url::Url;

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

    /// The same as the HTTP client takes it.
    pub(super) fn to_http(&self) -> Request {
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::new(method, self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        if let Some(body) = &self.body {
            let (content_type, bytes) = match body {
                RequestBody::Form(bytes) => ("application/x-www-form-urlencoded", bytes),
                RequestBody::Json(bytes) => ("application/json", bytes),
            };
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            *request.body_mut() = Some(bytes.clone().into());
        }
        request
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
    use reqwest::header::{AUTHORIZATION, HeaderName};

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

    #[test]
    fn a_body_makes_it_a_post_of_its_type_and_headers_go_along() {
        let mut get = request();
        let token = HeaderName::from_static("project-access-token");
        get.headers.insert(token.clone(), HeaderValue::from_static("given"));
        let sent = get.to_http();
        assert_eq!((sent.method(), sent.body().is_none()), (&Method::GET, true));
        assert_eq!(sent.headers()[&token], "given");

        for (body, content_type) in [
            (RequestBody::Form(Bytes::from_static(b"a=1")), "application/x-www-form-urlencoded"),
            (RequestBody::Json(Bytes::from_static(b"{}")), "application/json"),
        ] {
            let sent = get.clone().with_body(body).to_http();
            assert_eq!(
                (sent.method(), &sent.headers()[CONTENT_TYPE]),
                (&Method::POST, &HeaderValue::from_static(content_type))
            );
            assert_eq!(sent.headers()[&token], "given");
        }
    }
}
