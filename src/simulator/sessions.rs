//! Who may log in, and which tokens are valid. Prints neither passwords nor tokens.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::account::AccountSettings;
use super::numbers::{hash, hex};

/// The credentials of one user.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// The password, or the API token where a cloud has no login.
    pub password: String,
    /// The namespace of the user's services.
    pub namespace: String,
}

/// Digits of a token.
const TOKEN_DIGITS: usize = 40;

/// The credentials of all accounts, and the tokens that are valid now.
pub struct Sessions {
    seed: u64,
    state: RwLock<State>,
}

struct State {
    /// Counts revocations, so that a token never becomes valid again.
    epoch: u64,
    users: Vec<User>,
    /// From a token to the index of its account.
    tokens: HashMap<String, usize>,
}

struct User {
    login: Login,
    /// Whether the password is valid as an API token, which a revocation ends.
    is_api_token: bool,
}

impl Sessions {
    /// Sessions of these accounts. No user is logged in.
    pub(super) fn new(seed: u64, accounts: &[AccountSettings]) -> Self {
        let user = |account: &AccountSettings| User {
            login: Login {
                username: account.username.clone(),
                password: account.password(seed),
                namespace: account.namespace().to_owned(),
            },
            is_api_token: true,
        };
        let users = accounts.iter().map(user).collect();
        Self { seed, state: RwLock::new(State { epoch: 0, users, tokens: HashMap::new() }) }
    }

    /// A token for a user with the right password; the same token until tokens are revoked.
    pub fn log_in(&self, username: &str, password: &str, organization: Option<&str>) -> Option<String> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_right = |user: &User| {
            let Login { username: name, password: right, namespace } = &user.login;
            let is_organization = |given: &str| given == namespace || given == name;
            name == username && right == password && organization.is_none_or(is_organization)
        };
        let account = state.users.iter().position(is_right)?;
        let token = self.token(account, state.epoch);
        state.tokens.insert(token.clone(), account);
        Some(token)
    }

    /// The index of the account to which a login gave this token.
    pub fn by_token(&self, token: &str) -> Option<usize> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).tokens.get(token).copied()
    }

    /// The index of the account whose password is this API token, for clouds without a login. A revoked one stays
    /// invalid until the account gets another.
    pub fn by_api_token(&self, token: &str) -> Option<usize> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.users.iter().position(|user| user.is_api_token && user.login.password == token)
    }

    /// The index of the account whose API token the request carries as `Authorization: Bearer`.
    pub(super) fn by_bearer(&self, headers: &HeaderMap) -> Option<usize> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        self.by_api_token(value.strip_prefix("Bearer ")?.trim())
    }

    /// Makes all tokens invalid.
    pub(super) fn revoke(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.epoch += 1;
        state.tokens.clear();
        state.users.iter_mut().for_each(|user| user.is_api_token = false);
    }

    /// Gives a user another password; where there is no such user, the first account gets the name too.
    /// Tokens of logins stay valid, as they do when a password changes.
    pub(super) fn set(&self, username: &str, password: &str) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let index = state.users.iter().position(|user| user.login.username == username).unwrap_or(0);
        if let Some(user) = state.users.get_mut(index) {
            username.clone_into(&mut user.login.username);
            password.clone_into(&mut user.login.password);
            user.is_api_token = true;
        }
    }

    /// All tokens that logins returned, or would have returned.
    pub(super) fn tokens(&self) -> Vec<String> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let of_account = |account| (0..=state.epoch).map(move |epoch| self.token(account, epoch));
        (0..state.users.len()).flat_map(of_account).collect()
    }

    /// The token of an account between two revocations.
    fn token(&self, account: usize, epoch: u64) -> String {
        hex(hash(&[self.seed, account as u64, epoch, 2]), TOKEN_DIGITS)
    }

    /// The credentials of each account.
    pub(super) fn logins(&self) -> Vec<Login> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.users.iter().map(|user| user.login.clone()).collect()
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
    fn a_token_is_valid_until_it_is_revoked_and_never_again() {
        let sessions = sessions();
        let login = sessions.logins().remove(0);
        let first = sessions.log_in("acme", &login.password, None).expect("a token");
        assert_eq!((first.len(), first.bytes().all(|byte| byte.is_ascii_hexdigit())), (40, true));
        assert_eq!(sessions.log_in("acme", &login.password, None).as_ref(), Some(&first));
        assert_eq!(sessions.by_token(&first), Some(0));
        sessions.revoke();
        assert_eq!(sessions.by_token(&first), None);
        let second = sessions.log_in("acme", &login.password, None).expect("a token");
        assert_ne!(first, second);
        assert!([&first, &second].iter().all(|token| sessions.tokens().contains(token)));
        assert_eq!(sessions.by_token(&first), None);
    }

    #[test]
    fn a_login_needs_its_own_password_and_organization() {
        let sessions = sessions();
        let other = sessions.logins().remove(1);
        assert!(sessions.log_in("acme", &other.password, None).is_none());
        assert!(sessions.log_in("other", &other.password, Some("elsewhere")).is_none());
        let token = sessions.log_in("other", &other.password, Some("org")).expect("a token");
        assert_eq!(sessions.by_token(&token), Some(1));
    }

    #[test]
    fn a_changed_password_replaces_the_old_one() {
        let sessions = sessions();
        let before = sessions.logins().remove(1);
        sessions.set("other", "new");
        assert!(sessions.log_in("other", &before.password, None).is_none());
        assert!(sessions.log_in("other", "new", None).is_some());
        sessions.set("renamed", "newer");
        assert_eq!(sessions.logins()[0].username, "renamed");
    }

    #[test]
    fn a_revoked_api_token_stays_invalid_until_the_account_gets_another() {
        let sessions = sessions();
        let before = sessions.logins().remove(1);
        assert_eq!(sessions.by_api_token(&before.password), Some(1));
        sessions.revoke();
        assert_eq!(sessions.by_api_token(&before.password), None);
        sessions.set("other", "new");
        assert_eq!((sessions.by_api_token(&before.password), sessions.by_api_token("new")), (None, Some(1)));
    }
}
