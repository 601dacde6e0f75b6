//! The services that a cycle collects, as the pages of the list bring them. Decides, and sends nothing itself.

use std::collections::HashSet;
use std::sync::Arc;

use super::names::Names;
use super::target::{Kind, Settings};
use super::wire::{ListedService, Page};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::{Inventory, Pages};
use crate::cloud::model::ServiceFacts;
use crate::cloud::{CloudError, ServiceFilter};

/// A service that is collected.
pub(super) struct CollectedService {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) facts: Arc<ServiceFacts>,
}

/// The services that were listed so far.
pub(super) struct Listing<'a> {
    settings: &'a Settings,
    filter: &'a ServiceFilter,
    cursors: Pages<String>,
    /// The ids of all services that were listed, collected or not: a list that shifts between two pages repeats some.
    listed: HashSet<String>,
    pub(super) services: Vec<CollectedService>,
    pub(super) inventory: Inventory,
    /// Why the list ends early, if it does.
    pub(super) cut_short: Option<CloudError>,
}

impl<'a> Listing<'a> {
    /// A list without a page.
    pub(super) fn new(settings: &'a Settings, filter: &'a ServiceFilter, inventory: Inventory) -> Self {
        Self {
            settings,
            filter,
            // The first page has no cursor.
            cursors: Pages::starting_at(String::new()),
            listed: HashSet::new(),
            services: Vec::new(),
            inventory,
            cut_short: None,
        }
    }

    /// Adds a page, and returns the cursor of the page behind it, if that is to be requested.
    ///
    /// A service whose environment has no name yet is left out, since its series would get other labels later: the list is
    /// not complete then, for the reason that the names could not be read.
    pub(super) fn add(
        &mut self,
        page: Page<ListedService>,
        names: &Names,
        unnamed: Option<&CloudError>,
    ) -> Option<String> {
        if page.unreadable > 0 {
            self.cut_short.get_or_insert(AnswerProblem::Shape.into());
        }
        let (entries, known_before) = (page.entries.len(), self.listed.len());
        for service in page.entries {
            if self.add_service(service, names, unnamed).is_err() {
                self.cut_short = Some(AnswerProblem::TooLarge.into());
                return None;
            }
        }
        // A page of static sites says nothing about the ones before.
        let only_known = entries > 0 && self.listed.len() == known_before;
        let next = page.next.transpose()?;
        let next = next.and_then(|next| self.cursors.follow(next, only_known, &mut self.inventory));
        next.map_err(|problem| self.cut_short = Some(problem.into())).ok()
    }

    /// Adds a service if it is new and collected. The error is that it exceeds the budget.
    fn add_service(
        &mut self,
        service: ListedService,
        names: &Names,
        unnamed: Option<&CloudError>,
    ) -> Result<(), AnswerProblem> {
        let settings = self.settings;
        let environment = service.environment.as_deref();
        let in_workspace = settings.workspaces.is_empty()
            || service.workspace.as_ref().is_some_and(|id| settings.workspaces.contains(id));
        if !self.inventory.is_new::<(), _>(&mut self.listed, service.id.clone(), service.id.len())?
            || !in_workspace
            || !settings.kinds.contains(&service.kind)
            || !self.inventory.wants(self.filter, &service.name)?
        {
            return Ok(());
        }
        if let (Some(error), Some(environment)) = (unnamed, environment)
            && !names.know(environment)
        {
            self.cut_short.get_or_insert(error.clone());
            return Ok(());
        }
        if !names.are_wanted(settings, environment) {
            return Ok(());
        }
        let facts = Arc::new(ServiceFacts {
            name: service.name,
            application: environment.map(|environment| names.application(environment)),
            id: Some(service.id.clone()),
            status: service.suspended,
            kind: Some(service.kind.as_str().to_owned()),
            desired_instances: service.instances,
            image: service.image,
            image_tag: service.image_tag,
            size: service.plan,
            region: service.region,
            ..ServiceFacts::default()
        });
        if self.inventory.add_service(&facts)? {
            self.services.push(CollectedService { id: service.id, kind: service.kind, facts });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
