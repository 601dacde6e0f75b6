//! Sessions: the first page judges the token, a cycle logs in once at most, and a cloud that refuses is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use caas_operator::cloud::{CloudError, Credentials};

use crate::support::{Account, Fake, json, large_page, lenient, limits, password, status};

const LOGIN: &str = "/v1/generate-api-token/";
const PAGE: &str = "/v1/services/acme/";

/// A cloud that accepts the token of its `valid`th login only, and numbers its tokens.
async fn cloud_with_tokens(valid: Arc<AtomicUsize>) -> Fake {
    Fake::with(move |seen| {
        if seen.path == LOGIN {
            return Some(json(format!(r#"{{"token": "t{}"}}"#, seen.earlier + 1)));
        }
        let token = format!("Token t{}", valid.load(Ordering::Relaxed));
        if seen.authorization != Some(token) {
            return Some(status(401));
        }
        (seen.path == PAGE).then(|| json(large_page(64)))
    })
    .await
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

        // Credentials of a rotated Secret make a new client, which logs in at once.
        assert_eq!(Account::at(&fake).collect().await, Err(CloudError::LoginRejected));
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_counts_as_rejected_credentials() {
    let fake = cloud_with_tokens(Arc::new(AtomicUsize::new(0))).await;
    let account = Account::at(&fake);
    for _ in 0..5 {
        assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
    }
    assert_eq!((fake.count(LOGIN), fake.seen().len()), (1, 2), "one login, one page, then silence");
}

#[tokio::test]
async fn a_token_revoked_in_mid_cycle_costs_the_rest_of_that_cycle_and_one_login() {
    let valid = Arc::new(AtomicUsize::new(1));
    let revoked = Arc::clone(&valid);
    // The second cycle's page is the last request for which its token is good.
    let fake = Fake::with(move |seen| {
        if seen.path == LOGIN {
            return Some(json(format!(r#"{{"token": "t{}"}}"#, seen.earlier + 1)));
        }
        if seen.authorization != Some(format!("Token t{}", revoked.load(Ordering::Relaxed))) {
            return Some(status(401));
        }
        if seen.path == PAGE && seen.earlier == 1 {
            revoked.store(2, Ordering::Relaxed);
        }
        (seen.path == PAGE).then(|| json(large_page(5_000)))
    })
    .await;
    let account = Account::at(&fake);
    assert_eq!(account.collect().await.unwrap().failures(), (0, None));

    let before = fake.seen().len();
    let collection = account.collect().await.unwrap();
    assert_eq!(collection.failures(), (5_000, Some(&CloudError::Status(401))));
    let requests = fake.seen().len() - before;
    assert!(requests <= 1 + 64 + 32, "{requests} requests, not 5,000");
    assert_eq!(fake.count(LOGIN), 1, "no login in mid-cycle");

    assert_eq!(account.collect().await.unwrap().failures(), (0, None));
    assert_eq!(fake.count(LOGIN), 2);
    assert!(account.metric(&["login_failures_total"]).abs() < 0.1);
}

#[tokio::test]
async fn credentials_revoked_in_mid_cycle_cost_one_login_and_then_silence() {
    // The first page is accepted, then the token and the credentials are refused.
    let fake = Fake::with(|seen| match &*seen.path {
        LOGIN if seen.earlier == 0 => None,
        PAGE if seen.earlier == 0 => Some(json(large_page(64))),
        _ => Some(status(401)),
    })
    .await;
    let account = Account::at(&fake);
    assert_eq!(account.collect().await.unwrap().failures(), (64, Some(&CloudError::Status(401))));
    let before = fake.seen().len();
    for _ in 0..5 {
        assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
    }
    assert_eq!(fake.seen().len() - before, 2, "a page and one login, however many cycles follow");
    assert!((account.metric(&["login_failures_total"]) - 1.0).abs() < 0.1);
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

    let revoked = Fake::with(|seen| (seen.path == PAGE && seen.earlier > 0).then(|| status(401))).await;
    let account = Account::new(&lenient(), &revoked.endpoint(), limits(), None, token("revoked later"));
    account.collect().await.unwrap();
    for _ in 0..3 {
        assert_eq!(account.collect().await, Err(CloudError::LoginRejected));
    }
    let pages = revoked.seen().iter().filter(|seen| seen.path == PAGE).count();
    assert_eq!((revoked.count(LOGIN), pages), (0, 1 + 2), "tried once more, then silence");
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
async fn one_instance_that_always_answers_401_costs_itself_alone() {
    let token = Credentials::Token("given".to_owned().into());
    for (credentials, logins) in [(password(), 1), (token, 0)] {
        let fake = Fake::with(|seen| seen.path.contains("/w0/metrics").then(|| status(401))).await;
        let account = Account::new(&lenient(), &fake.endpoint(), limits(), None, credentials);
        for _ in 0..5 {
            let collection = account.collect().await.unwrap();
            assert_eq!(collection.failures(), (1, Some(&CloudError::Status(401))));
        }
        assert_eq!(fake.count(LOGIN), logins);
        assert_eq!(fake.seen().len(), logins + 5 * (1 + 3), "no request but a cycle's own");
        assert!(account.metric(&["login_failures_total"]).abs() < 0.1);
    }
}
