//! The services that a cycle collects, as the lists of projects and of their services bring them. Decides, and sends
//! nothing itself.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::facts;
use super::kept::Deployment;
use super::target::Settings;
use super::wire::{ListedProject, ListedService, Page};
use crate::cloud::error::AnswerProblem;
use crate::cloud::kit::{Inventory, Pages};
use crate::cloud::model::ServiceFacts;
use crate::cloud::{CloudError, ServiceFilter};

/// The type of services that only build: they have no containers.
const BUILD: &str = "build";

/// A page to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListPage {
    /// Of projects, by its cursor.
    Projects(Option<String>),
    /// Of a project's services, by the project's number and its cursor.
    Services(usize, Option<String>),
}

/// A service that is collected.
#[derive(Debug)]
pub(super) struct CollectedService {
    pub(super) facts: Arc<ServiceFacts>,
    pub(super) deployment: Deployment,
}

struct Project {
    id: String,
    cursors: Pages<String>,
}

/// What was listed so far.
pub(super) struct Listing<'a> {
    settings: &'a Settings,
    pub(super) filter: &'a ServiceFilter,
    cursors: Pages<String>,
    /// The ids of all projects that were listed, collected or not: a list that shifts between two pages repeats some.
    known_projects: HashSet<String>,
    /// The same of services, with the number of their project.
    known_services: HashSet<(usize, String)>,
    /// Which of the settings' projects were found.
    found: HashSet<&'a str>,
    projects: Vec<Project>,
    pub(super) services: Vec<CollectedService>,
    pub(super) inventory: Inventory,
    waiting: VecDeque<ListPage>,
    /// Pages that are to come.
    open: usize,
    /// Why a list ends early, if one does.
    pub(super) cut_short: Option<CloudError>,
    are_projects_cut: bool,
}

impl<'a> Listing<'a> {
    /// A list of which the first page of projects is requested.
    pub(super) fn new(settings: &'a Settings, filter: &'a ServiceFilter, inventory: Inventory) -> Self {
        Self {
            settings,
            filter,
            // The first page has no cursor.
            cursors: Pages::starting_at(String::new()),
            known_projects: HashSet::new(),
            known_services: HashSet::new(),
            found: HashSet::new(),
            projects: Vec::new(),
            services: Vec::new(),
            inventory,
            waiting: VecDeque::new(),
            open: 1,
            cut_short: None,
            are_projects_cut: false,
        }
    }

    /// The next page to request.
    pub(super) fn next_page(&mut self) -> Option<ListPage> {
        self.waiting.pop_front()
    }

    /// Whether all pages have come.
    pub(super) fn is_complete(&self) -> bool {
        self.open == 0
    }

    /// The id of the project of this number.
    pub(super) fn project(&self, number: usize) -> &str {
        &self.projects[number].id
    }

    /// The settings name a project that no list has: `None` where that is not known.
    pub(super) fn missing_project(&self) -> Option<CloudError> {
        let is_missing = self.settings.projects.iter().any(|wanted| !self.found.contains(wanted.as_str()));
        (is_missing && !self.are_projects_cut && self.is_complete())
            .then_some(CloudError::NotVisible("project"))
    }

    /// Adds a page of projects.
    pub(super) fn add_projects(&mut self, page: Page<ListedProject>) {
        let (listed, known_before) = (page.entries.len(), self.known_projects.len());
        self.are_projects_cut |= page.unreadable > 0;
        self.note(page.unreadable);
        self.open -= 1;
        for project in page.entries {
            if let Err(problem) = self.add_project(project) {
                return self.cut_projects(problem.into());
            }
        }
        let only_known = listed > 0 && self.known_projects.len() == known_before;
        match page
            .next
            .and_then(|next| self.cursors.after(next, page.listed, only_known, &mut self.inventory))
        {
            Ok(Some(cursor)) => self.request(ListPage::Projects(Some(cursor))),
            Ok(None) => {}
            Err(problem) => self.cut_projects(problem.into()),
        }
    }

    /// Adds a project if it is new and collected. The error is that it exceeds the budget.
    fn add_project(&mut self, project: ListedProject) -> Result<(), AnswerProblem> {
        let ListedProject { id, name } = project;
        let texts = 2 * id.len();
        let is_new =
            self.inventory.is_new::<(Project, ListPage), _>(&mut self.known_projects, id.clone(), texts)?;
        if !is_new || !self.settings.wants_project(&id, name.as_deref()) {
            return Ok(());
        }
        let wanted = self.settings.projects.iter().map(String::as_str);
        self.found.extend(wanted.filter(|wanted| *wanted == id || Some(*wanted) == name.as_deref()));
        self.projects.push(Project { id, cursors: Pages::starting_at(String::new()) });
        self.request(ListPage::Services(self.projects.len() - 1, None));
        Ok(())
    }

    /// Adds a page of a project's services.
    pub(super) fn add_services(&mut self, project: usize, page: Page<ListedService>) {
        self.open -= 1;
        let (listed, known_before) = (page.entries.len(), self.known_services.len());
        self.note(page.unreadable);
        for service in page.entries {
            if let Err(problem) = self.add_service(project, &service) {
                self.cut_short = Some(problem.into());
                // The memory is full for the services of other projects too.
                self.open -= self.waiting.len();
                let is_of_projects = |page: &ListPage| matches!(page, ListPage::Projects(_));
                self.are_projects_cut |= self.waiting.iter().any(is_of_projects);
                self.waiting.clear();
                return;
            }
        }
        let only_known = listed > 0 && self.known_services.len() == known_before;
        let (cursors, inventory) = (&mut self.projects[project].cursors, &mut self.inventory);
        match page.next.and_then(|next| cursors.after(next, page.listed, only_known, inventory)) {
            Ok(Some(cursor)) => self.request(ListPage::Services(project, Some(cursor))),
            Ok(None) => {}
            Err(problem) => self.cut_short = Some(problem.into()),
        }
    }

    /// Adds a service if it is new and collected. The error is that it exceeds the budget.
    fn add_service(&mut self, project: usize, service: &ListedService) -> Result<(), AnswerProblem> {
        let (key, texts) = ((project, service.id.clone()), service.id.len());
        if !self.inventory.is_new::<usize, _>(&mut self.known_services, key, texts)?
            || service.kind.as_deref() == Some(BUILD)
            || !self.inventory.wants(self.filter, &service.id)?
        {
            return Ok(());
        }
        let facts = Arc::new(facts::listed(&self.projects[project].id, service));
        if self.inventory.add_service(&facts)? {
            self.services.push(CollectedService { facts, deployment: Deployment::of(service) });
        }
        Ok(())
    }

    /// A page could not be read.
    pub(super) fn failed(&mut self, page: &ListPage, error: CloudError) {
        self.open -= 1;
        match page {
            ListPage::Projects(_) => self.cut_projects(error),
            ListPage::Services(..) => self.cut_short = Some(error),
        }
    }

    fn cut_projects(&mut self, error: CloudError) {
        self.are_projects_cut = true;
        self.cut_short = Some(error);
    }

    fn note(&mut self, unreadable: usize) {
        if unreadable > 0 {
            self.cut_short.get_or_insert(AnswerProblem::Shape.into());
        }
    }

    fn request(&mut self, page: ListPage) {
        self.open += 1;
        self.waiting.push_back(page);
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
