//! Logging in: once, together, and never against a cloud that refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use caas_operator::cloud::error::Unreachable;
use caas_operator::cloud::{CloudError, Credentials};

use crate::support::{Account, Fake, Reply, json, large_page, lenient, limits, password, status};

const LOGIN: &str = "/v1/generate-api-token/";

/// A cloud that takes the tokens of the `valid`th login only, and numbers its tokens.
async fn cloud_with_tokens(valid: Arc<AtomicUsize>) -> Fake {
    Fake::with(move |seen| {
        if seen.path == LOGIN {
            return Some(json(format!(r#"{{"token": "t{}"}}"#, seen.earlier + 1)));
        }
        let token = format!("Token t{}", valid.load(Ordering::Relaxed));
        if seen.authorization != Some(token) {
            return Some(status(401));
        }
        (seen.path == "/v1/services/acme/").then(|| json(large_page(64)))
    })
    .await
}

#[tokio::test]
async fn a_revoked_token_logs_in_once_for_all_requests_that_find_out_together() {
    let valid = Arc::new(AtomicUsize::new(1));
    let revoked = Arc::clone(&valid);
    // The page is still answered, then the token goes: 32 samples find out together.
    let fake = Fake::with(move |seen| match &*seen.path {
        LOGIN => Some(json(format!(r#"{{"token": "t{}"}}"#, seen.earlier + 1))),
        "/v1/services/acme/" => Some(json(large_page(64))),
        _ if seen.authorization == Some(format!("Token t{}", revoked.load(Ordering::Relaxed))) => None,
        _ => Some(status(401)),
    })
    .await;
    let account = Account::at(&fake);
    assert_eq!(account.collect().await.unwrap().failures(), (0, None));

    valid.store(2, Ordering::Relaxed);
    assert_eq!(account.collect().await.unwrap().failures(), (0, None), "nothing is lost");

    assert_eq!(fake.count(LOGIN), 2);
    let refused = account.metric(&["api_requests_total", "metrics", "401"]);
    assert!((2.0..=32.0).contains(&refused), "{refused} requests found out together");
}

#[tokio::test]
async fn a_token_revoked_between_cycles_is_replaced() {
    let valid = Arc::new(AtomicUsize::new(1));
    let fake = cloud_with_tokens(Arc::clone(&valid)).await;
    let account = Account::at(&fake);
    account.collect().await.unwrap();
    valid.store(2, Ordering::Relaxed);
    assert_eq!(account.collect().await.unwrap().failures(), (0, None));
    assert_eq!(fake.count(LOGIN), 2);
}

#[tokio::test]
async fn rejected_credentials_log_in_once_and_then_keep_silent() {
    for code in [400, 401, 403] {
        let fake = Fake::with(move |seen| (seen.path == LOGIN).then(|| status(code))).await;
        let account = Account::at(&fake);
        for _ in 0..5 {
            assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
        }
        assert_eq!(fake.seen().len(), 1, "no lockout by retries after {code}");
        assert!((account.metric(&["login_failures_total"]) - 1.0).abs() < 0.1);

        // A rotated Secret is a new account client: it logs in at once.
        assert_eq!(Account::at(&fake).collect().await, Err(CloudError::LoginRejected));
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn tokens_that_are_fresh_and_still_not_taken_count_as_rejected() {
    let fake = cloud_with_tokens(Arc::new(AtomicUsize::new(0))).await;
    let account = Account::at(&fake);
    for _ in 0..5 {
        assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
    }
    assert_eq!(fake.count(LOGIN), 2, "the first login and one more");
    assert_eq!(fake.seen().len(), 4);
}

#[tokio::test]
async fn credentials_revoked_in_mid_cycle_stop_it_with_one_login() {
    let fake = Fake::with(|seen| match &*seen.path {
        LOGIN if seen.earlier > 0 => Some(status(401)),
        "/v1/services/acme/" => Some(json(large_page(5_000))),
        path if path.contains("/metrics") => Some(status(401)),
        _ => None,
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    assert_eq!(collection.failures(), (5_000, Some(&CloudError::LoginRejected)));
    assert_eq!(fake.count(LOGIN), 2);
    assert!(fake.seen().len() <= 4 + 64, "{} requests, not 5,000", fake.seen().len());
}

#[tokio::test]
async fn a_given_token_never_logs_in() {
    let fake = Fake::healthy().await;
    let token = |token: &str| Credentials::Token(token.to_owned().into());
    let account = Account::new(&lenient(), &fake.endpoint(), limits(), None, token("given"));
    account.collect().await.unwrap();
    assert!(fake.seen().iter().all(|seen| seen.authorization.as_deref() == Some("Token given")));

    let strict = Fake::with(|_| Some(status(401))).await;
    let account = Account::new(&lenient(), &strict.endpoint(), limits(), None, token("revoked"));
    for _ in 0..3 {
        assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
    }
    assert_eq!((strict.count(LOGIN), strict.seen().len()), (0, 1));
}

#[tokio::test]
async fn a_login_that_fails_for_other_reasons_is_no_rejection_and_heals() {
    let fake = Fake::with(|seen| (seen.path == LOGIN && seen.earlier < 4).then(|| status(503))).await;
    let account = Account::at(&fake);
    assert_eq!(account.collect().await, Err(CloudError::Status(503)));
    assert!(account.metric(&["login_failures_total"]).abs() < 0.1);

    assert_eq!(account.collect().await.unwrap().failures(), (0, None), "the next cycle logs in");
}

#[tokio::test]
async fn a_login_that_breaks_stops_the_cycle_for_all_that_wait_for_it() {
    let fake = Fake::with(|seen| match &*seen.path {
        LOGIN if seen.earlier > 0 => Some(Reply::Raw(Vec::new())),
        "/v1/services/acme/" => Some(json(large_page(100))),
        path if path.contains("/metrics") => Some(status(401)),
        _ => None,
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    assert_eq!(collection.failures(), (100, Some(&CloudError::Unreachable(Unreachable::BrokeOff))));
    assert_eq!(fake.count(LOGIN), 1 + 4, "one login with its retries, not one a waiting request");
}

#[tokio::test]
async fn one_instance_that_always_answers_401_costs_itself_alone() {
    let token = Credentials::Token("given".to_owned().into());
    for (credentials, logins) in [(password(), 2), (token, 0)] {
        let fake = Fake::with(|seen| seen.path.contains("/w0/metrics").then(|| status(401))).await;
        let account = Account::new(&lenient(), &fake.endpoint(), limits(), None, credentials);
        for _ in 0..5 {
            let collection = account.collect().await.unwrap();
            assert_eq!(collection.failures(), (1, Some(&CloudError::Status(401))));
        }
        assert_eq!(fake.count(LOGIN), logins, "no login a cycle");
        assert_eq!(
            fake.count("/v1/services/acme/") - fake.count("/metrics"),
            5 + 1,
            "a page a cycle and one more"
        );
        assert!(account.metric(&["login_failures_total"]).abs() < 0.1);
    }
}

#[tokio::test]
async fn a_token_revoked_in_mid_cycle_is_replaced_also_beside_an_instance_that_always_answers_401() {
    let (revoked, armed) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let second_cycle = Arc::clone(&armed);
    // An instance that is always refused, and one in the middle whose sample is the last that the token of then gets.
    let fake = Fake::with(move |seen| {
        if seen.path == LOGIN {
            return Some(json(format!(r#"{{"token": "{}"}}"#, seen.earlier + 1)));
        }
        let token = seen.authorization.as_deref().unwrap().strip_prefix("Token ").unwrap();
        let token: usize = token.parse().unwrap();
        if token <= revoked.load(Ordering::Relaxed) || seen.path.contains("/i0/metrics") {
            return Some(status(401));
        }
        if seen.path.contains("/i300/metrics") && armed.swap(false, Ordering::Relaxed) {
            revoked.store(token, Ordering::Relaxed);
        }
        (seen.path == "/v1/services/acme/").then(|| json(large_page(600)))
    })
    .await;
    let account = Account::at(&fake);

    for cycle in 1..=3 {
        second_cycle.store(cycle == 2, Ordering::Relaxed);
        let collection = account.collect().await.unwrap();
        assert_eq!(collection.failures(), (1, Some(&CloudError::Status(401))), "cycle {cycle}");
    }

    assert_eq!(fake.count(LOGIN), 1 + 2, "one for each time that the token was doubted");
    let pages = fake.count("/v1/services/acme/") - fake.count("/metrics");
    assert_eq!(pages, 3 + 2, "one a cycle, and one for each time that the token was doubted");
}

#[tokio::test]
async fn a_token_that_is_refused_to_everything_is_rejected_with_one_look_at_a_page() {
    // The first page is answered, then the token is refused, also the one that a login gives.
    let fake = Fake::with(|seen| match &*seen.path {
        LOGIN => None,
        "/v1/services/acme/" => Some(if seen.earlier == 0 { json(large_page(64)) } else { status(401) }),
        _ => Some(status(401)),
    })
    .await;
    let account = Account::at(&fake);
    assert_eq!(account.collect().await.unwrap().failures(), (64, Some(&CloudError::LoginRejected)));
    assert_eq!((fake.count(LOGIN), fake.count("/v1/services/acme/") - fake.count("/metrics")), (2, 2));
    assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
}
