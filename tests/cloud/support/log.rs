//! The log of what a test does, at every level and of every library.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

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

/// Does the work on a runtime of its own; returns what it logged at trace level, and its output.
pub(crate) fn logged<T>(work: impl Future<Output = T>) -> (String, T) {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // On one thread, so that the subscriber sees everything that runs here, tasks of connection pools included.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // With a single dispatcher in the process, a log statement that another test's thread reaches first is disabled for
    // all threads, since that thread has no subscriber. A second dispatcher prevents that.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let output = tracing::subscriber::with_default(subscriber, || runtime.block_on(work));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("hyper_util::"), "the library below logs each connection: {log}");
    (log, output)
}

/// Asserts that none of these texts has any of these words, in any case.
pub(crate) fn assert_hidden(words: &[&str], texts: &[(&str, &str)]) {
    for (what, text) in texts {
        let lower = text.to_ascii_lowercase();
        for word in words {
            assert!(!lower.contains(&word.to_ascii_lowercase()), "{what} has {word}: {text}");
        }
    }
}
