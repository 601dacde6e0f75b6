//! The credentials of an account at Cloud Foundry. Never printed: `Debug` shows the kind only.

use std::fmt;
use std::hash::{Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};

/// How a token is obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// With the name and password of a user.
    Password,
    /// With the id and secret of a client of the login server, for machines.
    ClientCredentials,
}

/// The credentials of one account.
#[derive(Clone)]
pub struct CloudFoundryCredentials {
    /// How a token is obtained.
    pub grant: Grant,
    /// The user's name, or the client's id.
    pub name: String,
    /// The password, or the client's secret.
    pub secret: SecretString,
}

impl PartialEq for CloudFoundryCredentials {
    fn eq(&self, other: &Self) -> bool {
        let Self { grant, name, secret } = other;
        (self.grant, &self.name, self.secret.expose_secret()) == (*grant, name, secret.expose_secret())
    }
}

impl Hash for CloudFoundryCredentials {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.grant, &self.name, self.secret.expose_secret()).hash(state);
    }
}

impl fmt::Debug for CloudFoundryCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}(..)", self.grant)
    }
}
