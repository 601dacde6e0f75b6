//! What an account of a simulated cloud is made of. It holds a password, so it has no `Debug`.

use super::numbers::{hash, hash_text, hex};

/// One user, and what belongs to it.
#[derive(Clone)]
pub struct AccountSettings {
    /// The user's name.
    pub username: String,
    /// The password, or the API token where a cloud has no login; `None` derives one from the seed and the name.
    pub password: Option<String>,
    /// The namespace in the paths, such as an organization's name; `None` means the user's name.
    pub namespace: Option<String>,
    /// How many services there are.
    pub services: usize,
    /// How many instances each of them has.
    pub instances: usize,
    /// How many of the services belong to an application.
    pub applications: usize,
}

impl AccountSettings {
    /// A user of this name with 20 services of 5 instances.
    pub fn new(username: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: None,
            namespace: None,
            services: 20,
            instances: 5,
            applications: 0,
        }
    }

    /// The given password, or one derived from the seed.
    pub(super) fn password(&self, seed: u64) -> String {
        let derived = || hex(hash(&[seed, hash_text(&self.username), 1]), 16);
        self.password.clone().unwrap_or_else(derived)
    }

    /// The given namespace, or the user's name.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(&self.username)
    }
}
