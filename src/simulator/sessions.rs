//! Who may log in, and which tokens are taken. Prints nothing of either.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::numbers::{hash, hex};
use super::settings::AccountSettings;

/// What one logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
    /// The namespace of the user's services.
    pub namespace: String,
}

/// Digits of a token.
const TOKEN_DIGITS: usize = 40;

/// All accounts' logins and the tokens that are valid now.
pub(super) struct Sessions {
    seed: u64,
    state: RwLock<State>,
}

struct State {
    /// Counts revocations, so that a token never comes back.
    epoch: u64,
    logins: Vec<Login>,
    /// Token to the number of its account.
    tokens: HashMap<String, usize>,
}

impl Sessions {
    /// Sessions of these accounts; no one is logged in.
    pub(super) fn new(seed: u64, accounts: &[AccountSettings]) -> Self {
        let login = |account: &AccountSettings| Login {
            username: account.username.clone(),
            password: account.password(seed),
            namespace: account.namespace().to_owned(),
        };
        let logins = accounts.iter().map(login).collect();
        Self { seed, state: RwLock::new(State { epoch: 0, logins, tokens: HashMap::new() }) }
    }

    /// A token for who proves to be a user; the same one until tokens are revoked.
    pub(super) fn log_in(
        &self,
        username: &str,
        password: &str,
        organization: Option<&str>,
    ) -> Option<String> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let proves = |login: &Login| {
            let organization_fits =
                organization.is_none_or(|name| name == login.namespace || name == login.username);
            login.username == username && login.password == password && organization_fits
        };
        let account = state.logins.iter().position(proves)?;
        let token = self.token(account, state.epoch);
        state.tokens.insert(token.clone(), account);
        Some(token)
    }

    /// The number of the account that a token stands for.
    pub(super) fn account(&self, token: &str) -> Option<usize> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).tokens.get(token).copied()
    }

    /// Makes all tokens invalid.
    pub(super) fn revoke(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.epoch += 1;
        state.tokens.clear();
    }

    /// Gives a user another password; where there is no such user, the first account gets the name too.
    /// Tokens stay as they are, as they do when a password changes.
    pub(super) fn set(&self, username: &str, password: &str) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let number = state.logins.iter().position(|login| login.username == username).unwrap_or(0);
        if let Some(login) = state.logins.get_mut(number) {
            username.clone_into(&mut login.username);
            password.clone_into(&mut login.password);
        }
    }

    /// All tokens that were given, or would have been on a login.
    pub(super) fn tokens(&self) -> Vec<String> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let of_account = |account| (0..=state.epoch).map(move |epoch| self.token(account, epoch));
        (0..state.logins.len()).flat_map(of_account).collect()
    }

    /// The token of an account between two revocations.
    fn token(&self, account: usize, epoch: u64) -> String {
        hex(hash(&[self.seed, account as u64, epoch, 2]), TOKEN_DIGITS)
    }

    /// What one logs in with.
    pub(super) fn logins(&self) -> Vec<Login> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).logins.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        let other = AccountSettings { namespace: Some("org".into()), ..AccountSettings::new("other") };
        Sessions::new(1, &[AccountSettings::new("acme"), other])
    }

    #[test]
    fn a_token_lasts_until_it_is_revoked_and_never_comes_back() {
        let sessions = sessions();
        let login = sessions.logins().remove(0);
        let first = sessions.log_in("acme", &login.password, None).expect("a token");
        assert_eq!((first.len(), first.bytes().all(|byte| byte.is_ascii_hexdigit())), (40, true));
        assert_eq!(sessions.log_in("acme", &login.password, None).as_ref(), Some(&first));
        assert_eq!(sessions.account(&first), Some(0));
        sessions.revoke();
        assert_eq!(sessions.account(&first), None);
        let second = sessions.log_in("acme", &login.password, None).expect("a token");
        assert_ne!(first, second);
        assert!([&first, &second].iter().all(|token| sessions.tokens().contains(token)));
        assert_eq!(sessions.account(&first), None);
    }

    #[test]
    fn a_login_needs_its_own_password_and_organization() {
        let sessions = sessions();
        let other = sessions.logins().remove(1);
        assert!(sessions.log_in("acme", &other.password, None).is_none());
        assert!(sessions.log_in("other", &other.password, Some("elsewhere")).is_none());
        let token = sessions.log_in("other", &other.password, Some("org")).expect("a token");
        assert_eq!(sessions.account(&token), Some(1));
    }

    #[test]
    fn a_changed_password_is_the_only_one_that_counts() {
        let sessions = sessions();
        let before = sessions.logins().remove(1);
        sessions.set("other", "new");
        assert!(sessions.log_in("other", &before.password, None).is_none());
        assert!(sessions.log_in("other", "new", None).is_some());
        sessions.set("renamed", "newer");
        assert_eq!(sessions.logins()[0].username, "renamed");
    }
}
