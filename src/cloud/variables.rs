//! The variables of the environment that describe one account of a provider, for the command `standalone`.

/// A variable from which a part of an account is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its names, those of the cloud's own tools. The first that is set counts.
    pub names: &'static [&'static str],
    /// What it sets.
    pub part: Part,
}

/// A part of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The value of this key of the Secret.
    Key(&'static str),
    /// This setting of the provider, a text.
    Setting(&'static str),
}

impl Variable {
    /// A variable with the value of this key of the Secret.
    pub const fn key(key: &'static str, names: &'static [&'static str]) -> Self {
        Self { names, part: Part::Key(key) }
    }

    /// A variable with this setting of the provider.
    pub const fn setting(setting: &'static str, names: &'static [&'static str]) -> Self {
        Self { names, part: Part::Setting(setting) }
    }

    /// Its names for a sentence, such as `A_TOKEN (or A_KEY)`.
    pub fn shown(&self) -> String {
        match self.names {
            [] => String::new(),
            [only] => (*only).to_owned(),
            [first, others @ ..] => format!("{first} (or {})", others.join(", ")),
        }
    }
}
