//! Label sets, escaped and joined once, when an object is first seen.

use std::sync::Arc;

/// A label set as it stands between the braces, without them: `a="1",b="2"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSet(pub(super) Arc<str>);
