use proptest::option;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Fault, FaultError> {
    text.parse()
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::Login),
        Just(Operation::Services),
        Just(Operation::Instances),
        Just(Operation::Metrics)
    ]
}

fn afters() -> impl Strategy<Value = RetryAfter> {
    prop_oneof![
        Just(RetryAfter::Absent),
        any::<u64>().prop_map(RetryAfter::Seconds),
        (0..1_u64 << 32).prop_map(RetryAfter::Date)
    ]
}

/// Kinds that fit every operation.
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
    let scopes = prop_oneof![Just(Scope::All), operations().prop_map(Scope::Only)];
    (
        kinds(),
        option::of(scopes),
        0.0..=1.0_f64,
        option::of(any::<u64>()),
        option::of("[a-z][a-z0-9:.-]{0,12}"),
    )
        .prop_map(|(kind, operation, share, times, service)| Fault {
            kind,
            operation,
            share,
            times,
            service,
        })
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
        Ok(Fault::new(FaultKind::TooManyRequests(RetryAfter::Seconds(2))).on(Operation::Metrics).share(0.1))
    );
    assert_eq!(
        parse("revoked-token@x1"),
        Ok(Fault::new(FaultKind::RevokedToken(Revocation::Before)).times(1))
    );
    assert_eq!(
        parse("metrics:hang@service=kibana"),
        Ok(Fault::new(FaultKind::Hang).on(Operation::Metrics).service("kibana"))
    );
    assert_eq!(parse("redirect"), Ok(Fault::new(FaultKind::Redirect(parse::METADATA.to_owned()))));
    assert_eq!(parse("429"), Ok(Fault::new(FaultKind::TooManyRequests(RetryAfter::Seconds(1)))));
}

#[test]
fn every_name_of_the_help_is_one_that_the_parser_knows() {
    let names = parse::HELP.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit()));
    let mut known = 0;
    for name in names.filter_map(|line| line.split(['[', '=', ' ']).next()) {
        let refused_for_its_name = matches!(parse(name), Err(FaultError::Name(_)));
        assert!(!refused_for_its_name, "{name}");
        known += 1;
    }
    assert_eq!(known, 19);
}

#[test]
fn a_text_that_is_no_fault_is_refused_with_what_to_write() {
    for (text, says) in [
        ("", "there is no fault named"),
        ("slow", "slow-body"),
        ("pages:html", "login, services"),
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
fn a_fault_befalls_all_but_logins_unless_it_says() {
    let all = [Operation::Login, Operation::Services, Operation::Instances, Operation::Metrics];
    let befalls = |text: &str| {
        let fault = parse(text).expect(text);
        all.map(|operation| fault.befalls(operation, Some("kibana")))
    };
    assert_eq!(befalls("html"), [false, true, true, true]);
    assert_eq!(befalls("all:html"), [true, true, true, true]);
    assert_eq!(befalls("login:html"), [true, false, false, false]);
    assert_eq!(befalls("reject-login"), [true, false, false, false]);
    assert_eq!(befalls("page-cycle"), [false, true, false, false]);
    assert_eq!(befalls("metrics:html@service=kibana"), [false, false, false, true]);
    assert_eq!(befalls("metrics:html@service=redis"), [false, false, false, false]);
}

#[test]
fn a_share_hits_about_that_many_requests_and_the_same_ones_in_every_run() {
    let run = || {
        let faults = Faults::new(7, vec![parse("html@0.1").expect("a fault")]);
        (0..10_000).filter(|_| !faults.hits(Operation::Metrics, None).is_empty()).collect::<Vec<_>>()
    };
    let hit = run();
    assert!((900..1100).contains(&hit.len()), "{}", hit.len());
    assert_eq!(hit, run());
}

#[test]
fn a_count_ends_a_fault_and_clearing_ends_all() {
    let faults = Faults::new(7, vec![parse("html@x2").expect("a fault")]);
    let hits = (0..10).filter(|_| !faults.hits(Operation::Metrics, None).is_empty()).count();
    assert_eq!(hits, 2);
    faults.set(parse("drop").expect("a fault"));
    assert_eq!(faults.hits(Operation::Metrics, None), [FaultKind::Drop]);
    assert_eq!(faults.list(), ["html@x2", "drop"]);
    faults.clear();
    assert!(faults.hits(Operation::Metrics, None).is_empty());
}
