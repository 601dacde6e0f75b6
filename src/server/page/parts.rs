//! Small parts of pages: states, ages, bars, links, problems. What a cloud or a tenant wrote becomes text here and nowhere
//! markup: each is written out and escaped.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use maud::{Markup, html};

use super::frame::Root;
use crate::account::AccountId;
use crate::cloud::model::State;
use crate::cloud::model::unprintable::written_out;
use crate::exposition::values::ServiceEntry;
use crate::server::problems::{self, Problem, Severity};
use crate::server::query::encoded;
use crate::server::units;

/// Where the runbooks of the alerts are.
const RUNBOOKS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/runbooks/");

/// A text of somebody else's, with what a browser would obey written out.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    written_out(text)
}

/// Now, in seconds since the epoch.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// How long ago that was. The script counts on.
pub(super) fn ago(at: Option<f64>, now: f64) -> Markup {
    // A time beyond what a date can say is not shown.
    #[allow(clippy::cast_possible_truncation)]
    let date = at.and_then(|at| jiff::Timestamp::from_second(at as i64).ok());
    html! {
        @match (at, date) {
            (Some(at), Some(date)) => time datetime=(date) title=(date) { (units::ago(now - at)) },
            _ => (nothing()),
        }
    }
}

/// Stands where nothing is known.
pub(super) fn nothing() -> Markup {
    html! { span.none title="not known" { "–" } }
}

/// A bar of a share of what may be used, and the text beside it, which says all: the bar is for eyes only.
pub(super) fn share(ratio: f64, label: &str) -> Markup {
    html! {
        meter aria-hidden="true" min="0" max="100" high="90" optimum="0" value=(of_hundred(ratio)) {}
        " " span.v { (label) }
    }
}

/// The same for what has no limit, beside the most in the same column.
pub(super) fn beside(value: f64, most: f64, label: &str) -> Markup {
    html! {
        meter aria-hidden="true" min="0" max="100" value=(of_hundred(value / most)) {}
        " " span.v { (label) }
    }
}

fn of_hundred(ratio: f64) -> String {
    format!("{:.0}", if ratio.is_finite() { ratio.clamp(0.0, 1.0) * 100.0 } else { 0.0 })
}

/// A state: an icon and the word. The icon's color only repeats what they say.
pub(super) fn state(severity: Option<Severity>, state: Option<State>, word: Option<&str>) -> Markup {
    let (class, icon) = match (severity, state) {
        (Some(Severity::Critical), _) | (_, Some(State::Failed)) => ("bad", "✖"),
        (Some(Severity::Warning), _) | (_, Some(State::Degraded)) => ("warn", "▲"),
        (_, Some(State::Deploying)) => ("busy", "↻"),
        (_, Some(State::Running)) => ("good", "●"),
        (_, Some(State::Sleeping)) => ("rest", "☾"),
        (_, Some(State::Stopped)) => ("rest", "■"),
        (_, Some(State::Unknown) | None) => ("rest", "?"),
    };
    let common = state.map(State::as_str);
    // The cloud's own word, where it says something else.
    let own = word.filter(|word| common.is_none_or(|common| !word.eq_ignore_ascii_case(common)));
    html! {
        span class={ "state " (class) } {
            span aria-hidden="true" { (icon) } " " (common.unwrap_or("unknown"))
        }
        @if let Some(own) = own { " " small { (text(own)) } }
    }
}

/// The reason of an account's condition.
pub(super) fn reason(reason: &str) -> Markup {
    let (class, icon) = match (problems::of_reason(reason), reason) {
        (Some(Severity::Critical), _) => ("bad", "✖"),
        (Some(Severity::Warning), _) => ("warn", "▲"),
        (None, "Pending") => ("busy", "↻"),
        (None, "Suspended") => ("rest", "■"),
        (None, _) => ("good", "●"),
    };
    html! { span class={ "state " (class) } { span aria-hidden="true" { (icon) } " " (reason) } }
}

/// The path of an account's page.
pub(super) fn account_path(id: &AccountId) -> String {
    format!("accounts/{}/{}", encoded(&id.namespace), encoded(&id.name))
}

/// The path of a service's page.
pub(super) fn service_path(id: &AccountId, service: &ServiceEntry) -> String {
    let path = format!("{}/services/{}", account_path(id), encoded(&service.facts.name));
    match &service.facts.application {
        Some(application) => format!("{path}?application={}", encoded(application)),
        None => path,
    }
}

/// An account's name as a link.
pub(super) fn account_link(root: Root, id: &AccountId) -> Markup {
    html! { a href=(root.to(&account_path(id))) { span.dim { (text(&id.namespace)) "/" } (text(&id.name)) } }
}

/// A problem of something, which is a link to it.
pub(super) fn problem(of: &Markup, problem: &Problem, now: f64) -> Markup {
    let class = match problem.severity {
        Severity::Critical => "bad",
        Severity::Warning => "warn",
    };
    html! {
        li class=(class) {
            p {
                span class={ "state " (class) } {
                    span aria-hidden="true" { @if class == "bad" { "✖" } @else { "▲" } } " " (problem.severity.as_str())
                }
                " " strong { (of) } ": " (text(&problem.what))
                @if problem.since.is_some() { " · last good " (ago(problem.since, now)) " ago" }
            }
            p.advice {
                (text(&problem.advice)) " "
                a href={ (RUNBOOKS) (problem.alert) ".md" } rel="noreferrer" { "Runbook " (problem.alert) }
            }
        }
    }
}
