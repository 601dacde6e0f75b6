//! `/accounts/{namespace}/{name}/services/{service}`: one service, and its instances.

use http::StatusCode;
use maud::{Markup, html};

use super::answer::Made;
use super::frame::{Frame, Root, Section};
use super::options::PageOptions;
use super::parts::{self, account_link, now, text};
use super::sparkline::sparkline;
use super::{grafana, promql, table};
use crate::collector::registry::Listed;
use crate::server::objects::ServiceOf;
use crate::server::query::{Query, encoded};
use crate::server::rows::{self, ServiceRow};
use crate::server::units;

/// The page of the services of this name: of the application that the query names, if it names one. Two may share both.
pub(in crate::server) fn service(account: &Listed, name: &str, query: &Query, options: &PageOptions) -> Made {
    let (root, now) = (Root::SERVICE, now());
    let accounts = std::slice::from_ref(account);
    let found = rows::services(accounts, |of| {
        let application = query.application.as_ref();
        of.service.facts.name == name
            && application.is_none_or(|wanted| of.service.facts.application.as_ref() == Some(wanted))
    });
    if found.is_empty() {
        return Made::Line(
            StatusCode::NOT_FOUND,
            "no such service: it no longer exists, or its values are stale; the account's page lists all services".into(),
        );
    }
    let title = text(name).into_owned();
    let content = html! { @for row in &found { (section(root, row, query, options, now)) } };
    let path = format!("{}/services/{}", parts::account_path(account.id()), encoded(name));
    let frame = Frame {
        root,
        title: &title,
        section: Section::Services,
        filter: &query.text,
        filters: &path,
        application: query.application.as_deref(),
    };
    Made::Html(frame.around(&content))
}

fn section(root: Root, row: &ServiceRow<'_>, query: &Query, options: &PageOptions, now: f64) -> Markup {
    let ServiceRow { account, service, problems, .. } = row;
    let facts = &*service.facts;
    let severity = problems.first().map(|problem| problem.severity);
    let instances = rows::instances_of(ServiceOf { account, service }, &query.filter(), query.order());
    let optional = [
        ("Application", facts.application.as_deref()),
        ("Kind", facts.kind.as_deref()),
        ("Image", facts.image.as_deref()),
        ("Tag", facts.image_tag.as_deref()),
        ("Size", facts.size.as_deref()),
        ("Region", facts.region.as_deref()),
        ("Identifier", facts.id.as_deref()),
    ];
    html! {
        h1 { (text(&facts.name)) }
        p.summary {
            (parts::state(severity, facts.state, facts.status.as_deref())) " · " (account.provider()) " · "
            (account_link(root, account.id())) " · "
            a href=(root.to(&format!("services?q=account%3A%22{}%22%20service%3A%22{}%22&format=json",
                encoded(&account.id().to_string()), encoded(&facts.name)))) { "JSON" }
            (grafana::of_account(options.grafana.as_ref(), account.id(), Some(&facts.name)))
        }
        @if !problems.is_empty() {
            ul.problems { @for problem in problems { (parts::problem(&html! { "This service" }, problem, now)) } }
        }
        dl.facts {
            @if let Some(desired) = facts.desired_instances { div { dt { "Desired" } dd { (desired) " instances" } } }
            @if let Some(running) = row.running() { div { dt { "Running" } dd { (running) " instances" } } }
            @for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                div { dt { (name) } dd { (text(value)) } }
            }
            @if let Some(cores) = facts.limits.cpu_cores { div { dt { "CPU limit" } dd { (units::cores(cores)) " cores each" } } }
            @if let Some(bytes) = facts.limits.memory_bytes { div { dt { "Memory limit" } dd { (units::bytes(bytes)) " each" } } }
            @if let Some(at) = row.figures.measured_at { div { dt { "Measured" } dd { (parts::ago(Some(at), now)) " ago" } } }
        }
        @if let Some(history) = row.history {
            div.charts {
                @let lines = [
                    ("CPU", sparkline("chart", "CPU", history.cpu(), units::cores)),
                    ("Memory", sparkline("chart", "Memory", history.memory(), units::bytes)),
                ];
                @for (name, line) in lines.into_iter().filter(|(_, line)| !line.0.is_empty()) {
                    figure { figcaption { (name) ", last hour" } (line) }
                }
            }
        }
        (promql::list(&promql::of_service(service)))
        section aria-label="Instances" {
            h2 { "Instances " span.count { (units::grouped(instances.len())) } }
            @if service.instances.is_empty() { p { "This service has no instances." } }
            @else if instances.is_empty() { p { "No instance matches." } }
            @else {
                (table::instances(query.part_of(&instances), query, now))
                (table::pages(instances.len(), query))
            }
        }
    }
}
