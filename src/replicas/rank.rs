//! Which member ranks highest for an account: rendezvous hashing, so that a member that comes or goes moves only its own
//! share. Each replica computes it alone, and two versions of the program have to agree: neither the hash nor its key ever
//! changes.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::member::Member;

/// The hash's key, the same in every replica.
const KEY: [u8; 16] = *b"caas-operator.io";

/// Between the two texts that are hashed: neither a pod's name nor a UID contains it.
const SEPARATOR: u8 = 0;

/// The owner of an account: the member that ranks highest for it. `None` without members.
pub(super) fn owner<'a>(members: &'a [Member], uid: &str) -> Option<&'a Member> {
    members.iter().max_by_key(|member| (rank(&member.name, uid), &member.name))
}

/// The rank of a member for an account.
fn rank(member: &str, uid: &str) -> u64 {
    let mut hasher = SipHasher24::new_with_key(&KEY);
    hasher.write(member.as_bytes());
    hasher.write(&[SEPARATOR]);
    hasher.write(uid.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranks_are_those_of_every_other_version() {
        // Computed by another implementation.
        let pinned = [
            ("caas-operator-6c9f7d8b5-x2kqp", "5f0c2a9e-6a1d-4d0e-9d52-1f7f3c1f8a01", 0x1e10_712f_0022_4b5b),
            ("caas-operator-6c9f7d8b5-x2kqp", "0b7d4a52-83c7-4a1f-b1b5-7f9d0c2f6e10", 0x2ef4_88b2_7578_047b),
            ("caas-operator-6c9f7d8b5-x2kqp", "c1d9e8f7-2b3a-4c5d-8e9f-0a1b2c3d4e5f", 0xde45_30f2_e7bb_93a2),
            ("caas-operator-6c9f7d8b5-x2kqp", "a", 0x5306_c96f_5c05_3a2e),
            ("caas-operator-6c9f7d8b5-x2kqp", "ffffffff-ffff-ffff-ffff-ffffffffffff", 0xc267_180d_ba04_ce2e),
            ("caas-operator-6c9f7d8b5-zz9wd", "5f0c2a9e-6a1d-4d0e-9d52-1f7f3c1f8a01", 0x6dbc_6241_a651_95f0),
            ("caas-operator-6c9f7d8b5-zz9wd", "0b7d4a52-83c7-4a1f-b1b5-7f9d0c2f6e10", 0xb0ba_4dae_fbd4_34a7),
            ("caas-operator-6c9f7d8b5-zz9wd", "c1d9e8f7-2b3a-4c5d-8e9f-0a1b2c3d4e5f", 0xb886_d6d9_232d_2c97),
            ("caas-operator-6c9f7d8b5-zz9wd", "a", 0xe28a_27fc_f638_15ca),
            ("caas-operator-6c9f7d8b5-zz9wd", "ffffffff-ffff-ffff-ffff-ffffffffffff", 0x6ae3_cc07_0863_325c),
        ];
        for (member, uid, pinned) in pinned {
            assert_eq!(rank(member, uid), pinned, "{member} {uid}");
        }
    }

    #[test]
    fn the_highest_rank_owns_as_in_every_other_version() {
        let members = ["caas-operator-6c9f7d8b5-x2kqp", "caas-operator-6c9f7d8b5-zz9wd"].map(Member::test);
        // By the ranks above.
        for (uid, place) in [("a", 1), ("c1d9e8f7-2b3a-4c5d-8e9f-0a1b2c3d4e5f", 0)] {
            assert_eq!(owner(&members, uid), Some(&members[place]), "{uid}");
        }
    }

    #[test]
    fn a_member_more_takes_its_share_from_all_alike_and_moves_nothing_else() {
        let members: Vec<Member> =
            (0..5).map(|number| Member::test(&format!("caas-operator-{number}"))).collect();
        let place = |count: usize, uid: &str| {
            members.iter().position(|member| Some(member) == owner(&members[..count], uid)).unwrap()
        };
        let uids: Vec<String> = (0..10_000).map(|number| format!("uid-{number}")).collect();
        let mut moved_from = [0; 4];
        for uid in &uids {
            let (before, after) = (place(4, uid), place(5, uid));
            if before != after {
                assert_eq!(after, 4);
                moved_from[before] += 1;
            }
        }
        // A fifth of the 2,500 that each had, within a fifth of that.
        assert!(moved_from.iter().all(|moved| (400..600).contains(moved)), "{moved_from:?}");
    }
}
