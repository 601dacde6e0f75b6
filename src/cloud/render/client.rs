//! The client of one account: keeps its session and what cycles hand on, and sends the requests of its cycles.
//!
//! The first page of services judges the key. Pages follow one another, since each names the next; what the metrics cost
//! depends on how many services there are, so they are asked for once all are listed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::cycle::Cycle;
use super::instances::InstanceList;
use super::kept::Kept;
use super::listing::Listing;
use super::names::{MOST_NAMES, NameList, Names};
use super::requests::{CycleRequest, CycleResponse};
use super::target::Settings;
use super::wire::{self, Entity, ListedInstances, ListedService, Page};
use super::{series, urls};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::{AccountClient, ApiRequest};
use crate::cloud::kit::{Inventory, InventoryBudget, KeptState, Pages, Session, Spent, queue, session};
use crate::cloud::{Cloud, CloudError, Collection, ServiceFilter};

/// The most bytes of a page of services.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// The most bytes of a page of projects, environments or workspaces.
const MAX_NAMES_BYTES: usize = 4 << 20;
/// The most bytes of a metric of a batch of services.
const MAX_METRIC_BYTES: usize = 16 << 20;
/// The most bytes of a service's instances.
const MAX_LIST_BYTES: usize = 4 << 20;

/// What requests need that a key may lack.
const READ_SERVICES: &str = "access to the workspace's services";
const READ_PROJECTS: &str = "access to the workspace's projects and environments";
const READ_METRICS: &str = "access to the workspace's metrics";

/// One account at Render. Other settings or another key need another value.
pub struct Render {
    settings: Settings,
    key: SecretString,
    /// Its token is the `Authorization` header of every request.
    session: Session<HeaderValue>,
    client: AccountClient,
    /// Replaced when a cycle ends; a cancelled one leaves both as they were.
    kept: KeptState<Kept>,
    names: KeptState<Names>,
}

/// The services of a cycle.
struct Listed<'a> {
    listing: Listing<'a>,
    /// Why names could not be read, or that some of what the settings name does not exist.
    names_problem: Option<CloudError>,
    /// Why nothing more can be requested.
    ended_by: Option<CloudError>,
}

impl Render {
    /// An account that sends its requests through this client. Sends nothing yet.
    pub fn new(settings: Settings, key: SecretString, client: AccountClient) -> Self {
        let session = Session::new(Arc::clone(client.state()));
        Self { settings, key, session, client, kept: KeptState::default(), names: KeptState::default() }
    }

    async fn run_cycle(&self, filter: &ServiceFilter) -> Result<Collection, CloudError> {
        let Self { settings, key, session, client, kept, .. } = self;
        client.policy().check_endpoint(&settings.endpoint)?;

        // A given key needs no login; one that is refused is not tried again for a while.
        let log_in = async || Ok(session::authorization("Bearer", key.expose_secret())?);
        let first_page = |authorization| {
            let requests = Requests { client, settings, authorization };
            async move { requests.services(None).await }
        };
        let (authorization, page) = session.start(client.meter(), log_in, first_page).await?;
        let requests = Requests { client, settings, authorization };

        let Listed { listing, names_problem, ended_by } = self.list(&requests, filter, page).await?;
        let before = kept.get();
        let max_in_flight = client.limits().max_concurrent;
        let mut cycle = Cycle::new(settings, before, listing, SystemTime::now(), max_in_flight);
        let ended_by = match ended_by {
            Some(error) => Some(error),
            None => {
                queue::run(&mut cycle, max_in_flight, client.workers(), |request| requests.send(request))
                    .await
            }
        };
        let (mut collection, after) = cycle.finish(ended_by);
        collection.batch_errors.extend(names_problem);
        kept.replace(after);
        Ok(collection)
    }

    /// Lists all services, with the names of their environments.
    ///
    /// The error is that the settings choose by names of which none was ever read, or that nothing exists of what they name.
    async fn list<'a>(
        &'a self,
        requests: &Requests<'_>,
        filter: &'a ServiceFilter,
        first_page: Spent<Page<ListedService>>,
    ) -> Result<Listed<'a>, CloudError> {
        let mut names = self.names.get();
        let mut listing = Listing::new(&self.settings, filter, Inventory::charged(self.client.charge()));
        let (mut next_page, mut looked_up, mut unnamed, mut ended_by) = (first_page, false, None, None);
        loop {
            // A page waits for the names of its environments.
            let mut held = Inventory::charged(self.client.charge());
            let page = match held.keep(next_page) {
                Ok(page) => page,
                Err(problem) => {
                    listing.cut_short = Some(problem.into());
                    break;
                }
            };
            let environments = || page.entries.iter().filter_map(|service| service.environment.as_deref());
            if !looked_up && names.are_due(&self.settings, environments(), Instant::now()) {
                looked_up = true;
                match Names::look_up(&self.settings, |list| requests.names(list), &names, environments())
                    .await
                {
                    Ok(read) => {
                        self.names.replace(read);
                        names = self.names.get();
                    }
                    Err(error) if error.concerns_account() => return Err(error),
                    Err(error) if names.are_unknown() => {
                        match Names::without(error, &self.settings, &names, environments()) {
                            Ok(ids) => {
                                self.names.replace(ids);
                                names = self.names.get();
                            }
                            // Nothing could be chosen.
                            Err(error) if self.settings.names_environments() => return Err(error),
                            Err(error) => unnamed = Some(error),
                        }
                    }
                    Err(error) => unnamed = Some(error),
                }
            }
            let steps = filter.steps(page.entries.len());
            let add = || listing.add(page, &names, unnamed.as_ref());
            let Some(cursor) = self.client.workers().run_steps(steps, None, add).await else { break };
            drop(held);
            next_page = match requests.services(Some(&cursor)).await {
                Ok(page) => page,
                Err(error) => {
                    ended_by = error.concerns_account().then(|| error.clone());
                    listing.cut_short = Some(error);
                    break;
                }
            };
        }
        let names_problem =
            unnamed.or(names.unreadable.clone()).or(names.missing.map(CloudError::NotVisible));
        Ok(Listed { listing, names_problem, ended_by })
    }
}

impl Cloud for Render {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(self.run_cycle(filter))
    }

    fn kept_bytes(&self) -> usize {
        self.kept.bytes() + self.names.bytes()
    }

    fn forget(&self) {
        self.kept.forget();
        self.names.forget();
    }
}

/// The requests that carry one key.
struct Requests<'a> {
    client: &'a AccountClient,
    settings: &'a Settings,
    authorization: HeaderValue,
}

impl Requests<'_> {
    async fn send(&self, request: CycleRequest) -> CycleResponse {
        match request {
            CycleRequest::Metric(batch, metric, window, url, budget) => {
                let (oldest, latest) = (window.start, window.complete(metric));
                let read = |body: &[u8]| {
                    budget.reading(|budget| series::newest(body, metric, oldest, latest, budget))
                };
                let answer = self.get("metrics", url, MAX_METRIC_BYTES, READ_METRICS, read).await;
                if let Ok(answer) = &answer {
                    self.client.meter().unknown_units(answer.value().unknown_units);
                }
                CycleResponse::Metric(batch, metric, answer)
            }
            CycleRequest::Instances(service, url, budget) => {
                let at = urls::seconds(SystemTime::now()) as f64;
                let read = |body: &[u8]| {
                    budget.reading(|budget| {
                        let ListedInstances { created, is_complete } = wire::instances(body, budget)?;
                        Ok(InstanceList { at, created, is_complete })
                    })
                };
                let list = self.get("instances", url, MAX_LIST_BYTES, READ_SERVICES, read).await;
                CycleResponse::Instances(service, list)
            }
        }
    }

    /// A page of services behind this cursor.
    async fn services(&self, cursor: Option<&str>) -> Result<Spent<Page<ListedService>>, CloudError> {
        let url = urls::services(self.settings, cursor);
        let read = |body: &[u8]| InventoryBudget::PER_CYCLE.reading(|budget| wire::services(body, budget));
        self.get("services", url, MAX_PAGE_BYTES, READ_SERVICES, read).await
    }

    /// All entries of a list of names.
    async fn names(&self, list: NameList) -> Result<Vec<Entity>, CloudError> {
        let (operation, key) = match &list {
            NameList::Workspaces => ("workspaces", "owner"),
            NameList::Projects => ("projects", "project"),
            NameList::Environments(_) => ("environments", "environment"),
        };
        let url = |cursor: Option<&str>| match &list {
            NameList::Workspaces => urls::workspaces(self.settings, cursor),
            NameList::Projects => urls::projects(self.settings, cursor),
            NameList::Environments(projects) => urls::environments(self.settings, projects, cursor),
        };
        let (mut entities, mut ids) = (Vec::new(), HashSet::new());
        let (mut pages, mut cursor) = (Pages::starting_at(String::new()), None);
        let mut inventory = Inventory::charged(self.client.charge());
        loop {
            let read = |body: &[u8]| wire::entities(body, key, &mut { InventoryBudget::PER_CYCLE });
            let page =
                self.get(operation, url(cursor.as_deref()), MAX_NAMES_BYTES, READ_PROJECTS, read).await?;
            if page.unreadable > 0 {
                return Err(AnswerProblem::Shape.into());
            }
            let known_before = ids.len();
            for entity in page.entries {
                if inventory.is_new::<Entity, _>(&mut ids, entity.id.clone(), entity.text_bytes())? {
                    entities.push(entity);
                }
            }
            if entities.len() > MOST_NAMES {
                return Err(AnswerProblem::TooLarge.into());
            }
            let Some(next) = page.next? else { return Ok(entities) };
            cursor = Some(pages.follow(next, ids.len() == known_before, &mut inventory)?);
        }
    }

    async fn get<T>(
        &self,
        operation: &'static str,
        url: Url,
        max_bytes: usize,
        needs: &'static str,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        let mut request = ApiRequest::new(operation, url, max_bytes);
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        match self.client.fetch(&request, read).await {
            Err(CloudError::Status(403)) => Err(CloudError::ScopeMissing(needs)),
            answered => answered,
        }
    }
}
