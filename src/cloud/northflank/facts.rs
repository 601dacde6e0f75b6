//! From what the answers say to the facts of a service. Pure.

use super::status;
use super::wire::{Details, ListedService, Plans};
use crate::cloud::model::ServiceFacts;

/// What the list of a project's services says of one.
///
/// Its name is the id: unique in its project, and what containers are named after; the name for people may be changed. The
/// project's id is unique in the account.
pub(super) fn listed(project: &str, service: &ListedService) -> ServiceFacts {
    ServiceFacts {
        name: service.id.clone(),
        application: Some(project.to_owned()),
        id: Some(service.full_id.clone().unwrap_or_else(|| service.id.clone())),
        status: service.deployment.clone(),
        kind: service.kind.clone(),
        ..ServiceFacts::default()
    }
}

/// The same with what its details, its running containers and its plan add. Where `cpu_is_share`, of what is not known, it
/// has no CPU limit: cores must not follow from the two.
pub(super) fn complete(
    facts: &mut ServiceFacts,
    details: Option<&Details>,
    plans: Option<&Plans>,
    running: Option<usize>,
    cpu_is_share: bool,
) {
    facts.running_instances = running.and_then(|running| i64::try_from(running).ok());
    if let Some(details) = details {
        facts.desired_instances = details.desired;
        facts.image.clone_from(&details.image);
        facts.image_tag.clone_from(&details.image_tag);
        facts.size.clone_from(&details.plan);
        facts.region.clone_from(&details.region);
        let plan = details.plan.as_ref().and_then(|plan| plans?.get(plan));
        facts.limits = plan.copied().unwrap_or_default();
        if cpu_is_share {
            facts.limits.cpu_cores = None;
        }
    }
    let is_paused = details.is_some_and(|details| details.is_paused);
    facts.state =
        Some(status::of_service(is_paused, facts.status.as_deref(), running, facts.desired_instances));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::model::{Limits, State};

    fn web() -> ServiceFacts {
        let service = ListedService {
            id: "web".to_owned(),
            full_id: Some("/acme/shop/web".to_owned()),
            kind: Some("combined".to_owned()),
            deployment: Some("COMPLETED".to_owned()),
            since: None,
        };
        listed("shop", &service)
    }

    fn details() -> Details {
        Details { plan: Some("nf-compute-20".to_owned()), desired: Some(2), ..Details::default() }
    }

    fn plans() -> Plans {
        let limits = Limits { cpu_cores: Some(0.2), memory_bytes: Some(512e6), disk_bytes: None };
        Plans::from([("nf-compute-20".to_owned(), limits)])
    }

    #[test]
    fn a_service_is_named_by_its_id_in_its_project() {
        let facts = web();
        assert_eq!((facts.name.as_str(), facts.application.as_deref()), ("web", Some("shop")));
        assert_eq!(
            (facts.id.as_deref(), facts.status.as_deref()),
            (Some("/acme/shop/web"), Some("COMPLETED"))
        );
        assert_eq!(facts.kind.as_deref(), Some("combined"));
    }

    #[test]
    fn a_plan_that_is_listed_gives_limits_and_any_other_none() {
        let limits = |plan: &str, cpu_is_share| {
            let mut facts = web();
            let details = Details { plan: Some(plan.to_owned()), ..details() };
            complete(&mut facts, Some(&details), Some(&plans()), Some(2), cpu_is_share);
            assert_eq!(facts.size.as_deref(), Some(plan));
            (facts.limits.cpu_cores, facts.limits.memory_bytes)
        };
        assert_eq!(limits("nf-compute-20", false), (Some(0.2), Some(512e6)));
        assert_eq!(limits("nf-compute-20", true), (None, Some(512e6)), "no cores may follow from a share");
        assert_eq!(limits("custom", false), (None, None));
    }

    #[test]
    fn until_its_details_are_read_only_the_list_and_the_containers_speak() {
        let mut facts = web();
        complete(&mut facts, None, Some(&plans()), Some(1), false);
        assert_eq!((facts.running_instances, facts.desired_instances), (Some(1), None));
        assert_eq!((facts.state, facts.size.as_deref()), (Some(State::Running), None));

        complete(&mut facts, Some(&details()), None, Some(1), false);
        assert_eq!((facts.desired_instances, facts.state), (Some(2), Some(State::Degraded)));
        let paused = Details { is_paused: true, desired: Some(0), ..details() };
        complete(&mut facts, Some(&paused), None, Some(0), false);
        assert_eq!((facts.desired_instances, facts.state), (Some(0), Some(State::Stopped)));
    }
}
