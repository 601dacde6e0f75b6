//! Logins: where credentials go, how tokens are renewed, and silence after a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caas_operator::cloud::cloudfoundry::{
    self, CloudFoundryAccount, CloudFoundryCredentials, Grant, Settings,
};
use caas_operator::cloud::error::Refusal;
use caas_operator::cloud::http::{Http, Policy};
use caas_operator::cloud::provider::ProviderAccount;
use caas_operator::cloud::{CloudError, Collection};
use caas_operator::simulator::CloudFoundry;

use super::{Account, Installation, settings};
use crate::support::{ClientAccount, Fake, Reply, json, lenient, limited, limits, status};

fn is_complete(collected: &Result<Collection, CloudError>) -> bool {
    collected.as_ref().is_ok_and(|collection| collection.failures() == (0, None))
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_without_the_password() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    assert!(is_complete(&account.collect().await));
    // Only a refresh token can log in from here on.
    installation.cloud.set_credentials("acme", "another");
    for (seconds, logins) in [(530, 1), (20, 2), (530, 2), (20, 3)] {
        installation.advance(seconds).await;
        assert!(is_complete(&account.collect().await));
        assert_eq!(installation.cloud.counts()["login"], logins);
    }
    assert!(
        !account.metrics.render().contains("code=\"401\""),
        "no request is sent with a token that has ended"
    );
}

#[tokio::test]
async fn without_a_refresh_token_the_credentials_log_in_again() {
    for (options, grant) in [
        (CloudFoundry { no_refresh_token: true, ..CloudFoundry::default() }, Grant::Password),
        (CloudFoundry::default(), Grant::ClientCredentials),
    ] {
        let installation = Installation::start(options).await;
        let credentials = CloudFoundryCredentials { grant, ..installation.user() };
        let account = Account::new(&lenient(), installation.settings(), credentials, limits());
        assert!(is_complete(&account.collect().await));
        installation.advance(560).await;
        assert!(is_complete(&account.collect().await));
        let counts = installation.cloud.counts();
        assert_eq!((counts["root"], counts["login"]), (1, 2), "{grant:?}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_by_the_password_since_the_refresh_token_is_revoked_too() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let account = installation.account();
    assert!(is_complete(&account.collect().await));
    installation.cloud.revoke_tokens();
    assert!(is_complete(&account.collect().await));
    assert_eq!(installation.cloud.counts()["login"], 3, "a refused refresh, and a login");
}

#[tokio::test]
async fn a_cycle_that_outlasts_its_token_goes_on_with_a_new_one_from_a_single_login() {
    // The token's life is over at once, so each request after the first finds that it is.
    let fake = Fake::with(|seen| {
        Some(match seen.path.split('?').next().unwrap() {
            "/" => json(format!(r#"{{"links": {{"login": {{"href": "http://{}"}}}}}}"#, host(seen))),
            "/oauth/token" => {
                let life = if seen.earlier == 0 { 0.001 } else { 599.0 };
                json(format!(r#"{{"access_token": "t{}", "expires_in": {life}}}"#, seen.earlier))
            }
            "/v3/apps" => Reply::Late(std::time::Duration::from_millis(20), apps(20)),
            "/v3/processes" => json(processes(20)),
            _ if seen.authorization.as_deref() == Some("bearer t1") => json(r#"{"resources": []}"#),
            _ => status(401),
        })
    })
    .await;
    let account = Account::new(&lenient(), settings(&endpoint(&fake)), user(), limits());
    assert!(is_complete(&account.collect().await));
    assert_eq!((fake.count("/oauth/token"), fake.count("/stats")), (2, 20));
}

#[tokio::test]
async fn refused_credentials_log_in_once_and_then_keep_silent() {
    let installation = Installation::start(CloudFoundry::default()).await;
    for grant in [Grant::Password, Grant::ClientCredentials] {
        installation.cloud.reset_counts();
        let credentials =
            CloudFoundryCredentials { grant, name: "acme".to_owned(), secret: "wrong".to_owned().into() };
        let account = Account::new(&lenient(), installation.settings(), credentials, limits());
        for _ in 0..5 {
            assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
        }
        let counts = installation.cloud.counts();
        assert_eq!((counts["root"], counts["login"], counts.total), (1, 1, 2), "no lockout by retries");
    }
}

#[tokio::test]
async fn a_user_of_an_identity_provider_names_it() {
    let options = CloudFoundry { origin: Some("corp".to_owned()), ..CloudFoundry::default() };
    let installation = Installation::start(options).await;
    assert_eq!(installation.account().collect().await, Err(CloudError::LoginRejected));
    let settings = Settings { login_origin: Some("corp".to_owned()), ..installation.settings() };
    let account = Account::new(&lenient(), settings, installation.user(), limits());
    assert!(is_complete(&account.collect().await));
}

#[tokio::test]
async fn credentials_never_go_to_a_login_server_that_only_the_api_names() {
    let other = Fake::healthy().await;
    let options =
        CloudFoundry { login_url: Some(format!("http://{}", other.address)), ..CloudFoundry::default() };
    let installation = Installation::start(options).await;
    for _ in 0..2 {
        let collected = installation.account().collect().await;
        assert_eq!(collected, Err(CloudError::EndpointRefused(Refusal::ForeignLogin)));
    }
    assert_eq!((other.connected(), installation.cloud.counts()["login"]), (0, 0));

    // The settings name another one, which is then the only one that gets them.
    let named = Settings {
        login_endpoint: Some(installation.cloud.url().parse().unwrap()),
        ..installation.settings()
    };
    let account = Account::new(&lenient(), named, installation.user(), limits());
    assert!(is_complete(&account.collect().await));
    assert_eq!(
        (other.connected(), installation.cloud.counts()["root"]),
        (0, 2),
        "the API is not asked for it"
    );
}

#[tokio::test]
async fn a_login_server_is_subject_to_the_administrators_policy_like_an_endpoint() {
    let installation = Installation::start(CloudFoundry::default()).await;
    let policy = |allowed: &str| Policy {
        allow_endpoints: vec![allowed.parse().unwrap()],
        allow_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
        allow_http: true,
        ..Policy::default()
    };
    let api = installation.cloud.url();
    for (login, refusal) in [
        ("http://login.example.com/", Refusal::NotAllowed),
        ("http://127.0.0.2/", Refusal::NotAllowed),
        ("ftp://127.0.0.1/", Refusal::NotAnEndpoint),
    ] {
        let settings = Settings { login_endpoint: Some(login.parse().unwrap()), ..installation.settings() };
        let account = Account::new(&Http::new(policy(&api)), settings, installation.user(), limits());
        assert_eq!(account.collect().await, Err(CloudError::EndpointRefused(refusal)), "{login}");
    }
    let loopback = Policy { allow_endpoints: Vec::new(), ..policy(&api) };
    let private =
        Settings { login_endpoint: Some("http://10.0.0.1/".parse().unwrap()), ..installation.settings() };
    let account = Account::new(&Http::new(loopback), private, installation.user(), limits());
    assert_eq!(account.collect().await, Err(CloudError::EndpointRefused(Refusal::PrivateAddress)));
    assert_eq!(installation.cloud.counts().total, 0, "nothing was sent");
}

#[tokio::test]
async fn no_token_or_password_goes_to_a_host_that_a_next_link_names() {
    let other = Fake::healthy().await;
    let evil = format!("http://{}/v3/apps?page=2&per_page=5000", other.address);
    let fake = Fake::with(move |seen| {
        Some(match seen.path.split('?').next().unwrap() {
            "/" => json(format!(r#"{{"links": {{"login": {{"href": "http://{}"}}}}}}"#, host(seen))),
            "/oauth/token" => json(r#"{"access_token": "t", "expires_in": 599}"#),
            "/v3/apps" if seen.earlier == 0 && !seen.path.contains("page=2") => {
                json(apps(1).replace("null", &format!(r#"{{"href": "{evil}"}}"#)))
            }
            "/v3/apps" => json(apps(2)),
            "/v3/processes" => json(processes(2)),
            _ => json(r#"{"resources": []}"#),
        })
    })
    .await;
    let account = Account::new(&lenient(), settings(&endpoint(&fake)), user(), limits());
    let collected = account.collect().await;
    assert!(is_complete(&collected), "{collected:?}");
    assert_eq!(collected.unwrap().services.len(), 2, "the second page is requested where the first one was");
    assert_eq!(other.connected(), 0);
}

#[tokio::test]
async fn no_secret_is_in_what_a_failed_login_leaves_behind() {
    let fake = Fake::with(|seen| {
        Some(match &*seen.path {
            "/" => json(format!(r#"{{"links": {{"login": {{"href": "http://{}"}}}}}}"#, host(seen))),
            "/oauth/token" => Reply::Http(500, vec![], b"canary-answer".to_vec()),
            _ => status(404),
        })
    })
    .await;
    let account = Account::new(&lenient(), settings(&endpoint(&fake)), user(), limits());
    let error = account.collect().await.unwrap_err();
    assert_eq!(error, CloudError::Status(500));
    let sent = fake.seen().iter().filter(|seen| seen.body.contains("canary-password")).count();
    assert!(sent > 0, "the password was sent to the login server");
    for text in [error.to_string(), format!("{error:?}"), account.metrics.render(), format!("{:?}", user())] {
        assert!(!text.contains("canary"), "{text}");
    }
}

fn user() -> CloudFoundryCredentials {
    let secret = "canary-password".to_owned().into();
    CloudFoundryCredentials { grant: Grant::Password, name: "ops".to_owned(), secret }
}

fn endpoint(fake: &Fake) -> String {
    format!("http://{}/", fake.address)
}

/// The host that a request was sent to.
fn host(seen: &crate::support::Seen) -> String {
    seen.host.clone().unwrap()
}

/// A page of so many applications.
fn apps(count: usize) -> String {
    let app = |number| format!(r#"{{"guid": "a{number}", "name": "app{number}", "state": "STARTED"}}"#);
    let list: Vec<String> = (0..count).map(app).collect();
    format!(r#"{{"pagination": {{"next": null}}, "resources": [{}]}}"#, list.join(","))
}

/// A page of a process of each.
fn processes(count: usize) -> String {
    let process = |number| {
        format!(
            r#"{{"guid": "p{number}", "type": "web", "instances": 1,
                "relationships": {{"app": {{"data": {{"guid": "a{number}"}}}}}}}}"#
        )
    };
    let list: Vec<String> = (0..count).map(process).collect();
    format!(r#"{{"pagination": {{"next": null}}, "resources": [{}]}}"#, list.join(","))
}

#[tokio::test]
async fn a_limit_at_the_login_server_silences_one_account_and_a_limit_of_the_api_all_of_its_user() {
    let limits_api = Arc::new(AtomicBool::new(false));
    let api_is_limited = Arc::clone(&limits_api);
    let api = Fake::with(move |seen| {
        Some(match seen.path.split('?').next().unwrap() {
            _ if api_is_limited.load(Ordering::Relaxed) => limited("retry-after", "600"),
            "/v3/apps" => json(apps(1)),
            "/v3/processes" => json(processes(1)),
            _ => json(r#"{"resources": []}"#),
        })
    })
    .await;
    // The first login is granted.
    let login = Fake::with(|seen| {
        Some(if seen.earlier == 0 {
            json(r#"{"access_token": "t", "expires_in": 3600}"#)
        } else {
            let headers = vec![("retry-after", "600".to_owned()), ("x-ratelimit-limit", "20".to_owned())];
            Reply::Http(429, headers, Vec::new())
        })
    })
    .await;
    let settings =
        Settings { login_endpoint: Some(endpoint(&login).parse().unwrap()), ..settings(&endpoint(&api)) };
    let http = lenient();
    let account = CloudFoundryAccount { settings, credentials: user() };
    let limits = account.published_limits().unwrap();
    let account = || {
        let account = account.clone();
        ClientAccount::connected(&http, self::limits(), |client| {
            cloudfoundry::CloudFoundry::new(
                account.settings,
                account.credentials,
                http.limited(client, &limits),
            )
        })
    };
    let is_limited = |collected| {
        let Err(CloudError::RateLimited { retry_after: Some(wait) }) = collected else { return false };
        wait > Duration::from_secs(500)
    };

    let (one, other): (Account, Account) = (account(), account());
    assert!(is_complete(&one.collect().await));
    assert!(is_limited(other.collect().await));
    assert_eq!(
        http.rate(&limits).demand(1e9, Duration::from_secs(1)),
        None,
        "the login server tells no limit of the API"
    );
    assert!(is_complete(&one.collect().await), "nor silences its accounts");

    limits_api.store(true, Ordering::Relaxed);
    assert!(is_limited(one.collect().await));
    let asked = (api.seen().len(), login.seen().len());
    // A third account of the same user does not even log in.
    assert!(is_limited(account().collect().await));
    assert_eq!((api.seen().len(), login.seen().len()), asked);
}
