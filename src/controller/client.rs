//! The client for the API server: a watch that stalls is noticed, nothing is repeated behind our back, and how long
//! the API server asks to wait is known to whoever asked.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Body;
use kube::client::ClientBuilder;
use kube::core::Status;
use kube::core::response::StatusDetails;
use kube::{Client, Config};
use tower::BoxError;
use tower::util::AndThen;

use super::context::READ_TIMEOUT;

/// A client with safe settings.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    config.read_timeout = Some(READ_TIMEOUT);
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.with_layer(&AndThen::<(), _>::layer(with_wait)).build())
}

/// Copies the header `Retry-After` into the answer's `Status`, since the client passes only that on.
async fn with_wait<B>(response: Response<B>) -> Result<Response<Either<B, Full<Bytes>>>, BoxError>
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    let limited =
        matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let Some(seconds) = wait(response.headers()).filter(|_| limited) else {
        return Ok(response.map(Either::Left));
    };
    let (mut head, body) = response.into_parts();
    let told = body.collect().await?.to_bytes();
    let mut status = serde_json::from_slice::<Status>(&told).unwrap_or_else(|_| {
        // What refuses before a request is looked at answers in plain text.
        let reason = head.status.canonical_reason().unwrap_or_default();
        Status::failure(String::from_utf8_lossy(&told).trim(), reason).with_code(head.status.as_u16())
    });
    let nothing = || StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    };
    status.details.get_or_insert_with(nothing).retry_after_seconds = seconds;
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, Either::Right(Full::from(serde_json::to_vec(&status)?))))
}

/// Whole seconds, as the API server writes them.
fn wait(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// How long an error of the API server asks to wait, if it does.
pub(super) fn asked_to_wait(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seen(code: u16, retry_after: &str, body: &str) -> Status {
        let answer = Response::builder()
            .status(code)
            .header(RETRY_AFTER, retry_after)
            .body(Full::from(body.to_owned()).map_err(|never| match never {}))
            .unwrap();
        let body = with_wait(answer).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn how_long_to_wait_is_told_with_the_api_servers_own_words() {
        let status = seen(429, "7", "Too many requests, please try again later.\n").await;
        assert_eq!(
            (status.code, status.message.as_str()),
            (429, "Too many requests, please try again later.")
        );
        assert_eq!(asked_to_wait(&kube::Error::Api(status.boxed())), Some(Duration::from_secs(7)));

        let body = r#"{"kind":"Status","status":"Failure","message":"later","reason":"ServiceUnavailable","code":503}"#;
        let status = seen(503, "3", body).await;
        assert_eq!((status.message.as_str(), status.reason.as_str()), ("later", "ServiceUnavailable"));
        assert_eq!(asked_to_wait(&kube::Error::Api(status.boxed())), Some(Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn an_answer_that_names_no_seconds_stays_as_it_is() {
        let body = r#"{"kind":"Status","status":"Failure","message":"later","reason":"x","code":503}"#;
        let status = seen(503, "Wed, 21 Oct 2026 07:28:00 GMT", body).await;
        assert_eq!(asked_to_wait(&kube::Error::Api(status.boxed())), None);
    }
}
