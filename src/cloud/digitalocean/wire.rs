//! Apps, instances, health and sizes as the API sends them. Pure.
//!
//! Reads only what is used; every other field may change its type. A list that is missing is an empty one: the API leaves
//! out what is empty.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::target::Kind;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{each, try_for_each};
use crate::cloud::kit::loose::{Scalar, part};
use crate::cloud::kit::paging::{Listed, next_named};
use crate::cloud::model::Limits;

/// The size of a component that names none: the API's documented default.
const DEFAULT_SIZE: &str = "apps-s-1vcpu-0.5gb";

/// A page of apps.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) apps: Vec<App>,
    /// Entries that are no app that can be read. The list is not complete without them.
    pub(super) unreadable: usize,
    pub(super) listed: Listed,
    /// The link to the next page, `None` on the last one. The error is that this cannot be read.
    pub(super) next: Result<Option<String>, AnswerProblem>,
}

impl Page {
    /// How many components its apps have.
    pub(super) fn components(&self) -> usize {
        self.apps.iter().map(|app| app.components.len()).sum()
    }
}

/// An app as a page lists it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project: Option<String>,
    pub(super) region: Option<String>,
    /// The phase of the deployment that runs.
    pub(super) active: Option<String>,
    /// The phase of the deployment that is to replace it.
    pub(super) in_progress: Option<String>,
    pub(super) components: Vec<Component>,
}

/// A component that has instances.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// How many instances it should have; `None` where that is scaled automatically.
    pub(super) instance_count: Option<i64>,
    pub(super) size: String,
    pub(super) image: Option<String>,
    pub(super) image_tag: Option<String>,
}

impl Component {
    fn text_bytes(&self) -> usize {
        let Self { name, size, image, image_tag, .. } = self;
        let others = [image, image_tag].into_iter().flatten().map(String::len).sum::<usize>();
        name.len() + size.len() + others
    }
}

/// An instance as the list of its app has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedInstance {
    pub(super) component: String,
    /// Unique for the life of the instance.
    pub(super) name: String,
    /// What metrics carry. The instance that replaces this one takes it over.
    pub(super) alias: String,
}

/// The health of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ComponentHealth {
    /// Whether it is healthy; `None` where the cloud does not know.
    pub(super) is_healthy: Option<bool>,
    pub(super) desired: Option<i64>,
    pub(super) ready: Option<i64>,
}

/// The health of an app's components, by name.
pub(super) type AppHealth = HashMap<String, ComponentHealth>;

/// What instances may use, by the name of their size.
pub(super) type Sizes = HashMap<String, Limits>;

/// Reads a page of apps. An entry that cannot be read costs itself only. `TooLarge` where its components take more than one
/// response may.
pub(super) fn apps(body: &[u8]) -> Result<Page, AnswerProblem> {
    #[derive(Deserialize)]
    struct WirePage<'a> {
        #[serde(borrow)]
        apps: Option<&'a RawValue>,
        #[serde(borrow)]
        links: Option<&'a RawValue>,
        #[serde(borrow)]
        meta: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    struct WireLinks<'a> {
        #[serde(borrow)]
        pages: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    struct WirePages<'a> {
        #[serde(borrow)]
        next: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Default)]
    struct WireMeta<'a> {
        #[serde(borrow, default)]
        total: Scalar<'a>,
    }
    let wire: WirePage<'_> = parse(json_text(body)?)?;
    if wire.apps.is_none() && wire.links.is_none() && wire.meta.is_none() {
        return Err(AnswerProblem::Shape);
    }
    let links = wire.links.map(|links| parse::<WireLinks<'_>>(links.get())).transpose();
    let pages = links.and_then(|links| {
        links.and_then(|links| links.pages).map(|pages| parse::<WirePages<'_>>(pages.get())).transpose()
    });
    let mut page = Page {
        apps: Vec::new(),
        unreadable: 0,
        listed: Listed { entries: 0, total: part::<WireMeta<'_>>(wire.meta).total.count() },
        next: pages.and_then(|pages| next_named(pages.and_then(|pages| pages.next))),
    };
    let mut budget = Ok(InventoryBudget::PER_CYCLE);
    each(wire.apps, |entry: &RawValue| {
        page.listed.entries += 1;
        match app(entry.get(), &mut budget) {
            Some(app) => page.apps.push(app),
            None => page.unreadable += 1,
        }
    })?;
    budget.map(|_| page)
}

#[derive(Deserialize)]
struct WireApp<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    project_id: Scalar<'a>,
    #[serde(borrow)]
    region: Option<&'a RawValue>,
    #[serde(borrow)]
    active_deployment: Option<&'a RawValue>,
    #[serde(borrow)]
    in_progress_deployment: Option<&'a RawValue>,
    #[serde(borrow)]
    spec: WireSpec<'a>,
}

#[derive(Deserialize)]
struct WireSpec<'a> {
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow)]
    services: Option<&'a RawValue>,
    #[serde(borrow)]
    workers: Option<&'a RawValue>,
    #[serde(borrow)]
    jobs: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct WireDeployment<'a> {
    #[serde(borrow, default)]
    phase: Scalar<'a>,
}

#[derive(Deserialize, Default)]
struct WireRegion<'a> {
    #[serde(borrow, default)]
    slug: Scalar<'a>,
}

#[derive(Deserialize)]
struct WireComponent<'a> {
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    instance_count: Scalar<'a>,
    #[serde(borrow, default)]
    instance_size_slug: Scalar<'a>,
    #[serde(borrow)]
    image: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct WireImage<'a> {
    #[serde(borrow, default)]
    repository: Scalar<'a>,
    #[serde(borrow, default)]
    tag: Scalar<'a>,
    #[serde(borrow, default)]
    digest: Scalar<'a>,
}

/// Reads an app. Components are dropped once they exceed the budget, which is an error then.
fn app(json: &str, budget: &mut Result<InventoryBudget, AnswerProblem>) -> Option<App> {
    let wire: WireApp<'_> = serde_json::from_str(json).ok()?;
    let phase = |deployment| part::<WireDeployment<'_>>(deployment).phase.into_text();
    let id = wire.id.into_text()?;
    let mut components = Vec::new();
    for (list, kind) in
        [(wire.spec.services, Kind::Service), (wire.spec.workers, Kind::Worker), (wire.spec.jobs, Kind::Job)]
    {
        let mut all_named = true;
        each(list, |wire| match component(wire, kind) {
            Some(component) => {
                *budget = budget.and_then(|mut left| {
                    left.spend_entry::<Component>(component.text_bytes())?;
                    components.push(component);
                    Ok(left)
                });
            }
            None => all_named = false,
        })
        .ok()
        .filter(|()| all_named)?;
    }
    Some(App {
        name: wire.spec.name.into_text().unwrap_or_else(|| id.clone()),
        id,
        project: wire.project_id.into_text(),
        region: part::<WireRegion<'_>>(wire.region).slug.into_text(),
        active: phase(wire.active_deployment),
        in_progress: phase(wire.in_progress_deployment),
        components,
    })
}

fn component(wire: WireComponent<'_>, kind: Kind) -> Option<Component> {
    let image: WireImage<'_> = part(wire.image);
    Some(Component {
        name: wire.name.into_text()?,
        kind,
        instance_count: wire.instance_count.count(),
        size: wire.instance_size_slug.into_text().unwrap_or_else(|| DEFAULT_SIZE.to_owned()),
        image: image.repository.into_text(),
        image_tag: image.tag.into_text().or_else(|| image.digest.into_text()),
    })
}

/// Reads the instances of an app until `keep` returns an error.
pub(super) fn instances(
    body: &[u8],
    mut keep: impl FnMut(ListedInstance) -> Result<(), AnswerProblem>,
) -> Result<(), AnswerProblem> {
    #[derive(Deserialize)]
    struct WireList<'a> {
        #[serde(borrow)]
        instances: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct WireInstance<'a> {
        #[serde(borrow, default)]
        component_name: Scalar<'a>,
        #[serde(borrow, default)]
        instance_name: Scalar<'a>,
        #[serde(borrow, default)]
        instance_alias: Scalar<'a>,
    }
    let list: WireList<'_> = parse(json_text(body)?)?;
    try_for_each(list.instances.map_or("[]", RawValue::get), |wire: WireInstance<'_>| {
        let component = wire.component_name.into_text();
        let (name, alias) = (wire.instance_name.into_text(), wire.instance_alias.into_text());
        // One of the names will do for both.
        let names = name.clone().or_else(|| alias.clone()).zip(alias.or(name));
        match (component, names) {
            (Some(component), Some((name, alias))) => keep(ListedInstance { component, name, alias }),
            _ => Err(AnswerProblem::Shape),
        }
    })
}

/// Reads the health of an app's components.
pub(super) fn health(body: &[u8]) -> Result<AppHealth, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireAnswer<'a> {
        #[serde(borrow)]
        app_health: Option<WireHealth<'a>>,
    }
    #[derive(Deserialize)]
    struct WireHealth<'a> {
        #[serde(borrow)]
        components: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct WireComponent<'a> {
        #[serde(borrow, default)]
        name: Scalar<'a>,
        #[serde(borrow, default)]
        state: Scalar<'a>,
        #[serde(borrow, default)]
        replicas_desired: Scalar<'a>,
        #[serde(borrow, default)]
        replicas_ready: Scalar<'a>,
    }
    let answer: WireAnswer<'_> = parse(json_text(body)?)?;
    let mut health = AppHealth::new();
    each(answer.app_health.and_then(|health| health.components), |wire: WireComponent<'_>| {
        let is_healthy = match wire.state.into_text().as_deref() {
            Some("HEALTHY") => Some(true),
            Some("UNHEALTHY") => Some(false),
            _ => None,
        };
        if let Some(name) = wire.name.into_text() {
            let (desired, ready) = (wire.replicas_desired.count(), wire.replicas_ready.count());
            health.insert(name, ComponentHealth { is_healthy, desired, ready });
        }
    })?;
    Ok(health)
}

/// Reads the sizes of instances, whose numbers are strings.
pub(super) fn sizes(body: &[u8]) -> Result<Sizes, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireList<'a> {
        #[serde(borrow)]
        instance_sizes: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct WireSize<'a> {
        #[serde(borrow, default)]
        slug: Scalar<'a>,
        #[serde(borrow, default)]
        cpus: Scalar<'a>,
        #[serde(borrow, default)]
        memory_bytes: Scalar<'a>,
    }
    let list: WireList<'_> = parse(json_text(body)?)?;
    let mut sizes = Sizes::new();
    each(list.instance_sizes, |wire: WireSize<'_>| {
        let positive = |number: Option<f64>| number.filter(|number| *number > 0.0 && number.is_finite());
        if let Some(slug) = wire.slug.into_text() {
            let limits = Limits {
                cpu_cores: positive(wire.cpus.number()),
                memory_bytes: positive(wire.memory_bytes.number()),
                disk_bytes: None,
            };
            sizes.insert(slug, limits);
        }
    })?;
    Ok(sizes)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
