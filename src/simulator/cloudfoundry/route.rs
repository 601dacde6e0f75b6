//! The routes of Cloud Foundry's API and of its login server. Pure.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::simulator::operation::{Operation, Role};

const ROOT: Operation = Operation { name: "root", counted_as: "root", role: Role::Other };
const LOGIN: Operation = Operation { name: "login", counted_as: "login", role: Role::Login };
const APPS: Operation = Operation { name: "apps", counted_as: "apps_page", role: Role::Inventory };
const APP: Operation = Operation { name: "apps", counted_as: "app", role: Role::Inventory };
const PROCESSES: Operation =
    Operation { name: "processes", counted_as: "processes_page", role: Role::Inventory };
const PROCESS: Operation = Operation { name: "processes", counted_as: "process", role: Role::Inventory };
const STATS: Operation = Operation { name: "stats", counted_as: "stats", role: Role::Other };
const ORGANIZATIONS: Operation =
    Operation { name: "organizations", counted_as: "organizations_page", role: Role::Other };
const ORGANIZATION: Operation =
    Operation { name: "organizations", counted_as: "organization", role: Role::Other };
const SPACES: Operation = Operation { name: "spaces", counted_as: "spaces_page", role: Role::Other };
const SPACE: Operation = Operation { name: "spaces", counted_as: "space", role: Role::Other };

/// All operations.
pub(super) const OPERATIONS: &[Operation] =
    &[ROOT, LOGIN, APPS, APP, PROCESSES, PROCESS, STATS, ORGANIZATIONS, ORGANIZATION, SPACES, SPACE];

/// The resource of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/`
    Root,
    /// `/oauth/token`
    Login,
    /// `/v3/apps`
    Apps,
    /// `/v3/apps/{guid}`
    App(String),
    /// `/v3/processes`
    Processes,
    /// `/v3/apps/{guid}/processes`
    ProcessesOf(String),
    /// `/v3/processes/{guid}`
    Process(String),
    /// `/v3/processes/{guid}/stats`
    Stats(String),
    /// `/v3/organizations`
    Organizations,
    /// `/v3/organizations/{guid}`
    Organization(String),
    /// `/v3/spaces`
    Spaces,
    /// `/v3/spaces/{guid}`
    Space(String),
    /// Anything else.
    Unknown,
}

impl Route {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Self {
        let parts: Option<Vec<String>> = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8().ok().map(Into::into))
            .collect();
        let parts = parts.unwrap_or_default();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        match words[..] {
            [""] => Self::Root,
            ["oauth", "token"] => Self::Login,
            ["v3", "apps"] => Self::Apps,
            ["v3", "apps", guid] => Self::App(guid.into()),
            ["v3", "apps", guid, "processes"] => Self::ProcessesOf(guid.into()),
            ["v3", "processes"] => Self::Processes,
            ["v3", "processes", guid] => Self::Process(guid.into()),
            ["v3", "processes", guid, "stats"] => Self::Stats(guid.into()),
            ["v3", "organizations"] => Self::Organizations,
            ["v3", "organizations", guid] => Self::Organization(guid.into()),
            ["v3", "spaces"] => Self::Spaces,
            ["v3", "spaces", guid] => Self::Space(guid.into()),
            _ => Self::Unknown,
        }
    }

    /// Whether it takes this method.
    pub(super) fn takes(&self, method: &Method) -> bool {
        if *self == Self::Login { method == Method::POST } else { method == Method::GET }
    }

    /// Its operation; `None` for what is not part of the API.
    pub(super) fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::Root => ROOT,
            Self::Login => LOGIN,
            Self::Apps => APPS,
            Self::App(_) => APP,
            Self::Processes | Self::ProcessesOf(_) => PROCESSES,
            Self::Process(_) => PROCESS,
            Self::Stats(_) => STATS,
            Self::Organizations => ORGANIZATIONS,
            Self::Organization(_) => ORGANIZATION,
            Self::Spaces => SPACES,
            Self::Space(_) => SPACE,
            Self::Unknown => return None,
        })
    }

    /// The guid of an application or a process in it.
    pub(super) fn guid(&self) -> Option<&str> {
        match self {
            Self::App(guid) | Self::ProcessesOf(guid) | Self::Process(guid) | Self::Stats(guid) => Some(guid),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_read() {
        let guid = || "1cb0".to_owned();
        for (path, route) in [
            ("/", Route::Root),
            ("/oauth/token", Route::Login),
            ("/v3/apps", Route::Apps),
            ("/v3/apps/1cb0", Route::App(guid())),
            ("/v3/apps/1cb0/processes", Route::ProcessesOf(guid())),
            ("/v3/processes", Route::Processes),
            ("/v3/processes/1cb0", Route::Process(guid())),
            ("/v3/processes/1cb0/stats", Route::Stats(guid())),
            ("/v3/organizations", Route::Organizations),
            ("/v3/organizations/1cb0", Route::Organization(guid())),
            ("/v3/spaces", Route::Spaces),
            ("/v3/spaces/1cb0", Route::Space(guid())),
            ("/v2/apps", Route::Unknown),
            ("/v3/apps/%ff", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
