//! Which families and labels a body has.

use std::collections::BTreeSet;

use caas_operator::api::cel::RESERVED_LABELS;
use caas_operator::exposition::Options;
use caas_operator::exposition::families::families;
use caas_operator::exposition::values::AccountValues;

use crate::formats::parse_text;
use crate::pages::{ALL, acme, beyond_alauda};
use crate::{inflated, render};

#[test]
fn a_family_without_a_value_prints_nothing() {
    let exposed = |values: &AccountValues| {
        let text = inflated(&render(values, &ALL).bodies.text);
        parse_text(&text).unwrap().into_iter().map(|family| family.name).collect::<BTreeSet<_>>()
    };
    let (alauda, beyond) = (exposed(&acme()), exposed(&beyond_alauda()));
    assert!(
        !alauda.contains("caas_instance_cpu_usage_cores") && beyond.contains("caas_instance_cpu_usage_cores")
    );
    assert!(
        alauda.contains("caas_instance_cpu_utilization_ratio")
            && !beyond.contains("caas_instance_cpu_utilization_ratio")
    );
    let all: BTreeSet<_> = families().iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(&alauda | &beyond, all, "together the two show each family");
}

#[test]
fn legacy_names_only_leave_the_accounts_own_series_in_the_modern_body() {
    let bodies = render(&acme(), &Options { modern: false, ..ALL }).bodies;
    let families = parse_text(&inflated(&bodies.text)).unwrap();
    assert_eq!(families.len(), 9);
    assert!(families.iter().all(|family| family.name.starts_with("caas_account_")), "{families:?}");
    assert!(!parse_text(&inflated(&bodies.legacy.unwrap())).unwrap().is_empty());
}

#[test]
fn no_label_of_a_series_may_be_a_label_of_its_target() {
    let bodies = render(&acme(), &ALL).bodies;
    let beyond = render(&beyond_alauda(), &ALL).bodies.text;
    let families =
        [bodies.text, bodies.legacy.unwrap(), beyond].map(|body| parse_text(&inflated(&body)).unwrap());
    for label in
        families.iter().flatten().flat_map(|family| &family.samples).flat_map(|one| one.labels.keys())
    {
        assert!(RESERVED_LABELS.contains(&label.as_str()), "{label}: a target's would push it aside");
    }
}

#[test]
fn modern_names_only_have_no_legacy_body() {
    assert!(render(&acme(), &Options { legacy: false, ..ALL }).bodies.legacy.is_none());
}
