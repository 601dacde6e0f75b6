//! From what an environment lists to the facts of services and instances. Pure.

use std::sync::Arc;

use super::state::{self, InstanceCounts};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::{InventoryBudget, split_image};
use crate::cloud::model::{InstanceFacts, Overrides, ServiceFacts, State};

/// What an environment says of a service besides its instances.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ServiceParts {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) desired: Option<i64>,
    pub(super) region: Option<String>,
    pub(super) is_cron: bool,
    pub(super) has_domain: bool,
    /// The image with its tag, unless the service is built from a repository.
    pub(super) image: Option<String>,
    /// The status of the newest deployment.
    pub(super) newest: Option<String>,
}

/// A service of an environment with the instances of its active deployments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedService {
    pub(super) facts: Arc<ServiceFacts>,
    pub(super) instances: Vec<Arc<InstanceFacts>>,
    /// Whether it may have HTTP traffic: it has a domain, and an instance runs.
    pub(super) serves_http: bool,
}

/// The application of the services of an environment.
pub(super) fn application(project: &str, environment: &str) -> String {
    format!("{project}/{environment}")
}

/// Adds an instance of a service: its id, its status, and when its deployment was created. The error ends the list.
pub(super) type AddInstance<'a> = dyn FnMut(String, &str, Option<f64>) -> Result<(), AnswerProblem> + 'a;

/// A service whose instances `list` adds, within the budget. The error is that they exceed it, or cannot be read.
pub(super) fn service(
    application: &str,
    parts: ServiceParts,
    list: impl FnOnce(&mut AddInstance<'_>) -> Result<(), AnswerProblem>,
    budget: &mut InventoryBudget,
) -> Result<ListedService, AnswerProblem> {
    let (mut instances, mut counts, mut left) = (Vec::new(), InstanceCounts::default(), *budget);
    list(&mut |id, status, created_at| {
        // Ended ones are listed for a while.
        if let Some(state) = state::of_instance(status) {
            let facts = instance(id, state, created_at);
            left.spend_instance(&facts)?;
            counts.add(state);
            instances.push(Arc::new(facts));
        }
        Ok(())
    })?;
    let ServiceParts { id, name, desired, region, is_cron, has_domain, image, newest } = parts;
    let kind = match (is_cron, has_domain) {
        (true, _) => "cron",
        (false, true) => "web",
        (false, false) => "worker",
    };
    let (image, image_tag) = image.and_then(|image| split_image(&image)).unzip();
    let facts = ServiceFacts {
        name,
        application: Some(application.to_owned()),
        id: Some(id),
        state: Some(state::of_service(newest.as_deref(), counts, desired, is_cron)),
        status: newest,
        kind: Some(kind.to_owned()),
        desired_instances: desired,
        running_instances: Some(counts.running),
        image,
        image_tag: image_tag.flatten(),
        region,
        ..ServiceFacts::default()
    };
    let serves_http = has_domain && counts.running > 0;
    left.spend_service(&facts)?;
    // What cannot be read to its end spends nothing.
    *budget = left;
    Ok(ListedService { facts: Arc::new(facts), instances, serves_http })
}

/// An instance has an id and no name. When it started is not said; its deployment's creation is the nearest.
fn instance(id: String, state: State, created_at: Option<f64>) -> InstanceFacts {
    // Its region and limits come with its measurements. Their place is there already, so that it is charged.
    let overrides = Some(Box::<Overrides>::default());
    InstanceFacts {
        name: id.clone(),
        id,
        state: Some(state),
        created_at,
        overrides,
        ..InstanceFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(parts: ServiceParts, instances: &[(&str, &str)]) -> ListedService {
        let list = |add: &mut AddInstance<'_>| {
            instances.iter().try_for_each(|(id, status)| add((*id).to_owned(), status, Some(7.0)))
        };
        service("shop/production", parts, list, &mut { InventoryBudget::PER_CYCLE }).unwrap()
    }

    #[test]
    fn a_service_belongs_to_its_environment_and_counts_the_instances_that_run() {
        let parts = ServiceParts {
            id: "s1".to_owned(),
            name: "api".to_owned(),
            desired: Some(2),
            newest: Some("SUCCESS".to_owned()),
            has_domain: true,
            ..ServiceParts::default()
        };
        let service = listed(parts, &[("i1", "RUNNING"), ("i2", "INITIALIZING"), ("i0", "REMOVED")]);
        let facts = &service.facts;
        assert_eq!(
            (facts.application.as_deref(), facts.id.as_deref()),
            (Some("shop/production"), Some("s1"))
        );
        assert_eq!((facts.desired_instances, facts.running_instances), (Some(2), Some(1)));
        assert_eq!((facts.state, facts.status.as_deref()), (Some(State::Running), Some("SUCCESS")));
        assert_eq!((facts.kind.as_deref(), service.serves_http), (Some("web"), true));
        let ids: Vec<_> =
            service.instances.iter().map(|one| (&*one.id, &*one.name, one.created_at)).collect();
        assert_eq!(ids, [("i1", "i1", Some(7.0)), ("i2", "i2", Some(7.0))], "an ended one is none");
    }

    #[test]
    fn a_service_without_domain_or_without_a_running_instance_has_no_http_traffic() {
        let web = ServiceParts { has_domain: true, ..ServiceParts::default() };
        assert!(!listed(web.clone(), &[("i1", "CRASHED")]).serves_http);
        let worker = listed(ServiceParts::default(), &[("i1", "RUNNING")]);
        assert_eq!((worker.facts.kind.as_deref(), worker.serves_http), (Some("worker"), false));
        let cron = ServiceParts { is_cron: true, ..web };
        assert_eq!(listed(cron, &[]).facts.kind.as_deref(), Some("cron"));
    }
}
