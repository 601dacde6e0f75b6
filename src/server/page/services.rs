//! `/services` as HTML: the services of all accounts, filtered and sorted.

use std::sync::Arc;

use maud::html;

use super::answer::Made;
use super::frame::{Frame, Root, Section};
use super::parts::now;
use super::table;
use crate::collector::Registry;
use crate::server::query::Query;
use crate::server::rows;
use crate::server::units;

/// The services that the query selects.
pub(in crate::server) fn services(registry: &Arc<Registry>, query: &Query) -> Made {
    let (root, now) = (Root::TOP, now());
    let all = registry.after(None, usize::MAX);
    let filter = query.filter();
    let mut services = rows::services(&all, |service| filter.matches(service));
    rows::sort_services(&mut services, query.order());
    let shown = query.part_of(&services);
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
