//! What all pages share: head, navigation, filter, state of the connection, help and footer.

use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use crate::cloud::model::unprintable::written_out;

/// The way from a page to the root of the server: a prefix of all its links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root(pub(super) &'static str);

impl Root {
    /// From `/`, `/services` and `/accounts`.
    pub(super) const TOP: Self = Self("");
    /// From `/accounts/{namespace}/{name}`.
    pub(super) const ACCOUNT: Self = Self("../../");
    /// From `/accounts/{namespace}/{name}/services/{service}`.
    pub(super) const SERVICE: Self = Self("../../../../");

    /// The address of a path, which is given without a slash before it.
    pub(super) fn to(self, path: &str) -> String {
        let Self(prefix) = self;
        if prefix.is_empty() && path.is_empty() { "./".into() } else { format!("{prefix}{path}") }
    }
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Services,
    Accounts,
}

/// A page around its content.
pub(super) struct Frame<'a> {
    pub(super) root: Root,
    pub(super) title: &'a str,
    pub(super) section: Section,
    /// The filter's text.
    pub(super) filter: &'a str,
    /// Where the filter leads, as a path without a slash before it.
    pub(super) filters: &'a str,
    /// The application that the page's address names, which the filter keeps.
    pub(super) application: Option<&'a str>,
}

const KEYS: [(&str, &str); 5] = [
    ("/", "filter"),
    ("j k ↓ ↑", "next and previous row"),
    ("Enter", "open the row"),
    ("Esc", "leave the filter, or go up one page"),
    ("?", "show these keys"),
];

impl Frame<'_> {
    /// The whole document.
    pub(super) fn around(&self, content: &Markup) -> String {
        let root = self.root;
        let entry = |section: Section, path: &str, name: &str| {
            let current = (section == self.section).then_some("page");
            html! { a href=(root.to(path)) aria-current=[current] { (name) } }
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) " · caas-operator" }
                    link rel="icon" href=(root.to(&ICON.path()));
                    link rel="stylesheet" href=(root.to(&STYLE.path()));
                    script defer src=(root.to(&SCRIPT.path())) {}
                }
                body {
                    a.skip href="#main" { "Skip to content" }
                    header {
                        a.brand href=(root.to("")) { "caas-operator" }
                        nav aria-label="Pages" {
                            (entry(Section::Overview, "", "Overview"))
                            (entry(Section::Services, "services", "Services"))
                            (entry(Section::Accounts, "accounts", "Accounts"))
                        }
                        form role="search" action=(root.to(self.filters)) {
                            @if let Some(application) = self.application {
                                input type="hidden" name="application" value=(written_out(application));
                            }
                            label.hidden for="q" { "Filter" }
                            input #q type="search" name="q" value=(written_out(self.filter)) autocomplete="off" spellcheck="false"
                                maxlength="1024" placeholder="Filter: web account:acme -state:stopped";
                        }
                        p #live { noscript { "Reload the page for newer data." } }
                    }
                    p #away role="alert" hidden {}
                    main #main tabindex="-1" { (content) }
                    footer {
                        p {
                            "caas-operator " (env!("CARGO_PKG_VERSION")) " · Times are UTC. This page has no login \
                             and shows the services of all teams to anyone who can reach the port."
                        }
                        details {
                            summary { "Filter, keys and paths" }
                            p {
                                "All words, separated by spaces, must match; " code { "-" } " before a word negates it; "
                                code { "*" } " matches any text, a comma means “or”, and quotes keep spaces: "
                                code { "namespace:team-a,team-b app:\"my shop\" -state:stopped label.team:checkout" }
                                ". Keys: account, namespace, provider, application (app), service, instance, state, image, \
                                 tag, region, label.NAME. The address of a filtered list is its bookmark."
                            }
                            dl.keys { @for (key, does) in KEYS { div { dt { kbd { (key) } } dd { (does) } } } }
                            ul {
                                li { a href=(root.to("accounts?format=json")) { "/accounts" } ": all accounts as JSON" }
                                li { a href=(root.to("services?format=json")) { "/services" } ": all services as JSON" }
                                li { a href=(root.to("instances")) { "/instances" } ": all instances as JSON" }
                                li { code { "/accounts/{namespace}/{name}" } ": one account, with its instances and samples" }
                                li { code { "/accounts/{namespace}/{name}/metrics" } ": its series" }
                                li { a href=(root.to("sd")) { "/sd" } ": targets for Prometheus’ " code { "http_sd_configs" } }
                                li { a href=(root.to("metrics")) { "/metrics" } ": the operator’s own metrics" }
                            }
                        }
                    }
                    dialog #keys aria-label="Keys" {
                        h2 { "Keys" }
                        dl.keys { @for (key, does) in KEYS { div { dt { kbd { (key) } } dd { (does) } } } }
                        form method="dialog" { button { "Close" } }
                    }
                }
            }
        };
        page.into_string()
    }
}
