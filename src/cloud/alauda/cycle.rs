//! What one cycle knows so far and what is still to be asked. Decides, and asks nothing itself.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::collect::{Answer, Ask};
use super::wire::{self, ServicePath};
use super::{Failure, Settings};
use crate::cloud::error::AnswerProblem;
use crate::cloud::model::{Instance, InstanceFacts, Reading, Service, ServiceFacts};
use crate::cloud::{CloudError, Collection};

/// The most pages that are read: a list that is longer does not end.
const MOST_PAGES: usize = 1_000;
/// The most instances that are looked at: memory has to end somewhere.
const MOST_INSTANCES: usize = 250_000;
/// Failures in a row over so many services speak for the cloud; over fewer they may be the services' own.
const SPEAKS_FOR_ALL: usize = 4;

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
    Page(Url),
    Instances(usize),
    Sample(usize, usize),
}

/// One cycle as far as it has come.
pub(super) struct Cycle<'a> {
    settings: &'a Settings,
    jobs: VecDeque<Job>,
    drafts: Vec<Draft>,
    instances: usize,
    seen_pages: HashSet<Url>,
    /// Whether a page is still to come.
    paging: bool,
    cut_short: Option<CloudError>,
    streak: Streak,
}

/// Failures without a success between them: each costs a whole deadline, so a cloud that does not answer is not asked
/// ten thousand times.
struct Streak {
    most: usize,
    failures: usize,
    services: HashSet<usize>,
}

impl<'a> Cycle<'a> {
    /// A cycle that starts with this page; `at_once` requests will be under way.
    pub(super) fn new(settings: &'a Settings, first: Url, at_once: usize) -> Self {
        Self {
            settings,
            jobs: VecDeque::from([Job::Page(first)]),
            drafts: Vec::new(),
            instances: 0,
            seen_pages: HashSet::new(),
            paging: true,
            cut_short: None,
            // What is under way together fails together, so one round proves little.
            streak: Streak {
                most: at_once.saturating_mul(2).clamp(8, 256),
                failures: 0,
                services: HashSet::new(),
            },
        }
    }

    /// What to ask next, if anything is left.
    pub(super) fn next(&mut self) -> Option<Ask> {
        loop {
            match self.jobs.pop_front()? {
                Job::Page(url) => {
                    self.seen_pages.insert(url.clone());
                    return Some(Ask::Page(url));
                }
                Job::Instances(service) => {
                    let draft = &mut self.drafts[service];
                    match &draft.path {
                        Some(path) => return Some(Ask::Instances(service, path.instances_url())),
                        None => draft.instances = Some(Err(AnswerProblem::Shape.into())),
                    }
                }
                Job::Sample(service, instance) => {
                    if let Some(url) = self.sample_url(service, instance) {
                        return Some(Ask::Sample(service, instance, url));
                    }
                    self.put_reading(service, instance, Reading::Failed(AnswerProblem::Shape.into()));
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
                self.streak.add(service, error, self.drafts.len())
            }
            Answer::Sample(service, instance, Ok(reading)) => {
                self.streak.end();
                self.put_reading(service, instance, reading);
                Ok(())
            }
            Answer::Sample(service, instance, Err(Failure::Request(error))) => {
                self.put_reading(service, instance, Reading::Failed(error.clone()));
                self.streak.add(service, error, self.drafts.len())
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
            instances: draft.instances.unwrap_or_else(|| Err(missing.clone())).map(|instances| {
                let read = |(facts, reading): DraftInstance| Instance {
                    facts,
                    reading: reading.unwrap_or_else(|| Reading::Failed(missing.clone())),
                };
                instances.into_iter().map(read).collect()
            }),
        };
        Ok(Collection {
            cut_short: self.cut_short.or(stopped.filter(|_| self.paging)),
            services: self.drafts.into_iter().map(finished).collect(),
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
        for listed in page.services {
            if self.instances >= MOST_INSTANCES {
                self.cut_short = Some(AnswerProblem::TooLarge.into());
                break;
            }
            let service = self.drafts.len();
            let path = ServicePath::new(&self.settings.endpoint, &self.settings.namespace, &listed.facts);
            self.drafts.push(Draft { facts: Arc::new(listed.facts), path, instances: None });
            match listed.instances {
                Some(Ok(list)) => self.put_instances(service, list),
                Some(Err(problem)) => self.drafts[service].instances = Some(Err(problem.into())),
                None if self.is_stopped(service) => self.put_instances(service, Vec::new()),
                None => self.jobs.push_back(Job::Instances(service)),
            }
        }
        self.paging = false;
        let Some(next) = page.next else { return };
        match self.next_page(url, &next) {
            Ok(next) => {
                self.paging = true;
                // Before all samples, so that pages and samples are under way together.
                self.jobs.push_front(Job::Page(next));
            }
            Err(problem) => self.cut_short = Some(problem.into()),
        }
    }

    fn next_page(&self, url: &Url, next: &str) -> Result<Url, AnswerProblem> {
        let next = wire::next_url(url, next)?;
        if self.seen_pages.contains(&next) || wire::is_page_one(&next) {
            return Err(AnswerProblem::PageCycle);
        }
        if self.seen_pages.len() >= MOST_PAGES {
            return Err(AnswerProblem::TooManyPages);
        }
        if self.instances >= MOST_INSTANCES {
            return Err(AnswerProblem::TooLarge);
        }
        Ok(next)
    }

    /// Puts a service's instances in and asks for their samples, unless the service is stopped.
    fn put_instances(&mut self, service: usize, list: Vec<Arc<InstanceFacts>>) {
        if list.len() > MOST_INSTANCES {
            self.drafts[service].instances = Some(Err(AnswerProblem::TooLarge.into()));
            return;
        }
        self.instances += list.len();
        let stopped = self.is_stopped(service);
        if !stopped {
            self.jobs.extend((0..list.len()).map(|instance| Job::Sample(service, instance)));
        }
        let reading = || stopped.then_some(Reading::NotRunning);
        self.drafts[service].instances = Some(Ok(list.into_iter().map(|facts| (facts, reading())).collect()));
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

impl Streak {
    fn end(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.services.clear();
        }
    }

    /// Counts a failure; the error comes back when it speaks for the cloud.
    fn add(&mut self, service: usize, error: CloudError, services: usize) -> Result<(), CloudError> {
        let is_ill = matches!(error, CloudError::Unreachable(_) | CloudError::Status(500..));
        if !is_ill {
            self.end();
            return Ok(());
        }
        self.failures += 1;
        self.services.insert(service);
        let speaks_for_all = self.services.len() >= services.min(SPEAKS_FOR_ALL);
        if self.failures >= self.most && speaks_for_all { Err(error) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
