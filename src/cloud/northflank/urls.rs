//! The URLs of the API. Pure.

use url::Url;

use super::cost::PER_PAGE;
use super::metrics::Metric;
use super::target::Settings;
use crate::cloud::kit::path::{below, segment};

/// A page of projects; the first one has no cursor.
pub(super) fn projects(settings: &Settings, cursor: Option<&str>) -> Url {
    page(in_team(settings, "projects"), cursor)
}

/// A page of a project's services. `None` for an id that is no segment of a path.
pub(super) fn services(settings: &Settings, project: &str, cursor: Option<&str>) -> Option<Url> {
    Some(page(in_project(settings, project, "services")?, cursor))
}

/// One service with all that the API says of it. `None` for an id that is no segment of a path.
pub(super) fn service(settings: &Settings, project: &str, service: &str) -> Option<Url> {
    in_service(settings, project, service, "")
}

/// A page of a service's containers. `None` for an id that is no segment of a path.
pub(super) fn containers(
    settings: &Settings,
    project: &str,
    service: &str,
    cursor: Option<&str>,
) -> Option<Url> {
    Some(page(in_service(settings, project, service, "/containers")?, cursor))
}

/// All metrics of all containers of a service, as they are now. `None` for an id that is no segment of a path.
pub(super) fn metrics(settings: &Settings, project: &str, service: &str) -> Option<Url> {
    let mut url = in_service(settings, project, service, "/metrics")?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("queryType", "single");
        for metric in Metric::ALL {
            query.append_pair("metricTypes", metric.as_str());
        }
    }
    Some(url)
}

/// All plans.
pub(super) fn plans(settings: &Settings) -> Url {
    below(&settings.endpoint, "v1/plans")
}

/// A path below the team where the settings name one: the form of paths that a token of an organization needs.
fn in_team(settings: &Settings, path: &str) -> Url {
    match &settings.team {
        Some(team) => below(&settings.endpoint, &format!("v1/teams/{team}/{path}")),
        None => below(&settings.endpoint, &format!("v1/{path}")),
    }
}

fn in_project(settings: &Settings, project: &str, path: &str) -> Option<Url> {
    Some(in_team(settings, &format!("projects/{}/{path}", segment(project)?)))
}

fn in_service(settings: &Settings, project: &str, service: &str, path: &str) -> Option<Url> {
    in_project(settings, project, &format!("services/{}{path}", segment(service)?))
}

fn page(mut url: Url, cursor: Option<&str>) -> Url {
    url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string());
    if let Some(cursor) = cursor {
        url.query_pairs_mut().append_pair("cursor", cursor);
    }
    url
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(team: Option<&str>) -> Settings {
        Settings {
            endpoint: "https://api.northflank.com/".parse().unwrap(),
            team: team.map(str::to_owned),
            projects: Vec::new(),
            inventory_interval: Duration::from_secs(900),
            metrics_max_age: Duration::from_secs(600),
        }
    }

    fn shown(url: Option<Url>) -> String {
        url.unwrap().as_str().replace("https://api.northflank.com", "")
    }

    #[test]
    fn each_request_has_its_documented_url() {
        let own = settings(None);
        assert_eq!(shown(Some(projects(&own, None))), "/v1/projects?per_page=100");
        assert_eq!(
            shown(services(&own, "shop", Some("a b"))),
            "/v1/projects/shop/services?per_page=100&cursor=a+b"
        );
        assert_eq!(shown(service(&own, "shop", "web")), "/v1/projects/shop/services/web");
        assert_eq!(
            shown(containers(&own, "shop", "web", None)),
            "/v1/projects/shop/services/web/containers?per_page=100"
        );
        assert_eq!(
            shown(metrics(&own, "shop", "web")),
            "/v1/projects/shop/services/web/metrics?queryType=single&metricTypes=cpu&metricTypes=memory\
             &metricTypes=networkIngress&metricTypes=networkEgress&metricTypes=requests\
             &metricTypes=http4xxResponses&metricTypes=http5xxResponses&metricTypes=bandwidth"
        );
        assert_eq!(shown(Some(plans(&own))), "/v1/plans");
    }

    #[test]
    fn the_paths_of_an_organizations_token_name_the_team() {
        let team = settings(Some("acme"));
        assert_eq!(shown(Some(projects(&team, None))), "/v1/teams/acme/projects?per_page=100");
        assert!(
            shown(metrics(&team, "shop", "web"))
                .starts_with("/v1/teams/acme/projects/shop/services/web/metrics?")
        );
        assert_eq!(shown(Some(plans(&team))), "/v1/plans");
    }

    #[test]
    fn an_id_that_leaves_its_segment_has_no_url() {
        let own = settings(None);
        assert_eq!(service(&own, "..", "web"), None);
        assert_eq!(metrics(&own, "shop", ".."), None);
    }
}
