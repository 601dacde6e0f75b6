//! `/accounts/{namespace}/{name}` as HTML: what the operator knows of an account, and its services.

use std::time::UNIX_EPOCH;

use maud::{Markup, html};

use super::answer::Made;
use super::frame::{Frame, Root, Section};
use super::options::{AccountCondition, PageOptions};
use super::parts::{self, account_path, ago, now, text};
use super::{grafana, promql, table};
use crate::collector::registry::Listed;
use crate::exposition::labels::LabelSet;
use crate::server::problems;
use crate::server::query::Query;
use crate::server::rows;
use crate::server::units;

/// The page of this account.
pub(in crate::server) fn account(account: &Listed, query: &Query, options: &PageOptions) -> Made {
    let (root, now, id) = (Root::ACCOUNT, now(), account.id());
    let accounts = std::slice::from_ref(account);
    let filter = query.filter();
    let mut services = rows::services(accounts, |service| filter.matches(service));
    rows::sort_services(&mut services, query.order());
    let total = rows::entries(account).len();
    let path = account_path(id);
    let conditions = options.conditions(id);
    let title = format!("{}/{}", text(&id.namespace), text(&id.name));
    let content = html! {
        h1 { (title) }
        p.summary {
            (parts::reason(account.reason())) " · " (account.provider()) " · "
            a href=(root.to(&format!("{path}?format=json"))) { "JSON" }
            @for target in account.targets() {
                " · " a href=(root.to(target.path.trim_start_matches('/'))) {
                    @if target.legacy { "legacy metrics" } @else { "metrics" }
                }
            }
            (grafana::of_account(options.grafana.as_ref(), id, None))
        }
        @if let Some(problem) = problems::of_account(account, now) {
            ul.problems { (parts::problem(&html! { "This account" }, &problem, now)) }
        }
        (facts(account, conditions.is_empty(), now))
        (describe(&conditions, now))
        (promql::list(&promql::of_account(LabelSet::account(&id.namespace, &id.name).as_str())))
        section aria-labelledby="services" {
            h2 #services { "Services" @if total > 0 { " " span.count { (units::grouped(services.len())) } } }
            @if total == 0 { p { "This account has no services." } }
            @else if services.is_empty() { p { "No service matches. " a href="?" { "Show all" } } }
            @else {
                (table::services(root, query.part_of(&services), query, false, now))
                (table::pages(services.len(), query))
            }
        }
    };
    let frame = Frame {
        root,
        title: &title,
        section: Section::Accounts,
        filter: &query.text,
        filters: &path,
        application: None,
    };
    Made::Html(frame.around(&content))
}

/// The conditions of its status, as `kubectl describe` tells them.
fn describe(conditions: &[AccountCondition], now: f64) -> Markup {
    html! {
        @if !conditions.is_empty() {
            section aria-labelledby="conditions" {
                h2 #conditions { "Conditions" }
                table.cards {
                    caption.hidden { "Conditions" }
                    thead {
                        tr {
                            th scope="col" { "Type" } th scope="col" { "Status" } th scope="col" { "Reason" }
                            th.n scope="col" { "Since" } th scope="col" { "Message" }
                        }
                    }
                    tbody {
                        @for condition in conditions {
                            tr id={ "c-" (text(&condition.name)) } {
                                th scope="row" data-label="Type" { (text(&condition.name)) }
                                td data-label="Status" { (text(&condition.status)) }
                                td data-label="Reason" { (text(&condition.reason)) }
                                td.n data-label="Since" { (ago(Some(condition.since), now)) }
                                td.message data-label="Message" { (text(&condition.message)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The figures of the last collection, and where there is no status its outcome.
fn facts(account: &Listed, outcome: bool, now: f64) -> Markup {
    let (condition, holds) = account.condition();
    let snapshot = account.snapshot();
    html! {
        dl.facts {
            @if outcome {
                div { dt { (condition) } dd { @if holds { "True" } @else { "False" } " · " (account.reason()) } }
                div.wide { dt { "Message" } dd { (text(&account.message())) } }
            }
            @if let Some(snapshot) = snapshot {
                @let gauges = snapshot.values.gauges;
                @let (services, instances) = snapshot.counts();
                @let ended = snapshot.collected_at.duration_since(UNIX_EPOCH).ok().map(|at| at.as_secs_f64());
                div { dt { "Last collection" } dd { (ago(ended, now)) " ago, took " (format_args!("{:.1}", gauges.last_duration)) " s" } }
                div { dt { "Last success" } dd { (ago(gauges.last_success, now)) } }
                div { dt { "Interval" } dd { (format_args!("{:.0}", gauges.interval)) " s" } }
                @if let Some(budget) = gauges.request_budget {
                    div { dt { "Requests" } dd { (units::percent(budget)) " of the cloud’s limit" } }
                }
                div { dt { "Services" } dd { (units::grouped(services)) } }
                div { dt { "Instances" } dd { (units::grouped(instances)) } }
                div { dt { "Series" } dd { (units::grouped(snapshot.series)) } }
            }
        }
    }
}
