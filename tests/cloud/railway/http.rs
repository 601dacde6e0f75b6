//! HTTP requests and durations of services.

use caas_operator::cloud::model::Measurement;
use caas_operator::cloud::railway::Settings;
use caas_operator::simulator::Railway;

use super::{Account, options, services, settings, start};

#[tokio::test]
async fn services_with_a_domain_have_their_requests_and_durations() {
    let cloud = start(options(), services(40)).await;
    let settings = Settings { http: true, ..settings(&cloud) };
    let collection = Account::with(settings, &cloud.credentials()[0].password).collected().await;
    let now = cloud.now();
    let mut with_traffic = 0;
    for service in &collection.services {
        let Some(sample) = &service.reading.sample else { continue };
        with_traffic += 1;
        assert_eq!(service.facts.kind.as_deref(), Some("web"));
        let codes: Vec<_> = sample.of(Measurement::ServiceHttpRequests).collect();
        assert!(codes.iter().any(|value| value.label == Some("200") && value.base() > 0.0), "{codes:?}");
        let durations: Vec<_> = sample.of(Measurement::ServiceHttpDuration).collect();
        let labels: Vec<_> = durations.iter().map(|value| value.label.unwrap()).collect();
        assert_eq!(labels, ["0.5", "0.9", "0.95", "0.99"]);
        assert!(durations.windows(2).all(|pair| pair[0].base() < pair[1].base()), "{durations:?}");
        assert!((0.005..0.06).contains(&durations[0].base()), "seconds: {durations:?}");
        for value in codes.iter().chain(&durations) {
            assert!(
                (60.0..180.0).contains(&(now - value.time)),
                "a minute that is over: {}",
                now - value.time
            );
        }
    }
    assert!(with_traffic > 20, "{with_traffic}");
}

#[tokio::test]
async fn traffic_is_not_asked_for_unless_it_is_wanted() {
    let cloud = start(options(), services(10)).await;
    let collection = Account::at(&cloud).collected().await;
    assert!(collection.services.iter().all(|service| service.reading.sample.is_none()));
    assert_eq!(cloud.counts()["http"], 0);
}

#[tokio::test]
async fn requests_for_traffic_stay_below_the_fields_that_the_api_takes() {
    // Twenty are what ten services need; a request for nineteen is refused.
    for (max_fields, failures) in [(20, 0), (19, 1)] {
        let cloud = start(Railway { max_fields, ..options() }, services(40)).await;
        let settings = Settings { http: true, ..settings(&cloud) };
        let collection = Account::with(settings, &cloud.credentials()[0].password).collect().await.unwrap();
        assert_eq!(collection.failures().0.min(1), failures, "{max_fields}");
        assert!(collection.services.iter().all(|service| service.facts.running_instances > Some(0)));
    }
}
