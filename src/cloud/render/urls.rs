//! The URLs of the API. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use url::Url;

use super::cost::PER_PAGE;
use super::metric::{HOUR, Metric, QUANTILES, STEP};
use super::target::Settings;
use crate::cloud::kit::path::{below, segment};

/// A time in seconds since the epoch.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// From when to when a metric is asked for, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Window {
    /// The window until `now` that has the last two or three points: it begins two steps before the newest point that is
    /// known, but no earlier than `max_age` before now. How late points are follows from the answers.
    pub(super) fn after(newest: Option<i64>, now: i64, max_age: Duration) -> Self {
        let earliest = now.saturating_sub(i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX));
        let start = newest.map_or(earliest, |newest| (newest - 2 * STEP).clamp(earliest, now));
        Self { start, end: now }
    }

    /// The same window for a metric whose points are further apart.
    pub(super) fn of(self, metric: Metric) -> Self {
        // One hour is not over, and the one before may lack its last minutes for a while.
        if metric == Metric::Bandwidth { Self { start: self.end - 4 * HOUR, ..self } } else { self }
    }

    /// The time after which a point of the metric may still grow. Whether a point's time is the beginning or the end of what
    /// it sums up is not documented: both are over by then.
    pub(super) fn complete(self, metric: Metric) -> i64 {
        self.end - metric.summed_over().unwrap_or(0)
    }
}

/// A page of services behind this cursor.
pub(super) fn services(settings: &Settings, cursor: Option<&str>) -> Url {
    let mut url = list(&settings.endpoint, "services", cursor);
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("includePreviews", if settings.previews { "true" } else { "false" });
        for id in &settings.workspaces {
            query.append_pair("ownerId", id);
        }
    }
    url
}

/// A page of workspaces behind this cursor.
pub(super) fn workspaces(settings: &Settings, cursor: Option<&str>) -> Url {
    list(&settings.endpoint, "owners", cursor)
}

/// A page of projects behind this cursor.
pub(super) fn projects(settings: &Settings, cursor: Option<&str>) -> Url {
    let mut url = list(&settings.endpoint, "projects", cursor);
    for id in &settings.workspaces {
        url.query_pairs_mut().append_pair("ownerId", id);
    }
    url
}

/// A page of the environments of these projects behind this cursor.
pub(super) fn environments(settings: &Settings, projects: &[String], cursor: Option<&str>) -> Url {
    let mut url = list(&settings.endpoint, "environments", cursor);
    for id in projects {
        url.query_pairs_mut().append_pair("projectId", id);
    }
    url
}

fn list(endpoint: &Url, path: &str, cursor: Option<&str>) -> Url {
    let mut url = below(endpoint, path);
    url.query_pairs_mut().append_pair("limit", &PER_PAGE.to_string());
    if let Some(cursor) = cursor {
        url.query_pairs_mut().append_pair("cursor", cursor);
    }
    url
}

/// The instances of a service. `None` for an id that is no segment of a path.
pub(super) fn instances(endpoint: &Url, service: &str) -> Option<Url> {
    Some(below(endpoint, &format!("services/{}/instances", segment(service)?)))
}

/// A metric of these services.
pub(super) fn metric<'a>(
    endpoint: &Url,
    metric: Metric,
    services: impl Iterator<Item = &'a str>,
    window: Window,
) -> Url {
    let mut url = below(endpoint, &format!("metrics/{}", metric.path()));
    {
        let mut query = url.query_pairs_mut();
        services.for_each(|id| {
            query.append_pair("resource", id);
        });
        let Window { start, end } = window.of(metric);
        query.append_pair("startTime", &rfc_3339(start)).append_pair("endTime", &rfc_3339(end));
        match metric {
            Metric::Requests => {
                query.append_pair("aggregateBy", "statusCode");
            }
            Metric::Latency => QUANTILES.iter().for_each(|quantile| {
                query.append_pair("quantile", quantile);
            }),
            Metric::Cpu | Metric::Memory | Metric::CpuLimit | Metric::MemoryLimit | Metric::Bandwidth => {}
        }
        // Bandwidth has one resolution.
        if metric != Metric::Bandwidth {
            query.append_pair("resolutionSeconds", &STEP.to_string());
        }
    }
    url
}

/// Seconds since the epoch are refused, whatever the API's description says.
fn rfc_3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_documented_url() {
        let shown = |url: Url| url.as_str().replace("https://api.render.com", "");
        let all = Settings::of_tests();
        assert_eq!(shown(services(&all, None)), "/v1/services?limit=100&includePreviews=false");
        let some = Settings { previews: true, workspaces: vec!["tea-1".to_owned()], ..all.clone() };
        assert_eq!(
            shown(services(&some, Some("a=b"))),
            "/v1/services?limit=100&cursor=a%3Db&includePreviews=true&ownerId=tea-1"
        );
        assert_eq!(shown(projects(&some, None)), "/v1/projects?limit=100&ownerId=tea-1");
        assert_eq!(
            shown(environments(&all, &["prj-1".to_owned(), "prj-2".to_owned()], None)),
            "/v1/environments?limit=100&projectId=prj-1&projectId=prj-2"
        );
        assert_eq!(shown(instances(&all.endpoint, "srv-a").unwrap()), "/v1/services/srv-a/instances");
        assert_eq!(instances(&all.endpoint, ".."), None);

        let window = Window { start: 1_795_687_200, end: 1_795_687_380 };
        let of = |kind| shown(metric(&all.endpoint, kind, ["srv-a", "srv-b"].into_iter(), window));
        let times = "startTime=2026-11-26T10%3A00%3A00Z&endTime=2026-11-26T10%3A03%3A00Z";
        let both = "resource=srv-a&resource=srv-b";
        assert_eq!(of(Metric::Cpu), format!("/v1/metrics/cpu?{both}&{times}&resolutionSeconds=60"));
        assert_eq!(
            of(Metric::Requests),
            format!("/v1/metrics/http-requests?{both}&{times}&aggregateBy=statusCode&resolutionSeconds=60")
        );
        assert_eq!(
            of(Metric::Latency),
            format!(
                "/v1/metrics/http-latency?{both}&{times}&quantile=0.5&quantile=0.95&quantile=0.99&resolutionSeconds=60"
            )
        );
        assert_eq!(
            of(Metric::Bandwidth),
            format!(
                "/v1/metrics/bandwidth?{both}&startTime=2026-11-26T06%3A03%3A00Z&endTime=2026-11-26T10%3A03%3A00Z"
            )
        );
    }

    #[test]
    fn a_window_holds_the_last_points_once_it_is_known_how_late_they_are() {
        let max_age = Duration::from_secs(600);
        let window = |newest| Window::after(newest, 10_000, max_age).start;
        assert_eq!(window(None), 9_400, "nothing is known yet");
        assert_eq!(window(Some(9_900)), 9_780);
        assert_eq!(window(Some(5_000)), 9_400, "no point that is too old is asked for");
        assert_eq!(window(Some(20_000)), 10_000, "a clock that is wrong asks for nothing");
    }

    #[test]
    fn the_sum_of_a_time_that_is_not_over_is_not_complete() {
        let window = Window { start: 0, end: 10_000 };
        assert_eq!(window.complete(Metric::Cpu), 10_000);
        assert_eq!(window.complete(Metric::Requests), 9_940);
        assert_eq!(window.complete(Metric::Bandwidth), 6_400);
    }
}
