//! Clouds that limit the rate of requests.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use caas_operator::cloud::CloudError;
use caas_operator::cloud::http::{AccountLimits, ApiRequest, RequestBody};
use caas_operator::telemetry::Metrics;

use crate::support::{Account, Fake, Reply, json, large_page, lenient, limited, limits, status, timeout_of};

/// A header, and its value for a limit of ten minutes from this second since the epoch.
type Dialect = (&'static str, fn(u64) -> String);

fn page(path: &str) -> bool {
    path == "/v1/services/acme/"
}

#[tokio::test]
async fn a_429_is_waited_out_as_the_cloud_asks_and_counted() {
    let fake =
        Fake::with(|seen| (page(&seen.path) && seen.earlier == 0).then(|| limited("retry-after", "1"))).await;
    let account = Account::at(&fake);
    let start = Instant::now();

    assert_eq!(account.collect().await.unwrap().failures(), (0, None));

    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!((account.metric(&["api_throttled_total"]) - 1.0).abs() < 0.1);
    assert!((account.metric(&["api_retries_total", "rate_limited"]) - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn a_429_that_names_no_wait_is_waited_out_too() {
    let fake = Fake::with(|seen| {
        (page(&seen.path) && seen.earlier == 0).then(|| Reply::Http(429, Vec::new(), Vec::new()))
    })
    .await;
    assert_eq!(Account::at(&fake).collect().await.unwrap().failures(), (0, None));
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_ends_the_request_at_once_in_every_dialect() {
    let dialects: [Dialect; 5] = [
        ("retry-after", |_| "600".to_owned()),
        ("retry-after", |now| {
            let date = jiff::Timestamp::from_second(i64::try_from(now + 600).unwrap()).unwrap();
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap()
        }),
        ("ratelimit-reset", |now| (now + 600).to_string()),
        ("ratelimit-reset", |_| "600".to_owned()),
        ("x-ratelimit-reset", |_| "600".to_owned()),
    ];
    for (name, value) in dialects {
        let value = value(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
        let told = value.clone();
        let fake = Fake::with(move |seen| page(&seen.path).then(|| limited(name, &told))).await;
        let account = Account::limited(&fake, timeout_of(60_000));

        let Err(CloudError::RateLimited { retry_after: Some(wait) }) = account.collect().await else {
            panic!("{name}: {value}")
        };
        assert!((1..=600).contains(&wait.as_secs()), "{name}: {value}: {wait:?}");

        // The next cycles know without asking.
        let again = account.collect().await;
        assert!(matches!(again, Err(CloudError::RateLimited { retry_after: Some(_) })), "{again:?}");
        assert_eq!(fake.count("/v1/services/"), 1);
    }
}

#[tokio::test]
async fn a_limit_in_mid_cycle_stops_it_and_keeps_what_was_read() {
    let fake = Fake::with(|seen| match &*seen.path {
        "/v1/services/acme/" => Some(json(large_page(5_000))),
        path if path.contains("/i99/metrics") => Some(limited("retry-after", "600")),
        _ => None,
    })
    .await;

    let collection = Account::at(&fake).collect().await.unwrap();

    let (failures, first) = collection.failures();
    assert!(failures > 4_800 && failures < 4_950, "{failures}");
    assert!(matches!(first, Some(CloudError::RateLimited { .. })));
    assert!(fake.count("/metrics") < 200, "{} requests, not 5,000", fake.count("/metrics"));
}

#[tokio::test]
async fn a_limit_that_does_not_end_stops_the_cycle_within_one_deadline() {
    let fake = Fake::with(|seen| match &*seen.path {
        "/v1/services/acme/" => Some(json(large_page(500))),
        path if path.contains("/metrics") => Some(limited("retry-after", "0.2")),
        _ => None,
    })
    .await;
    let limits = AccountLimits { requests_per_second: 50, ..timeout_of(3_000) };
    let collection = Account::limited(&fake, limits).collect().await.unwrap();

    assert!(matches!(collection.failures(), (500, Some(CloudError::RateLimited { .. }))), "{collection:?}");
    // No more than the rate and its burst allow within one deadline. If the deadline excluded the wait for the lowered
    // rate, each of the 32 concurrent requests would be sent four times before the first one gives up.
    let asked = fake.count("/metrics");
    assert!(asked < 80, "{asked} requests");
}

#[tokio::test]
async fn a_rate_limit_is_the_reason_even_where_an_earlier_service_fails_on_its_own() {
    let fake = Fake::with(|seen| match seen.path.split('?').next().unwrap() {
        path if path.contains("/w0/metrics") => Some(status(404)),
        path if path.contains("/d0/metrics") => Some(limited("retry-after", "600")),
        _ => None,
    })
    .await;
    let collection = Account::at(&fake).collect().await.unwrap();
    assert!(matches!(collection.failures().1, Some(CloudError::RateLimited { .. })), "{collection:?}");
}

#[tokio::test]
async fn a_limit_that_an_api_reports_inside_a_200_silences_the_account_like_a_429() {
    let fake = Fake::with(|_| Some(json(r#"{"errors": [{"message": "limited"}]}"#))).await;
    let meter = Metrics::new().account("team-a", "acme");
    let client = lenient().account("team-a", limits(), None, meter).unwrap();
    let query = RequestBody::Json(r#"{"query": "{ me }"}"#.into());
    let request = ApiRequest::new("query", fake.endpoint().parse().unwrap(), 1_000).with_body(query);
    let wait = Some(Duration::from_secs(600));
    let read = |_: &[u8]| Err::<(), _>(CloudError::RateLimited { retry_after: wait });
    assert_eq!(client.fetch(&request, read).await, Err(CloudError::RateLimited { retry_after: wait }));

    let again = client.fetch(&request, |_| Ok::<(), CloudError>(())).await;
    assert!(matches!(again, Err(CloudError::RateLimited { retry_after: Some(_) })), "{again:?}");
    let [seen] = &fake.seen()[..] else { panic!("one request: {:?}", fake.seen()) };
    assert_eq!((&*seen.method, &*seen.body), ("POST", r#"{"query": "{ me }"}"#));
}
