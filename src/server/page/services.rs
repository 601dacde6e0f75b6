//! `/services`: the services of all accounts, filtered and sorted, as HTML or JSON.

use std::sync::Arc;

use http::StatusCode;
use maud::html;
use serde::Serialize;

use super::answer::Made;
use super::frame::{Frame, Root, Section};
use super::parts::now;
use super::{table, units};
use crate::collector::Registry;
use crate::server::json;
use crate::server::query::Query;
use crate::server::rows;
use crate::server::views::{FoundService, found};

/// The services that the query selects.
pub(in crate::server) fn services(registry: &Arc<Registry>, query: &Query, as_json: bool) -> Made {
    let (root, now) = (Root::TOP, now());
    let all = registry.after(None, usize::MAX);
    let filter = query.filter();
    let mut services = rows::services(&all, |service| filter.matches(service));
    rows::sort_services(&mut services, query.order());
    let shown = table::page_of(&services, query);
    if as_json {
        let next_page = (services.len() > query.page.saturating_mul(query.rows())).then(|| query.page + 1);
        let found = Found { total: services.len(), next_page, services: shown.iter().map(found).collect() };
        let mut text = Vec::new();
        return match json::write(&mut text, &found) {
            Ok(()) => Made::Json(text),
            Err(error) => Made::Line(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
    }
    let content = html! {
        h1 { "Services" }
        p.summary {
            (units::count(services.len(), "service")) @if !query.text.is_empty() { " match the filter" }
            " · " a href=(query.as_json()) { "JSON" }
        }
        @if services.is_empty() {
            p { @if query.text.is_empty() { "There are no services yet." } @else { "No service matches. " a href="services" { "Show all" } } }
        } @else {
            (table::services(root, shown, query, true, now))
            (table::pages(services.len(), query))
        }
    };
    let frame = Frame {
        root,
        title: "Services",
        section: Section::Services,
        filter: &query.text,
        filters: "services",
        application: None,
    };
    Made::Html(frame.around(&content))
}

/// The same as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    /// How many the query selects.
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<usize>,
    services: Vec<FoundService<'a>>,
}
