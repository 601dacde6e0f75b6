//! No password, token, refresh token or client's secret and nothing of an answer appears in a log, at any level.

use caas_operator::cloud::cloudfoundry::{CloudFoundryCredentials, Grant};

use super::{Account, settings};
use crate::support::{Fake, Reply, Seen, assert_hidden, json, lenient, limits, logged, status};

/// `Authorization` of the public client by which users log in.
const PUBLIC_CLIENT: &str = "Basic Y2Y6";

/// A login server whose access tokens end at once, and an API that answers in words of its own. Once a refresh token is
/// refused.
fn answer(seen: &Seen) -> Reply {
    match seen.path.split('?').next().unwrap() {
        "/" => {
            let host = seen.host.as_deref().unwrap();
            json(format!(r#"{{"links": {{"login": {{"href": "http://{host}"}}}}}}"#))
        }
        "/oauth/token" if seen.earlier == 2 => Reply::Http(
            401,
            vec![],
            br#"{"error": "invalid_token", "error_description": "canary-answer"}"#.to_vec(),
        ),
        "/oauth/token" => json(
            r#"{"access_token": "canary-access", "refresh_token": "canary-refresh", "expires_in": 0.001}"#,
        ),
        "/v3/apps" => json(
            r#"{"pagination": {"next": null}, "resources": [{"guid": "a1", "name": "shop", "state": "STARTED"}]}"#,
        ),
        "/v3/processes" => json(
            r#"{"pagination": {"next": null}, "resources": [{"guid": "p1", "type": "web", "instances": 1,
                "relationships": {"app": {"data": {"guid": "a1"}}}}]}"#,
        ),
        path if path.ends_with("/stats") => Reply::Http(
            503,
            vec![("retry-after", "600".to_owned())],
            br#"{"errors": [{"detail": "canary"}]}"#.to_vec(),
        ),
        _ => status(404),
    }
}

#[test]
fn no_password_token_refresh_token_or_client_appears_in_a_log_at_trace_level() {
    let (log, (errors, seen)) = logged(async {
        let fake = Fake::with(|seen| Some(answer(seen))).await;
        let mut errors = Vec::new();
        for grant in [Grant::Password, Grant::ClientCredentials] {
            let secret = "canary-line-one\ncanary-line-two".to_owned().into();
            let credentials = CloudFoundryCredentials { grant, name: "canary-user".to_owned(), secret };
            errors.push(format!("{credentials:?}"));
            let endpoint = format!("http://{}/", fake.address);
            let account = Account::new(&lenient(), settings(&endpoint), credentials, limits());
            for _ in 0..2 {
                let collected = account.collect().await;
                assert!(collected.as_ref().is_ok_and(|one| one.failures().0 > 0), "{collected:?}");
                errors.push(format!("{collected:?}"));
            }
            errors.push(account.metrics.render());
        }
        (errors.concat(), fake.seen())
    });
    // All of it was sent.
    let has_form = |part: &str| seen.iter().any(|one| one.body.contains(part));
    for part in ["grant_type=password", "grant_type=refresh_token&refresh_token=canary-refresh"] {
        assert!(has_form(part), "{part}: {seen:?}");
    }
    assert!(has_form("client_secret=canary-line-one"), "{seen:?}");
    let has_header = |value: &str| seen.iter().any(|one| one.authorization.as_deref() == Some(value));
    assert!(has_header(PUBLIC_CLIENT) && has_header("bearer canary-access"), "{seen:?}");

    assert_hidden(&["canary", "Y2Y6"], &[("log", &log), ("collections", &errors)]);
}
