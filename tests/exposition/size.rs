//! Large accounts: the limit on series, and a renderer that is used again.

use caas_operator::cloud::model::{InstanceFacts, Measurement, Sample, Scale, ServiceFacts};
use caas_operator::exposition::values::{AccountGauges, AccountValues};
use caas_operator::exposition::{Options, Renderer};

use crate::formats::{by_series, parse_text};
use crate::pages::{ALL, acme, page};
use crate::{inflated, render};

/// An account with so many services of so many instances.
pub(crate) fn many(services: usize, instances: usize) -> AccountValues {
    let instance = |service: usize, instance: usize| {
        let facts = InstanceFacts {
            name: format!("s{service}.{instance}"),
            id: format!("{service}-{instance}"),
            ..InstanceFacts::default()
        };
        (facts, Some(Sample::at(1.0, &[(Measurement::MemoryUsage, Scale::Base, instance as f64)])))
    };
    let service = |service: usize| {
        let facts = ServiceFacts { name: format!("s{service}"), ..ServiceFacts::default() };
        (facts, (0..instances).map(|index| instance(service, index)).collect())
    };
    page("n", "a", AccountGauges::default(), (0..services).map(service).collect())
}

#[test]
fn a_limit_keeps_the_account_and_the_oldest_objects_and_no_half_instance() {
    // The account has 7 series, a service 1, an instance 3.
    let page = many(3, 2);
    let whole = render(&page, &Options { legacy: false, ..ALL });
    assert_eq!((whole.series, whole.over_limit), (7 + 3 * (1 + 2 * 3), 0));

    for limit in 0..whole.series {
        let cut = render(&page, &Options { legacy: false, max_series: limit, ..ALL });
        assert_eq!(cut.series + usize::try_from(cut.over_limit).unwrap(), whole.series);
        assert!(cut.series <= limit.max(7), "{limit}");
        let families = parse_text(&inflated(&cut.bodies.text)).unwrap();
        let count = |name: &str| families.iter().find(|f| f.name == name).map_or(0, |f| f.samples.len());
        assert_eq!(count("caas_account_up"), 1);
        assert_eq!(count("caas_instance_info"), count("caas_instance_memory_usage_bytes"));
    }

    // Room for the first service and its instances, and one series more: the second service.
    let cut = render(&page, &Options { legacy: false, max_series: 7 + 7 + 2, ..ALL });
    let text = inflated(&cut.bodies.text);
    assert!(text.contains("service_name=\"s1\"") && !text.contains("instance_name=\"s1.0\""), "{text}");
    assert!(!text.contains("service_name=\"s2\""), "what is newer must not take the room: {text}");
}

#[test]
fn the_limit_counts_legacy_series_too() {
    let page = many(1, 3);
    let rendered = render(&page, &Options { max_series: 7 + 1 + 2 * 4, ..ALL });
    assert_eq!((rendered.series, rendered.over_limit), (16, 4));
    assert_eq!(inflated(&rendered.bodies.legacy.unwrap()).matches("memory_usage{").count(), 2);
}

#[test]
fn a_large_account_reads_back_whole() {
    let page = many(100, 50);
    let body = render(&page, &ALL).bodies.text;
    let text = inflated(&body);
    assert_eq!(text.len(), body.plain_bytes());
    let series = by_series(&parse_text(&text).unwrap()).unwrap();
    assert_eq!(series.len(), 7 + 100 * (1 + 50 * 3));
}

#[test]
fn a_renderer_leaves_nothing_of_one_account_in_the_next() {
    let mut renderer = Renderer::default();
    let first = renderer.render(&acme(), &ALL);
    renderer.render(&many(3, 3), &ALL);
    let again = renderer.render(&acme(), &ALL);
    assert_eq!(inflated(&first.bodies.text), inflated(&again.bodies.text));
    assert_eq!(inflated(&first.bodies.openmetrics), inflated(&again.bodies.openmetrics));
}

#[test]
fn the_number_of_series_is_that_of_the_bodies() {
    for options in [ALL, Options { legacy: false, ..ALL }, Options { modern: false, ..ALL }] {
        let rendered = render(&acme(), &options);
        let text = by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
        let legacy = rendered
            .bodies
            .legacy
            .as_ref()
            .map_or(0, |body| by_series(&parse_text(&inflated(body)).unwrap()).unwrap().len());
        assert_eq!(rendered.series, text.len() + legacy);
        let said = text.values().find(|sample| sample.name == "caas_account_series").unwrap();
        assert_eq!(said.value.to_bits(), (rendered.series as f64).to_bits());
    }
}
