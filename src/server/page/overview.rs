//! `/`: what is ill, worst first; then accounts and services, of which the worst are shown.

use std::sync::Arc;
use std::time::SystemTime;

use maud::{Markup, html};

use super::answer::Made;
use super::frame::{Frame, Root, Section};
use super::options::PageOptions;
use super::parts::{self, account_link, now, text};
use super::{grafana, table};
use crate::collector::Registry;
use crate::collector::registry::Listed;
use crate::server::problems::{self, Problem};
use crate::server::query::Query;
use crate::server::rows::{self, ServiceRow};
use crate::server::units;
use crate::server::views::{Summary, summary};

/// So many problems are shown.
const PROBLEMS: usize = 50;
/// So many accounts and services are shown.
const ROWS: usize = 25;

/// The page.
pub(in crate::server) fn overview(registry: &Arc<Registry>, query: &Query, options: &PageOptions) -> Made {
    let (root, now) = (Root::TOP, now());
    let all = registry.after(None, usize::MAX);
    let mut services = rows::services(&all, |_| true);
    rows::sort_services(&mut services, query.order());
    let mut of_accounts: Vec<_> =
        all.iter().map(|account| (account, problems::of_account(account, now))).collect();
    of_accounts.sort_by_key(|(_, problem)| problems::place(problem.as_ref()));
    let ill = of_accounts.iter().filter(|(_, problem)| problem.is_some()).count();
    let summaries: Vec<Summary> =
        of_accounts.iter().take(ROWS).map(|(account, _)| summary(account, SystemTime::now())).collect();
    let shown = &services[..services.len().min(ROWS)];
    let content = html! {
        h1.hidden { "Overview" }
        p.summary {
            (units::count(all.len() - ill, "account")) " ok"
            @if ill > 0 { ", " strong.bad { (units::grouped(ill)) " with problems" } }
            " · " (units::count(services.len(), "service"))
            (grafana::of_all(options.grafana.as_ref()))
        }
        (ills(root, &of_accounts, &services, now))
        section aria-labelledby="services" {
            h2 #services { "Services" }
            @if services.is_empty() { p { "There are no services yet." } } @else {
                (table::services(root, shown, query, true, now))
                @if services.len() > shown.len() {
                    p { a href="services" { "All " (units::count(services.len(), "service")) } }
                }
            }
        }
        section aria-labelledby="accounts" {
            h2 #accounts { "Accounts" }
            @if all.is_empty() { p { "There are no accounts yet." } } @else {
                (table::accounts(root, &summaries, now))
                @if all.len() > summaries.len() {
                    p { a href="accounts" { "All " (units::count(all.len(), "account")) } }
                }
            }
        }
    };
    let frame = Frame {
        root,
        title: "Overview",
        section: Section::Overview,
        filter: &query.text,
        filters: "services",
        application: None,
    };
    Made::Html(frame.around(&content))
}

/// The problems of accounts, then those of services.
fn ills(
    root: Root,
    accounts: &[(&Listed, Option<Problem>)],
    services: &[ServiceRow<'_>],
    now: f64,
) -> Markup {
    let of_accounts = accounts.iter().filter_map(|(account, problem)| {
        let name = html! { "Account " (account_link(root, account.id())) };
        problem.as_ref().map(|problem| (problem, name))
    });
    let of_services = services.iter().flat_map(|row| {
        row.problems.iter().map(move |problem| {
            let path = root.to(&parts::service_path(row.account.id(), row.service));
            let name = html! { "Service " a href=(path) { (text(&row.service.facts.name)) } };
            (problem, html! { (name) " of " (account_link(root, row.account.id())) })
        })
    });
    let mut ills: Vec<_> = of_accounts.chain(of_services).collect();
    // Stable: of equals, accounts come before services.
    ills.sort_by_key(|(problem, _)| problem.severity);
    html! {
        section aria-labelledby="problems" {
            h2 #problems { "Problems" @if !ills.is_empty() { " " span.count { (units::grouped(ills.len())) } } }
            @if ills.is_empty() {
                p.fine {
                    "No problems in " (units::count(services.len(), "service")) " of "
                    (units::count(accounts.len(), "account")) "."
                }
            } @else {
                ul.problems { @for (problem, name) in ills.iter().take(PROBLEMS) { (parts::problem(name, problem, now)) } }
                @if ills.len() > PROBLEMS {
                    p { "The worst " (PROBLEMS) " are shown. " a href="services?sort=state" { "Services, worst first" } }
                }
            }
        }
    }
}
