//! Tables of services, instances and accounts: headers that sort, rows that a narrow screen shows as cards, pages of rows.

use maud::{Markup, html};

use super::frame::Root;
use super::parts::{self, account_link, account_path, ago, beside, nothing, share, text};
use super::sparkline::sparkline;
use crate::account::AccountId;
use crate::cloud::model::State;
use crate::collector::history::ServiceHistory;
use crate::server::figures::Figures;
use crate::server::query::Query;
use crate::server::rows::{InstanceRow, ServiceRow};
use crate::server::sort::Column;
use crate::server::units;
use crate::server::views::Summary;

/// A table's header cells, which are links to the same list in another order.
fn headers(columns: &[(Column, &str)], query: &Query) -> Markup {
    let order = query.order();
    html! {
        thead {
            tr {
                @for (column, name) in columns {
                    @let sorted = (order.column == *column)
                        .then_some(if order.descending { "descending" } else { "ascending" });
                    th scope="col" aria-sort=[sorted] .n[column.is_number()] {
                        a href=(query.sorted_by(*column)) { (name) }
                    }
                }
            }
        }
    }
}

/// A table of services; `with_account` where they are of several accounts.
pub(super) fn services(
    root: Root,
    rows: &[ServiceRow<'_>],
    query: &Query,
    with_account: bool,
    now: f64,
) -> Markup {
    let mut columns = vec![
        (Column::State, "State"),
        (Column::Name, "Service"),
        (Column::Account, "Account"),
        (Column::Instances, "Instances"),
        (Column::Cpu, "CPU"),
        (Column::Memory, "Memory"),
        (Column::Network, "Network"),
        (Column::Restarts, "Restarts"),
        (Column::Image, "Image"),
        (Column::Age, "Age"),
    ];
    columns.retain(|(column, _)| with_account || *column != Column::Account);
    let most = Most::of(rows.iter().map(|row| &row.figures));
    html! {
        table.cards {
            caption.hidden { "Services" }
            (headers(&columns, query))
            tbody { @for row in rows { (service(root, row, most, with_account, now)) } }
        }
    }
}

fn service(root: Root, row: &ServiceRow<'_>, most: Most, with_account: bool, now: f64) -> Markup {
    let facts = &row.service.facts;
    let severity = row.problems.first().map(|problem| problem.severity);
    let path = parts::service_path(row.account.id(), row.service);
    html! {
        tr id={ "s-" (path) } {
            td data-label="State" { (parts::state(severity, facts.state, facts.status.as_deref())) }
            th scope="row" data-label="Service" {
                a.row href=(root.to(&path)) { (text(&facts.name)) }
                @if let Some(application) = &facts.application { " " small { (text(application)) } }
            }
            @if with_account { td.account data-label="Account" { (account_link(root, row.account.id())) } }
            td.n data-label="Instances" {
                @match (row.running(), facts.desired_instances) {
                    (Some(running), Some(desired)) => { (running) "/" (desired) }
                    (Some(running), None) => (running),
                    (None, Some(desired)) => { (row.service.instances.len()) "/" (desired) }
                    (None, None) => (row.service.instances.len()),
                }
            }
            (usage(&row.figures, row.restarts(), row.history, most))
            td data-label="Image" {
                @match (&facts.image, &facts.image_tag) {
                    (None, None) => (nothing()),
                    (image, tag) => {
                        @let image = image.as_deref().unwrap_or_default();
                        span.image title=(text(image)) { (text(image.rsplit('/').next().unwrap_or(image))) }
                        @if let Some(tag) = tag { small { ":" (text(tag)) } }
                    }
                }
            }
            td.n data-label="Age" { (ago(row.figures.started_at, now)) }
        }
    }
}

/// A table of a service's instances.
pub(super) fn instances(rows: &[InstanceRow<'_>], query: &Query, now: f64) -> Markup {
    let columns = [
        (Column::State, "State"),
        (Column::Name, "Instance"),
        (Column::Cpu, "CPU"),
        (Column::Memory, "Memory"),
        (Column::Network, "Network"),
        (Column::Restarts, "Restarts"),
        (Column::Age, "Age"),
    ];
    let most = Most::of(rows.iter().map(|row| &row.figures));
    html! {
        table.cards {
            caption.hidden { "Instances" }
            (headers(&columns, query))
            tbody {
                @for row in rows {
                    @let facts = &row.instance.facts;
                    tr id={ "i-" (text(&facts.name)) "-" (text(&facts.id)) } {
                        // An instance of which the cloud only says that it is there, runs.
                        td data-label="State" { (parts::state(None, Some(facts.state.unwrap_or(State::Running)), None)) }
                        th scope="row" data-label="Instance" {
                            span.row tabindex="-1" { (text(&facts.name)) }
                            @if facts.id != facts.name { " " small.id { (text(&facts.id)) } }
                        }
                        (usage(&row.figures, row.figures.restarts, None, most))
                        td.n data-label="Age" { (ago(row.figures.started_at, now)) }
                    }
                }
            }
        }
    }
}

/// The most of a table, which the bars of what has no limit are compared with.
#[derive(Debug, Clone, Copy)]
struct Most {
    cpu_cores: f64,
    memory_bytes: f64,
}

impl Most {
    fn of<'a>(figures: impl Iterator<Item = &'a Figures>) -> Self {
        figures.fold(Self { cpu_cores: 0.0, memory_bytes: 0.0 }, |most, figures| Self {
            cpu_cores: most.cpu_cores.max(figures.cpu_cores.unwrap_or_default()),
            memory_bytes: most.memory_bytes.max(figures.memory_bytes.unwrap_or_default()),
        })
    }
}

/// The cells from CPU to restarts.
fn usage(figures: &Figures, restarts: Option<f64>, history: Option<&ServiceHistory>, most: Most) -> Markup {
    let used =
        |value: Option<f64>, ratio: Option<f64>, most: f64, show: fn(f64) -> String| match (value, ratio) {
            (None, None) => nothing(),
            (Some(value), None) => beside(value, most, &show(value)),
            (Some(value), Some(ratio)) => {
                share(ratio, &format!("{} · {}", show(value), units::percent(ratio)))
            }
            (None, Some(ratio)) => share(ratio, &units::percent(ratio)),
        };
    html! {
        td.n data-label="CPU" {
            @if let Some(history) = history { (sparkline("", "CPU", history.cpu(), units::cores)) " " }
            (used(figures.cpu_cores, figures.cpu_ratio, most.cpu_cores, units::cores)) }
        td.n data-label="Memory" {
            @if let Some(history) = history { (sparkline("", "Memory", history.memory(), units::bytes)) " " }
            (used(figures.memory_bytes, figures.memory_ratio, most.memory_bytes, units::bytes)) }
        td.n data-label="Network" {
            @if figures.receive.is_none() && figures.transmit.is_none() { (nothing()) }
            @if let Some(receive) = figures.receive { span title="received" { "↓ " (units::rate(receive)) } " " }
            @if let Some(transmit) = figures.transmit { span title="sent" { "↑ " (units::rate(transmit)) } }
        }
        td.n data-label="Restarts" {
            @match restarts { Some(restarts) => (format_args!("{restarts:.0}")), None => (nothing()) }
        }
    }
}

/// A table of accounts.
pub(super) fn accounts(root: Root, rows: &[Summary], now: f64) -> Markup {
    html! {
        table.cards {
            caption.hidden { "Accounts" }
            thead {
                tr {
                    th scope="col" { "State" } th scope="col" { "Account" } th scope="col" { "Provider" }
                    th.n scope="col" { "Services" } th.n scope="col" { "Instances" } th.n scope="col" { "Data" }
                    th scope="col" { "Series" } th scope="col" { "Message" }
                }
            }
            tbody {
                @for row in rows {
                    @let path = account_path(&AccountId::new(&row.namespace, &row.name));
                    tr id={ "a-" (text(&row.namespace)) "/" (text(&row.name)) } {
                        td data-label="State" { (parts::reason(row.reason)) }
                        th scope="row" data-label="Account" {
                            a.row href=(root.to(&path)) {
                                span.dim { (text(&row.namespace)) "/" } (text(&row.name))
                            }
                        }
                        td data-label="Provider" { (row.provider) }
                        td.n data-label="Services" { (units::grouped(row.services)) }
                        td.n data-label="Instances" { (units::grouped(row.instances)) }
                        td.n data-label="Data" { (ago(row.age_seconds.map(|age| now - age), now)) }
                        td data-label="Series" {
                            a href=(root.to(row.metrics_path.trim_start_matches('/'))) { "metrics" }
                            @if let Some(legacy) = &row.legacy_metrics_path {
                                " " a href=(root.to(legacy.trim_start_matches('/'))) { "legacy" }
                            }
                        }
                        td.message data-label="Message" { (text(&row.message)) }
                    }
                }
            }
        }
    }
}

/// Links to the other pages of a list, and which rows these are.
pub(super) fn pages(total: usize, query: &Query) -> Markup {
    let pages = total.div_ceil(query.rows()).max(1);
    let first = (query.page - 1).saturating_mul(query.rows());
    html! {
        @if total > query.rows() {
            nav.pages aria-label="Rows" {
                @if query.page > 1 { a rel="prev" href=(query.at_page(query.page.min(pages + 1) - 1)) { "← previous" } " " }
                @if first < total {
                    (units::grouped(first + 1)) "–" (units::grouped(total.min(first + query.rows())))
                } @else { "none" }
                " of " (units::grouped(total))
                @if query.page < pages { " " a rel="next" href=(query.at_page(query.page + 1)) { "next →" } }
            }
        }
    }
}
