//! No content of a Secret or of a response appears in a log, at any level.

use caas_operator::cloud::Credentials;

use crate::support::{Account, Fake, Reply, assert_hidden, json, lenient, limits, logged, status};

#[test]
fn no_password_token_or_response_appears_in_a_log_at_trace_level() {
    let (log, (errors, metrics)) = logged(async {
        let fake = Fake::with(|seen| match &*seen.path {
            "/v1/generate-api-token/" => Some(json(r#"{"token": "canary-token"}"#)),
            path if path.contains("/w0/") => Some(json("canary-answer {")),
            path if path.contains("/w1/") => Some(status(418)),
            path if path.contains("/d0/") => {
                Some(Reply::Raw(b"HTTP/1.1 200 canary\r\ncontent-length: 9\r\n\r\ncanary".to_vec()))
            }
            _ => None,
        })
        .await;
        let secret = "canary-line-one\ncanary-line-two".to_owned();
        let credentials = Credentials::Password { username: "acme".to_owned(), password: secret.into() };
        let debug = format!("{credentials:?}");
        let account = Account::new(&lenient(), &fake.endpoint(), limits(), None, credentials);
        let collection = account.collect().await.unwrap();
        assert_eq!(collection.failures().0, 3);
        (format!("{collection:?} {debug}"), account.metrics.render())
    });
    assert_hidden(&["canary"], &[("log", &log), ("collection", &errors), ("metrics", &metrics)]);
}
