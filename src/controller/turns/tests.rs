//! Accounts that are read again and again under virtual time, as reconciles do it.

use std::cell::RefCell;

use futures::future::join_all;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The longest that a reconcile may be kept: a turn that is near, a door that is not free at once, and two reads.
const HELD: Duration = Duration::from_secs(4);

const WELL: Standing = Standing { failing: false, secrets: 1 };
const FAILING: Standing = Standing { failing: true, secrets: 1 };

/// What happened to some accounts.
#[derive(Default)]
struct Seen {
    /// When each was read, from the beginning on.
    readings: HashMap<AccountId, Vec<Duration>>,
    /// When a Secret was read.
    reads: Vec<Duration>,
    /// The longest that a reconcile was kept.
    held: Duration,
}

impl Seen {
    /// The longest time without a reading that an account has gone through until this time, of all that `which` takes.
    fn longest_gap(&self, until: Duration, which: impl Fn(&AccountId) -> bool) -> Duration {
        let of_one = |times: &Vec<Duration>| {
            let times = std::iter::once(&Duration::ZERO).chain(times).chain([&until]).copied();
            let times: Vec<Duration> = times.collect();
            times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max()
        };
        let readings = self.readings.iter().filter(|(id, _)| which(id));
        readings.filter_map(|(_, times)| of_one(times)).max().unwrap()
    }

    /// The most reads in any second.
    fn most_in_a_second(&self) -> usize {
        let within = |(index, begin): (usize, &Duration)| {
            self.reads[index..].iter().take_while(|read| **read < *begin + SECOND).count()
        };
        self.reads.iter().enumerate().map(within).max().unwrap()
    }
}

/// The accounts of this kind, so many.
fn accounts(kind: &str, standing: Standing, count: usize) -> impl Iterator<Item = (AccountId, Standing)> {
    (0..count).map(move |number| (AccountId::new(kind, &number.to_string()), standing))
}

/// Reconciles an account again and again, the first time after `sleeps`.
async fn live(turns: &Turns, (id, standing): (AccountId, Standing), sleeps: Duration, seen: &RefCell<Seen>) {
    let start = Instant::now();
    seen.borrow_mut().readings.insert(id.clone(), Vec::new());
    tokio::time::sleep(sleeps).await;
    loop {
        let period = turns.note(&id, standing);
        let begun = Instant::now();
        let came = turns.come(&id, standing.failing).await;
        if came.is_ok() {
            for _ in 0..standing.secrets {
                turns.pass().await;
                seen.borrow_mut().reads.push(start.elapsed());
            }
            seen.borrow_mut().readings.get_mut(&id).unwrap().push(start.elapsed());
        }
        let held = begun.elapsed().max(seen.borrow().held);
        seen.borrow_mut().held = held;
        let next = came.map_or_else(|Later(turn)| turn, |()| begun + period);
        tokio::time::sleep_until(next).await;
    }
}

/// What happens to these accounts until a time.
async fn until(end: Duration, accounts: impl Iterator<Item = ((AccountId, Standing), Duration)>) -> Seen {
    let (turns, seen) = (Turns::default(), RefCell::default());
    let lives = join_all(accounts.map(|(account, sleeps)| live(&turns, account, sleeps, &seen)));
    assert!(tokio::time::timeout(end, lives).await.is_err());
    let seen = seen.into_inner();
    assert!(seen.most_in_a_second() <= 11, "{} reads in a second", seen.most_in_a_second());
    assert!(seen.held <= HELD, "a reconcile was kept for {:?}", seen.held);
    seen
}

#[tokio::test(start_paused = true)]
async fn the_turnstile_lets_ten_through_a_second() {
    let turns = Turns::default();
    let start = Instant::now();
    for _ in 0..31 {
        turns.pass().await;
    }
    assert!((3 * SECOND..3 * SECOND + SECOND / 10).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failing_account_among_ten_thousand_is_read_each_15_seconds() {
    // The first round of the others takes a thousand seconds.
    let end = 1500 * SECOND;
    let all = accounts("well", WELL, 10_000).chain(accounts("failing", FAILING, 1));
    let seen = until(end, all.map(|account| (account, Duration::ZERO))).await;

    let gap = seen.longest_gap(end, |id| &*id.namespace == "failing");
    assert!(gap <= 17 * SECOND, "{gap:?}");
    let gap = seen.longest_gap(end, |_| true);
    assert!(gap <= 1200 * SECOND, "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn no_account_of_a_thousand_with_two_secrets_is_left_unread() {
    let end = 2000 * SECOND;
    let two = Standing { secrets: 2, ..WELL };
    let seen = until(end, accounts("well", two, 1000).map(|account| (account, Duration::ZERO))).await;
    // Two thousand reads, nine a second.
    let gap = seen.longest_gap(end, |_| true);
    assert!(gap <= 230 * SECOND, "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn however_many_fail_those_that_are_well_are_read_too() {
    let end = 1500 * SECOND;
    let all = accounts("failing", FAILING, 1000).chain(accounts("well", WELL, 100));
    let seen = until(end, all.map(|account| (account, Duration::ZERO))).await;
    for (kind, longest) in [("failing", 140 * SECOND), ("well", 110 * SECOND)] {
        let gap = seen.longest_gap(end, |id| &*id.namespace == kind);
        assert!(gap <= longest, "{kind}: {gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_begin_to_fail_at_once_go_first_and_nobody_is_left_out() {
    let end = 700 * SECOND;
    let well = accounts("well", WELL, 1000).map(|account| (account, Duration::ZERO));
    // While the first round of the others, which reserved their turns before, still lasts.
    let failing = accounts("failing", FAILING, 100).map(|account| (account, 20 * SECOND));
    let seen = until(end, well.chain(failing)).await;
    let (first, later): (Vec<_>, Vec<_>) = (seen.readings.iter())
        .filter(|(id, _)| &*id.namespace == "failing")
        .map(|(_, times)| (times[0], times))
        .unzip();
    assert!(first.iter().all(|first| *first <= 36 * SECOND), "{first:?}");
    assert!(
        later.iter().all(|times| times.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) <= 18 * SECOND))
    );
    // A hundred failing ones leave two and a third reads a second.
    let gap = seen.longest_gap(end, |id| &*id.namespace == "well");
    assert!(gap <= 480 * SECOND, "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_kept_until_it_comes_and_given_up_for_a_sooner_one_only() {
    let turns = Turns::default();
    let id = AccountId::new("team-a", "acme");
    for (other, _) in accounts("other", WELL, 100) {
        let _ = futures::FutureExt::now_or_never(turns.come(&other, false));
    }
    let Err(Later(turn)) = turns.come(&id, false).await else { panic!("it waited") };
    assert_eq!(turn, Instant::now() + 10 * SECOND);
    assert_eq!(turns.come(&id, false).await, Err(Later(turn)), "asking twice does not cost the place");
    assert_eq!(turns.come(&id, true).await, Ok(()), "the urgent line is free");

    for (other, _) in accounts("failing", FAILING, 160) {
        let _ = futures::FutureExt::now_or_never(turns.come(&other, true));
    }
    let beta = AccountId::new("team-a", "beta");
    let Err(Later(usual)) = turns.come(&beta, false).await else { panic!("it waited") };
    assert_eq!(turns.come(&beta, true).await, Err(Later(usual)), "the urgent line is longer");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_has_any_more_is_the_next_ones_that_asks() {
    let turns = Turns::default();
    let start = Instant::now();
    for (other, _) in accounts("other", WELL, 100) {
        let _ = futures::FutureExt::now_or_never(turns.come(&other, false));
    }
    let acme = AccountId::new("team-a", "acme");
    for _ in 0..1000 {
        let came = turns.come(&acme, false).await;
        assert_eq!(came, Err(Later(start + 10 * SECOND)), "who comes and goes keeps nobody waiting");
        turns.forget(&acme);
    }
    turns.forget(&AccountId::new("other", "50"));
    assert_eq!(turns.come(&acme, false).await, Err(Later(start + 5 * SECOND)));
    // It needs that one no more.
    assert_eq!(turns.come(&acme, true).await, Ok(()));
    let beta = AccountId::new("team-a", "beta");
    assert_eq!(turns.come(&beta, false).await, Err(Later(start + 5 * SECOND)));

    turns.forget(&beta);
    tokio::time::sleep(6 * SECOND).await;
    let came = turns.come(&beta, false).await;
    assert_eq!(came, Err(Later(start + 10 * SECOND)), "what has passed is nobody's");
}
