//! The login server: which grants give a token, and which tokens are valid. Knows no application.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::options::CloudFoundry;
use super::problem::Problem;
use crate::simulator::accounts::Accounts;
use crate::simulator::numbers::floor;
use crate::simulator::request::{ApiRequest, Query};
use crate::simulator::response::ApiResponse;

/// Ends a refresh token; an access token ends with the second at which it expires.
const REFRESH: &str = "r";

/// Gives out tokens.
pub(super) struct Uaa<'a> {
    pub(super) options: &'a CloudFoundry,
    pub(super) accounts: &'a Accounts,
}

impl Uaa<'_> {
    /// The response to a request for a token.
    pub(super) fn log_in(&self, request: &ApiRequest<'_>, now: f64) -> Result<ApiResponse, Problem> {
        let form = Query::parse(request.body);
        let field = |name: &str| form.get(name).ok_or(Problem::LoginForm);
        let basic = basic(request.headers);
        match field("grant_type")? {
            "password" => {
                check_public_client(basic.as_ref(), &form)?;
                let origin = form.get("login_hint").map(serde_json::from_str::<serde_json::Value>);
                let origin = origin.transpose().map_err(|_| Problem::LoginForm)?;
                let origin = origin.as_ref().and_then(|hint| hint["origin"].as_str());
                if self.options.origin.as_deref().is_some_and(|wanted| origin != Some(wanted)) {
                    return Err(Problem::Credentials);
                }
                let token = self.accounts.sessions.log_in(field("username")?, field("password")?, None);
                Ok(self.tokens(&token.ok_or(Problem::Credentials)?, !self.options.no_refresh_token, now))
            }
            "client_credentials" => {
                let (id, secret) = match basic {
                    Some(pair) => pair,
                    None => (field("client_id")?.to_owned(), field("client_secret")?.to_owned()),
                };
                let token = self.accounts.sessions.log_in(&id, &secret, None).ok_or(Problem::Credentials)?;
                Ok(self.tokens(&token, false, now))
            }
            "refresh_token" => {
                check_public_client(basic.as_ref(), &form)?;
                let (session, kind) =
                    field("refresh_token")?.rsplit_once('.').ok_or(Problem::RefreshToken)?;
                let is_valid = kind == REFRESH && self.accounts.sessions.by_token(session).is_some();
                if is_valid { Ok(self.tokens(session, true, now)) } else { Err(Problem::RefreshToken) }
            }
            _ => Err(Problem::LoginForm),
        }
    }

    /// The index of the account whose access token the request carries.
    pub(super) fn authenticate(&self, headers: &HeaderMap, now: f64) -> Result<usize, Problem> {
        let header =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(Problem::NoToken)?;
        let (scheme, token) = header.split_once(' ').ok_or(Problem::BadToken)?;
        let (session, end) = token.rsplit_once('.').ok_or(Problem::BadToken)?;
        let is_current = end.parse::<i64>().is_ok_and(|end| now < end as f64);
        if !scheme.eq_ignore_ascii_case("bearer") || !is_current {
            return Err(Problem::BadToken);
        }
        self.accounts.sessions.by_token(session).ok_or(Problem::BadToken)
    }

    fn tokens(&self, session: &str, with_refresh: bool, now: f64) -> ApiResponse {
        let life = self.options.token_life;
        let end = floor(now) + i64::try_from(life).unwrap_or(i64::MAX / 2);
        let mut body = json!({
            "access_token": format!("{session}.{end}"),
            "token_type": "bearer",
            "expires_in": life,
            "scope": "cloud_controller.read openid",
            "jti": &session[..16.min(session.len())],
        });
        if with_refresh {
            body["refresh_token"] = json!(format!("{session}.{REFRESH}"));
        }
        ApiResponse::json(StatusCode::OK, &body)
    }
}

/// Users log in by the client `cf`, whose secret is empty.
fn check_public_client(basic: Option<&(String, String)>, form: &Query) -> Result<(), Problem> {
    let by_header = basic.is_some_and(|(id, secret)| id == "cf" && secret.is_empty());
    let by_form =
        basic.is_none() && form.get("client_id") == Some("cf") && form.get("client_secret").is_none();
    if by_header || by_form { Ok(()) } else { Err(Problem::Credentials) }
}

/// The name and password of an `Authorization: Basic` header.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
