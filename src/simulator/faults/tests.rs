use proptest::option;
use proptest::prelude::*;

use std::time::Duration;

use super::*;
use crate::simulator::operation::{Operation, Role};

const LOGIN: Operation = Operation { name: "login", counted_as: "login", role: Role::Login };
const SERVICES: Operation = Operation { name: "services", counted_as: "services", role: Role::Inventory };
const INSTANCES: Operation = Operation { name: "instances", counted_as: "instances", role: Role::Other };
const METRICS: Operation = Operation { name: "metrics", counted_as: "metrics", role: Role::Other };
const OPERATIONS: [Operation; 4] = [LOGIN, SERVICES, INSTANCES, METRICS];

/// Reads a fault of a cloud with these operations.
fn parse(text: &str) -> Result<Fault, FaultError> {
    let fault: Fault = text.parse()?;
    fault.check(&OPERATIONS).map(|()| fault)
}

fn afters() -> impl Strategy<Value = RetryAfter> {
    prop_oneof![
        Just(RetryAfter::Absent),
        any::<u64>().prop_map(RetryAfter::Seconds),
        (0..1_u64 << 32).prop_map(RetryAfter::Date)
    ]
}

/// Kinds that fit all operations.
fn kinds() -> impl Strategy<Value = FaultKind> {
    prop_oneof![
        (0..u64::MAX / 2).prop_map(|nanoseconds| FaultKind::Latency(Duration::from_nanos(nanoseconds))),
        Just(FaultKind::SlowBody),
        afters().prop_map(FaultKind::TooManyRequests),
        (prop_oneof![Just(500), Just(502), Just(503), Just(504)], afters())
            .prop_map(|(status, after)| FaultKind::Status(status, after)),
        Just(FaultKind::Status(418, RetryAfter::Absent)),
        Just(FaultKind::Html),
        Just(FaultKind::TruncatedBody),
        Just(FaultKind::WrongJson),
        Just(FaultKind::InvalidUtf8),
        Just(FaultKind::EmptyBody),
        Just(FaultKind::RevokedToken(Revocation::Before)),
        Just(FaultKind::RevokedToken(Revocation::AfterUse)),
        Just(FaultKind::GzipBomb),
        Just(FaultKind::DeepJson),
        "[a-z]{1,5}://[a-z0-9.:/=-]{1,20}".prop_map(FaultKind::Redirect),
        Just(FaultKind::Hang),
        Just(FaultKind::Drop),
    ]
}

fn faults() -> impl Strategy<Value = Fault> {
    let scopes = prop_oneof![
        Just(Scope::All),
        (0..OPERATIONS.len()).prop_map(|index| Scope::Only(OPERATIONS[index].name.to_owned()))
    ];
    (
        kinds(),
        option::of(scopes),
        0.0..=1.0_f64,
        option::of(any::<u64>()),
        option::of("[a-z][a-z0-9:.-]{0,12}"),
    )
        .prop_map(|(kind, scope, share, times, service)| Fault { kind, scope, share, times, service })
}

proptest! {
    #[test]
    fn a_written_fault_reads_back(fault in faults()) {
        prop_assert_eq!(parse(&fault.to_string()), Ok(fault));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z0-9:=@.x/ é-]{0,30}") {
        let _ = parse(&text);
    }
}

#[test]
fn the_examples_of_the_help_are_read() {
    assert_eq!(
        parse("metrics:429=2@0.1"),
        Ok(Fault::new(FaultKind::TooManyRequests(RetryAfter::Seconds(2))).on("metrics").share(0.1))
    );
    assert_eq!(
        parse("revoked-token@x1"),
        Ok(Fault::new(FaultKind::RevokedToken(Revocation::Before)).times(1))
    );
    assert_eq!(
        parse("metrics:hang@service=kibana"),
        Ok(Fault::new(FaultKind::Hang).on("metrics").service("kibana"))
    );
    assert_eq!(parse("redirect"), Ok(Fault::new(FaultKind::Redirect(parse::METADATA.to_owned()))));
    assert_eq!(parse("429"), Ok(Fault::new(FaultKind::TooManyRequests(RetryAfter::Seconds(1)))));
}

#[test]
fn every_name_of_the_help_is_one_that_the_parser_knows() {
    let help = parse::help(&OPERATIONS);
    let names = help.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit()));
    let mut known = 0;
    for name in names.filter_map(|line| line.split(['[', '=', ' ']).next()) {
        let refused_for_its_name = matches!(parse(name), Err(FaultError::Name(_)));
        assert!(!refused_for_its_name, "{name}");
        known += 1;
    }
    assert_eq!(known, 20);
}

#[test]
fn a_text_that_is_not_a_fault_is_refused_with_what_to_write() {
    for (text, says) in [
        ("", "there is no fault named"),
        ("slow", "slow-body"),
        ("pages:html", "write login, services, instances, metrics or all"),
        ("html=1", "html takes no value"),
        ("latency", "such as 50ms"),
        ("latency=5", "such as 50ms"),
        ("429=soon", "date:SECONDS"),
        ("status=200", "400 to 599"),
        ("html@2", "a share from 0 to 1"),
        ("html@x", "@x3"),
        ("html@service=", "@service=NAME"),
        ("metrics:page-cycle", "services only"),
        ("services:reject-login", "login only"),
        ("huge-label=999999999999", "at most"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_fault_applies_to_all_requests_but_logins_unless_it_names_an_operation() {
    let applies = |text: &str| {
        let fault = parse(text).expect(text);
        OPERATIONS.map(|operation| fault.applies_to(&operation, Some("kibana")))
    };
    assert_eq!(applies("html"), [false, true, true, true]);
    assert_eq!(applies("all:html"), [true, true, true, true]);
    assert_eq!(applies("login:html"), [true, false, false, false]);
    assert_eq!(applies("reject-login"), [true, false, false, false]);
    assert_eq!(applies("page-cycle"), [false, true, false, false]);
    assert_eq!(applies("metrics:html@service=kibana"), [false, false, false, true]);
    assert_eq!(applies("metrics:html@service=redis"), [false, false, false, false]);
}

/// A cloud's faults with only this one.
fn faults_of(text: &str) -> Faults {
    let faults = Faults::new(7);
    faults.set(parse(text).expect(text));
    faults
}

#[test]
fn a_share_affects_about_that_many_requests_and_the_same_ones_in_every_run() {
    let run = || {
        let faults = faults_of("html@0.1");
        (0..10_000).filter(|_| !faults.matching(&METRICS, None).is_empty()).collect::<Vec<_>>()
    };
    let affected = run();
    assert!((900..1100).contains(&affected.len()), "{}", affected.len());
    assert_eq!(affected, run());
}

#[test]
fn a_count_ends_a_fault_and_clearing_ends_all() {
    let faults = faults_of("html@x2");
    let affected = (0..10).filter(|_| !faults.matching(&METRICS, None).is_empty()).count();
    assert_eq!(affected, 2);
    faults.set(parse("drop").expect("a fault"));
    assert_eq!(faults.matching(&METRICS, None), [FaultKind::Drop]);
    assert_eq!(faults.list(), ["html@x2", "drop"]);
    faults.clear();
    assert!(faults.matching(&METRICS, None).is_empty());
}

#[test]
fn a_cloud_without_logins_or_lists_neither_offers_nor_takes_their_faults() {
    let help = parse::help(&[METRICS]);
    assert!(help.contains("  OPERATION  metrics or all") && help.contains("gzip-bomb"), "{help}");
    for (text, says) in [
        ("reject-login", "fits no request to this cloud"),
        ("page-cycle", "fits no request to this cloud"),
        ("login:html", "write metrics or all"),
    ] {
        let fault: Fault = text.parse().expect(text);
        let error = fault.check(&[METRICS]).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(!help.contains(text), "{help}");
    }
}
