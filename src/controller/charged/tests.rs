//! What is kept of accounts, and what it is charged with.

use futures::FutureExt;
use serde_json::json;

use super::by_hand::Watch as Fed;
use super::*;

/// Room for four accounts of this size, and some.
const SPEC: usize = 50_000;
const BUDGET: usize = 560_000;

type Watch = Fed<CaasAccount>;

impl Watch {
    fn new() -> Self {
        Self::written_by(BUDGET, |events, store, memory| charged(events, store, memory).boxed())
    }

    /// The names of the accounts that are kept whole.
    fn kept(&self) -> Vec<String> {
        let state = self.store.state();
        let kept = state.iter().filter(|object| object.object.is_ok());
        let mut names: Vec<_> = kept.map(|object| id(object).to_string()).collect();
        names.sort();
        names
    }

    fn of(&self, namespace: &str, name: &str) -> Arc<WatchedAccount> {
        self.store.get(&ObjectRef::new(name).within(namespace)).unwrap()
    }
}

fn account(namespace: &str, name: &str, version: &str, spec: usize) -> WatchedAccount {
    serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "name": name, "uid": name, "resourceVersion": version},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme"}},
            "serviceMonitor": {"annotations": {"a": "x".repeat(spec)}},
        },
    }))
    .unwrap()
}

fn tenant(number: usize) -> WatchedAccount {
    account("tenant", &format!("large-{number}"), "1", SPEC)
}

#[test]
fn what_does_not_fit_is_not_kept_and_its_problem_says_by_how_much() {
    let mut watch = Watch::new();
    watch.list((0..10).map(tenant));
    assert_eq!(watch.kept().len(), 4);
    assert!(watch.memory.held() <= BUDGET, "{}", watch.memory.held());
    let refused = watch.of("tenant", "large-9");
    let Err(Unusable { problem: ObjectProblem::TooLarge { over: Some(over), is_reported }, metadata }) =
        &refused.object
    else {
        panic!("{refused:?}")
    };
    assert_eq!((over.budget, *is_reported, metadata.uid.as_deref()), (BUDGET, false, Some("large-9")));
    assert!((2 * SPEC..2 * SPEC + COLLECTED_BYTES + 10_000).contains(&over.needed), "{}", over.needed);
    let told = problem(&AccountId::new("tenant", "large-9"), *over);
    assert!(told.message.contains("needs 12") && told.reason == Reason::TooLarge, "{told}");
}

#[test]
fn the_largest_of_the_largest_namespace_makes_room_wherever_it_is_kept() {
    let mut watch = Watch::new();
    watch.list((0..4).map(tenant));
    let changed = watch.send([Event::Apply(account("team-a", "acme", "1", SPEC))]);
    let names: Vec<_> = changed.iter().map(|object| id(object).to_string()).collect();
    assert_eq!(names.len(), 2, "the new one, and one of the tenant's: {names:?}");
    assert_eq!(watch.kept().len(), 4);
    assert!(watch.kept().contains(&"team-a/acme".to_owned()));

    // The same while they are listed, when the store does not have them yet.
    let mut watch = Watch::new();
    let small = account("team-a", "acme", "1", SPEC);
    watch.send(std::iter::once(Event::Init).chain((0..4).map(tenant).chain([small]).map(Event::InitApply)));
    let listed = watch.memory.held();
    assert!(watch.store.state().is_empty() && listed <= BUDGET);
    watch.send([Event::InitDone]);
    assert_eq!((watch.kept().len(), watch.memory.held()), (4, listed));
}

#[test]
fn what_stays_of_refused_accounts_is_charged_and_takes_the_place_of_others_of_its_namespace() {
    let mut watch = Watch::new();
    watch.list((0..10).map(tenant));
    let one = bytes(tenant(0).object.as_ref().unwrap());
    assert_eq!(watch.memory.held(), 4 * one + 6 * REFUSED_BYTES);
    watch.list((0..10).map(tenant));
    assert_eq!(watch.memory.held(), 4 * one + 6 * REFUSED_BYTES, "however often they are listed");

    // Of 230 the names alone are nearly all that there is.
    watch.list((0..230).map(tenant));
    let (kept, held) = (watch.kept().len(), watch.memory.held());
    assert!(kept <= 1 && (200 * REFUSED_BYTES..=BUDGET).contains(&held), "{kept} kept, {held} bytes");
    watch.send([Event::Apply(account("team-a", "acme", "1", SPEC))]);
    assert!(watch.kept().contains(&"team-a/acme".to_owned()));

    // One that is too large as such, by itself.
    let mut watch = Watch::new();
    watch.list([account("tenant", "huge", "1", 100_000)]);
    assert_eq!((watch.kept().len(), watch.memory.held()), (0, REFUSED_BYTES));
}

#[test]
fn a_deleted_account_gives_its_memory_back_and_one_that_was_refused_is_kept_with_the_next_list() {
    let mut watch = Watch::new();
    watch.list((0..6).map(tenant));
    assert_eq!(watch.kept().len(), 4);
    watch.send((0..2).map(|number| Event::Delete(tenant(number))));
    assert_eq!(watch.kept().len(), 2);
    watch.list((2..6).map(tenant));
    assert_eq!(watch.kept().len(), 4);
    watch.list([]);
    assert_eq!(watch.memory.held(), 0);
}

#[test]
fn an_account_is_charged_once_however_often_it_is_listed_and_changed() {
    let mut watch = Watch::new();
    watch.list((0..4).map(tenant));
    let (held, first) = (watch.memory.held(), watch.of("tenant", "large-0"));
    watch.list((0..4).map(tenant));
    let again = watch.of("tenant", "large-0");
    let (Ok(first), Ok(again)) = (&first.object, &again.object) else { panic!("not kept") };
    assert!(Arc::ptr_eq(first, again), "of the same version there is one copy");
    // Such as a write of its status: the budget has no room for two of it.
    watch.send([Event::Apply(account("tenant", "large-0", "2", SPEC))]);
    assert_eq!((watch.kept().len(), watch.memory.held()), (4, held));
    watch.send([Event::Apply(account("tenant", "large-0", "3", 10))]);
    assert!(watch.kept().len() == 4 && watch.memory.held() < held - SPEC);
}

#[tokio::test]
async fn a_reconcile_that_waits_learns_that_the_object_has_to_go() {
    let mut watch = Watch::new();
    watch.list((0..4).map(tenant));
    let objects = watch.store.state();
    let waiting = |objects: &[Arc<WatchedAccount>]| {
        objects.iter().filter(|object| cut(object).now_or_never().is_none()).count()
    };
    assert_eq!(waiting(&objects), 4);
    watch.send([Event::Apply(account("team-a", "acme", "1", SPEC))]);
    assert_eq!(waiting(&objects), 3);
}

#[test]
fn what_the_status_says_already_is_not_reported_again() {
    let over = OverBudget { needed: bytes(tenant(0).object.as_ref().unwrap()), budget: BUDGET };
    let told = problem(&AccountId::new("tenant", "large-0"), over);
    let mut account = (**tenant(0).object.as_ref().unwrap()).clone();
    assert!(!is_reported(&account, &told));
    let condition = json!({
        "type": "Collecting", "status": "False", "reason": "TooLarge", "message": told.message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    account.status = Some(serde_json::from_value(json!({"conditions": [condition]})).unwrap());
    assert!(is_reported(&account, &told));
    let other = problem(&AccountId::new("tenant", "large-0"), OverBudget { needed: 1, ..over });
    assert!(!is_reported(&account, &other));
}

#[test]
fn an_account_that_is_collected_counts_more_than_a_suspended_one() {
    let bytes = |suspend: bool| {
        let mut account = (**account("tenant", "acme", "1", 10).object.as_ref().unwrap()).clone();
        account.spec.suspend = suspend;
        super::bytes(&account)
    };
    assert!((OBJECT_BYTES..OBJECT_BYTES + 6_000).contains(&bytes(true)), "{}", bytes(true));
    assert_eq!((bytes(false) - bytes(true)) >> 10, COLLECTED_BYTES >> 10);

    // Of 170 MiB, a third of 512, no more fit than the process has room for: 40 KiB each besides their objects.
    let most = (512 << 20) / 3 / bytes(false);
    assert!(most > 5_000 && most * (40 << 10) < 320 << 20, "{most} accounts");
}
