//! What proves to a cloud who asks. Never printed: `Debug` shows the kind only.

use std::fmt;
use std::hash::{Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};

/// The longest token that is taken, in bytes; documented are 40.
pub const LONGEST_TOKEN: usize = 4096;

/// The credentials of one account.
#[derive(Clone)]
pub enum Credentials {
    /// A user's name and password, exchanged for a token by logging in.
    Password {
        /// The user, which some clouds also take as the namespace.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A token that needs no login.
    Token(SecretString),
}

impl Credentials {
    /// The user's name, where there is one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::Token(_) => None,
        }
    }

    /// The password or the token.
    pub fn secret(&self) -> &SecretString {
        match self {
            Self::Password { password: secret, .. } | Self::Token(secret) => secret,
        }
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Password { username, password },
                Self::Password { username: other_name, password: other_password },
            ) => username == other_name && password.expose_secret() == other_password.expose_secret(),
            (Self::Token(token), Self::Token(other_token)) => {
                token.expose_secret() == other_token.expose_secret()
            }
            _ => false,
        }
    }
}

impl Hash for Credentials {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Password { username, password } => (0, username, password.expose_secret()).hash(state),
            Self::Token(token) => (1, token.expose_secret()).hash(state),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Password { .. } => "Password(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}
