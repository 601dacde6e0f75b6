//! Which applications of which installation are collected.

use url::Url;

/// Settings of an account, checked and complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Settings {
    /// The API's base URL, ending in a slash, such as `https://api.sys.example.com/`.
    pub endpoint: Url,
    /// Names of the organizations whose applications are collected; empty for all.
    pub organizations: Vec<String>,
    /// Names of the spaces whose applications are collected; empty for all.
    pub spaces: Vec<String>,
    /// A selector on the labels of applications, in Cloud Foundry's syntax.
    pub label_selector: Option<String>,
    /// The login server. `None`: the one that the root of the API names, if it is below the API's domain.
    pub login_endpoint: Option<Url>,
    /// The identity provider of the user; `None` for the login server's default.
    pub login_origin: Option<String>,
}
