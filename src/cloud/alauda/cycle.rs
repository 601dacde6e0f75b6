//! What one cycle knows so far and what is still to be asked. Decides, and asks nothing itself.

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::room::Room;
use super::streak::Streak;
use super::wire::{self, ServicePath};
use super::{Failure, Settings};
use crate::cloud::error::AnswerProblem;
use crate::cloud::model::{Instance, InstanceFacts, Reading, Service, ServiceFacts};
use crate::cloud::{CloudError, Collection};

/// The most pages that are read: a list that is longer does not end.
const MOST_PAGES: usize = 1_000;

/// Something to ask, and for which service and instance of the cycle.
pub(super) enum Ask {
    /// A page of services, of which there is so much room for.
    Page(Url, Room),
    /// A service's instances, of which there is so much room for.
    Instances(usize, Url, Room),
    /// An instance's newest sample.
    Sample(usize, usize, Url),
}

/// What came of it.
pub(super) enum Answer {
    Page(Url, Result<wire::Page, Failure>),
    Instances(usize, Result<Vec<Arc<InstanceFacts>>, Failure>),
    Sample(usize, usize, Result<Reading, Failure>),
}

/// A service as far as it is known. `instances` is `None` while they are asked for.
struct Draft {
    facts: Arc<ServiceFacts>,
    path: Option<ServicePath>,
    instances: Option<Result<Vec<DraftInstance>, CloudError>>,
}

/// An instance; `None` while its sample is asked for.
type DraftInstance = (Arc<InstanceFacts>, Option<Reading>);

/// What waits in the queue.
enum Job {
    /// A service's instances.
    Instances(usize),
    /// The samples of a service's instances, from this one on.
    Samples(usize, usize),
}

/// Tells services apart: by name and application.
struct Identity(Arc<ServiceFacts>);

impl Identity {
    fn parts(&self) -> (&str, Option<&str>) {
        (&self.0.name, self.0.application.as_deref())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    /// The page to ask for before all else, so that pages and samples are under way together.
    page: Option<Url>,
    jobs: VecDeque<Job>,
    drafts: Vec<Draft>,
    /// The services of which anything is asked: those that can fail.
    asked: HashSet<usize>,
    room: Room,
    seen_pages: HashSet<Url>,
    seen_services: HashSet<Identity>,
    /// Whether a page is still to come.
    paging: bool,
    cut_short: Option<CloudError>,
    streak: Streak,
}

impl<'a> Cycle<'a> {
    /// A cycle that starts with this page; `at_once` requests will be under way.
    pub(super) fn new(settings: &'a Settings, first: Url, at_once: usize) -> Self {
        Self {
            settings,
            page: Some(first),
            jobs: VecDeque::new(),
            drafts: Vec::new(),
            asked: HashSet::new(),
            room: Room::WHOLE,
            seen_pages: HashSet::new(),
            seen_services: HashSet::new(),
            paging: true,
            cut_short: None,
            streak: Streak::new(at_once),
        }
    }

    /// What to ask next, if anything is left.
    pub(super) fn next(&mut self) -> Option<Ask> {
        if let Some(url) = self.page.take() {
            self.seen_pages.insert(url.clone());
            return Some(Ask::Page(url, self.room));
        }
        loop {
            match self.jobs.pop_front()? {
                Job::Instances(service) => {
                    let draft = &mut self.drafts[service];
                    match &draft.path {
                        Some(path) => return Some(Ask::Instances(service, path.instances_url(), self.room)),
                        None => draft.instances = Some(Err(AnswerProblem::Shape.into())),
                    }
                }
                Job::Samples(service, instance) => {
                    // One of each service in turn: a few that are ill, wherever they stand, do not look like the cloud.
                    if instance + 1 < self.instances_of(service) {
                        self.jobs.push_back(Job::Samples(service, instance + 1));
                    }
                    if let Some(url) = self.sample_url(service, instance) {
                        return Some(Ask::Sample(service, instance, url));
                    }
                    self.put_reading(service, instance, Reading::failed(AnswerProblem::Shape.into()));
                }
            }
        }
    }

    /// Takes an answer in. The error, if any, ends the cycle: nothing else that is asked can succeed.
    pub(super) fn take(&mut self, answer: Answer) -> Result<(), CloudError> {
        match answer {
            Answer::Page(url, Ok(page)) => {
                self.take_page(&url, page);
                Ok(())
            }
            Answer::Page(_, Err(Failure::Request(error))) => {
                self.paging = false;
                if self.seen_pages.len() == 1 {
                    return Err(error);
                }
                self.cut_short = Some(error);
                Ok(())
            }
            Answer::Instances(service, Ok(list)) => {
                self.streak.end();
                self.put_instances(service, list);
                Ok(())
            }
            Answer::Instances(service, Err(Failure::Request(error))) => {
                self.drafts[service].instances = Some(Err(error.clone()));
                self.streak.add(service, error, self.asked.len())
            }
            Answer::Sample(service, instance, Ok(reading)) => {
                self.streak.end();
                self.put_reading(service, instance, reading);
                Ok(())
            }
            Answer::Sample(service, instance, Err(Failure::Request(error))) => {
                self.put_reading(service, instance, Reading::failed(error.clone()));
                self.streak.add(service, error, self.asked.len())
            }
            Answer::Page(_, Err(Failure::Account(error)))
            | Answer::Instances(_, Err(Failure::Account(error)))
            | Answer::Sample(_, _, Err(Failure::Account(error))) => Err(error),
        }
    }

    /// What the cycle brought. Where it was stopped, whatever was not asked shares the reason.
    pub(super) fn finish(self, stopped: Option<CloudError>) -> Result<Collection, CloudError> {
        if let Some(error) = &stopped
            && self.paging_failed_first()
        {
            return Err(error.clone());
        }
        let missing = stopped.clone().unwrap_or(CloudError::Answer(AnswerProblem::Shape));
        let finished = |draft: Draft| Service {
            facts: draft.facts,
            reading: Reading::default(),
            instances: draft.instances.unwrap_or_else(|| Err(missing.clone())).map(|instances| {
                let read = |(facts, reading): DraftInstance| Instance {
                    facts,
                    reading: reading.unwrap_or_else(|| Reading::failed(missing.clone())),
                };
                instances.into_iter().map(read).collect()
            }),
        };
        Ok(Collection {
            cut_short: self.cut_short.or(stopped.filter(|_| self.paging)),
            services: self.drafts.into_iter().map(finished).collect(),
            batch_errors: Vec::new(),
        })
    }

    /// Whether not even the first page was read.
    fn paging_failed_first(&self) -> bool {
        self.seen_pages.len() <= 1 && self.drafts.is_empty()
    }

    fn take_page(&mut self, url: &Url, page: wire::Page) {
        if page.unreadable > 0 {
            self.cut_short = Some(AnswerProblem::Shape.into());
        }
        let (told, before) = (page.services.len(), self.drafts.len());
        let fits = page.services.into_iter().try_for_each(|listed| self.take_service(listed));
        self.paging = false;
        if page.cut || fits.is_err() {
            self.cut_short = Some(AnswerProblem::TooLarge.into());
            return;
        }
        let Some(next) = page.next else { return };
        let only_known = told > 0 && self.drafts.len() == before;
        match self.next_page(url, &next, only_known) {
            Ok(next) => {
                self.paging = true;
                self.page = Some(next);
            }
            Err(problem) => self.cut_short = Some(problem.into()),
        }
    }

    /// Puts a service in, unless it stood on a page before. The error is that there is no room for it.
    fn take_service(&mut self, listed: wire::ListedService) -> Result<(), AnswerProblem> {
        let facts = Arc::new(listed.facts);
        if self.seen_services.contains(&Identity(Arc::clone(&facts))) {
            return Ok(());
        }
        self.room.take_service(&facts)?;
        self.seen_services.insert(Identity(Arc::clone(&facts)));
        let path = ServicePath::new(&self.settings.endpoint, &self.settings.namespace, &facts);
        let service = self.drafts.len();
        self.drafts.push(Draft { facts, path, instances: None });
        match listed.instances {
            Some(Ok(list)) => self.put_instances(service, list),
            Some(Err(problem)) => self.drafts[service].instances = Some(Err(problem.into())),
            None if self.is_stopped(service) => self.put_instances(service, Vec::new()),
            None => self.queue(service, Job::Instances(service)),
        }
        Ok(())
    }

    fn queue(&mut self, service: usize, job: Job) {
        self.jobs.push_back(job);
        // A service without a path fails without being asked.
        if self.drafts[service].path.is_some() {
            self.asked.insert(service);
        }
    }

    /// The next page, unless its list does not end: it was read already, or the one before had `only_known` services.
    fn next_page(&self, url: &Url, next: &str, only_known: bool) -> Result<Url, AnswerProblem> {
        let next = wire::next_url(&self.settings.endpoint, url, next)?;
        if only_known || self.seen_pages.contains(&next) || wire::is_page_one(&next) {
            return Err(AnswerProblem::PageCycle);
        }
        if self.seen_pages.len() >= MOST_PAGES {
            return Err(AnswerProblem::TooManyPages);
        }
        Ok(next)
    }

    /// Puts a service's instances in and asks for their samples, unless the service is stopped.
    fn put_instances(&mut self, service: usize, list: Vec<Arc<InstanceFacts>>) {
        self.asked.remove(&service);
        if let Err(problem) = self.room.take_instances(&list) {
            self.drafts[service].instances = Some(Err(problem.into()));
            return;
        }
        let stopped = self.is_stopped(service);
        if !stopped && !list.is_empty() {
            self.queue(service, Job::Samples(service, 0));
        }
        let reading = || stopped.then(Reading::not_running);
        self.drafts[service].instances = Some(Ok(list.into_iter().map(|facts| (facts, reading())).collect()));
    }

    fn instances_of(&self, service: usize) -> usize {
        match &self.drafts[service].instances {
            Some(Ok(instances)) => instances.len(),
            Some(Err(_)) | None => 0,
        }
    }

    fn put_reading(&mut self, service: usize, instance: usize, reading: Reading) {
        if let Some(Ok(instances)) = &mut self.drafts[service].instances {
            instances[instance].1 = Some(reading);
        }
    }

    fn is_stopped(&self, service: usize) -> bool {
        let status = self.drafts[service].facts.status.as_deref();
        status.is_some_and(|status| status.eq_ignore_ascii_case("stopped"))
    }

    fn sample_url(&self, service: usize, instance: usize) -> Option<Url> {
        let draft = &self.drafts[service];
        let Some(Ok(instances)) = &draft.instances else { return None };
        let (facts, _) = instances.get(instance)?;
        let (window, lag) = (self.settings.metrics_window, self.settings.metrics_lag);
        draft.path.as_ref()?.metrics_url(&facts.id, window, lag, SystemTime::now())
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
