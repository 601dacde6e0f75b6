//! Each rule by itself, in virtual time.

use super::*;

/// A replica's view with a clock of its own.
struct Replica {
    view: View,
    start: Instant,
    version: u32,
}

/// The other members' Leases, by name and version.
type Others<'a> = &'a [(&'a str, u32)];

impl Replica {
    fn new(name: &str) -> Self {
        Self { view: View::new(Member::test(name)), start: Instant::now(), version: 0 }
    }

    /// A replica that has joined with these others six seconds ago, which all know, and has taken over all that it owns.
    fn among(others: Others<'_>) -> Self {
        let mut replica = Self::new("a");
        replica.view.prepared();
        let older: Vec<_> = others.iter().map(|(name, _)| (*name, 0)).collect();
        for _ in 0..2 {
            replica.round(0, &older);
            replica.start += RENEW;
        }
        replica.round(0, others);
        replica.view.tick(replica.at(0));
        replica
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    /// Lists, writes if it may, and everything goes through. `own` is whether its own Lease is there.
    fn list(&mut self, second: u64, own: bool, others: Others<'_>) -> bool {
        let now = self.at(second);
        let own = own.then_some(("a", self.version));
        let leases = others.iter().copied().chain(own).map(|(name, version)| lease(name, version)).collect();
        let writes = self.view.listed(leases, now);
        if writes {
            self.version += 1;
            self.view.renewed(now);
        }
        self.view.succeeded(now);
        writes
    }

    fn round(&mut self, second: u64, others: Others<'_>) -> bool {
        self.list(second, self.version > 0, others)
    }

    fn share(&self, second: u64, uid: &str) -> Share {
        self.view.share(uid, self.at(second))
    }

    /// Whom it asks for an account, without itself as the owner.
    fn routes(&self, second: u64, uid: &str) -> Vec<String> {
        let owner = self.view.owner(uid).filter(|owner| owner.name != self.view.me.name);
        let before = self.view.before(uid, self.at(second)).into_iter().map(|(member, _)| member);
        let all = owner.into_iter().chain(before);
        all.map(|member| member.name.to_string()).collect()
    }

    fn dead(&self, second: u64) -> Vec<String> {
        self.view.dead(self.at(second)).into_iter().map(|lease| lease.member.name.to_string()).collect()
    }
}

fn lease(name: &str, version: u32) -> SeenLease {
    SeenLease { member: Member::test(name), uid: format!("of-{name}"), version: version.to_string() }
}

/// An account that has these owners, each among the members of these one-letter names.
fn account<const N: usize>(owners: [(&str, &str); N]) -> String {
    let is_owned = |uid: &String| {
        owners.iter().all(|(name, members)| {
            let members: Vec<Member> =
                members.split("").filter(|name| !name.is_empty()).map(Member::test).collect();
            owner(&members, uid).is_some_and(|owner| &*owner.name == *name)
        })
    };
    (0..10_000).map(|number| format!("uid-{number}")).find(is_owned).unwrap()
}

#[test]
fn who_is_alone_joins_at_once_and_owns_all() {
    let mut replica = Replica::new("a");
    assert!(replica.round(0, &[]));
    assert_eq!(replica.share(0, "any"), Share::Mine);
    assert!(replica.routes(0, "any").is_empty());
}

#[test]
fn who_finds_others_joins_once_it_is_prepared_and_leaves_them_six_seconds_to_stop() {
    let mut replica = Replica::new("a");
    let uid = account([("a", "ab")]);
    assert!(!replica.round(0, &[("b", 1)]));
    assert_eq!(replica.share(0, &uid), Share::Of(Member::test("b")));
    assert!(replica.view.would_own(&uid) && !replica.view.would_own(&account([("b", "ab")])));
    replica.view.prepared();
    assert!(replica.round(3, &[("b", 2)]));
    assert_eq!(replica.share(3, &uid), Share::Later(replica.at(9)));
    assert_eq!(replica.routes(8, &uid), ["b"]);
    assert_eq!(replica.view.wakes_at(), Some(replica.at(9)));
    replica.round(6, &[("b", 3)]);
    replica.round(9, &[("b", 4)]);
    assert_eq!(replica.share(9, &uid), Share::Mine);
    assert_eq!(replica.routes(62, &uid), ["b"], "it has what the account goes on with");
    assert!(replica.routes(63, &uid).is_empty());
    assert_eq!(replica.view.reason(&uid), "joined");
}

#[test]
fn where_the_api_server_goes_away_after_a_join_the_member_before_goes_on_until_it_is_back() {
    let mut replica = Replica::new("a");
    let uid = account([("a", "ab")]);
    replica.view.prepared();
    replica.round(0, &[("b", 1)]);
    replica.round(3, &[("b", 2)]);
    replica.view.failed(replica.at(6));
    assert_eq!(replica.share(5, &uid), Share::Later(replica.at(6)));
    for second in [6, 60] {
        replica.view.tick(replica.at(second));
        assert_eq!(replica.share(second, &uid), Share::MineUnless(Member::test("b")));
        assert_eq!(replica.routes(second, &uid), ["b"]);
    }
    replica.round(60, &[("b", 3)]);
    replica.round(63, &[("b", 4)]);
    assert_eq!(replica.share(63, &uid), Share::MineUnless(Member::test("b")), "it may have had no round yet");
    replica.round(66, &[("b", 5)]);
    assert_eq!(replica.share(66, &uid), Share::Mine);
    replica.view.tick(replica.at(66));
    assert!(replica.routes(66, &uid).is_empty());
}

#[test]
fn what_all_have_been_told_stays_so_when_the_api_server_goes_away() {
    let mut replica = Replica::among(&[("b", 1)]);
    replica.view.failed(replica.at(6));
    assert_eq!(replica.share(1, &account([("a", "ab")])), Share::Mine);
}

#[test]
fn the_end_of_a_hand_over_is_a_change() {
    let mut replica = Replica::new("a");
    replica.view.prepared();
    replica.round(0, &[("b", 1)]);
    let before = replica.view.changes();
    replica.view.tick(replica.at(5));
    assert_eq!(replica.view.changes(), before);
    replica.view.tick(replica.at(6));
    assert!(replica.view.changes() > before);
    assert_ne!(replica.view.wakes_at(), Some(replica.at(6)));
}

#[test]
fn who_finds_its_own_lease_takes_it_up_and_nothing_moves() {
    let mut replica = Replica::new("a");
    assert!(replica.list(0, true, &[("b", 1)]));
    assert_eq!(replica.share(0, &account([("a", "ab")])), Share::Mine);
}

#[test]
fn who_is_outranked_stops_at_once_and_is_asked_for_a_minute_where_its_new_owner_has_nothing() {
    let mut replica = Replica::among(&[("b", 1)]);
    let [mine, other] = ["a", "b"].map(|before| account([(before, "ab"), ("c", "abc")]));
    assert_eq!(replica.share(6, &mine), Share::Mine);
    replica.round(6, &[("b", 2), ("c", 1)]);
    replica.round(9, &[("b", 3), ("c", 2)]);
    replica.round(12, &[("b", 4), ("c", 3)]);
    for uid in [&mine, &other] {
        assert_eq!(replica.share(6, uid), Share::Of(Member::test("c")));
    }
    assert_eq!(replica.routes(65, &mine), ["c", "a"]);
    assert_eq!(replica.routes(65, &other), ["c", "b"]);
    assert!(
        replica.view.hands_over(&mine, replica.at(65)) && !replica.view.hands_over(&mine, replica.at(66))
    );
    assert_eq!(replica.routes(66, &mine), ["c"]);
    assert_eq!(replica.routes(66, &other), ["c"]);
}

#[test]
fn earlier_owners_are_asked_from_the_last_one_back_to_the_first_that_does_not_live() {
    let uid = account([("b", "ab"), ("c", "abc"), ("d", "abcd")]);
    let mut replica = Replica::among(&[("b", 1)]);
    replica.round(3, &[("b", 2), ("c", 1)]);
    replica.round(6, &[("b", 3), ("c", 2), ("d", 1)]);
    assert_eq!(replica.routes(6, &uid), ["d", "c", "b"]);
    // It comes back to one that has had it, which may still have what it had then.
    replica.round(9, &[("b", 4), ("c", 3)]);
    assert_eq!(replica.routes(9, &uid), ["c", "d", "c", "b"]);

    // What one had that died may be newer than what those before it have.
    replica.view.deleted(&lease("c", 3), replica.at(30));
    assert_eq!(replica.routes(30, &uid), ["b"]);
}

#[test]
fn the_coming_and_going_of_others_hides_no_earlier_owner() {
    let uid = account([("b", "ab"), ("c", "abc"), ("c", "abcd")]);
    let mut replica = Replica::among(&[("b", 1)]);
    replica.round(3, &[("b", 2), ("c", 1)]);
    replica.round(6, &[("b", 3), ("c", 2), ("d", 1)]);
    assert_eq!(replica.routes(6, &uid), ["c", "b"]);
}

#[test]
fn a_member_is_dead_twelve_seconds_after_the_last_change_that_was_seen() {
    let mut replica = Replica::among(&[("b", 1)]);
    let uid = account([("b", "ab")]);
    for second in [3, 6, 9] {
        replica.round(second, &[("b", 2)]);
    }
    assert!(replica.dead(14).is_empty());
    replica.round(12, &[("b", 2)]);
    assert_eq!(replica.view.wakes_at(), Some(replica.at(15)));
    assert_eq!(replica.dead(15), ["b"]);
    // A member that deletes it takes over immediately.
    assert_eq!(replica.share(15, &uid), Share::Of(Member::test("b")));
    replica.view.deleted(&lease("b", 2), replica.at(15));
    assert_eq!(replica.share(15, &uid), Share::Mine);
    assert!(replica.routes(15, &uid).is_empty(), "the dead do not answer");
    assert_eq!(replica.view.reason(&uid), "died");
}

#[test]
fn a_lease_that_has_changed_before_it_could_be_deleted_is_alive() {
    let mut replica = Replica::among(&[("b", 1)]);
    for second in [3, 6, 9, 12] {
        replica.round(second, &[("b", 1)]);
    }
    assert_eq!(replica.dead(12), ["b"]);
    replica.view.is_alive(&lease("b", 1), replica.at(12));
    for second in [15, 18, 21] {
        replica.round(second, &[("b", 1)]);
    }
    assert!(replica.dead(23).is_empty());
    assert_eq!(replica.dead(24), ["b"], "for as long as after any change");
}

#[test]
fn nobody_dies_while_the_api_server_is_away_nor_in_the_twelve_seconds_after() {
    let mut replica = Replica::among(&[("b", 1)]);
    replica.round(3, &[("b", 2)]);
    replica.view.failed(replica.at(6));
    assert!(replica.dead(60).is_empty());
    assert_eq!(replica.view.wakes_at(), None, "there is nothing to wait for");
    assert_eq!(replica.share(60, &account([("b", "ab")])), Share::Of(Member::test("b")));
    assert_eq!(replica.share(60, &account([("a", "ab")])), Share::Mine);
    for second in [63, 66, 69, 72] {
        replica.round(second, &[("b", 2)]);
        assert!(replica.dead(second).is_empty(), "{second}");
    }
    replica.round(75, &[("b", 2)]);
    assert_eq!(replica.dead(75), ["b"]);
}

#[test]
fn a_pause_of_its_own_makes_nobody_else_dead() {
    let mut replica = Replica::among(&[("b", 1)]);
    replica.round(60, &[("b", 1)]);
    assert!(replica.dead(60).is_empty());

    // Nor before the first round after it.
    let mut replica = Replica::among(&[("b", 1)]);
    for second in [3, 6, 9] {
        replica.round(second, &[("b", 1)]);
    }
    assert!(replica.dead(20).is_empty());
}

#[test]
fn of_a_member_that_leaves_the_accounts_are_taken_at_once_and_it_is_asked_for_ten_seconds() {
    let mut replica = Replica::among(&[("b", 1), ("c", 1)]);
    let [mine, other] = ["a", "b"].map(|next| account([("c", "abc"), (next, "ab")]));
    replica.round(6, &[("b", 2), ("c", 2)]);
    replica.round(9, &[("b", 3)]);
    assert_eq!(replica.share(9, &mine), Share::Mine);
    assert_eq!(replica.view.reason(&mine), "left");
    assert_eq!(replica.routes(18, &mine), ["c"]);
    assert_eq!(replica.routes(18, &other), ["b", "c"]);
    assert_eq!(replica.routes(19, &other), ["b"]);
}

#[test]
fn whose_lease_is_gone_when_it_was_old_has_died_and_is_not_asked() {
    let mut replica = Replica::among(&[("b", 1), ("c", 1)]);
    let [mine, other] = ["a", "b"].map(|next| account([("c", "abc"), (next, "ab")]));
    replica.round(3, &[("b", 2), ("c", 1)]);
    replica.round(6, &[("b", 3), ("c", 1)]);
    replica.round(9, &[("b", 4)]);
    assert_eq!(replica.view.reason(&mine), "died");
    assert_eq!(replica.routes(10, &other), ["b"]);
}

#[test]
fn whose_lease_was_deleted_stops_and_owns_again_only_six_seconds_after_it_has_joined_again() {
    let mut replica = Replica::among(&[("b", 1)]);
    let uid = account([("a", "ab")]);
    assert_eq!(replica.share(6, &uid), Share::Mine);
    let own_is_gone = replica.view.listed(vec![lease("b", 9)], replica.at(30));
    assert!(own_is_gone, "it joins again");
    assert_eq!(replica.share(30, &uid), Share::Of(Member::test("b")));
    replica.view.renewed(replica.at(30));
    replica.view.succeeded(replica.at(30));
    assert_eq!(replica.share(30, &uid), Share::Later(replica.at(36)));
    for second in [33, 36] {
        replica.round(second, &[("b", 9)]);
    }
    assert_eq!(replica.share(36, &uid), Share::Mine);
}

#[test]
fn whose_lease_was_deleted_while_nobody_else_lives_goes_on() {
    let mut replica = Replica::new("a");
    replica.round(0, &[]);
    let writes = replica.view.listed(Vec::new(), replica.at(3));
    assert_eq!(replica.share(3, "any"), Share::Mine, "before it has written another one");
    assert!(writes);
}

#[test]
fn a_replica_that_has_left_leaves_its_accounts_to_others_and_hands_them_over() {
    let mut replica = Replica::among(&[("b", 1)]);
    let uid = account([("a", "ab")]);
    assert_eq!(replica.share(6, &uid), Share::Mine);
    replica.view.left(replica.at(6));
    assert_eq!(replica.share(6, &uid), Share::Of(Member::test("b")));
    assert!(replica.view.hands_over(&uid, replica.at(15)));
    assert_eq!(replica.routes(6, &uid), ["b", "a", "b"]);
}

#[test]
fn a_replica_is_behind_where_no_round_has_ended_for_twelve_seconds_but_not_where_rounds_fail() {
    let mut replica = Replica::among(&[("b", 1)]);
    replica.round(3, &[("b", 2)]);
    assert!(!replica.view.is_behind(replica.at(14)));
    assert!(replica.view.is_behind(replica.at(15)), "it was paused");
    replica.round(20, &[("b", 8)]);
    assert!(!replica.view.is_behind(replica.at(20)));
    replica.view.failed(replica.at(25));
    replica.view.failed(replica.at(36));
    assert!(!replica.view.is_behind(replica.at(40)), "the API server is away, and it goes on");
}

#[test]
fn one_that_has_left_sees_who_leaves_after_it() {
    let mut replica = Replica::among(&[("b", 1), ("c", 1)]);
    let uid = account([("a", "abc"), ("b", "bc")]);
    replica.view.left(replica.at(4));
    assert_eq!(replica.routes(4, &uid)[..2], ["b", "a"]);
    assert!(!replica.list(5, false, &[("c", 2)]), "it writes no Lease");
    assert_eq!(replica.routes(5, &uid)[..3], ["c", "b", "a"], "b has left a moment ago");
    assert!(replica.view.hands_over(&uid, replica.at(5)));
}

#[test]
fn an_account_of_one_that_cannot_write_its_lease_has_a_next_owner_before_others_can_have_taken_over() {
    let mut replica = Replica::among(&[("b", 1), ("c", 1)]);
    let uid = account([("a", "abc"), ("c", "bc")]);
    replica.round(3, &[("b", 2), ("c", 2)]);
    for second in 4..12 {
        replica.view.failed(replica.at(second));
        assert_eq!(replica.view.next_owner(&uid, replica.at(second)), None, "{second}");
    }
    assert_eq!(replica.view.next_owner(&uid, replica.at(12)), Some(Member::test("c")));
    replica.round(13, &[("b", 3), ("c", 3)]);
    assert_eq!(replica.view.next_owner(&uid, replica.at(14)), None, "it holds its Lease");
    let mut alone = Replica::among(&[]);
    alone.round(3, &[]);
    assert_eq!(alone.view.next_owner(&uid, alone.at(60)), None, "there is nobody else");
}

#[test]
fn an_earlier_owner_is_known_with_the_time_since_which_it_owned_the_account() {
    let mut replica = Replica::among(&[("b", 1), ("c", 1)]);
    let uid = account([("b", "abc"), ("c", "ac"), ("a", "a")]);
    replica.round(3, &[("b", 2), ("c", 2)]);
    replica.round(6, &[("c", 3)]);
    replica.round(9, &[]);
    let before: Vec<_> = replica.view.before(&uid, replica.at(10));
    assert_eq!(before[0], (Member::test("c"), Some(replica.at(6))));
    let (first, since) = &before[1];
    assert_eq!(*first, Member::test("b"));
    assert!(since.is_none_or(|since| since < replica.at(6)));
}
