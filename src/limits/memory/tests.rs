//! Who is cut, who is admitted again, and what is given back.

use futures::FutureExt;

use super::*;

fn charged(memory: &MemoryBudget, namespace: &str, name: &str, bytes: usize) -> Charge {
    let mut charge = memory.holder(namespace, name).charge();
    charge.resize(bytes).unwrap();
    charge
}

#[test]
fn what_is_charged_is_given_back_when_it_is_dropped_and_the_holder_is_forgotten() {
    let memory = MemoryBudget::new(100);
    let mut charge = charged(&memory, "team-a", "acme", 60);
    charge.resize(40).unwrap();
    let other = charged(&memory, "team-a", "acme", 10);
    assert_eq!(memory.held(), 50);
    drop((charge, other));
    assert_eq!(memory.held(), 0);
    assert!(memory.ledger().namespaces.is_empty() && memory.ledger().by_size.is_empty());
}

#[test]
fn the_largest_holder_of_the_largest_namespace_is_cut_and_others_go_on() {
    let memory = MemoryBudget::new(100);
    let _many: Vec<_> =
        (0..6).map(|number| charged(&memory, "tenant", &format!("account-{number}"), 10)).collect();
    let _largest = charged(&memory, "tenant", "largest", 15);
    let alone = memory.holder("team-a", "larger than each of the tenant's");
    let mut charge = alone.charge();
    charge.resize(24).unwrap();
    charge.resize(30).expect("the tenant holds more in all");

    let largest = memory.holder("tenant", "largest");
    assert_eq!(largest.is_cut(), Some(OverBudget { needed: 15, budget: 100 }));
    assert!(largest.cut().now_or_never().is_some());
    assert_eq!(memory.held(), 90);
    assert!(alone.cut().now_or_never().is_none());
}

#[test]
fn one_that_asks_for_more_than_fits_is_refused_with_what_it_needed_and_nobody_else_is_cut() {
    let memory = MemoryBudget::new(100);
    let neighbour = charged(&memory, "tenant", "neighbour", 30);
    let mut charge = charged(&memory, "tenant", "acme", 60);
    assert_eq!(charge.resize(80), Err(OverBudget { needed: 80, budget: 100 }));
    assert_eq!(charge.resize(1), Err(OverBudget { needed: 80, budget: 100 }), "it has to drop all of it");
    assert_eq!((memory.held(), neighbour.holder.is_cut()), (30, None));
    drop(charge);
    assert_eq!(memory.held(), 30, "what was cut is not given back twice");
}

#[test]
fn two_that_do_not_fit_together_do_not_cut_each_other_in_turn() {
    let memory = MemoryBudget::new(100);
    let (first, second) = (charged(&memory, "tenant", "first", 60), memory.holder("tenant", "second"));
    let mut charge = second.charge();
    assert!(charge.resize(40).is_ok() && charge.resize(60).is_err(), "of equals the one that asks");
    drop(charge);
    for _ in 0..REFUSALS_BEFORE_A_TRIAL {
        assert_eq!(second.admit(), Err(OverBudget { needed: 60, budget: 100 }));
    }
    assert_eq!(second.admit(), Ok(()), "now and then it may try: it may need less by now");
    let mut charge = second.charge();
    charge.resize(40).unwrap();
    assert!(charge.resize(60).is_err());
    drop(first);
    assert_eq!(second.admit(), Ok(()), "there is room");
    second.charge().resize(60).unwrap();
}

#[test]
fn one_that_was_cut_is_admitted_again_where_larger_namespaces_can_be_cut_down_to_it() {
    let memory = MemoryBudget::new(100);
    let alone = charged(&memory, "team-a", "acme", 45);
    let small = charged(&memory, "team-b", "acme", 20);
    let mut tenant: Vec<_> =
        (0..4).map(|number| charged(&memory, "tenant", &format!("account-{number}"), 10)).collect();
    let acme = memory.holder("team-a", "acme");
    assert_eq!(acme.is_cut(), Some(OverBudget { needed: 45, budget: 100 }), "it was the largest then");
    drop(alone);
    tenant.extend((4..8).map(|number| charged(&memory, "tenant", &format!("account-{number}"), 10)));
    assert!(acme.admit().is_err(), "45 of each and the 20 of the small one are more than there is");
    drop(small);
    assert_eq!(acme.admit(), Ok(()));
    acme.charge().resize(45).expect("accounts of the tenant are cut for it");
}

#[test]
fn as_many_small_holders_are_cut_as_a_larger_one_of_another_namespace_needs() {
    const HOLDERS: usize = 100_000;
    let memory = MemoryBudget::new(HOLDERS);
    let small: Vec<_> =
        (0..HOLDERS).map(|number| charged(&memory, "tenant", &format!("name-{number}"), 1)).collect();
    // A look at each holder for each of them would take minutes.
    let other = charged(&memory, "team-a", "acme", HOLDERS / 4);
    let cut = small.iter().filter(|charge| charge.is_cut()).count();
    assert_eq!((cut, memory.held(), other.is_cut()), (HOLDERS / 4, HOLDERS, false));
}

#[test]
fn a_cut_is_reported_by_name() {
    let memory = MemoryBudget::new(100);
    let (sender, mut cuts) = mpsc::unbounded_channel();
    let mut charge = memory.reporting_holder("tenant", "large", &sender).charge();
    charge.resize(90).unwrap();
    assert!(!charge.is_cut() && cuts.try_recv().is_err());
    let _other = charged(&memory, "team-a", "acme", 20);
    assert!(charge.is_cut());
    assert_eq!(cuts.try_recv().unwrap(), ("tenant".into(), "large".into()));
}

#[tokio::test]
async fn a_holder_learns_that_it_is_cut_while_it_waits() {
    let memory = MemoryBudget::new(100);
    let _large = charged(&memory, "tenant", "large", 90);
    let holder = memory.holder("tenant", "large");
    let mut cut = holder.cut().boxed();
    assert!((&mut cut).now_or_never().is_none());
    let _other = charged(&memory, "team-a", "acme", 20);
    cut.await;
}
