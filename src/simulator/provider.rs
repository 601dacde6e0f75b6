//! What a provider's folder implements to have its cloud simulated.
//!
//! [`SimulatedProvider`] describes a cloud before it runs: its name, its options, its operations. It starts a
//! [`SimulatedCloud`], which answers requests in the provider's format. Sockets, latency, counts, faults on the wire and
//! the paths below `/_sim/` are the same for all clouds, and no provider knows of them.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use http::StatusCode;
use serde_json::Value;

use super::account::AccountSettings;
use super::accounts::Accounts;
use super::faults::ContentFaults;
use super::operation::Operation;
use super::request::ApiRequest;
use super::response::ApiResponse;
use super::sessions::Login;

/// A provider whose cloud can be simulated, with the options of its API.
pub trait SimulatedProvider: Send + Sync {
    /// The word that selects it on the command line, such as `alauda`.
    fn name(&self) -> &'static str;

    /// Its name in sentences, such as `Alauda`.
    fn title(&self) -> &'static str;

    /// One line for `--help`.
    fn about(&self) -> &'static str;

    /// Commands to try, a line each, for the end of `--help`.
    fn examples(&self) -> &'static str;

    /// The path below which its API lies, with a slash at both ends.
    fn base_path(&self) -> &'static str;

    /// The operations of its API.
    fn operations(&self) -> &'static [Operation];

    /// Adds the options of its API and its account to a command that has those of all clouds.
    fn add_options(&self, command: Command) -> Command;

    /// Reads the options that [`Self::add_options`] added: those of the account into `account`, those of the API into
    /// the returned value.
    fn with_options(
        &self,
        matches: &ArgMatches,
        account: &mut AccountSettings,
    ) -> Result<Arc<dyn SimulatedProvider>, clap::Error>;

    /// The credentials of one user, as indented lines of `name: value`, and commands that use them.
    fn instructions(&self, login: &Login, url: &str) -> String;

    /// What the command `demo` shows of it, if anything.
    fn demo(&self) -> Option<Demo> {
        None
    }

    /// A cloud of these accounts. `scheme` is `http` or `https`, for links to itself.
    fn start(&self, accounts: Arc<Accounts>, scheme: &'static str) -> Box<dyn SimulatedCloud>;
}

/// A simulated cloud that runs.
pub trait SimulatedCloud: Send + Sync {
    /// What a request asks for, before its credentials are checked.
    fn target(&self, request: &ApiRequest<'_>) -> Target;

    /// The response to a request at `now`, in seconds since the epoch.
    fn respond(&self, request: &ApiRequest<'_>, now: f64, faults: ContentFaults) -> ApiResponse;

    /// A response of this status with a message, in the API's form of errors.
    fn refuse(&self, status: StatusCode, message: &str) -> ApiResponse;

    /// A response to this operation whose values have the wrong types.
    fn wrong_json(&self, operation: &Operation) -> Value;

    /// A response to this operation, as JSON, with `nested` in place of its values.
    fn deep_json(&self, operation: &Operation, nested: &str) -> String;

    /// An error that the API reports to this operation inside an answer of status 200; `None` where it has no such form.
    fn reported_error(&self, _operation: &Operation) -> Option<Value> {
        None
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The operation; `None` for anything that is not part of the API.
    pub operation: Option<Operation>,
    /// The service that the request names, for faults that are limited to it.
    pub service: Option<String>,
}

/// What the command `demo` shows of a cloud.
pub struct Demo {
    /// The users of the cloud.
    pub accounts: Vec<AccountSettings>,
    /// Names and texts of the manifests that collect them.
    pub manifests: &'static [(&'static str, &'static str)],
    /// The endpoint in these manifests, which the cloud's own replaces.
    pub endpoint: &'static str,
}
