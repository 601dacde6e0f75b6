//! The wire that all providers share.
