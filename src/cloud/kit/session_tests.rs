use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::cloud::http::AccountLimits;
use crate::telemetry::Metrics;

/// A cloud that numbers its tokens from 1 and accepts one of them.
#[derive(Default)]
struct TestCloud {
    logins: AtomicUsize,
    first_requests: AtomicUsize,
    accepted: AtomicUsize,
    rejects_logins: AtomicBool,
}

impl TestCloud {
    fn accepting(token: usize) -> Self {
        let cloud = Self::default();
        cloud.accept(token);
        cloud
    }

    fn accept(&self, token: usize) {
        self.accepted.store(token, Ordering::Relaxed);
    }

    fn reject_logins(&self, reject: bool) {
        self.rejects_logins.store(reject, Ordering::Relaxed);
    }

    /// Logins and first requests so far.
    fn requests(&self) -> (usize, usize) {
        (self.logins.load(Ordering::Relaxed), self.first_requests.load(Ordering::Relaxed))
    }

    async fn log_in(&self) -> Result<usize, CloudError> {
        let token = self.logins.fetch_add(1, Ordering::Relaxed) + 1;
        sleep(Duration::from_millis(10)).await;
        if self.rejects_logins.load(Ordering::Relaxed) { Err(CloudError::LoginRejected) } else { Ok(token) }
    }

    async fn first_request(&self, token: usize) -> Result<&'static str, CloudError> {
        self.first_requests.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(10)).await;
        if token == self.accepted.load(Ordering::Relaxed) { Ok("page") } else { Err(CloudError::Status(401)) }
    }

    async fn start(&self, session: &Session<usize>) -> Result<(usize, &'static str), CloudError> {
        let meter = Metrics::new().account("team-a", "acme");
        session.start(&meter, || self.log_in(), |token| self.first_request(token)).await
    }
}

/// A session of credentials that were never used.
fn session<T: Clone>() -> Session<T> {
    Session::new(client_state())
}

fn client_state() -> Arc<ClientState> {
    let request_timeout = Duration::from_secs(10);
    Arc::new(ClientState::new(AccountLimits { request_timeout, max_concurrent: 1, requests_per_second: 1 }))
}

const REJECTED: Result<(usize, &str), CloudError> = Err(CloudError::LoginRejected);

#[tokio::test(start_paused = true)]
async fn cycles_that_start_together_share_one_login() {
    let (cloud, session) = (TestCloud::accepting(1), session());
    let started = join_all((0..100).map(|_| cloud.start(&session))).await;
    assert!(started.iter().all(|start| *start == Ok((1, "page"))), "{started:?}");
    assert_eq!(cloud.requests(), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ended_is_replaced_by_one_login() {
    let (cloud, session) = (TestCloud::accepting(1), session());
    cloud.start(&session).await.unwrap();
    cloud.accept(2);
    assert_eq!(cloud.start(&session).await, Ok((2, "page")));
    assert_eq!(cloud.requests(), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_refused_is_no_reason_for_another_login() {
    let (cloud, session) = (TestCloud::accepting(0), session());
    for _ in 0..5 {
        assert_eq!(cloud.start(&session).await, REJECTED);
    }
    assert_eq!(cloud.requests(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_that_the_login_gives_again_is_tried_once_more() {
    let session = session();
    let meter = Metrics::new().account("team-a", "acme");
    let (valid, login_helps, requests) = (AtomicBool::new(true), AtomicBool::new(true), AtomicUsize::new(0));
    let start = || {
        session.start(
            &meter,
            || async {
                valid.store(login_helps.load(Ordering::Relaxed), Ordering::Relaxed);
                Ok("given")
            },
            |_| async {
                requests.fetch_add(1, Ordering::Relaxed);
                if valid.load(Ordering::Relaxed) { Ok(()) } else { Err(CloudError::Status(401)) }
            },
        )
    };
    start().await.unwrap();
    valid.store(false, Ordering::Relaxed);
    start().await.expect("the login makes the token valid again");
    valid.store(false, Ordering::Relaxed);
    login_helps.store(false, Ordering::Relaxed);
    assert_eq!(start().await.err(), Some(CloudError::LoginRejected));
    assert_eq!(requests.load(Ordering::Relaxed), 5, "one in the first cycle, two in each of the others");
}

#[tokio::test(start_paused = true)]
async fn after_refusals_the_silence_doubles_until_one_is_accepted() {
    let (cloud, session) = (TestCloud::accepting(0), session());
    cloud.reject_logins(true);
    for (logins, minutes) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (6, 15)] {
        assert_eq!(cloud.start(&session).await, REJECTED);
        assert_eq!(cloud.requests(), (logins, 0));
        advance(Duration::from_secs(minutes * 60 - 1)).await;
        assert_eq!(cloud.start(&session).await, REJECTED);
        assert_eq!(cloud.requests(), (logins, 0), "silent for {minutes} minutes");
        advance(Duration::from_secs(2)).await;
    }

    cloud.reject_logins(false);
    cloud.accept(7);
    assert_eq!(cloud.start(&session).await, Ok((7, "page")));
    cloud.accept(0);
    assert_eq!(cloud.start(&session).await, REJECTED);
    advance(Duration::from_secs(61)).await;
    cloud.accept(9);
    assert_eq!(cloud.start(&session).await, Ok((9, "page")), "the first silence again");
}

#[tokio::test(start_paused = true)]
async fn other_failures_are_no_refusal_and_keep_the_token() {
    let (cloud, session) = (TestCloud::accepting(1), session());
    cloud.start(&session).await.unwrap();
    let meter = Metrics::new().account("team-a", "acme");
    let ill = session.start(&meter, || cloud.log_in(), |_| async { Err::<(), _>(CloudError::Status(503)) });
    assert_eq!(ill.await.err(), Some(CloudError::Status(503)));
    let down = session.start(&meter, || cloud.log_in(), |_| async { Err::<(), _>(CloudError::Status(403)) });
    assert_eq!(down.await.err(), Some(CloudError::Status(403)));
    assert_eq!(cloud.start(&session).await, Ok((1, "page")));
    assert_eq!(cloud.requests().0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_is_dropped_leaves_the_session_to_the_next_one() {
    let (cloud, session) = (TestCloud::accepting(2), session());
    assert!(timeout(Duration::from_millis(5), cloud.start(&session)).await.is_err(), "dropped in its login");
    assert_eq!(cloud.start(&session).await, Ok((2, "page")));
    assert!(
        timeout(Duration::from_millis(5), cloud.start(&session)).await.is_err(),
        "dropped in its request"
    );
    assert_eq!(cloud.start(&session).await, Ok((2, "page")));
    assert_eq!(cloud.requests().0, 2);
}

#[test]
fn a_token_becomes_a_header_that_is_never_printed() {
    let header = authorization("Bearer", "0123abc").unwrap();
    assert_eq!(header.to_str().unwrap(), "Bearer 0123abc");
    assert!(!format!("{header:?}").contains("0123abc"));
    for token in ["", "a\nb", &"t".repeat(LONGEST_TOKEN + 1)] {
        assert_eq!(authorization("Bearer", token), Err(AnswerProblem::Shape));
    }
}

#[test]
fn a_header_of_a_token_alone_is_checked_like_one_with_a_scheme() {
    let header = token_header(None, "0123abc", 7).unwrap();
    assert_eq!((header.to_str().unwrap(), header.is_sensitive()), ("0123abc", true));
    for token in ["", "a\nb", "0123abcd"] {
        assert_eq!(token_header(None, token, 7), Err(AnswerProblem::Shape), "{token:?}");
        assert_eq!(token_header(Some("Bearer"), token, 7), Err(AnswerProblem::Shape), "{token:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_session_of_the_same_credentials_goes_on_with_the_silence() {
    let (cloud, client) = (TestCloud::accepting(0), client_state());
    assert_eq!(cloud.start(&Session::new(Arc::clone(&client))).await, REJECTED);
    let another = Session::new(client);
    assert_eq!(cloud.start(&another).await, REJECTED);
    assert_eq!(cloud.requests(), (1, 1), "nothing is sent");
    advance(Duration::from_secs(60)).await;
    assert_eq!(cloud.start(&another).await, REJECTED);
    advance(Duration::from_secs(100)).await;
    assert_eq!(cloud.start(&another).await, REJECTED);
    assert_eq!(cloud.requests(), (2, 2), "the second silence is longer");
}

/// A session whose first token is not current once it was used.
fn renewing() -> Session<usize> {
    Session::renewing(client_state(), |token| *token > 1)
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_no_longer_current_is_replaced_before_it_is_used() {
    let (cloud, session) = (TestCloud::accepting(1), renewing());
    assert_eq!(cloud.start(&session).await, Ok((1, "page")));
    cloud.accept(2);
    assert_eq!(cloud.start(&session).await, Ok((2, "page")));
    assert_eq!(cloud.requests(), (2, 2), "the first token is not tried again");
    assert_eq!(cloud.start(&session).await, Ok((2, "page")));
    assert_eq!(cloud.requests(), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn requests_in_mid_cycle_share_one_login_and_its_refusal_begins_the_silence() {
    let (cloud, session) = (TestCloud::accepting(1), renewing());
    let meter = Metrics::new().account("team-a", "acme");
    cloud.start(&session).await.unwrap();
    let tokens = join_all((0..10).map(|_| session.token(&meter, || cloud.log_in()))).await;
    assert!(tokens.iter().all(|token| *token == Ok(2)), "{tokens:?}");
    assert_eq!(cloud.requests().0, 2);

    let session = renewing();
    let cloud = TestCloud::accepting(1);
    cloud.start(&session).await.unwrap();
    cloud.reject_logins(true);
    for _ in 0..5 {
        assert_eq!(session.token(&meter, || cloud.log_in()).await, Err(CloudError::LoginRejected));
    }
    assert_eq!(cloud.requests().0, 2, "one refusal, then silence");
}
