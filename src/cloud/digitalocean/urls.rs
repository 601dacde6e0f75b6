//! The URLs of the API. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use url::Url;

use super::cost::APPS_PER_PAGE;
use super::points::Metric;
use crate::cloud::kit::path::{below, segment};

/// A page of apps, counted from 1. A cycle builds the URL of each page itself: a link of an answer gives no more than the
/// number, so no answer decides where credentials go.
pub(super) fn apps(endpoint: &Url, page: u64, with_projects: bool) -> Url {
    let mut url = below(endpoint, "v2/apps");
    url.query_pairs_mut()
        .append_pair("page", &page.to_string())
        .append_pair("per_page", &APPS_PER_PAGE.to_string());
    if with_projects {
        url.query_pairs_mut().append_pair("with_projects", "true");
    }
    url
}

/// The number of the page that a link names.
pub(super) fn page_number(link: &str) -> Option<u64> {
    let (_, query) = link.split_once('?')?;
    let query = query.split('#').next()?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "page")?.1.parse().ok()
}

/// The instances of an app. `None` for an id that is no segment of a path.
pub(super) fn instances(endpoint: &Url, app: &str) -> Option<Url> {
    Some(below(endpoint, &format!("v2/apps/{}/instances", segment(app)?)))
}

/// The health of an app's components. `None` for an id that is no segment of a path.
pub(super) fn health(endpoint: &Url, app: &str) -> Option<Url> {
    Some(below(endpoint, &format!("v2/apps/{}/health", segment(app)?)))
}

/// All sizes of instances.
pub(super) fn sizes(endpoint: &Url) -> Url {
    below(endpoint, "v2/apps/tiers/instance_sizes")
}

/// A metric of all instances of an app, from `max_age` before `now` on.
pub(super) fn metric(endpoint: &Url, metric: Metric, app: &str, max_age: Duration, now: SystemTime) -> Url {
    let mut url = below(endpoint, &format!("v2/monitoring/metrics/apps/{}", metric.path()));
    let end = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    url.query_pairs_mut()
        .append_pair("app_id", app)
        .append_pair("start", &end.saturating_sub(max_age).as_secs().to_string())
        .append_pair("end", &end.as_secs().to_string());
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_documented_url() {
        let endpoint: Url = "https://api.digitalocean.com/".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_634_052_960);
        let shown = |url: Url| url.as_str().replace("https://api.digitalocean.com", "");
        assert_eq!(shown(apps(&endpoint, 1, false)), "/v2/apps?page=1&per_page=200");
        assert_eq!(shown(apps(&endpoint, 2, true)), "/v2/apps?page=2&per_page=200&with_projects=true");
        assert_eq!(shown(instances(&endpoint, "4f6c").unwrap()), "/v2/apps/4f6c/instances");
        assert_eq!(shown(health(&endpoint, "4f6c").unwrap()), "/v2/apps/4f6c/health");
        assert_eq!(shown(sizes(&endpoint)), "/v2/apps/tiers/instance_sizes");
        assert_eq!(
            shown(metric(&endpoint, Metric::Cpu, "4f6c", Duration::from_secs(600), now)),
            "/v2/monitoring/metrics/apps/cpu_percentage?app_id=4f6c&start=1634052360&end=1634052960"
        );
        assert_eq!(instances(&endpoint, ".."), None);
    }

    #[test]
    fn a_link_gives_the_number_of_its_page_and_nothing_else() {
        for (link, number) in [
            ("https://api.digitalocean.com/v2/apps?page=2", Some(2)),
            ("https://evil.example/steal?per_page=20&page=3#x", Some(3)),
            ("/v2/apps?page=2&page=9", Some(2)),
            ("https://api.digitalocean.com/v2/apps", None),
            ("?page=two", None),
            ("?page=-1", None),
        ] {
            assert_eq!(page_number(link), number, "{link}");
        }
    }
}
