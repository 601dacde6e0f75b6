//! The client of one account: keeps its session and what its last cycle found, and sends the requests of its cycles.
//!
//! The first page of projects, or what a project token says of itself, judges the token. All other requests share one queue.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::answer::{self, Answer};
use super::cycle::Cycle;
use super::environment::Kept;
use super::facts::ListedService;
use super::http_traffic::{self, Steps};
use super::page::Page;
use super::queries::{self, Selection};
use super::requests::{CycleRequest, CycleResponse, ServicesRequest};
use super::target::{Settings, TokenKind};
use super::usage;
use super::wire::{self, Project};
use crate::cloud::credentials::LONGEST_TOKEN;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::{AccountClient, ApiRequest, RequestBody};
use crate::cloud::kit::path::below;
use crate::cloud::kit::{Inventory, InventoryBudget, KeptState, Session, queue, session};
use crate::cloud::{Cloud, CloudError, Collection, ServiceFilter};

/// The path of all requests.
const PATH: &str = "graphql/v2";

/// The header of a token of one environment.
const PROJECT_ACCESS_TOKEN: HeaderName = HeaderName::from_static("project-access-token");

/// The most bytes of a page of projects or environments.
const MAX_PROJECTS_BYTES: usize = 8 << 20;
/// The most bytes of a page of services, and of what was measured of the instances of an environment.
const MAX_ENVIRONMENT_BYTES: usize = 16 << 20;
/// The most bytes of the HTTP traffic of ten services.
const MAX_HTTP_BYTES: usize = 4 << 20;

/// One account at Railway. Other settings or another token need another value.
pub struct Railway {
    settings: Settings,
    kind: TokenKind,
    token: SecretString,
    /// Its token is the header of every request.
    session: Session<HeaderValue>,
    client: AccountClient,
    kept: KeptState<Kept>,
}

impl Railway {
    /// An account that sends its requests through this client. Sends nothing yet.
    pub fn new(settings: Settings, kind: TokenKind, token: SecretString, client: AccountClient) -> Self {
        let session = Session::new(Arc::clone(client.state()));
        Self { settings, kind, token, session, client, kept: KeptState::default() }
    }

    async fn run_cycle(&self, filter: &ServiceFilter) -> Result<Collection, CloudError> {
        let Self { settings, kind, token, session, client, kept } = self;
        client.policy().check_endpoint(&settings.endpoint)?;

        // A given token needs no login; one that is refused is not tried again for a while.
        let log_in = async || Ok(header(*kind, token)?);
        let first_page = |token| {
            let requests = Requests { client, settings, filter, kind: *kind, token };
            async move { requests.first_page().await }
        };
        let (token, page) = session.start(client.meter(), log_in, first_page).await?;

        let max_in_flight = client.limits().max_concurrent;
        let requests = Requests { client, settings, filter, kind: *kind, token };
        let before = kept.get();
        let inventory = Inventory::charged(client.charge());
        let mut cycle = Cycle::new(settings, *kind, before, page, inventory, max_in_flight);
        let ended_by =
            queue::run(&mut cycle, max_in_flight, client.workers(), |request| requests.send(request)).await;
        let (collection, after) = cycle.finish(ended_by)?;
        kept.replace(after);
        Ok(collection)
    }
}

impl Cloud for Railway {
    fn collect<'a>(&'a self, filter: &'a ServiceFilter) -> BoxFuture<'a, Result<Collection, CloudError>> {
        Box::pin(self.run_cycle(filter))
    }

    fn kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn forget(&self) {
        self.kept.forget();
    }
}

/// The value of the header that carries the token, marked sensitive.
fn header(kind: TokenKind, token: &SecretString) -> Result<HeaderValue, AnswerProblem> {
    let token = token.expose_secret();
    match kind {
        TokenKind::Account => session::authorization("Bearer", token),
        TokenKind::Project => session::token_header(None, token, LONGEST_TOKEN),
    }
}

/// The requests that carry one token.
struct Requests<'a> {
    client: &'a AccountClient,
    settings: &'a Settings,
    filter: &'a ServiceFilter,
    kind: TokenKind,
    token: HeaderValue,
}

impl Requests<'_> {
    async fn send(&self, request: CycleRequest) -> CycleResponse {
        match request {
            CycleRequest::Projects(after, budget) => {
                let workspace = self.settings.workspace.as_deref();
                CycleResponse::Projects(self.projects(workspace, Some(&after), budget).await)
            }
            CycleRequest::Environments(place, project, after, budget) => {
                let query = queries::environments(&project, self.selection(Some(&after)));
                let read = |data: &str| wire::environments(data, budget);
                let answer = self.post("projects", query, MAX_PROJECTS_BYTES, read).await;
                CycleResponse::Environments(place, answer)
            }
            CycleRequest::Services(place, request, budget) => {
                CycleResponse::Services(place, self.services(&request, budget).await)
            }
            CycleRequest::Usage(place, environment, budget) => {
                let start = now().saturating_sub(self.settings.metrics_max_age);
                let oldest = start.as_secs_f64().floor();
                let read = |data: &str| budget.reading(|budget| usage::newest(data, oldest, budget));
                let query = queries::metrics(&environment, start);
                CycleResponse::Usage(place, self.post("metrics", query, MAX_ENVIRONMENT_BYTES, read).await)
            }
            CycleRequest::Http(place, environment, places, services, budget) => {
                let asked = now();
                let start = asked.saturating_sub(self.settings.metrics_max_age);
                let steps = Steps { oldest: start.as_secs_f64().floor(), asked: asked.as_secs_f64() };
                let number = services.len();
                let read =
                    |data: &str| budget.reading(|budget| http_traffic::samples(data, number, steps, budget));
                let query = queries::http(&environment, &services, start, asked);
                CycleResponse::Http(place, places, self.post("http", query, MAX_HTTP_BYTES, read).await)
            }
        }
    }

    /// The request that judges the token. `NotVisible` where the token is accepted and the workspace of the settings is not:
    /// the API refuses both with the same words, so one more request without the workspace tells them apart.
    async fn first_page(&self) -> Result<Answer<Page<Project>>, CloudError> {
        if self.kind == TokenKind::Project {
            let query = queries::project_token();
            return self.post("projects", query, MAX_PROJECTS_BYTES, wire::project_token).await;
        }
        let workspace = self.settings.workspace.as_deref();
        let budget = InventoryBudget::PER_CYCLE;
        match (self.projects(workspace, None, budget).await, workspace) {
            (Err(CloudError::Status(404)), Some(_)) => Err(CloudError::NotVisible("workspace")),
            (Err(CloudError::Status(401)), Some(_)) => {
                self.projects(None, None, budget).await?;
                Err(CloudError::NotVisible("workspace"))
            }
            (answer, _) => answer,
        }
    }

    async fn projects(
        &self,
        workspace: Option<&str>,
        after: Option<&str>,
        budget: InventoryBudget,
    ) -> Result<Answer<Page<Project>>, CloudError> {
        let query = queries::projects(workspace, self.selection(after));
        let read = |data: &str| wire::projects(data, budget);
        self.post("projects", query, MAX_PROJECTS_BYTES, read).await
    }

    fn selection<'a>(&self, after: Option<&'a str>) -> Selection<'a> {
        Selection { after, preview_environments: self.settings.preview_environments }
    }

    async fn services(
        &self,
        request: &ServicesRequest,
        budget: InventoryBudget,
    ) -> Result<Answer<Page<ListedService>>, CloudError> {
        let ServicesRequest { environment, project, application, after } = request;
        let read = |data: &str| wire::services(data, application, self.filter, budget);
        let query = queries::environment(environment, project, after.as_deref());
        self.post("environment", query, MAX_ENVIRONMENT_BYTES, read).await
    }

    async fn post<T>(
        &self,
        operation: &'static str,
        query: RequestBody,
        max_bytes: usize,
        read: impl Fn(&str) -> Result<T, AnswerProblem>,
    ) -> Result<Answer<T>, CloudError> {
        let url = below(&self.settings.endpoint, PATH);
        let mut request = ApiRequest::new(operation, url, max_bytes).with_body(query);
        let name = match self.kind {
            TokenKind::Account => AUTHORIZATION,
            TokenKind::Project => PROJECT_ACCESS_TOKEN,
        };
        request.headers.insert(name, self.token.clone());
        self.client.fetch(&request, |body: &[u8]| answer::read(body, &read)).await
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_either_kind_that_no_header_should_carry_is_refused() {
        for kind in [TokenKind::Account, TokenKind::Project] {
            let of = |token: &str| header(kind, &token.to_owned().into());
            assert!(of("0123abc").is_ok_and(|header| header.is_sensitive()));
            assert!(of(&"t".repeat(LONGEST_TOKEN)).is_ok());
            for token in ["", "a\nb", &"t".repeat(LONGEST_TOKEN + 1)] {
                assert_eq!(of(token), Err(AnswerProblem::Shape), "{} bytes", token.len());
            }
        }
    }
}
