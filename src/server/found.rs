//! Lists as JSON that are sorted, and so made as a whole: one page of the services or instances of all accounts, or of the
//! accounts themselves, and how many there are.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::page::Made;
use super::query::Query;
use super::rows::{self, InstanceRow, ServiceRow};
use super::usage::Usage;
use super::{json, views};
use crate::cloud::model::State;
use crate::collector::Registry;
use crate::collector::registry::Listed;

/// `GET /services`: the services of all accounts.
pub(super) fn services(registry: &Arc<Registry>, query: &Query) -> Made {
    let (all, filter) = (registry.after(None, usize::MAX), query.filter());
    let mut rows = rows::services(&all, |service| filter.matches(service));
    rows::sort_services(&mut rows, query.order());
    page_of("services", &rows, query, service)
}

/// `GET /instances`: the instances of all accounts.
pub(super) fn instances(registry: &Arc<Registry>, query: &Query) -> Made {
    let all = registry.after(None, usize::MAX);
    page_of("instances", &rows::instances(&all, &query.filter(), query.order()), query, instance)
}

/// `GET /accounts` in an order.
pub(super) fn accounts(registry: &Arc<Registry>, query: &Query) -> Made {
    let (all, now) = (registry.after(None, usize::MAX), SystemTime::now());
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let rows = rows::accounts(&all, &query.filter(), query.order(), seconds);
    page_of("accounts", &rows, query, |row| views::summary(row.account, now))
}

/// The page of the rows that the query asks for, under this name.
fn page_of<'a, R, T: Serialize>(
    name: &'static str,
    rows: &'a [R],
    query: &Query,
    view: impl Fn(&'a R) -> T,
) -> Made {
    let next_page = (rows.len() > query.page.saturating_mul(query.rows())).then(|| query.page + 1);
    let shown = query.part_of(rows).iter().map(view).collect();
    let mut text = Vec::new();
    match json::write(&mut text, &Found { total: rows.len(), next_page, name, shown }) {
        Ok(()) => Made::Json(text),
        Err(error) => Made::Line(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// A page of a list.
struct Found<T> {
    /// How many the query selects.
    total: usize,
    /// Absent on the last page.
    next_page: Option<usize>,
    name: &'static str,
    shown: Vec<T>,
}

impl<T: Serialize> Serialize for Found<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("total", &self.total)?;
        if let Some(next_page) = self.next_page {
            object.serialize_entry("nextPage", &next_page)?;
        }
        object.serialize_entry(self.name, &self.shown)?;
        object.end()
    }
}

/// Whose a service or an instance is.
#[derive(Debug, serde::Serialize)]
struct Of<'a> {
    namespace: &'a str,
    account: &'a str,
    provider: &'static str,
}

impl<'a> Of<'a> {
    fn account(account: &'a Listed) -> Self {
        let id = account.id();
        Self { namespace: &id.namespace, account: &id.name, provider: account.provider() }
    }
}

/// A service with its account and what its instances use, without them.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundService<'a> {
    #[serde(flatten)]
    of: Of<'a>,
    #[serde(flatten)]
    service: views::Service<'a>,
    instance_count: usize,
    #[serde(flatten)]
    usage: Usage,
    /// In a few words each, worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<&'a str>,
}

fn service<'a>(row: &'a ServiceRow<'_>) -> FoundService<'a> {
    FoundService {
        of: Of::account(row.account),
        service: views::service_alone(row.service),
        instance_count: row.service.instances.len(),
        usage: Usage::from(&row.figures),
        problems: row.problems.iter().map(|problem| &*problem.what).collect(),
    }
}

/// An instance with its account, its service and what it uses.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundInstance<'a> {
    #[serde(flatten)]
    of: Of<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    service: &'a str,
    name: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(flatten)]
    usage: Usage,
}

fn instance<'a>(row: &'a InstanceRow<'_>) -> FoundInstance<'a> {
    let (service, facts) = (&row.of.service.facts, &row.instance.facts);
    FoundInstance {
        of: Of::account(row.of.account),
        application: service.application.as_deref(),
        service: &service.name,
        name: &facts.name,
        id: &facts.id,
        state: facts.state.map(State::as_str),
        usage: Usage::from(&row.figures),
    }
}
