//! No content of a Secret or of a response appears in a log, at any level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use caas_operator::cloud::Credentials;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Account, Fake, Reply, json, lenient, limits, status};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn no_password_token_or_response_appears_in_a_log_at_trace_level() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // On one thread, so that the subscriber sees everything that runs here, tasks of connection pools included.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // With a single dispatcher in the process, a log statement that another test's thread reaches first is disabled for
    // all threads, since that thread has no subscriber. A second dispatcher prevents that.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let (errors, metrics) = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
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
        })
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("hyper_util::"), "the library below logs each connection: {log}");
    for (what, text) in [("log", &log), ("collection", &errors), ("metrics", &metrics)] {
        assert!(!text.to_ascii_lowercase().contains("canary"), "{what}: {text}");
    }
}
