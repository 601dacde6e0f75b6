//! Links to the chart's dashboards in a Grafana that somebody runs, with the variables that show the same as the page.

use std::str::FromStr;

use maud::{Markup, html};
use url::Url;

use crate::account::AccountId;
use crate::server::query::encoded;

/// The `uid`s of the chart's dashboards.
const CLOUDS: &str = "caas-clouds";
const OPERATOR: &str = "caas-operator";
const ACCOUNT: &str = "caas-account";

/// The base URL of a Grafana, which may have a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrafanaUrl(String);

impl FromStr for GrafanaUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRITE: &str =
            "write a URL such as https://grafana.example.com/, without user, query and fragment";
        let url: Url = text.parse().map_err(|_| WRITE)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_web = matches!(url.scheme(), "http" | "https");
        if !is_web || has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(WRITE);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl GrafanaUrl {
    /// The address of a dashboard with these variables.
    fn dashboard(&self, uid: &str, variables: &[(&str, &str)]) -> String {
        let Self(base) = self;
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| format!("var-{name}={}", encoded(value))).collect();
        let query = if variables.is_empty() { String::new() } else { format!("?{}", variables.join("&")) };
        format!("{base}/d/{uid}{query}")
    }
}

/// Links to the dashboards of all clouds and of the operator.
pub(super) fn of_all(grafana: Option<&GrafanaUrl>) -> Markup {
    html! {
        @if let Some(grafana) = grafana {
            " · Grafana: " (link(&grafana.dashboard(CLOUDS, &[]), "clouds")) ", " (link(&grafana.dashboard(OPERATOR, &[]), "operator"))
        }
    }
}

/// A link to the dashboard of an account, and of a service of it where one is named.
pub(super) fn of_account(grafana: Option<&GrafanaUrl>, id: &AccountId, service: Option<&str>) -> Markup {
    let mut variables = vec![("namespace", &*id.namespace), ("account", &*id.name)];
    variables.extend(service.map(|name| ("service", name)));
    html! {
        @if let Some(grafana) = grafana { " · " (link(&grafana.dashboard(ACCOUNT, &variables), "Grafana")) }
    }
}

fn link(address: &str, name: &str) -> Markup {
    html! { a href=(address) rel="noreferrer" { (name) } }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_links_lead_to_dashboards_of_the_chart_and_set_variables_that_they_have() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/caas-operator/dashboards");
        for (file, uid, variables) in [
            ("clouds", CLOUDS, &[][..]),
            ("operator", OPERATOR, &[]),
            ("account", ACCOUNT, &["namespace", "account", "service"]),
        ] {
            let text = std::fs::read_to_string(folder.join(format!("{file}.json"))).unwrap();
            let dashboard: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(dashboard["uid"], uid);
            let names: Vec<_> = dashboard["templating"]["list"]
                .as_array()
                .unwrap()
                .iter()
                .map(|variable| variable["name"].as_str().unwrap().to_owned())
                .collect();
            assert!(variables.iter().all(|name| names.iter().any(|one| one == name)), "{file}: {names:?}");
        }
    }

    #[test]
    fn a_grafana_may_have_a_path_and_names_are_escaped() {
        let id = AccountId::new("team-a", "acme");
        for base in ["https://example.com/grafana", "https://example.com/grafana/"] {
            let grafana: GrafanaUrl = base.parse().unwrap();
            assert_eq!(
                of_account(Some(&grafana), &id, Some("a&b \"c\"")).into_string(),
                " · <a href=\"https://example.com/grafana/d/caas-account?var-namespace=team-a&amp;var-account=acme&amp;\
                 var-service=a%26b%20%22c%22\" rel=\"noreferrer\">Grafana</a>"
            );
        }
        for wrong in [
            "javascript:alert(1)",
            "example.com",
            "https://ann:secret@example.com/",
            "https://example.com/?a",
        ] {
            assert!(wrong.parse::<GrafanaUrl>().is_err(), "{wrong}");
        }
    }
}
