//! Cloud Foundry's lists and logins as they go over the wire: URLs, and what responses mean. Pure.
//!
//! Borrows from the response where it can and reads only what is used.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::scope::Scope;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{for_each, try_for_each};
use crate::cloud::kit::loose::{Scalar, is_complete};
use crate::cloud::kit::paging::{Listed, next_named};
use crate::cloud::kit::path::{below, segment};
use crate::cloud::model::ServiceFacts;
use crate::schema::address;

/// The longest life of a token that is believed, in seconds.
const LONGEST_LIFE: f64 = 1e8;

/// The bytes of a mebibyte, the unit in which processes are sized.
const MEBIBYTE: f64 = 1_048_576.0;

/// The type of the process that serves an application's routes.
pub(super) const WEB: &str = "web";

/// The URL of the first page of applications, with the names of their spaces and organizations.
pub(super) fn apps_url(endpoint: &Url, per_page: usize, scope: &Scope, label_selector: Option<&str>) -> Url {
    let mut url = list_url(endpoint, "v3/apps", per_page);
    url.query_pairs_mut().append_pair("include", "space,space.organization");
    if let Some(selector) = label_selector {
        url.query_pairs_mut().append_pair("label_selector", selector);
    }
    scope.limit(&mut url);
    url
}

/// The URL of the first page of processes.
pub(super) fn processes_url(endpoint: &Url, per_page: usize, scope: &Scope) -> Url {
    let mut url = list_url(endpoint, "v3/processes", per_page);
    scope.limit(&mut url);
    url
}

/// The URL of the first page of the organizations of these names.
pub(super) fn organizations_url(endpoint: &Url, names: &[String]) -> Url {
    named_url(endpoint, "v3/organizations", names)
}

/// The URL of the first page of the spaces of these names.
pub(super) fn spaces_url(endpoint: &Url, names: &[String]) -> Url {
    named_url(endpoint, "v3/spaces", names)
}

fn named_url(endpoint: &Url, path: &str, names: &[String]) -> Url {
    let mut url = list_url(endpoint, path, super::cost::PER_PAGE);
    url.query_pairs_mut().append_pair("names", &names.join(","));
    url
}

fn list_url(endpoint: &Url, path: &str, per_page: usize) -> Url {
    let mut url = below(endpoint, path);
    url.query_pairs_mut().append_pair("per_page", &per_page.to_string());
    url
}

/// The URL of the instances of a process. `None` for a guid that is no segment.
pub(super) fn stats_url(endpoint: &Url, process: &str) -> Option<Url> {
    Some(below(endpoint, &format!("v3/processes/{}/stats", segment(process)?)))
}

/// Whether a URL names the first page by its number, which the URL of the first request does not.
pub(super) fn is_page_one(page: &Url) -> bool {
    page.query_pairs().any(|(name, value)| name == "page" && value == "1")
}

/// Reads the login server that the root of the API names.
pub(super) fn login_server(body: &[u8]) -> Result<Url, AnswerProblem> {
    #[derive(Deserialize)]
    struct Root<'a> {
        #[serde(borrow)]
        links: Links<'a>,
    }
    #[derive(Deserialize)]
    struct Links<'a> {
        #[serde(borrow)]
        login: Option<Link<'a>>,
        #[serde(borrow)]
        uaa: Option<Link<'a>>,
    }
    let Root { links: Links { login, uaa } } = parse(json_text(body)?)?;
    let href = login.or(uaa).and_then(|link| link.href.into_text()).filter(|href| is_complete(href));
    href.and_then(|href| address::base_url(&href)).ok_or(AnswerProblem::Shape)
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    href: Scalar<'a>,
}

/// The response to a login.
pub(super) struct TokenResponse {
    pub(super) access_token: SecretString,
    pub(super) refresh_token: Option<SecretString>,
    /// The life of the access token.
    pub(super) expires_in: Option<Duration>,
}

/// Reads the response to a login.
pub(super) fn token(body: &[u8]) -> Result<TokenResponse, AnswerProblem> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        access_token: Cow<'a, str>,
        #[serde(borrow, default)]
        refresh_token: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        expires_in: Scalar<'a>,
    }
    let Wire { access_token, refresh_token, expires_in } = parse(json_text(body)?)?;
    let life = expires_in.number().filter(|seconds| *seconds > 0.0 && *seconds < LONGEST_LIFE);
    Ok(TokenResponse {
        access_token: access_token.into_owned().into(),
        refresh_token: refresh_token.map(|token| token.into_owned().into()),
        expires_in: life.map(Duration::from_secs_f64),
    })
}

/// One page of a list.
pub(super) struct Page<T> {
    /// The link to the next page, `None` on the last one. The error is that this cannot be read.
    pub(super) next: Result<Option<String>, AnswerProblem>,
    pub(super) listed: Listed,
    pub(super) entries: Vec<T>,
    /// Entries that cannot be read. The list is not complete without them.
    pub(super) unreadable: usize,
    /// Whether the budget ended before the page did.
    pub(super) cut: bool,
}

/// A process of an application.
pub(super) struct Process {
    pub(super) guid: String,
    pub(super) app: String,
    pub(super) kind: String,
    pub(super) instances: Option<i64>,
    pub(super) memory_bytes: Option<f64>,
    pub(super) disk_bytes: Option<f64>,
}

/// An organization or a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) guid: String,
    pub(super) name: String,
    /// The guid of a space's organization.
    pub(super) organization: Option<String>,
}

impl Entity {
    /// The bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.guid.len() + self.name.len() + self.organization.as_ref().map_or(0, String::len)
    }
}

#[derive(Deserialize)]
struct WireList<'a> {
    #[serde(borrow)]
    pagination: Pagination<'a>,
    #[serde(borrow)]
    resources: &'a RawValue,
    #[serde(borrow, default)]
    included: Included<'a>,
}

#[derive(Deserialize)]
struct Pagination<'a> {
    #[serde(borrow)]
    next: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_results: Scalar<'a>,
}

impl Pagination<'_> {
    fn next(&self) -> Result<Option<String>, AnswerProblem> {
        #[derive(Deserialize)]
        struct Next<'a> {
            #[serde(borrow)]
            href: Option<&'a RawValue>,
        }
        let Some(next) = self.next else { return Ok(None) };
        next_named(parse::<Next<'_>>(next.get())?.href)?.map(Some).ok_or(AnswerProblem::Shape)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Included<'a> {
    #[serde(borrow)]
    spaces: Option<&'a RawValue>,
    #[serde(borrow)]
    organizations: Option<&'a RawValue>,
}

/// An entry of any list: the fields that are used of any.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireEntry<'a> {
    #[serde(borrow)]
    guid: Scalar<'a>,
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow)]
    state: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    instances: Scalar<'a>,
    #[serde(borrow)]
    memory_in_mb: Scalar<'a>,
    #[serde(borrow)]
    disk_in_mb: Scalar<'a>,
    #[serde(borrow)]
    relationships: Option<Relationships<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Relationships<'a> {
    #[serde(borrow)]
    app: Option<ToOne<'a>>,
    #[serde(borrow)]
    space: Option<ToOne<'a>>,
    #[serde(borrow)]
    organization: Option<ToOne<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToOne<'a> {
    #[serde(borrow)]
    data: Option<Related<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Related<'a> {
    #[serde(borrow)]
    guid: Scalar<'a>,
}

impl ToOne<'_> {
    fn guid(this: Option<Self>) -> Option<String> {
        this?.data?.guid.into_text()
    }
}

impl<'a> WireEntry<'a> {
    /// Only an object: serde would read a list as well, field by field.
    fn read(json: &'a RawValue) -> Option<Self> {
        serde_json::from_str(json.get()).ok().filter(|_| json.get().starts_with('{'))
    }

    fn entity(self) -> Option<Entity> {
        Some(Entity {
            guid: self.guid.into_text()?,
            name: self.name.into_text()?,
            organization: ToOne::guid(self.relationships.unwrap_or_default().organization),
        })
    }
}

/// Reads a page of applications in `scope`, within the budget: each as the facts of a service, named as the application,
/// in `organization/space`, with the application's guid. An entry that cannot be read costs itself only.
pub(super) fn apps(
    body: &[u8],
    scope: &Scope,
    mut budget: InventoryBudget,
) -> Result<Page<ServiceFacts>, AnswerProblem> {
    let wire: WireList<'_> = parse(json_text(body)?)?;
    let spaces = included(wire.included.spaces, &mut budget)?;
    let organizations = included(wire.included.organizations, &mut budget)?;
    let read = |entry: WireEntry<'_>| {
        let space = ToOne::guid(entry.relationships.unwrap_or_default().space);
        let of_space = space.as_ref().and_then(|guid| spaces.get(guid));
        let organization = of_space.and_then(|space| space.organization.as_ref());
        let place = || {
            let organization = organizations.get(organization?)?;
            Some(format!("{}/{}", organization.name, of_space?.name))
        };
        let facts = ServiceFacts {
            application: place(),
            id: Some(entry.guid.into_text()?),
            name: entry.name.into_text()?,
            status: entry.state.into_text(),
            ..ServiceFacts::default()
        };
        Some(scope.covers(organization.map(String::as_str), space.as_deref()).then_some(facts))
    };
    page(&wire, read, |facts| budget.spend_service(facts).is_ok())
}

/// Reads a page of processes, within the budget of one response.
pub(super) fn processes(body: &[u8]) -> Result<Page<Process>, AnswerProblem> {
    let wire: WireList<'_> = parse(json_text(body)?)?;
    let bytes =
        |mebibytes: &Scalar<'_>| mebibytes.number().filter(|size| *size > 0.0).map(|size| size * MEBIBYTE);
    let read = |entry: WireEntry<'_>| {
        Some(Some(Process {
            memory_bytes: bytes(&entry.memory_in_mb),
            disk_bytes: bytes(&entry.disk_in_mb),
            instances: entry.instances.count(),
            guid: entry.guid.into_text()?,
            kind: entry.kind.into_text()?,
            app: ToOne::guid(entry.relationships?.app)?,
        }))
    };
    let mut budget = InventoryBudget::PER_CYCLE;
    page(&wire, read, |Process { guid, app, kind, .. }| {
        budget.spend_entry::<Process>(guid.len() + app.len() + kind.len()).is_ok()
    })
}

/// Reads a page of organizations or spaces, within the budget of one response.
pub(super) fn entities(body: &[u8]) -> Result<Page<Entity>, AnswerProblem> {
    let wire: WireList<'_> = parse(json_text(body)?)?;
    let mut budget = InventoryBudget::PER_CYCLE;
    page(
        &wire,
        |entry| Some(Some(entry.entity()?)),
        |entity| budget.spend_entry::<Entity>(entity.text_bytes()).is_ok(),
    )
}

/// Reads the entries of a page. `read` returns `None` for one that cannot be read and `Some(None)` for one that is not
/// wanted; `fits` says whether the budget has room for one more.
fn page<'a, T>(
    wire: &WireList<'a>,
    read: impl Fn(WireEntry<'a>) -> Option<Option<T>>,
    mut fits: impl FnMut(&T) -> bool,
) -> Result<Page<T>, AnswerProblem> {
    let mut page = Page {
        next: wire.pagination.next(),
        listed: Listed { entries: 0, total: wire.pagination.total_results.count() },
        entries: Vec::new(),
        unreadable: 0,
        cut: false,
    };
    for_each(wire.resources.get(), |entry: &'a RawValue| {
        page.listed.entries += 1;
        match WireEntry::read(entry).and_then(&read) {
            Some(Some(entry)) => {
                page.cut = !fits(&entry);
                if !page.cut {
                    page.entries.push(entry);
                }
            }
            Some(None) => {}
            None => page.unreadable += 1,
        }
        !page.cut
    })?;
    Ok(page)
}

/// The spaces or organizations that a page of applications includes, by guid. `TooLarge` where they exceed the budget.
fn included(
    list: Option<&RawValue>,
    budget: &mut InventoryBudget,
) -> Result<HashMap<String, Entity>, AnswerProblem> {
    let mut entities = HashMap::new();
    let Some(list) = list else { return Ok(entities) };
    try_for_each(list.get(), |entry: &RawValue| {
        if let Some(entity) = WireEntry::read(entry).and_then(WireEntry::entity) {
            budget.spend_entry::<Entity>(entity.guid.len() + entity.text_bytes())?;
            entities.insert(entity.guid.clone(), entity);
        }
        Ok(())
    })?;
    Ok(entities)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
