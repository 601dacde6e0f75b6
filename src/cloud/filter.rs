//! Which services of an account are wanted: globs on the service's name.

use wildmatch::WildMatch;

/// Include and exclude globs; `*` matches any text, `?` one character.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFilter {
    include: Vec<WildMatch>,
    exclude: Vec<WildMatch>,
}

impl ServiceFilter {
    /// A filter of globs. An empty `include` takes every service.
    pub fn new<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Self {
        let globs = |patterns: &[S]| patterns.iter().map(|glob| WildMatch::new(glob.as_ref())).collect();
        Self { include: globs(include), exclude: globs(exclude) }
    }

    /// Whether the service of this name is wanted: included and not excluded.
    pub fn wants(&self, name: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|glob| glob.matches(name));
        included && !self.exclude.iter().any(|glob| glob.matches(name))
    }
}

impl Default for ServiceFilter {
    fn default() -> Self {
        Self::new::<&str>(&[], &[])
    }
}
