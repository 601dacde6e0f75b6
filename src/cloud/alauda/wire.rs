//! Alauda's v1 API as it goes over the wire: URLs, and what responses mean. Pure.
//!
//! Borrows from the response where it can and reads only what is used; every other field may change its type.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::status::state;
use crate::cloud::error::{AnswerProblem, Refusal};
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::for_each;
use crate::cloud::kit::loose::{Name, Scalar, is_complete};
use crate::cloud::kit::paging::{Listed, next_named};
use crate::cloud::kit::path::{below, segment};
use crate::cloud::kit::session;
use crate::cloud::model::{InstanceFacts, ServiceFacts};

/// The URL of a login.
pub(super) fn login_url(endpoint: &Url) -> Url {
    below(endpoint, "generate-api-token/")
}

/// The URL of the first page of a namespace's services.
pub(super) fn services_url(endpoint: &Url, namespace: &str) -> Result<Url, Refusal> {
    let namespace = segment(namespace).ok_or(Refusal::NotAnEndpoint)?;
    Ok(below(endpoint, &format!("services/{namespace}/")))
}

/// Whether a URL names the first page by its number, which the URL of the first request does not.
pub(super) fn is_page_one(page: &Url) -> bool {
    page.query_pairs().any(|(name, value)| name == "page" && value == "1")
}

/// The URLs below one service. A service of an application is addressed with the application's name.
pub(super) struct ServicePath {
    instances: Url,
}

impl ServicePath {
    /// `None` where the names of the service and its application cannot be part of a URL.
    pub(super) fn new(endpoint: &Url, namespace: &str, service: &ServiceFacts) -> Option<Self> {
        let (namespace, name) = (segment(namespace)?, segment(&service.name)?);
        let mut instances = below(endpoint, &format!("services/{namespace}/{name}/instances/"));
        if let Some(application) = &service.application {
            if !is_complete(application) {
                return None;
            }
            instances.query_pairs_mut().append_pair("application", application);
        }
        Some(Self { instances })
    }

    /// The URL of the service's list of instances.
    pub(super) fn instances_url(&self) -> Url {
        self.instances.clone()
    }

    /// The URL of one instance's points in a window. `None` for an id that is no segment.
    pub(super) fn metrics_url(&self, id: &str, window: Window) -> Option<Url> {
        let mut url = below(&self.instances, &format!("{}/metrics", segment(id)?));
        url.query_pairs_mut()
            .append_pair("start_time", &window.start.to_string())
            .append_pair("end_time", &window.end.to_string())
            .append_pair("point_per_period", "1m");
        Some(url)
    }
}

/// The time that points are asked of, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    start: u64,
    end: u64,
}

impl Window {
    /// The window of this length that ends `lag` before `now`.
    pub(super) fn before(now: SystemTime, lag: Duration, length: Duration) -> Self {
        let end = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(lag);
        Self { start: end.saturating_sub(length).as_secs(), end: end.as_secs() }
    }

    /// The time of the oldest point that may be in it. Whether a point has the first or the last second of its minute as
    /// its time is not documented, so the minute in which the window begins counts.
    pub(super) fn oldest(self) -> f64 {
        self.start.saturating_sub(60) as f64
    }
}

/// The `Authorization` header of a token. `Shape` for a token that no header can carry.
pub(super) fn authorization(token: &str) -> Result<HeaderValue, AnswerProblem> {
    session::authorization("Token", token)
}

/// Reads the response to a login, as the header of all further requests.
pub(super) fn login(body: &[u8]) -> Result<HeaderValue, AnswerProblem> {
    #[derive(Deserialize)]
    struct Login<'a> {
        #[serde(borrow)]
        token: Cow<'a, str>,
    }
    let login: Login<'_> = parse(json_text(body)?)?;
    authorization(&login.token)
}

/// One page of services.
pub(super) struct Page {
    /// What it names as the next page, `None` on the last one. The error is that this cannot be read.
    pub(super) next: Result<Option<String>, AnswerProblem>,
    pub(super) listed: Listed,
    pub(super) services: Vec<ListedService>,
    /// Entries that are no service that can be read. The list is not complete without them.
    pub(super) unreadable: usize,
    /// Whether the budget ended before the page did.
    pub(super) cut: bool,
}

/// A service, and its instances as the page lists them.
pub(super) struct ListedService {
    pub(super) facts: ServiceFacts,
    /// `None` where the field is missing, so that the instances have to be requested.
    pub(super) instances: Option<Result<Vec<Arc<InstanceFacts>>, AnswerProblem>>,
}

/// Reads the services of a page that are `wanted`, within the budget; an error of that cuts the page. An entry that cannot be
/// read costs itself only.
pub(super) fn services(
    body: &[u8],
    mut wanted: impl FnMut(&str) -> Result<bool, AnswerProblem>,
    mut budget: InventoryBudget,
) -> Result<Page, AnswerProblem> {
    #[derive(Deserialize)]
    struct WirePage<'a> {
        #[serde(borrow)]
        next: Option<&'a RawValue>,
        #[serde(borrow, default)]
        count: Scalar<'a>,
        #[serde(borrow)]
        results: &'a RawValue,
    }
    let wire: WirePage<'_> = parse(json_text(body)?)?;
    let mut page = Page {
        next: next_named(wire.next),
        listed: Listed { entries: 0, total: wire.count.count() },
        services: Vec::new(),
        unreadable: 0,
        cut: false,
    };
    for_each(wire.results.get(), |entry: &RawValue| {
        page.listed.entries += 1;
        match service(entry.get(), budget) {
            Some(service) => {
                let wanted = wanted(&service.facts.name);
                let spent = wanted.and_then(|wanted| {
                    if wanted { budget.spend_service(&service.facts).map(|()| true) } else { Ok(false) }
                });
                page.cut = spent.is_err();
                if spent == Ok(true) {
                    if let Some(Ok(instances)) = &service.instances {
                        // They were read within this budget, and the cycle counts them once more.
                        let _ = budget.spend_instances(instances);
                    }
                    page.services.push(service);
                }
            }
            None => page.unreadable += 1,
        }
        !page.cut
    })?;
    Ok(page)
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct WireService<'a> {
    #[serde(borrow)]
    service_name: Scalar<'a>,
    #[serde(borrow)]
    uuid: Scalar<'a>,
    #[serde(borrow)]
    application: Name<'a>,
    #[serde(borrow)]
    current_status: Scalar<'a>,
    #[serde(borrow)]
    target_num_instances: Scalar<'a>,
    #[serde(borrow)]
    started_num_instances: Scalar<'a>,
    #[serde(borrow)]
    image_name: Scalar<'a>,
    #[serde(borrow)]
    image_tag: Scalar<'a>,
    #[serde(borrow)]
    instance_size: Scalar<'a>,
    #[serde(borrow)]
    region: Name<'a>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
}

fn service(json: &str, budget: InventoryBudget) -> Option<ListedService> {
    // Only an object: serde would read a list as well, field by field.
    let wire: WireService<'_> = serde_json::from_str(json).ok().filter(|_| json.starts_with('{'))?;
    let status = wire.current_status.into_text();
    Some(ListedService {
        instances: wire.instances.map(|list| listed_instances(list.get(), budget)),
        facts: ServiceFacts {
            name: wire.service_name.into_text()?,
            application: wire.application.0.into_text(),
            id: wire.uuid.into_text(),
            state: status.as_deref().map(state),
            status,
            desired_instances: wire.target_num_instances.count(),
            running_instances: wire.started_num_instances.count(),
            image: wire.image_name.into_text(),
            image_tag: wire.image_tag.into_text(),
            size: wire.instance_size.into_text(),
            region: wire.region.0.into_text(),
            ..ServiceFacts::default()
        },
    })
}

/// Reads a service's list of instances. `TooLarge` where they exceed the budget.
pub(super) fn instances(
    body: &[u8],
    budget: InventoryBudget,
) -> Result<Vec<Arc<InstanceFacts>>, AnswerProblem> {
    listed_instances(json_text(body)?, budget)
}

/// Reads a list of instances. One without an id makes the whole list unusable; a missing name is replaced by the id.
fn listed_instances(
    json: &str,
    mut budget: InventoryBudget,
) -> Result<Vec<Arc<InstanceFacts>>, AnswerProblem> {
    let mut list = Ok(Vec::new());
    for_each(json, |wire| {
        let read = instance(wire).and_then(|facts| budget.spend_instance(&facts).map(|()| facts));
        match (&mut list, read) {
            (Ok(list), Ok(facts)) => list.push(Arc::new(facts)),
            (_, Err(problem)) => list = Err(problem),
            (Err(_), Ok(_)) => {}
        }
        list.is_ok()
    })?;
    list
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireInstance<'a> {
    #[serde(borrow)]
    instance_name: Scalar<'a>,
    #[serde(borrow)]
    uuid: Scalar<'a>,
    #[serde(borrow)]
    started_at: Scalar<'a>,
}

fn instance(wire: WireInstance<'_>) -> Result<InstanceFacts, AnswerProblem> {
    let started_at = wire.started_at.epoch_seconds();
    let id = wire.uuid.into_text().ok_or(AnswerProblem::Shape)?;
    let name = wire.instance_name.into_text().unwrap_or_else(|| id.clone());
    Ok(InstanceFacts { name, id, started_at, ..InstanceFacts::default() })
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
