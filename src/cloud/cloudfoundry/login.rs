//! Finds the login server of an installation and obtains tokens from it.
//!
//! The root of the API names the login server, which has another host. A server that responds for the API would thereby decide
//! where a password goes, so that host must be below the API's own domain, or be named in the settings.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::form_urlencoded::Serializer;
use url::{Host, Url};

use super::credentials::{CloudFoundryCredentials, Grant};
use super::target::Settings;
use super::wire::{self, TokenResponse};
use crate::cloud::CloudError;
use crate::cloud::error::{AnswerProblem, Refusal};
use crate::cloud::http::{AccountClient, ApiRequest, RequestBody};
use crate::cloud::kit::path::below;
use crate::cloud::kit::session;

/// The most bytes of the API's root, which is a list of links.
const MAX_ROOT_BYTES: usize = 256 << 10;
/// The most bytes of a token's response.
const MAX_TOKEN_BYTES: usize = 128 << 10;
/// The longest access token. It is signed JSON that lists the user's rights: 2 KiB are usual.
const LONGEST_ACCESS_TOKEN: usize = 16 << 10;
/// A token is replaced this long before its end, or after half of its life if that is later.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(60);
/// `Basic` of the client `cf` with an empty secret: the public client of every installation, by which users log in.
const PUBLIC_CLIENT: HeaderValue = HeaderValue::from_static("Basic Y2Y6");

/// An access token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// The `Authorization` header of a request, marked sensitive.
    pub(super) header: HeaderValue,
    /// When to replace it; `None` where the server names no end.
    renew_at: Option<Instant>,
}

impl Token {
    /// Whether it is good for some time yet.
    pub(super) fn is_current(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

/// What is known of the login server between two logins.
#[derive(Debug, Default)]
pub(super) struct LoginServer {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The login server that the API named.
    url: Option<Url>,
    /// By which the next token is obtained without a password.
    refresh_token: Option<SecretString>,
}

impl LoginServer {
    /// Obtains a token: with the refresh token of the last login where there is one, else with the credentials.
    ///
    /// `LoginRejected` where the server refuses the credentials, `EndpointRefused` where they must not be sent to it.
    pub(super) async fn log_in(
        &self,
        client: &AccountClient,
        settings: &Settings,
        credentials: &CloudFoundryCredentials,
    ) -> Result<Token, CloudError> {
        let server = self.find(client, settings).await?;
        let refresh_token = self.known().refresh_token.take();
        if let Some(refresh_token) = refresh_token {
            match self.request(client, &server, &refresh_form(&refresh_token), Grant::Password).await {
                // It has expired or was revoked.
                Err(CloudError::LoginRejected) => {}
                answered => return answered,
            }
        }
        let form = form(credentials, settings.login_origin.as_deref());
        let answered = self.request(client, &server, &form, credentials.grant).await;
        if !matches!(answered, Ok(_) | Err(CloudError::LoginRejected | CloudError::RateLimited { .. })) {
            // The server may have moved: the next login asks the API again.
            self.known().url = None;
        }
        answered
    }

    /// The login server: the one of the settings, else the one that the API names, once it is checked.
    async fn find(&self, client: &AccountClient, settings: &Settings) -> Result<Url, CloudError> {
        let named = settings.login_endpoint.clone().or_else(|| self.known().url.clone());
        let server = if let Some(url) = named {
            url
        } else {
            let request = ApiRequest::new("root", settings.endpoint.clone(), MAX_ROOT_BYTES);
            let url = client.fetch(&request, wire::login_server).await?;
            if !may_log_in_at(&settings.endpoint, &url) {
                return Err(Refusal::ForeignLogin.into());
            }
            self.known().url = Some(url.clone());
            url
        };
        client.policy().check_endpoint(&server)?;
        Ok(server)
    }

    async fn request(
        &self,
        client: &AccountClient,
        server: &Url,
        form: &SecretString,
        grant: Grant,
    ) -> Result<Token, CloudError> {
        let url = below(server, "oauth/token");
        let form = form.expose_secret().to_owned();
        let mut request =
            ApiRequest::new("login", url, MAX_TOKEN_BYTES).with_body(RequestBody::Form(form.into()));
        if grant == Grant::Password {
            request.headers.insert(AUTHORIZATION, PUBLIC_CLIENT);
        }
        let sent = Instant::now();
        let response = match client.fetch(&request, wire::token).await {
            Err(CloudError::Status(400 | 401 | 403)) => return Err(CloudError::LoginRejected),
            answered => answered?,
        };
        let TokenResponse { access_token, refresh_token, expires_in } = response;
        self.known().refresh_token = refresh_token;
        Ok(Token {
            header: authorization(&access_token)?,
            renew_at: expires_in.map(|life| sent + life.saturating_sub(RENEWED_BEFORE_END).max(life / 2)),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The form by which a token is obtained with the credentials.
fn form(credentials: &CloudFoundryCredentials, origin: Option<&str>) -> SecretString {
    let CloudFoundryCredentials { grant, name, secret } = credentials;
    let secret = secret.expose_secret();
    let mut form = Serializer::new(String::new());
    match grant {
        Grant::Password => {
            form.append_pair("grant_type", "password")
                .append_pair("username", name)
                .append_pair("password", secret);
            if let Some(origin) = origin {
                form.append_pair("login_hint", &serde_json::json!({ "origin": origin }).to_string());
            }
        }
        // In the form and not as `Basic`, since servers differ in whether that is percent-encoded.
        Grant::ClientCredentials => {
            form.append_pair("grant_type", "client_credentials")
                .append_pair("client_id", name)
                .append_pair("client_secret", secret);
        }
    }
    form.finish().into()
}

fn refresh_form(refresh_token: &SecretString) -> SecretString {
    Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token.expose_secret())
        .finish()
        .into()
}

fn authorization(token: &SecretString) -> Result<HeaderValue, AnswerProblem> {
    session::token_header(Some("bearer"), token.expose_secret(), LONGEST_ACCESS_TOKEN)
}

/// Whether credentials for the API may go to a login server that the API names: at the API's own origin, or at a host below
/// its domain, which is what follows `api.` in its host. An API behind https names no server without it.
pub(super) fn may_log_in_at(api: &Url, server: &Url) -> bool {
    if api.origin() == server.origin() {
        return true;
    }
    let (Some(Host::Domain(api_host)), Some(Host::Domain(host))) = (api.host(), server.host()) else {
        return false;
    };
    // A domain of one label would be a top-level domain, which anybody may have a name below.
    let domain = api_host.strip_prefix("api.").filter(|domain| domain.trim_end_matches('.').contains('.'));
    let is_below = domain.is_some_and(|domain| host.ends_with(&format!(".{domain}")));
    is_below && (server.scheme() == "https" || server.scheme() == api.scheme())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_the_apis_origin_and_below_its_domain_only() {
        let may = |api: &str, server: &str| may_log_in_at(&api.parse().unwrap(), &server.parse().unwrap());
        for (api, server) in [
            ("https://api.sys.example.com/", "https://login.sys.example.com"),
            ("https://api.sys.example.com/", "https://LOGIN.sys.example.com:8443"),
            ("https://api.sys.example.com/", "https://uaa.login.sys.example.com"),
            ("https://api.example.com/", "https://login.example.com"),
            ("https://cf.internal/", "https://cf.internal/uaa"),
            ("http://127.0.0.1:8500/", "http://127.0.0.1:8500"),
            ("http://api.sys.example.com/", "http://login.sys.example.com"),
        ] {
            assert!(may(api, server), "{api} {server}");
        }
        for (api, server) in [
            ("https://api.sys.example.com/", "https://login.example.com"),
            ("https://api.sys.example.com/", "https://sys.example.com"),
            ("https://api.sys.example.com/", "https://evilsys.example.com"),
            ("https://api.sys.example.com/", "https://login.sys.example.com.evil.example"),
            ("https://api.sys.example.com/", "http://login.sys.example.com"),
            ("https://api.sys.example.com/", "https://169.254.169.254"),
            ("https://api.com/", "https://login.com"),
            ("https://cf-api.example.com/", "https://login.example.com"),
            ("https://mine.co.uk/", "https://theirs.co.uk"),
            ("http://127.0.0.1:8500/", "http://127.0.0.1:8501"),
            ("http://127.0.0.1:8500/", "http://[::1]:8500"),
        ] {
            assert!(!may(api, server), "{api} {server}");
        }
    }

    #[test]
    fn a_login_sends_what_its_grant_needs() {
        let of = |grant, origin| {
            let (name, secret) = ("ops".to_owned(), "p&ss wörd".to_owned().into());
            form(&CloudFoundryCredentials { grant, name, secret }, origin).expose_secret().to_owned()
        };
        assert_eq!(of(Grant::Password, None), "grant_type=password&username=ops&password=p%26ss+w%C3%B6rd");
        assert!(of(Grant::Password, Some("corp")).ends_with("&login_hint=%7B%22origin%22%3A%22corp%22%7D"));
        assert_eq!(
            of(Grant::ClientCredentials, Some("corp")),
            "grant_type=client_credentials&client_id=ops&client_secret=p%26ss+w%C3%B6rd"
        );
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused() {
        for token in ["", "a\nb", &"x".repeat(LONGEST_ACCESS_TOKEN + 1)] {
            assert_eq!(authorization(&token.to_owned().into()).unwrap_err(), AnswerProblem::Shape);
        }
        let header = authorization(&"x".repeat(5_000).into()).unwrap();
        assert!(header.is_sensitive());
    }
}
