//! The HTML page at `/`: the available paths and the state of each account. No scripts.

use std::io;
use std::time::SystemTime;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::list::Listing;
use super::views::{Summary, summary};
use crate::cloud::model::unprintable::written_out;
use crate::collector::registry::Listed;

/// Allows a browser to show the page and nothing else: the last line of defence behind the template's escaping.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;\
    border-bottom:1px solid #8884;vertical-align:top}td.n,th.n{text-align:right}code{font-size:.9em}\
    .bad{color:#c0392b}:root{color-scheme:light dark}";

/// The page, with a row for each account.
pub(super) struct Page {
    now: SystemTime,
    any: bool,
}

impl Page {
    /// The page with the ages that data has at `now`.
    pub(super) fn at(now: SystemTime) -> Self {
        Self { now, any: false }
    }
}

impl Listing for Page {
    fn begin(&mut self, chunk: &mut Vec<u8>) {
        push(
            chunk,
            &html! {
                (DOCTYPE)
                // Closed in `end`.
                (PreEscaped(r#"<html lang="en">"#))
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { "caas-operator" }
                    style { (PreEscaped(STYLE)) }
                }
                (PreEscaped("<body>"))
                h1 { "caas-operator" }
                h2 { "Accounts" }
            },
        );
    }

    fn account(&mut self, account: &Listed, chunk: &mut Vec<u8>) -> io::Result<()> {
        if !std::mem::replace(&mut self.any, true) {
            push(
                chunk,
                &html! {
                    (PreEscaped("<table>"))
                    tr {
                        th { "Account" }
                        th { "Provider" }
                        th { "State" }
                        th.n { "Services" }
                        th.n { "Instances" }
                        th.n { "Age of data" }
                        th { "Series" }
                    }
                },
            );
        }
        push(chunk, &row(&summary(account, self.now)));
        Ok(())
    }

    fn end(&mut self, chunk: &mut Vec<u8>) {
        push(
            chunk,
            &html! {
                @if self.any { (PreEscaped("</table>")) } @else { p { "There are no accounts yet." } }
                h2 { "Paths" }
                ul {
                    li { a href="/accounts" { code { "/accounts" } } ": all accounts as JSON" }
                    li {
                        code { "/accounts/{namespace}/{name}" }
                        ": one account as JSON, with its services, instances and samples"
                    }
                    li { code { "/accounts/{namespace}/{name}/metrics" } ": its series" }
                    li {
                        code { "/accounts/{namespace}/{name}/metrics/legacy" }
                        ": its series under legacy names, if enabled"
                    }
                    li { a href="/sd" { code { "/sd" } } ": targets for Prometheus’ " code { "http_sd_configs" } }
                    li { a href="/metrics" { code { "/metrics" } } ": the operator’s own metrics" }
                }
                (PreEscaped("</body></html>"))
            },
        );
    }
}

fn push(chunk: &mut Vec<u8>, markup: &Markup) {
    chunk.extend_from_slice(markup.0.as_bytes());
}

fn row(account: &Summary) -> Markup {
    let bad = !matches!(account.reason, "Collected" | "Pending" | "Suspended");
    let detail = account.metrics_path.strip_suffix("/metrics").unwrap_or_default();
    html! {
        tr {
            td { a href=(detail) { (written_out(&account.namespace)) "/" (written_out(&account.name)) } }
            td { (account.provider) }
            td { span.bad[bad] { (account.reason) } br; small { (written_out(&account.message)) } }
            td.n { (account.services) }
            td.n { (account.instances) }
            td.n {
                @match account.age_seconds {
                    Some(age) => (format_args!("{age:.0} s")),
                    None => "none",
                }
            }
            td {
                a href=(account.metrics_path) { "metrics" }
                @if let Some(legacy) = &account.legacy_metrics_path { " " a href=(legacy) { "legacy" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_account_becomes_markup() {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}\0".to_owned();
        let account = Summary {
            namespace: hostile.clone(),
            name: hostile.clone(),
            provider: "alauda",
            reason: "Collected",
            message: hostile.clone(),
            services: 0,
            instances: 0,
            age_seconds: None,
            metrics_path: format!("/accounts/{hostile}/metrics"),
            legacy_metrics_path: Some(hostile),
        };
        let page = row(&account).into_string();
        // Attributes are in double quotes, where a single quote is harmless.
        assert!(!page.contains("<script") && !page.contains("\"'"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{page}");
        assert!(page.contains(r"\u{202e}\u{0}"), "{page}");
    }
}
