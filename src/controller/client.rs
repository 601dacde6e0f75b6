//! The client for the API server: directly or through a proxy, a stalled watch ends at a read timeout, kube retries nothing
//! on its own, and an error keeps the API server's `Retry-After`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use serde_json::json;
use tower::util::MapResponseLayer;
use tower::{BoxError, ServiceBuilder};

use crate::proxy::Proxy;

/// How many seconds one watch lasts before the API server ends it and it resumes at the version it saw last.
pub(super) const WATCH_SECONDS: u32 = 60;

/// How long the client waits for a byte: longer than a watch lasts, so only a stalled watch is cut.
const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// A client with safe settings, which uses the proxy of the configuration whatever `NO_PROXY` says.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    config.read_timeout = Some(READ_TIMEOUT);
    // It would hold an account's reconcile, and hide each 429 from the limit on Secret reads.
    config.default_retry = false;
    if let Some(url) = config.proxy_url.take() {
        let proxy = url.to_string().parse().map_err(|problem| kube::Error::Service(Box::new(problem)))?;
        return through(&proxy, &config);
    }
    Ok(ClientBuilder::try_from(config)?.with_layer(&MapResponseLayer::new(keep_retry_after)).build())
}

/// As kube makes its clients, through a proxy. kube's own way through one applies `NO_PROXY` to the proxy's address.
fn through(proxy: &Proxy, config: &Config) -> Result<Client, kube::Error> {
    // The cluster's authority says nothing of the proxy's certificate; the system's do.
    let to_proxy = || Config::new(config.cluster_url.clone()).rustls_client_config();
    let tunnels = proxy.tunnels(GaiResolver::new(), to_proxy)?;
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tunnels)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(MapResponseLayer::new(keep_retry_after))
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// kube turns an error's body into a `Status` and drops its headers, so the header moves into the body.
fn keep_retry_after<B>(response: Response<B>) -> Response<Either<B, Full<Bytes>>> {
    let code = response.status();
    let seconds =
        response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse::<u32>().ok());
    let limited = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let Some(seconds) = seconds.filter(|_| limited) else { return response.map(Either::Left) };
    let reason = code.canonical_reason().unwrap_or_default();
    let status = json!({
        "status": "Failure", "code": code.as_u16(), "reason": reason.replace(' ', ""),
        "message": format!("{reason}: retry after {seconds} s"), "details": {"retryAfterSeconds": seconds},
    });
    let mut response = response.map(|_| Either::Right(Full::from(status.to_string())));
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// How long the API server asks to wait in this error, if it does.
pub(super) fn retry_after(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use kube::core::Status;

    /// What kube makes of this answer.
    async fn error(code: u16, wait: &'static str, body: &'static str) -> kube::Error {
        let answer = move |_: http::Request<Body>| {
            let answer = Response::builder().status(code).header(RETRY_AFTER, wait);
            std::future::ready(Ok::<_, Infallible>(answer.body(Full::from(body)).unwrap()))
        };
        let service = ServiceBuilder::new()
            .layer(MapResponseLayer::new(keep_retry_after))
            .service(tower::service_fn(answer));
        Client::new(service, "default").apiserver_version().await.unwrap_err()
    }

    fn status(error: &kube::Error) -> &Status {
        let kube::Error::Api(status) = error else { panic!("{error}") };
        status
    }

    #[tokio::test]
    async fn an_error_says_how_long_the_api_server_asks_to_wait() {
        let error = error(429, "7", "Too many requests, please try again later.\n").await;
        assert_eq!((status(&error).code, status(&error).reason.as_str()), (429, "TooManyRequests"));
        assert_eq!(retry_after(&error), Some(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn an_answer_that_names_no_seconds_stays_as_it_is() {
        let body = r#"{"kind":"Status","status":"Failure","message":"later","reason":"x","code":503}"#;
        let error = error(503, "Wed, 21 Oct 2026 07:28:00 GMT", body).await;
        assert_eq!((status(&error).message.as_str(), retry_after(&error)), ("later", None));
    }
}
