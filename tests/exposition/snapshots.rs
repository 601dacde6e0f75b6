//! Whole bodies, compared with the snapshots beside this file.

use caas_operator::exposition::Options;

use crate::pages::{ALL, acme, beyond_alauda};
use crate::{inflated, render};

#[test]
fn text_stays_as_it_is() {
    insta::assert_snapshot!(inflated(&render(&acme(), &ALL).bodies.text));
}

#[test]
fn openmetrics_stays_as_it_is() {
    insta::assert_snapshot!(inflated(&render(&acme(), &ALL).bodies.openmetrics));
}

#[test]
fn openmetrics_with_source_timestamps_stays_as_it_is() {
    let options = Options { source_timestamps: true, ..ALL };
    insta::assert_snapshot!(inflated(&render(&acme(), &options).bodies.openmetrics));
}

#[test]
fn what_alauda_cannot_say_is_exposed_as_the_table_has_it() {
    let options = Options { source_timestamps: true, ..ALL };
    insta::assert_snapshot!(inflated(&render(&beyond_alauda(), &options).bodies.openmetrics));
}

#[test]
fn legacy_stays_as_it_is() {
    insta::assert_snapshot!(inflated(&render(&acme(), &ALL).bodies.legacy.unwrap()));
}
