//! A resource that many tests share and the first one starts. If that fails, it fails for all of them at once.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;
use tokio::sync::OnceCell;

/// See the module documentation.
pub(crate) struct Once<T>(OnceCell<Result<T, String>>);

impl<T> Once<T> {
    /// Not started yet.
    pub(crate) const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    /// The resource; the first caller starts it with `start`.
    ///
    /// # Panics
    /// If it did not start, in every test that needs it.
    pub(crate) async fn get(&self, what: &str, start: impl AsyncFnOnce() -> anyhow::Result<T>) -> &T {
        let attempt = async || {
            let begun = Instant::now();
            let result = match AssertUnwindSafe(start()).catch_unwind().await {
                Ok(Ok(thing)) => Ok(thing),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(panic) => Err(message(panic.as_ref())),
            };
            println!("{what}: {:.1} s to start", begun.elapsed().as_secs_f64());
            result
        };
        match self.0.get_or_init(attempt).await {
            Ok(thing) => thing,
            Err(error) => panic!("{what} did not start: {error}"),
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
