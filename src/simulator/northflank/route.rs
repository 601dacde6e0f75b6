//! The routes of the API. Pure.

use percent_encoding::percent_decode_str;

use super::options::Permission;
use crate::simulator::operation::{Operation, Role};

const fn operation(name: &'static str, role: Role) -> Operation {
    Operation { name, counted_as: name, role }
}

const PROJECTS: Operation = operation("projects", Role::Inventory);
const SERVICES: Operation = operation("services", Role::Inventory);
const SERVICE: Operation = operation("service", Role::Other);
const CONTAINERS: Operation = operation("containers", Role::Inventory);
const METRICS: Operation = operation("metrics", Role::Other);
const PLANS: Operation = operation("plans", Role::Other);

/// All operations of the API.
pub(super) const OPERATIONS: &[Operation] = &[PROJECTS, SERVICES, SERVICE, CONTAINERS, METRICS, PLANS];

/// The resource of a path, and the team that the path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) team: Option<String>,
    pub(super) resource: Resource,
}

/// A resource, by the ids of its project and service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/v1/projects`
    Projects,
    /// `/v1/projects/{project}/services`
    Services(String),
    /// `/v1/projects/{project}/services/{service}`
    Service(String, String),
    /// `/v1/projects/{project}/services/{service}/containers`
    Containers(String, String),
    /// `/v1/projects/{project}/services/{service}/metrics`
    Metrics(String, String),
    /// `/v1/plans`
    Plans,
    /// Anything else.
    Unknown,
}

impl Route {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Self {
        let decode =
            |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        let parts: Option<Vec<String>> = path.split('/').skip(1).map(decode).collect();
        let parts = parts.unwrap_or_default();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (team, rest) = match parts[..] {
            ["v1", "plans"] => return Self { team: None, resource: Resource::Plans },
            ["v1", "teams", team, ..] => (Some(team.to_owned()), &parts[3..]),
            ["v1", ..] => (None, &parts[1..]),
            _ => return Self { team: None, resource: Resource::Unknown },
        };
        let resource = match *rest {
            ["projects"] => Resource::Projects,
            ["projects", project, "services"] => Resource::Services(project.to_owned()),
            ["projects", project, "services", service] => {
                Resource::Service(project.to_owned(), service.to_owned())
            }
            ["projects", project, "services", service, "containers"] => {
                Resource::Containers(project.to_owned(), service.to_owned())
            }
            ["projects", project, "services", service, "metrics"] => {
                Resource::Metrics(project.to_owned(), service.to_owned())
            }
            _ => Resource::Unknown,
        };
        Self { team, resource }
    }
}

impl Resource {
    /// Its operation; `None` for what is not part of the API.
    pub(super) fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::Projects => PROJECTS,
            Self::Services(_) => SERVICES,
            Self::Service(..) => SERVICE,
            Self::Containers(..) => CONTAINERS,
            Self::Metrics(..) => METRICS,
            Self::Plans => PLANS,
            Self::Unknown => return None,
        })
    }

    /// The permission that it needs.
    pub(super) fn permission(&self) -> Option<Permission> {
        Some(match self {
            Self::Projects => Permission::ProjectsRead,
            Self::Services(_) | Self::Service(..) => Permission::ServicesRead,
            Self::Containers(..) => Permission::ViewInstances,
            Self::Metrics(..) => Permission::ViewObservability,
            Self::Plans | Self::Unknown => return None,
        })
    }

    /// The id of the service that it names.
    pub(super) fn service(&self) -> Option<&str> {
        match self {
            Self::Service(_, service) | Self::Containers(_, service) | Self::Metrics(_, service) => {
                Some(service)
            }
            Self::Projects | Self::Services(_) | Self::Plans | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_documented_path_is_known_with_and_without_its_team() {
        let web = || ("shop".to_owned(), "web".to_owned());
        for (path, resource) in [
            ("projects", Resource::Projects),
            ("projects/shop/services", Resource::Services("shop".to_owned())),
            ("projects/shop/services/web", Resource::Service(web().0, web().1)),
            ("projects/shop/services/web/containers", Resource::Containers(web().0, web().1)),
            ("projects/shop/services/web/metrics", Resource::Metrics(web().0, web().1)),
            ("projects/shop/jobs", Resource::Unknown),
            ("projects/shop/services/%ff", Resource::Unknown),
        ] {
            assert_eq!(Route::of(&format!("/v1/{path}")).resource, resource, "{path}");
            let in_team = Route::of(&format!("/v1/teams/acme/{path}"));
            assert_eq!(in_team.resource, resource, "{path}");
            let team = (resource != Resource::Unknown).then_some("acme");
            assert!(in_team.team.as_deref() == team || resource == Resource::Unknown, "{path}");
        }
        assert_eq!(Route::of("/v1/plans").resource, Resource::Plans);
        for path in ["/", "/v1", "/v2/projects", "/v1/teams/acme", "/v1/teams/acme/plans"] {
            assert_eq!(Route::of(path).resource, Resource::Unknown, "{path}");
        }
    }
}
