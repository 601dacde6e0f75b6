//! Projects, services, containers and plans as the API sends them. Pure.
//!
//! Reads only what is used; every other field may change its type. An entry that cannot be read costs itself only.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::status;
use super::units::MEGABYTE;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::list::{each, try_for_each};
use crate::cloud::kit::loose::{Scalar, part};
use crate::cloud::kit::paging::{Listed, next_named};
use crate::cloud::kit::point::LATEST;
use crate::cloud::kit::{InventoryBudget, split_image};
use crate::cloud::model::{InstanceFacts, Limits};

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    /// Entries that cannot be read. The list is not complete without them.
    pub(super) unreadable: usize,
    pub(super) listed: Listed,
    /// The cursor of the page after it, `None` for the last one. The error is that what it says of it cannot be read.
    pub(super) next: Result<Option<String>, AnswerProblem>,
}

/// A project as the list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedProject {
    pub(super) id: String,
    pub(super) name: Option<String>,
}

/// A service as the list of its project has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ListedService {
    pub(super) id: String,
    /// The identifier that names team and project too.
    pub(super) full_id: Option<String>,
    pub(super) kind: Option<String>,
    /// The word of its last deployment.
    pub(super) deployment: Option<String>,
    /// When that word became true, as the API writes it.
    pub(super) since: Option<String>,
}

/// What only a request for the service itself tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Details {
    pub(super) plan: Option<String>,
    pub(super) region: Option<String>,
    /// How many containers it should have; `None` where they are scaled automatically.
    pub(super) desired: Option<i64>,
    pub(super) is_paused: bool,
    pub(super) image: Option<String>,
    pub(super) image_tag: Option<String>,
}

/// What containers may use, by the id of their plan.
pub(super) type Plans = HashMap<String, Limits>;

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    pagination: Option<&'a RawValue>,
}

/// The list that an answer has: one of these.
#[derive(Deserialize)]
struct WireLists<'a> {
    #[serde(borrow)]
    projects: Option<&'a RawValue>,
    #[serde(borrow)]
    services: Option<&'a RawValue>,
    #[serde(borrow)]
    containers: Option<&'a RawValue>,
    #[serde(borrow)]
    plans: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePagination<'a> {
    #[serde(borrow)]
    has_next_page: Option<&'a RawValue>,
    #[serde(borrow)]
    cursor: Option<&'a RawValue>,
    /// Of the page or of the whole list: its documentation has one example, which is both.
    #[serde(borrow, default)]
    count: Scalar<'a>,
}

impl WirePagination<'_> {
    fn next(&self) -> Result<Option<String>, AnswerProblem> {
        match self.has_next_page.map(RawValue::get) {
            Some("false") => Ok(None),
            Some("true") => next_named(self.cursor)?.map(Some).ok_or(AnswerProblem::Shape),
            Some(_) => Err(AnswerProblem::Shape),
            None => next_named(self.cursor),
        }
    }
}

/// Reads a page of projects. `TooLarge`, as with the other lists, where its entries take more than one response may.
pub(super) fn projects(body: &[u8]) -> Result<Page<ListedProject>, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireProject<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        name: Scalar<'a>,
    }
    page(
        body,
        |lists| lists.projects,
        |wire: WireProject<'_>| {
            Some(Some(ListedProject { id: wire.id.into_text()?, name: wire.name.into_text() }))
        },
        |ListedProject { id, name }, budget| {
            budget.spend_entry::<ListedProject>(id.len() + length(name.as_ref()))
        },
    )
}

/// Reads a page of services.
pub(super) fn services(body: &[u8]) -> Result<Page<ListedService>, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireService<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        app_id: Scalar<'a>,
        #[serde(borrow, default)]
        service_type: Scalar<'a>,
        #[serde(borrow)]
        status: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    struct WireStatus<'a> {
        #[serde(borrow)]
        deployment: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase")]
    struct WireDeployment<'a> {
        #[serde(borrow, default)]
        status: Scalar<'a>,
        #[serde(borrow, default)]
        last_transition_time: Scalar<'a>,
    }
    page(
        body,
        |lists| lists.services,
        |wire: WireService<'_>| {
            let deployment: WireDeployment<'_> = part(part::<WireStatus<'_>>(wire.status).deployment);
            Some(Some(ListedService {
                id: wire.id.into_text()?,
                full_id: wire.app_id.into_text(),
                kind: wire.service_type.into_text(),
                deployment: deployment.status.into_text(),
                since: deployment.last_transition_time.into_text(),
            }))
        },
        |ListedService { id, full_id, kind, deployment, since }, budget| {
            let texts = [full_id, kind, deployment, since].map(|text| length(text.as_ref()));
            budget.spend_entry::<ListedService>(id.len() + texts.iter().sum::<usize>())
        },
    )
}

/// Reads a page of a service's containers, without those that have ended.
pub(super) fn containers(body: &[u8]) -> Result<Page<InstanceFacts>, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireContainer<'a> {
        #[serde(borrow, default)]
        name: Scalar<'a>,
        #[serde(borrow, default)]
        status: Scalar<'a>,
        #[serde(borrow, default)]
        created_at: Scalar<'a>,
    }
    page(
        body,
        |lists| lists.containers,
        |wire: WireContainer<'_>| {
            let name = wire.name.into_text()?;
            let created_at = wire.created_at.number().filter(|time| *time > 0.0 && *time < LATEST);
            let facts = |state| InstanceFacts {
                id: name.clone(),
                name,
                state: Some(state),
                created_at,
                ..InstanceFacts::default()
            };
            Some(status::of_container(wire.status.into_text().as_deref()).map(facts))
        },
        |container, budget| budget.spend_instance(container),
    )
}

fn length(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// Reads a list's page within the budget of one response, of which `spend` takes what an entry needs. `read` returns nothing for
/// an entry that cannot be read, and an entry of nothing for one that is left out.
fn page<'a, W: Deserialize<'a>, T>(
    body: &'a [u8],
    list: impl Fn(WireLists<'a>) -> Option<&'a RawValue>,
    mut read: impl FnMut(W) -> Option<Option<T>>,
    spend: impl Fn(&T, &mut InventoryBudget) -> Result<(), AnswerProblem>,
) -> Result<Page<T>, AnswerProblem> {
    let answer: WireAnswer<'a> = parse(json_text(body)?)?;
    let list = list(parse(answer.data.ok_or(AnswerProblem::Shape)?.get())?);
    // An empty list may be left out, but not all that makes a page.
    if list.is_none() && answer.pagination.is_none() {
        return Err(AnswerProblem::Shape);
    }
    let pagination = answer.pagination.map(|json| parse::<WirePagination<'_>>(json.get())).transpose();
    let (next, total) = match pagination {
        Ok(Some(pagination)) => (pagination.next(), pagination.count.count()),
        Ok(None) => (Ok(None), None),
        Err(problem) => (Err(problem), None),
    };
    let mut page = Page { entries: Vec::new(), unreadable: 0, listed: Listed { entries: 0, total }, next };
    let mut budget = InventoryBudget::PER_CYCLE;
    try_for_each(list.map_or("[]", RawValue::get), |entry: &'a RawValue| {
        page.listed.entries += 1;
        match serde_json::from_str(entry.get()).ok().and_then(&mut read) {
            Some(Some(entry)) => {
                spend(&entry, &mut budget)?;
                page.entries.push(entry);
            }
            Some(None) => {}
            None => page.unreadable += 1,
        }
        Ok(())
    })?;
    Ok(page)
}

/// Reads what a request for a service tells of it.
pub(super) fn details(body: &[u8]) -> Result<Details, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireService<'a> {
        #[serde(borrow)]
        id: Scalar<'a>,
        #[serde(borrow)]
        billing: Option<&'a RawValue>,
        #[serde(borrow)]
        service_paused: Option<&'a RawValue>,
        #[serde(borrow)]
        deployment: Option<&'a RawValue>,
        #[serde(borrow)]
        autoscaling: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase")]
    struct WireBilling<'a> {
        #[serde(borrow, default)]
        deployment_plan: Scalar<'a>,
    }
    #[derive(Deserialize, Default)]
    struct WireDeployment<'a> {
        #[serde(borrow, default)]
        region: Scalar<'a>,
        #[serde(borrow, default)]
        instances: Scalar<'a>,
        #[serde(borrow)]
        external: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase")]
    struct WireExternal<'a> {
        #[serde(borrow, default)]
        image_path: Scalar<'a>,
    }
    #[derive(Deserialize, Default)]
    struct WireAutoscaling<'a> {
        #[serde(borrow)]
        horizontal: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    struct WireHorizontal<'a> {
        #[serde(borrow)]
        enabled: Option<&'a RawValue>,
    }
    let is_true = |flag: Option<&RawValue>| flag.is_some_and(|flag| flag.get() == "true");
    let answer: WireAnswer<'_> = parse(json_text(body)?)?;
    let wire: WireService<'_> = parse(answer.data.ok_or(AnswerProblem::Shape)?.get())?;
    wire.id.into_text().ok_or(AnswerProblem::Shape)?;
    let deployment: WireDeployment<'_> = part(wire.deployment);
    let horizontal: WireHorizontal<'_> = part(part::<WireAutoscaling<'_>>(wire.autoscaling).horizontal);
    let desired = deployment.instances.count();
    let image = part::<WireExternal<'_>>(deployment.external).image_path.into_text();
    let (image, image_tag) = image.and_then(|path| split_image(&path)).unzip();
    Ok(Details {
        plan: part::<WireBilling<'_>>(wire.billing).deployment_plan.into_text(),
        region: deployment.region.into_text(),
        is_paused: is_true(wire.service_paused) || desired == Some(0),
        desired: desired.filter(|_| !is_true(horizontal.enabled)),
        image,
        image_tag: image_tag.flatten(),
    })
}

/// Reads the plans.
pub(super) fn plans(body: &[u8]) -> Result<Plans, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WirePlan<'a> {
        #[serde(borrow, default)]
        id: Scalar<'a>,
        #[serde(borrow, default)]
        cpu_resource: Scalar<'a>,
        #[serde(borrow, default)]
        ram_resource: Scalar<'a>,
    }
    let answer: WireAnswer<'_> = parse(json_text(body)?)?;
    let lists: WireLists<'_> = parse(answer.data.ok_or(AnswerProblem::Shape)?.get())?;
    let mut plans = Plans::new();
    each(Some(lists.plans.ok_or(AnswerProblem::Shape)?), |wire: WirePlan<'_>| {
        let positive = |number: Option<f64>| number.filter(|number| *number > 0.0 && number.is_finite());
        if let Some(id) = wire.id.into_text() {
            let limits = Limits {
                cpu_cores: positive(wire.cpu_resource.number()),
                memory_bytes: positive(wire.ram_resource.number()).map(|megabytes| megabytes * MEGABYTE),
                disk_bytes: None,
            };
            plans.insert(id, limits);
        }
    })?;
    Ok(plans)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
