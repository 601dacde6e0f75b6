//! Obtains the token of an account.

use http::header::HeaderValue;
use secrecy::ExposeSecret;
use url::Url;
use url::form_urlencoded::Serializer;

use super::wire;
use crate::cloud::http::{AccountClient, ApiRequest, RequestBody};
use crate::cloud::{CloudError, Credentials};

/// The most bytes of a login's response: a token and some words around it.
const MAX_LOGIN_BYTES: usize = 64 * 1024;

/// Logs in and returns the `Authorization` header of all further requests. A given token needs no request.
///
/// `LoginRejected` where the cloud refuses the user and password.
pub(super) async fn log_in(
    client: &AccountClient,
    endpoint: &Url,
    credentials: &Credentials,
) -> Result<HeaderValue, CloudError> {
    let (username, password) = match credentials {
        Credentials::Token(token) => return Ok(wire::authorization(token.expose_secret())?),
        Credentials::Password { username, password } => (username, password),
    };
    let form = Serializer::new(String::new())
        .append_pair("username", username)
        .append_pair("password", password.expose_secret())
        .finish();
    let request = ApiRequest::new("login", wire::login_url(endpoint), MAX_LOGIN_BYTES)
        .with_body(RequestBody::Form(form.into()));
    match client.fetch(&request, wire::login).await {
        Err(CloudError::Status(400 | 401 | 403)) => Err(CloudError::LoginRejected),
        answered => answered,
    }
}
