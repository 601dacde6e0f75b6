//! Series that would have equal labels: which are exposed, and how the others are counted.

use caas_operator::cloud::model::{InstanceFacts, Measurement, Sample, Scale, ServiceFacts};
use caas_operator::exposition::Options;
use caas_operator::exposition::values::AccountGauges;

use crate::formats::{by_series, parse_text};
use crate::pages::{ALL, page};
use crate::size::many;
use crate::{inflated, render};

#[test]
fn two_services_of_one_name_in_two_applications_both_keep_their_series() {
    let service = |application: &str| {
        let facts = ServiceFacts {
            name: "web".into(),
            application: Some(application.into()),
            desired_instances: Some(1),
            ..ServiceFacts::default()
        };
        let instance =
            InstanceFacts { name: "web.0".into(), id: application.into(), ..InstanceFacts::default() };
        let sample = Sample::at(1.0, &[(Measurement::MemoryUsage, Scale::Base, 7.0)]);
        (facts, vec![(instance, Some(sample))])
    };
    let values = page("n", "a", AccountGauges::default(), vec![service("shop"), service("blog")]);
    let rendered = render(&values, &ALL);
    let series = by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
    for name in ["caas_service_info", "caas_service_desired_instances", "caas_instance_memory_usage_bytes"] {
        let applications: Vec<_> = series
            .keys()
            .filter(|(family, _)| family == name)
            .map(|(_, labels)| &*labels["application"])
            .collect();
        assert_eq!(applications, ["blog", "shop"], "{name}");
    }
    assert_eq!(rendered.first_duplicate, None);
    // The legacy labels cannot tell the two apart.
    assert_eq!(inflated(&rendered.bodies.legacy.unwrap()).matches("memory_usage{").count(), 1);
    assert_eq!(rendered.duplicates, 1);
}

#[test]
fn of_two_services_that_only_an_id_tells_apart_the_instances_are_kept_and_the_collision_is_named() {
    let service = |id: &str| {
        let facts = ServiceFacts {
            name: "web\n".into(),
            id: Some(id.into()),
            desired_instances: Some(1),
            ..ServiceFacts::default()
        };
        (
            facts,
            vec![(InstanceFacts { name: "web.0".into(), id: id.into(), ..InstanceFacts::default() }, None)],
        )
    };
    let values = page("n", "a", AccountGauges::default(), vec![service("a"), service("b")]);
    let rendered = render(&values, &Options { legacy: false, ..ALL });
    let series = by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
    let count = |name: &str| series.keys().filter(|(family, _)| family == name).count();
    assert_eq!((count("caas_service_info"), count("caas_instance_info")), (1, 2));
    // Info and desired instances of the second.
    assert_eq!((rendered.duplicates, rendered.first_duplicate.as_deref()), (2, Some("web")));
}

#[test]
fn the_first_of_two_equal_label_sets_is_exposed_and_the_other_counted() {
    let mut page = many(1, 2);
    let mut duplicate = page.services[0].clone();
    duplicate.instances[1].labels = duplicate.labels.instance("s0.1", "another").0;
    page.services.push(duplicate);
    let rendered = render(&page, &ALL);
    by_series(&parse_text(&inflated(&rendered.bodies.text)).unwrap()).unwrap();
    by_series(&parse_text(&inflated(&rendered.bodies.legacy.unwrap())).unwrap()).unwrap();
    // The service's info; the first instance, 3 modern and 1 legacy; of the second, whose id differs, 1 legacy.
    assert_eq!(rendered.duplicates, 1 + 4 + 1);
}
