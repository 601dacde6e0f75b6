//! The rules by which a replica joins, takes over, stops and takes another for dead: pure, of what was listed and when.
//!
//! - A member is dead when its Lease has not changed for [`EXPIRY`] of this replica's own clock, while this replica's own
//!   renewals went through. No clocks are compared, and while the API server is away nobody dies.
//! - An outranked member stops immediately. A member that takes over from a live one waits [`HANDOVER`], so that the other notices;
//!   from one that is gone it takes over at once: who leaves has stopped before it deletes its Lease.
//!   Where the API server goes away meanwhile, that one may not notice: then it is asked whether it goes on, and whoever
//!   takes over does so only where it does not, or does not respond.
//! - A member whose own Lease was deleted was taken for dead: it owns nothing until it has joined again. One that cannot renew its
//!   Lease does not learn of that and goes on: each of its accounts has a next owner, which may collect it too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::member::{Member, SeenLease, Share};
use super::rank::owner;

/// From one renewal to the next.
pub const RENEW: Duration = Duration::from_secs(3);

/// How long a Lease is valid after its last change was seen. That is a round late at worst, so the dead are noticed within 15 s:
/// long enough for four renewals.
pub const EXPIRY: Duration = Duration::from_secs(12);

/// How long a new owner leaves an account to a live member: two renewals.
pub const HANDOVER: Duration = Duration::from_secs(6);

/// A round that goes through so long after a change shows that each live member has had one as well, whose list had the change.
const KNOWN: Duration = Duration::from_secs(4);

/// How long a member that has left goes on answering.
pub const FAREWELL: Duration = Duration::from_secs(10);

/// How long a live member is asked for an account that it has handed over: until the new owner has reconciled thousands that have
/// moved at once. It answers while its last snapshot is not stale.
const HANDED_OVER: Duration = Duration::from_secs(60);

/// So many members are asked for one account besides its owner.
const MOST_BEFORE: usize = 4;

/// A Lease that is gone without having been old was deleted by its holder. Renewal and listing, and a failed attempt; less than
/// the age of any that another member takes for dead, which may have seen the last change a round sooner.
const RECENT: Duration = Duration::from_secs(8);

/// What one replica knows of all.
#[derive(Debug)]
pub struct View {
    me: Member,
    others: BTreeMap<Arc<str>, Seen>,
    /// Whether this replica holds its Lease, as far as it knows.
    is_member: bool,
    /// Whether it may join although others live.
    is_prepared: bool,
    /// Since when every round has gone through, and when the last one did.
    went_through: Option<(Instant, Instant)>,
    /// When the last round ended, whether it went through or not.
    looked: Option<Instant>,
    /// When this replica wrote its Lease last.
    renewed: Option<Instant>,
    /// Those who share the accounts, in the order of their names.
    members: Vec<Member>,
    /// Earlier lists of members, oldest first.
    past: Vec<Past>,
    /// Grows with each change of shares.
    changes: u64,
}

#[derive(Debug)]
struct Seen {
    lease: SeenLease,
    /// When this replica saw it change.
    changed: Instant,
}

/// Those who shared the accounts before a change.
#[derive(Debug)]
struct Past {
    members: Vec<Member>,
    until: Instant,
    /// Those who left at its end, having stopped by themselves.
    left: Vec<Member>,
    /// Whether the end of the hand-over was counted as a change.
    is_over: bool,
    /// Whether all live members know of the change that ended it.
    is_known: bool,
}

impl Past {
    /// Whether those who lost accounts by its end are still asked for them.
    fn is_recent(&self, now: Instant) -> bool {
        self.until + HANDED_OVER > now || !self.is_known
    }
}

impl View {
    /// Of a replica that knows nobody and is no member yet.
    pub(super) fn new(me: Member) -> Self {
        Self {
            me,
            others: BTreeMap::new(),
            is_member: false,
            is_prepared: false,
            went_through: None,
            looked: None,
            renewed: None,
            members: Vec::new(),
            past: Vec::new(),
            changes: 0,
        }
    }

    /// All Leases as they are now. Returns whether this replica should write its own.
    pub fn listed(&mut self, leases: Vec<SeenLease>, now: Instant) -> bool {
        let (own, others): (Vec<_>, Vec<_>) =
            leases.into_iter().partition(|lease| lease.member.name == self.me.name);
        let mut before = std::mem::take(&mut self.others);
        for lease in others {
            let name = Arc::clone(&lease.member.name);
            let seen = before.remove(&name).filter(|seen| seen.lease == lease);
            let changed = seen.map_or(now, |seen| seen.changed);
            self.others.insert(name, Seen { lease, changed });
        }
        let recent = |seen: &Seen| now - seen.changed < RECENT;
        let left = before.into_values().filter(recent).map(|seen| seen.lease.member).collect();
        // A Lease of its own name is its own, also one from before a restart. Where it was deleted, others may have taken
        // over; where there is nobody else, nobody has.
        self.is_member = !own.is_empty() || self.is_member && self.others.is_empty();
        self.is_prepared |= self.is_member;
        if self.is_member {
            // One from before a restart was written at some time before.
            self.renewed.get_or_insert(now);
        }
        self.share_anew(left, now);
        self.is_prepared || self.others.is_empty()
    }

    /// This replica's Lease was written: it is a member.
    pub fn renewed(&mut self, now: Instant) {
        (self.is_member, self.is_prepared) = (true, true);
        self.renewed = Some(now);
        self.share_anew(Vec::new(), now);
    }

    /// This replica's Lease is deleted, since it ends: its accounts are those of others from now on.
    pub fn left(&mut self, now: Instant) {
        (self.is_member, self.is_prepared) = (false, false);
        self.renewed = None;
        self.share_anew(Vec::new(), now);
    }

    /// Listing and writing went through.
    pub fn succeeded(&mut self, now: Instant) {
        // After a pause it is not known what went through.
        let went_on = self.went_through.filter(|(_, last)| now - *last < 2 * RENEW);
        let since = went_on.map_or(now, |(since, _)| since);
        self.went_through = Some((since, now));
        self.looked = Some(now);
        for past in &mut self.past {
            past.is_known |= past.until.max(since) + KNOWN <= now;
        }
    }

    /// Listing or writing failed: all stays as it is.
    pub fn failed(&mut self, now: Instant) {
        self.went_through = None;
        self.looked = Some(now);
    }

    /// Whether the last round was so long ago that this replica was paused, and the others may have taken it for dead.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        self.looked.is_some_and(|at| now - at >= EXPIRY)
    }

    /// The Leases that are to be deleted, since their members are dead.
    pub fn dead(&self, now: Instant) -> Vec<SeenLease> {
        // After a pause nothing is known of the others before the next round.
        let is_recent = self.went_through.is_some_and(|(_, last)| now - last < 2 * RENEW);
        let expired = |seen: &&Seen| is_recent && self.expires(seen).is_some_and(|at| at <= now);
        let dead = self.others.values().filter(expired);
        dead.map(|seen| seen.lease.clone()).collect()
    }

    /// The Lease of a dead member is deleted.
    pub fn deleted(&mut self, lease: &SeenLease, now: Instant) {
        self.others.remove(&lease.member.name);
        self.share_anew(Vec::new(), now);
    }

    /// A Lease that was to be deleted has changed meanwhile.
    pub fn is_alive(&mut self, lease: &SeenLease, now: Instant) {
        if let Some(seen) = self.others.get_mut(&lease.member.name) {
            seen.changed = now;
        }
    }

    /// This replica is ready to collect what it would own.
    pub(super) fn prepared(&mut self) {
        self.is_prepared = true;
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        self.past.retain(|past| past.is_recent(now));
        for past in self.past.iter_mut().filter(|past| !past.is_over && past.until + HANDOVER <= now) {
            past.is_over = true;
            self.changes += 1;
        }
    }

    /// When the passing of time alone is to be acted on next.
    pub fn wakes_at(&self) -> Option<Instant> {
        let handovers = self.past.iter().filter(|past| !past.is_over).map(|past| past.until + HANDOVER);
        handovers.chain(self.others.values().filter_map(|seen| self.expires(seen))).min()
    }

    /// This replica.
    pub(super) fn me(&self) -> &Member {
        &self.me
    }

    /// Those who share the accounts.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether this replica shares the accounts.
    pub fn is_member(&self) -> bool {
        self.is_member
    }

    /// All other live members.
    pub(super) fn peers(&self) -> Vec<Member> {
        self.others.values().map(|seen| seen.lease.member.clone()).collect()
    }

    /// A number that grows with each change of shares.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// What this replica does with an account.
    pub(super) fn share(&self, uid: &str, now: Instant) -> Share {
        match owner(&self.members, uid) {
            // Nobody is known yet.
            None => Share::Later(now + RENEW),
            Some(owner) if owner.name != self.me.name => Share::Of(owner.clone()),
            Some(_) => {
                let from_live = self.past.iter().filter_map(|past| {
                    let before = owner(&past.members, uid)?;
                    (before.name != self.me.name && self.lives(before)).then_some((past, before))
                });
                let last = from_live.clone().map(|(past, _)| past.until + HANDOVER).max();
                let mut unaware = from_live.filter(|(past, _)| !past.is_known);
                match (last.filter(|at| *at > now), unaware.next_back()) {
                    (Some(at), _) => Share::Later(at),
                    (None, Some((_, before))) => Share::MineUnless(before.clone()),
                    (None, None) => Share::Mine,
                }
            }
        }
    }

    /// Whether this replica owns an account, or would if it were a member.
    pub(super) fn would_own(&self, uid: &str) -> bool {
        owner(&self.with_me(true), uid).is_some_and(|owner| owner.name == self.me.name)
    }

    /// Why this replica has become the owner of an account: a word of a closed set for a metric.
    pub(super) fn reason(&self, uid: &str) -> &'static str {
        let mut before = self.past.iter().rev().filter_map(|past| Some((past, owner(&past.members, uid)?)));
        match before.find(|(_, owner)| owner.name != self.me.name) {
            Some((_, owner)) if self.lives(owner) => "joined",
            Some((past, owner)) if past.left.contains(owner) => "left",
            Some(_) => "died",
            None => "joined",
        }
    }

    /// Whether this replica owned an account before a recent change.
    pub(super) fn hands_over(&self, uid: &str, now: Instant) -> bool {
        let mine = |past: &Past| owner(&past.members, uid).is_some_and(|owner| owner.name == self.me.name);
        self.past.iter().any(|past| past.is_recent(now) && mine(past))
    }

    /// The owner of an account, which may be this replica.
    pub(super) fn owner(&self, uid: &str) -> Option<Member> {
        owner(&self.members, uid).cloned()
    }

    /// The member that may have taken over an account that this replica owns, unnoticed by it: its Lease was not written for almost
    /// as long as others wait. `None` where nobody may.
    pub(super) fn next_owner(&self, uid: &str, now: Instant) -> Option<Member> {
        let may_have_expired = self.renewed.is_some_and(|at| now - at + RENEW >= EXPIRY);
        may_have_expired.then(|| owner(&self.with_me(false), uid).cloned()).flatten()
    }

    /// Who owned an account before recent changes, the last one first, and since when, where that is known; this replica may be one
    /// of them. What each has is older than what those after it have had: the list ends before the first one that cannot say
    /// whether it has had anything.
    pub(super) fn before(&self, uid: &str, now: Instant) -> Vec<(Member, Option<Instant>)> {
        let owner_now = owner(&self.members, uid);
        let answers = |past: &Past, before: &Member| {
            let lives = self.lives(before) || before.name == self.me.name;
            past.is_recent(now) && lives || past.until + FAREWELL > now && past.left.contains(before)
        };
        let mut all: Vec<(Member, Option<Instant>)> = Vec::new();
        for (place, past) in self.past.iter().enumerate().rev() {
            let Some(before) = owner(&past.members, uid) else { continue };
            let since = place.checked_sub(1).map(|place| self.past[place].until);
            if !answers(past, before) || all.len() == MOST_BEFORE {
                break;
            }
            // Another member's coming and going may have left it where it is.
            let is_now = all.is_empty() && owner_now.is_some_and(|owner| owner.name == before.name);
            match all.iter_mut().find(|(known, _)| known == before) {
                // For longer, or for another time.
                Some((_, began)) => *began = since,
                None if !is_now => all.push((before.clone(), since)),
                None => {}
            }
        }
        all
    }

    fn lives(&self, member: &Member) -> bool {
        self.members.iter().any(|live| live.name == member.name)
    }

    /// When this Lease expires; `None` while this replica's own rounds do not go through.
    fn expires(&self, seen: &Seen) -> Option<Instant> {
        let (since, _) = self.went_through?;
        Some(seen.changed.max(since) + EXPIRY)
    }

    /// The others, and this replica where it counts.
    fn with_me(&self, counts: bool) -> Vec<Member> {
        let mut members = self.peers();
        members.extend(counts.then(|| self.me.clone()));
        members.sort_by(|one, other| one.name.cmp(&other.name));
        members
    }

    fn share_anew(&mut self, left: Vec<Member>, now: Instant) {
        let members = self.with_me(self.is_member);
        if members != self.members {
            let members = std::mem::replace(&mut self.members, members);
            if !members.is_empty() {
                self.past.push(Past { members, until: now, left, is_over: false, is_known: false });
            }
            self.changes += 1;
        }
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
