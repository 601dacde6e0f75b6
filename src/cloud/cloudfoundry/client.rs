//! The client of one account: keeps its session and sends the requests of its cycles.
//!
//! The first page of applications judges the token. Applications come before processes, since a process has no name of its
//! own; the instances of processes share one queue with the later pages of processes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use url::Url;

use super::cost::PER_PAGE;
use super::credentials::CloudFoundryCredentials;
use super::cycle::{Cycle, CycleRequest, CycleResponse};
use super::login::{LoginServer, Token};
use super::lookup::KnownScope;
use super::scope::Scope;
use super::start_times::StartTimes;
use super::stats;
use super::target::Settings;
use super::wire::{self, Entity, Page};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::{AccountClient, ApiRequest};
use crate::cloud::kit::paging::next_url;
use crate::cloud::kit::{Inventory, InventoryBudget, KeptState, Pages, Session, queue};
use crate::cloud::model::ServiceFacts;
use crate::cloud::{Cloud, CloudError, Collection, ServiceFilter};

/// The most bytes of a page. 5,000 applications are some 11 MB.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// The most bytes of the instances of a process. One instance has about 700.
const MAX_STATS_BYTES: usize = 8 << 20;
/// Entries on a page once a page of [`PER_PAGE`] was too large, as with much metadata.
const FEWER_PER_PAGE: usize = 1_000;
/// The operation that reads the instances of a process.
const STATS: &str = "stats";
/// What a token needs for the lists.
const SCOPE: &str = "the scope cloud_controller.read";
/// What a user needs for the instances of a process.
const ROLE: &str = "the role Space Auditor in the application's space";

/// One account at an installation of Cloud Foundry. Other settings or credentials need another value.
pub struct CloudFoundry {
    settings: Settings,
    credentials: CloudFoundryCredentials,
    client: AccountClient,
    session: Session<Token>,
    login_server: LoginServer,
    scope: KeptState<KnownScope>,
    start_times: StdMutex<StartTimes>,
    per_page: AtomicUsize,
}

impl CloudFoundry {
    /// An account that sends its requests through this client. Sends nothing yet.
    pub fn new(settings: Settings, credentials: CloudFoundryCredentials, client: AccountClient) -> Self {
        Self {
            session: Session::renewing(Arc::clone(client.state()), Token::is_current),
            settings,
            credentials,
            client,
            login_server: LoginServer::default(),
            scope: KeptState::default(),
            start_times: StdMutex::default(),
            per_page: AtomicUsize::new(PER_PAGE),
        }
    }

    async fn run_cycle(&self, filter: &ServiceFilter) -> Result<Collection, CloudError> {
        let Self { settings, client, session, .. } = self;
        client.policy().check_endpoint(&settings.endpoint)?;
        let (token, first) =
            session.start(client.meter(), || self.log_in(), |token| self.first_page(token)).await?;
        let FirstPage { scope, url, page } = first;
        let processes = wire::processes_url(&settings.endpoint, self.per_page(), &scope);
        let requests = Requests { account: self, token, scope: &scope };
        let max_in_flight = client.limits().max_concurrent;
        let inventory = Inventory::charged(client.charge());
        let mut cycle = Cycle::new(
            &settings.endpoint,
            (filter, &scope),
            (&url, page),
            &processes,
            inventory,
            max_in_flight,
        );
        let ended_by =
            queue::run(&mut cycle, max_in_flight, client.workers(), |request| requests.send(request)).await;
        let mut start_times = self.start_times.lock().unwrap_or_else(PoisonError::into_inner);
        cycle.finish(ended_by, &mut start_times)
    }

    async fn log_in(&self) -> Result<Token, CloudError> {
        self.login_server.log_in(&self.client, &self.settings, &self.credentials).await
    }

    /// The first page of applications, and before it the organizations and spaces that have to be looked up.
    async fn first_page(&self, token: Token) -> Result<FirstPage, CloudError> {
        let nothing = Scope::default();
        let requests = Requests { account: self, token, scope: &nothing };
        let list = |operation, url| requests.entities(operation, url);
        let scope = KnownScope::get(&self.scope, &self.settings, list).await?;
        let selector = self.settings.label_selector.as_deref();
        let url = wire::apps_url(&self.settings.endpoint, self.per_page(), &scope, selector);
        let requests = Requests { scope: &scope, ..requests };
        let page = requests.apps(url.clone(), InventoryBudget::PER_CYCLE, requests.token.clone()).await?;
        Ok(FirstPage { scope, url, page })
    }

    fn per_page(&self) -> usize {
        self.per_page.load(Ordering::Relaxed)
    }
}

impl Cloud for CloudFoundry {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(self.run_cycle(filter))
    }

    fn kept_bytes(&self) -> usize {
        self.start_times.lock().unwrap_or_else(PoisonError::into_inner).bytes() + self.scope.bytes()
    }

    fn forget(&self) {
        self.start_times.lock().unwrap_or_else(PoisonError::into_inner).forget();
        self.scope.forget();
    }
}

/// What the first request of a cycle brings.
struct FirstPage {
    scope: Scope,
    url: Url,
    page: Page<ServiceFacts>,
}

/// The requests of one cycle.
struct Requests<'a> {
    account: &'a CloudFoundry,
    /// The token of the cycle's first request. A cycle that lasts longer than it uses newer ones.
    token: Token,
    scope: &'a Scope,
}

impl Requests<'_> {
    async fn send(&self, request: CycleRequest) -> CycleResponse {
        match request {
            CycleRequest::Apps(url, budget) => {
                let page = match self.current_token().await {
                    Ok(token) => self.apps(url.clone(), budget, token).await,
                    Err(error) => Err(error),
                };
                CycleResponse::Apps(url, page)
            }
            CycleRequest::Processes(url) => {
                let page = self.get("processes", url.clone(), MAX_PAGE_BYTES, wire::processes).await;
                self.judge_size(&page);
                CycleResponse::Processes(url, page)
            }
            CycleRequest::Stats(place, url, process, budget) => {
                let read = |body: &[u8]| stats::stats(body, &process.borrowed(), budget);
                CycleResponse::Stats(place, self.get(STATS, url, MAX_STATS_BYTES, read).await)
            }
        }
    }

    async fn apps(
        &self,
        url: Url,
        budget: InventoryBudget,
        token: Token,
    ) -> Result<Page<ServiceFacts>, CloudError> {
        let read = |body: &[u8]| wire::apps(body, self.scope, budget);
        let page = self.get_with(token, "apps", url, MAX_PAGE_BYTES, read).await;
        self.judge_size(&page);
        page
    }

    /// All pages of organizations or spaces, in the cycle's first request.
    async fn entities(&self, operation: &'static str, first: Url) -> Result<Vec<Entity>, CloudError> {
        let (mut entities, mut pages, mut url) = (Vec::new(), Pages::starting_at(first.clone()), first);
        let mut inventory = Inventory::charged(self.account.client.charge());
        loop {
            let token = self.token.clone();
            let page = self.get_with(token, operation, url.clone(), MAX_PAGE_BYTES, wire::entities).await?;
            for entity in page.entries {
                inventory.remember::<Entity>(entity.text_bytes())?;
                entities.push(entity);
            }
            if page.cut {
                return Err(AnswerProblem::TooLarge.into());
            }
            if page.unreadable > 0 {
                return Err(AnswerProblem::Shape.into());
            }
            let named = |next: String| next_url(&self.account.settings.endpoint, &url, &next);
            let next = page.next?.map(named).transpose()?;
            let Some(next) = pages.after(next, page.listed, false, &mut inventory)? else {
                return Ok(entities);
            };
            url = next;
        }
    }

    /// Requests smaller pages from the next cycle on where this one was too large.
    fn judge_size<T>(&self, page: &Result<Page<T>, CloudError>) {
        if matches!(page, Err(CloudError::Answer(AnswerProblem::TooLarge))) {
            self.account.per_page.store(FEWER_PER_PAGE, Ordering::Relaxed);
        }
    }

    /// The token for a request in mid-cycle.
    async fn current_token(&self) -> Result<Token, CloudError> {
        if self.token.is_current() {
            return Ok(self.token.clone());
        }
        let account = self.account;
        account.session.token(account.client.meter(), || account.log_in()).await
    }

    async fn get<T>(
        &self,
        operation: &'static str,
        url: Url,
        max_bytes: usize,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        self.get_with(self.current_token().await?, operation, url, max_bytes, read).await
    }

    async fn get_with<T>(
        &self,
        token: Token,
        operation: &'static str,
        url: Url,
        max_bytes: usize,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        let mut request = ApiRequest::new(operation, url, max_bytes);
        request.headers.insert(AUTHORIZATION, token.header);
        match self.account.client.fetch(&request, read).await {
            // Lists leave out what a user may not see, so a denied one is about the token as a whole.
            Err(CloudError::Status(403)) if operation == STATS => Err(CloudError::ScopeMissing(ROLE)),
            Err(CloudError::Status(403)) => Err(CloudError::ScopeMissing(SCOPE)),
            answered => answered,
        }
    }
}
