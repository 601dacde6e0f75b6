//! The accounts of a simulated cloud: each has a world of its own, and all share the sessions.

use std::sync::Arc;

use super::account::AccountSettings;
use super::numbers::{hash, hash_text};
use super::sessions::Sessions;
use super::world::{World, WorldSettings};

/// All accounts of one simulated cloud.
pub struct Accounts {
    /// Who may log in, and which tokens are valid.
    pub sessions: Sessions,
    accounts: Vec<Account>,
}

/// One account.
pub struct Account {
    /// The user's name when the cloud started.
    pub username: String,
    /// What exists in it.
    pub world: Arc<World>,
}

impl Accounts {
    /// Accounts of these settings. The same seed yields the same worlds.
    pub(super) fn new(seed: u64, churn: f64, settings: &[AccountSettings]) -> Self {
        let account = |(index, account): (usize, &AccountSettings)| Account {
            username: account.username.clone(),
            world: Arc::new(World::new(WorldSettings {
                seed: hash(&[seed, index as u64, hash_text(&account.username)]),
                namespace: account.namespace().to_owned(),
                services: account.services,
                instances: account.instances,
                applications: account.applications.min(account.services),
                churn,
            })),
        };
        Self {
            sessions: Sessions::new(seed, settings),
            accounts: settings.iter().enumerate().map(account).collect(),
        }
    }

    /// The account of this index, as sessions return it.
    pub fn get(&self, index: usize) -> Option<&Account> {
        self.accounts.get(index)
    }

    /// All accounts, in the order of their settings.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }
}
