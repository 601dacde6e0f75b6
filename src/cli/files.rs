//! The limit on open files: raised as far as the process may, and the number of connections to clouds follows from it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cloud::http::Capacity;

/// Raises the soft limit on open files, usually 1,024, to the hard one. Some systems refuse that; then it stays.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How many files may be open. Says so where they limit requests to clouds.
pub(super) fn limit() -> u64 {
    // `None` stands for no limit.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let requests = Capacity::default().within_files(files).requests;
    if requests < Capacity::default().requests {
        tracing::warn!(
            files,
            requests,
            "the limit on open files is low, so only few requests to clouds can be in flight; \
             raise it (ulimit -n, LimitNOFILE)"
        );
    }
    files
}
