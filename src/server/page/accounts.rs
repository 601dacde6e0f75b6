//! `/accounts` as HTML: all accounts, those with problems first.

use std::sync::Arc;
use std::time::SystemTime;

use maud::html;

use super::answer::Made;
use super::frame::{Frame, Root, Section};
use super::parts::now;
use super::table;
use crate::collector::Registry;
use crate::server::problems;
use crate::server::query::Query;
use crate::server::units;
use crate::server::views::{Summary, summary};

/// The accounts that the query selects.
pub(in crate::server) fn accounts(registry: &Arc<Registry>, query: &Query) -> Made {
    let (root, now, filter) = (Root::TOP, now(), query.filter());
    let mut found = registry.after(None, usize::MAX);
    found.retain(|account| filter.matches(account));
    found.sort_by_cached_key(|account| problems::place(problems::of_account(account, now).as_ref()));
    let shown: Vec<Summary> =
        query.part_of(&found).iter().map(|account| summary(account, SystemTime::now())).collect();
    let content = html! {
        h1 { "Accounts" }
        p.summary {
            (units::count(found.len(), "account")) @if !query.text.is_empty() { " match the filter" }
            " · " a href=(query.as_json()) { "JSON" }
        }
        @if found.is_empty() {
            p { @if query.text.is_empty() { "There are no accounts yet." } @else { "No account matches. " a href="accounts" { "Show all" } } }
        } @else {
            (table::accounts(root, &shown, now))
            (table::pages(found.len(), query))
        }
    };
    let frame = Frame {
        root,
        title: "Accounts",
        section: Section::Accounts,
        filter: &query.text,
        filters: "accounts",
        application: None,
    };
    Made::Html(frame.around(&content))
}
