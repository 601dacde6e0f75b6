//! Services, projects, environments, workspaces and instances as the API sends them. Pure.
//!
//! Reads only what is used; every other field may change its type.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::cost::PER_PAGE;
use super::target::Kind;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::json_text;
use crate::cloud::kit::list::try_for_each;
use crate::cloud::kit::loose::{Scalar, is_complete, part};
use crate::cloud::kit::object::for_each_field;
use crate::cloud::kit::paging::next_named;
use crate::cloud::kit::{InventoryBudget, split_image};

/// A page of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Page<T> {
    /// Its entries that could be read; a service of a kind that has no instances is none.
    pub(super) entries: Vec<T>,
    /// Entries that could not be read. The list is not complete without them.
    pub(super) unreadable: usize,
    /// What the next page is asked for with, unless this one is the last: one that is not full. The error is that a full
    /// page does not say it.
    pub(super) next: Result<Option<String>, AnswerProblem>,
}

/// A service as a page lists it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedService {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) workspace: Option<String>,
    pub(super) environment: Option<String>,
    /// The API's word for whether it is suspended.
    pub(super) suspended: Option<String>,
    pub(super) plan: Option<String>,
    pub(super) region: Option<String>,
    /// How many instances it should have; `None` where that is scaled automatically.
    pub(super) instances: Option<i64>,
    pub(super) image: Option<String>,
    pub(super) image_tag: Option<String>,
}

impl ListedService {
    fn text_bytes(&self) -> usize {
        let Self {
            id,
            name,
            kind: _,
            workspace,
            environment,
            suspended,
            plan,
            region,
            instances: _,
            image,
            image_tag,
        } = self;
        let others = [workspace, environment, suspended, plan, region, image, image_tag];
        id.len() + name.len() + others.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

/// A workspace, project or environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) id: String,
    pub(super) name: String,
    /// The project of an environment.
    pub(super) project: Option<String>,
}

impl Entity {
    /// The bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.project.as_ref().map_or(0, String::len)
    }
}

/// An object of a list.
enum Entry<T> {
    /// One that matters.
    Relevant(T),
    /// A service without instances.
    Irrelevant,
}

/// Reads a page of services. `TooLarge` where they exceed the budget.
pub(super) fn services(
    body: &[u8],
    budget: &mut InventoryBudget,
) -> Result<Page<ListedService>, AnswerProblem> {
    page(body, "service", service, ListedService::text_bytes, budget)
}

/// Reads a page of workspaces (`owner`), projects (`project`) or environments (`environment`). `TooLarge` where they exceed
/// the budget.
pub(super) fn entities(
    body: &[u8],
    key: &str,
    budget: &mut InventoryBudget,
) -> Result<Page<Entity>, AnswerProblem> {
    page(body, key, |json| entity(json).map(Entry::Relevant), Entity::text_bytes, budget)
}

/// Reads a page: a bare list whose entries have a cursor beside the object of this key. `read` returns `None` for an object
/// that cannot be read; `texts` are the bytes of an entry's texts.
fn page<T>(
    body: &[u8],
    key: &str,
    read: impl Fn(&str) -> Option<Entry<T>>,
    texts: impl Fn(&T) -> usize,
    budget: &mut InventoryBudget,
) -> Result<Page<T>, AnswerProblem> {
    let mut page = Page { entries: Vec::new(), unreadable: 0, next: Ok(None) };
    let (mut listed, mut cursor) = (0, Ok(None));
    try_for_each(json_text(body)?, |entry: &RawValue| {
        listed += 1;
        let (mut named, mut object) = (None, None);
        let is_object = for_each_field(entry.get(), |name, value| match name {
            "cursor" => named = Some(value),
            name if name == key => object = Some(value),
            _ => {}
        });
        cursor = next_named(named);
        match object.filter(|_| is_object.is_ok()).and_then(|object| read(object.get())) {
            Some(Entry::Relevant(entry)) => {
                budget.spend_entry::<T>(texts(&entry))?;
                page.entries.push(entry);
            }
            Some(Entry::Irrelevant) => {}
            None => page.unreadable += 1,
        }
        Ok(())
    })?;
    if listed >= PER_PAGE {
        page.next = cursor.and_then(|cursor| cursor.map(Some).ok_or(AnswerProblem::Shape));
    }
    Ok(page)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireService<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    owner_id: Scalar<'a>,
    #[serde(borrow, default)]
    environment_id: Scalar<'a>,
    #[serde(borrow, default)]
    suspended: Scalar<'a>,
    #[serde(borrow, default)]
    image_path: Scalar<'a>,
    #[serde(borrow)]
    service_details: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireDetails<'a> {
    #[serde(borrow, default)]
    plan: Scalar<'a>,
    #[serde(borrow, default)]
    region: Scalar<'a>,
    #[serde(borrow, default)]
    num_instances: Scalar<'a>,
    #[serde(borrow)]
    autoscaling: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct WireAutoscaling {
    #[serde(default)]
    enabled: bool,
}

fn service(json: &str) -> Option<Entry<ListedService>> {
    let wire: WireService<'_> = serde_json::from_str(json).ok()?;
    let id = wire.id.into_text().filter(|id| is_complete(id))?;
    let Some(kind) = Kind::of(&wire.kind.into_text()?) else { return Some(Entry::Irrelevant) };
    let details: WireDetails<'_> = part(wire.service_details);
    // Under autoscaling the number says nothing.
    let is_scaled = part::<WireAutoscaling>(details.autoscaling).enabled;
    let (image, image_tag) = wire.image_path.into_text().and_then(|path| split_image(&path)).unzip();
    Some(Entry::Relevant(ListedService {
        name: wire.name.into_text().unwrap_or_else(|| id.clone()),
        id,
        kind,
        workspace: wire.owner_id.into_text(),
        environment: wire.environment_id.into_text(),
        suspended: wire.suspended.into_text(),
        plan: details.plan.into_text(),
        region: details.region.into_text(),
        instances: details.num_instances.count().filter(|_| !is_scaled),
        image,
        image_tag: image_tag.flatten(),
    }))
}

fn entity(json: &str) -> Option<Entity> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireEntity<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        name: Scalar<'a>,
        #[serde(borrow, default)]
        project_id: Scalar<'a>,
    }
    let wire: WireEntity<'_> = serde_json::from_str(json).ok()?;
    let id = wire.id.into_text().filter(|id| is_complete(id))?;
    Some(Entity {
        name: wire.name.into_text().unwrap_or_else(|| id.clone()),
        id,
        project: wire.project_id.into_text(),
    })
}

/// The instances of a service.
#[derive(Debug, PartialEq)]
pub(super) struct ListedInstances {
    /// When each was created, in seconds since the epoch, by its id; `None` where that is not said.
    pub(super) created: HashMap<String, Option<f64>>,
    /// Whether each entry could be read.
    pub(super) is_complete: bool,
}

/// Reads the instances of a service within this budget.
pub(super) fn instances(body: &[u8], budget: &mut InventoryBudget) -> Result<ListedInstances, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireInstance<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        created_at: Scalar<'a>,
    }
    let mut listed = ListedInstances { created: HashMap::new(), is_complete: true };
    try_for_each(json_text(body)?, |entry: &RawValue| {
        let wire: Option<WireInstance<'_>> = serde_json::from_str(entry.get()).ok();
        let instance = wire.and_then(|wire| Some((wire.id.into_text()?, wire.created_at.epoch_seconds())));
        if let Some((id, created)) = instance.filter(|(id, _)| is_complete(id)) {
            budget.spend_entry::<Option<f64>>(id.len())?;
            listed.created.insert(id, created);
        } else {
            listed.is_complete = false;
        }
        Ok(())
    })?;
    Ok(listed)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
