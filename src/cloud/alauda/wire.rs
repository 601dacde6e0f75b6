//! Alauda's v1 API as it goes over the wire: paths, queries, and what answers mean. Pure.
//!
//! Borrows from the answer where it can and reads only what is used; all else may change its type as it likes.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::list::each;
use super::loose::{Named, Plain};
use super::room::Room;
use crate::cloud::credentials::LONGEST_TOKEN;
use crate::cloud::error::{AnswerProblem, Refusal};
use crate::cloud::http::limits::{json_text, parse};
use crate::cloud::model::{InstanceFacts, LONGEST_TEXT, ServiceFacts};

/// Everything but RFC 3986's unreserved characters is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as one segment of a path, whatever is in it. `None` for what cannot be one: nothing, `.` and `..`, and a name
/// that may have been cut.
fn segment(name: &str) -> Option<Cow<'_, str>> {
    let is_step = matches!(name, "" | "." | "..");
    (!is_step && is_whole(name)).then(|| utf8_percent_encode(name, SEGMENT).into())
}

/// Whether a text is certainly as the cloud told it: one that is cut is never shorter than the longest.
fn is_whole(text: &str) -> bool {
    text.len() < LONGEST_TEXT
}

/// The endpoint with more path behind it. The parts are encoded already.
fn below(endpoint: &Url, path: &str) -> Url {
    let mut url = endpoint.clone();
    url.set_path(&format!("{}/{path}", endpoint.path().trim_end_matches('/')));
    url
}

/// Where to log in.
pub(super) fn login_url(endpoint: &Url) -> Url {
    below(endpoint, "generate-api-token/")
}

/// The first page of a namespace's services.
pub(super) fn services_url(endpoint: &Url, namespace: &str) -> Result<Url, Refusal> {
    let namespace = segment(namespace).ok_or(Refusal::NotAnEndpoint)?;
    Ok(below(endpoint, &format!("services/{namespace}/")))
}

/// The page that `next` names, on the origin of the page that names it and below the endpoint: credentials go nowhere
/// else. A path beside the endpoint is that of a cloud behind a proxy, or nothing of ours: there only the query counts.
pub(super) fn next_url(endpoint: &Url, page: &Url, next: &str) -> Result<Url, AnswerProblem> {
    if !is_whole(next) {
        return Err(AnswerProblem::Shape);
    }
    let named = page.join(next).map_err(|_| AnswerProblem::Shape)?;
    if named.cannot_be_a_base() {
        return Err(AnswerProblem::Shape);
    }
    let mut ours = page.clone();
    if named.path().starts_with(&format!("{}/", endpoint.path().trim_end_matches('/'))) {
        ours.set_path(named.path());
    }
    ours.set_query(named.query());
    Ok(ours)
}

/// Whether an address names the first page by its number; the first request does not, and asks for the same.
pub(super) fn is_page_one(page: &Url) -> bool {
    page.query_pairs().any(|(name, value)| name == "page" && value == "1")
}

/// Addresses one service's instances; a service in an application is asked for with its name.
pub(super) struct ServicePath {
    instances: Url,
}

impl ServicePath {
    /// `None` where the names of the service and its application cannot be part of an address.
    pub(super) fn new(endpoint: &Url, namespace: &str, service: &ServiceFacts) -> Option<Self> {
        let (namespace, name) = (segment(namespace)?, segment(&service.name)?);
        let mut instances = below(endpoint, &format!("services/{namespace}/{name}/instances/"));
        if let Some(application) = &service.application {
            if !is_whole(application) {
                return None;
            }
            instances.query_pairs_mut().append_pair("application", application);
        }
        Some(Self { instances })
    }

    /// The list of the service's instances.
    pub(super) fn instances_url(&self) -> Url {
        self.instances.clone()
    }

    /// The points of one instance in the window that ends `lag` before `now`. `None` for an id that is no segment.
    pub(super) fn metrics_url(
        &self,
        id: &str,
        window: Duration,
        lag: Duration,
        now: SystemTime,
    ) -> Option<Url> {
        let mut url = below(&self.instances, &format!("{}/metrics", segment(id)?));
        let end = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(lag);
        let start = end.saturating_sub(window);
        url.query_pairs_mut()
            .append_pair("start_time", &start.as_secs().to_string())
            .append_pair("end_time", &end.as_secs().to_string())
            .append_pair("point_per_period", "1m");
        Some(url)
    }
}

/// The header that carries a token; `Shape` for a token that no header can carry.
pub(super) fn authorization(token: &str) -> Result<HeaderValue, AnswerProblem> {
    if token.is_empty() || token.len() > LONGEST_TOKEN {
        return Err(AnswerProblem::Shape);
    }
    let mut header = HeaderValue::from_str(&format!("Token {token}")).map_err(|_| AnswerProblem::Shape)?;
    header.set_sensitive(true);
    Ok(header)
}

/// A login's answer, as the header for all that follows.
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
    pub(super) next: Option<String>,
    pub(super) services: Vec<ListedService>,
    /// Entries that name no service: the list is not complete without them.
    pub(super) unreadable: usize,
    /// Whether there was no room for all of them.
    pub(super) cut: bool,
}

/// A service with what the list says of its instances.
pub(super) struct ListedService {
    pub(super) facts: ServiceFacts,
    /// Where the field is missing, the instances have to be asked for.
    pub(super) instances: Option<Result<Vec<Arc<InstanceFacts>>, AnswerProblem>>,
}

/// Reads a page of services that the account wants, as many as there is room for. An entry that cannot be read costs
/// itself only.
pub(super) fn services(
    body: &[u8],
    wanted: impl Fn(&str) -> bool,
    mut room: Room,
) -> Result<Page, AnswerProblem> {
    #[derive(Deserialize)]
    struct WirePage<'a> {
        #[serde(borrow, default)]
        next: Plain<'a>,
        #[serde(borrow)]
        results: &'a RawValue,
    }
    let wire: WirePage<'_> = parse(json_text(body)?)?;
    let mut page = Page { next: wire.next.into_text(), services: Vec::new(), unreadable: 0, cut: false };
    each(wire.results.get(), |entry: &RawValue| {
        match service(entry.get(), room) {
            Some(service) if wanted(&service.facts.name) => {
                page.cut = room.take_service(&service.facts).is_err();
                if !page.cut {
                    if let Some(Ok(instances)) = &service.instances {
                        // They were read with no more room than there is; who counts is the cycle.
                        let _ = room.take_instances(instances);
                    }
                    page.services.push(service);
                }
            }
            Some(_) => {}
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
    service_name: Plain<'a>,
    #[serde(borrow)]
    application: Named<'a>,
    #[serde(borrow)]
    current_status: Plain<'a>,
    #[serde(borrow)]
    target_num_instances: Plain<'a>,
    #[serde(borrow)]
    started_num_instances: Plain<'a>,
    #[serde(borrow)]
    image_name: Plain<'a>,
    #[serde(borrow)]
    image_tag: Plain<'a>,
    #[serde(borrow)]
    instance_size: Plain<'a>,
    #[serde(borrow)]
    region: Named<'a>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
}

fn service(json: &str, room: Room) -> Option<ListedService> {
    // An object; serde would take a list as well, field by field.
    let wire: WireService<'_> = serde_json::from_str(json).ok().filter(|_| json.starts_with('{'))?;
    Some(ListedService {
        instances: wire.instances.map(|list| listed_instances(list.get(), room)),
        facts: ServiceFacts {
            name: wire.service_name.into_text()?,
            application: wire.application.0.into_text(),
            status: wire.current_status.into_text(),
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

/// Reads the answer to a service's list of instances; `TooLarge` where there is no room for all of them.
pub(super) fn instances(body: &[u8], room: Room) -> Result<Vec<Arc<InstanceFacts>>, AnswerProblem> {
    listed_instances(json_text(body)?, room)
}

/// Reads a list of instances. One without an identifier makes the whole list unusable, for nobody could tell which it
/// is; a missing name is replaced by the identifier.
fn listed_instances(json: &str, mut room: Room) -> Result<Vec<Arc<InstanceFacts>>, AnswerProblem> {
    let mut list = Ok(Vec::new());
    each(json, |wire| {
        let read = instance(wire).and_then(|facts| room.take_instance(&facts).map(|()| facts));
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
    instance_name: Plain<'a>,
    #[serde(borrow)]
    uuid: Plain<'a>,
    #[serde(borrow)]
    started_at: Plain<'a>,
}

fn instance(wire: WireInstance<'_>) -> Result<InstanceFacts, AnswerProblem> {
    let started_at = epoch_seconds(&wire.started_at);
    let id = wire.uuid.into_text().ok_or(AnswerProblem::Shape)?;
    let name = wire.instance_name.into_text().unwrap_or_else(|| id.clone());
    Ok(InstanceFacts { name, id, started_at, ..InstanceFacts::default() })
}

/// A point in time as RFC 3339 writes it, in seconds since the epoch.
fn epoch_seconds(text: &Plain<'_>) -> Option<f64> {
    let Plain::Text(text) = text else { return None };
    let when: jiff::Timestamp = text.parse().ok()?;
    Some(when.as_duration().as_secs_f64()).filter(|seconds| *seconds > 0.0)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
