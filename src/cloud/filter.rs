//! Which services of an account are wanted: globs on the service's name.
//!
//! A tenant writes the globs and a cloud the names, so a match must not cost more than the lengths of the two: a matcher that
//! goes back to the last star takes their product. This one follows all ways through a glob at once, a bit for each. What all
//! names of a list cost is bounded by [`Matching`].

use super::error::AnswerProblem;
use super::model::LONGEST_TEXT;

/// What the names of one cycle, or of one response, may cost, in steps: about a second of one core. 10,000 names of 60
/// characters and 100 short globs with stars at both ends take a quarter.
const MOST_STEPS: usize = 500_000_000;

/// Steps before the first byte of a name is looked at: what the tables of 64 states take.
const TABLE_STEPS: usize = 64;

/// Include and exclude globs; `*` matches any text, `?` one character.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFilter {
    include: Vec<Box<str>>,
    exclude: Vec<Box<str>>,
}

impl ServiceFilter {
    /// A filter of globs. An empty `include` takes every service.
    pub fn new<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Self {
        let globs = |patterns: &[S]| patterns.iter().map(|glob| glob.as_ref().into()).collect();
        Self { include: globs(include), exclude: globs(exclude) }
    }

    /// Whether the service of this name is wanted: included and not excluded.
    pub fn wants(&self, name: &str) -> bool {
        let mut steps = usize::MAX;
        self.wants_within(name, &mut steps).unwrap_or(false)
    }

    /// The same where it costs no more than these steps, which it takes from them.
    fn wants_within(&self, name: &str, steps: &mut usize) -> Option<bool> {
        let mut matches_any = |globs: &[Box<str>]| {
            for glob in globs {
                if matches(glob, name, steps)? {
                    return Some(true);
                }
            }
            Some(false)
        };
        let included = self.include.is_empty() || matches_any(&self.include)?;
        Some(included && !matches_any(&self.exclude)?)
    }

    /// What so many names cost at most, in steps of about two nanoseconds.
    pub fn steps(&self, names: usize) -> usize {
        let of_glob = |glob: &str| match Parts::of(glob).map(|parts| parts.wild) {
            None | Some("*") => 0,
            Some(wild) => words(wild) * (TABLE_STEPS + LONGEST_TEXT),
        };
        let of_name: usize = self.include.iter().chain(&self.exclude).map(|glob| of_glob(glob)).sum();
        names.saturating_mul(of_name)
    }
}

/// Matches the names of one cycle, or of one response, as far as that takes no more time than a tenant may choose.
#[derive(Debug)]
pub struct Matching {
    steps: usize,
}

impl Default for Matching {
    fn default() -> Self {
        Self { steps: MOST_STEPS }
    }
}

impl Matching {
    /// Whether the filter wants the service of this name. `TooLarge` where that would cost more than is left.
    pub fn wants(&mut self, filter: &ServiceFilter, name: &str) -> Result<bool, AnswerProblem> {
        filter.wants_within(name, &mut self.steps).ok_or(AnswerProblem::TooLarge)
    }
}

impl Default for ServiceFilter {
    fn default() -> Self {
        Self::new::<&str>(&[], &[])
    }
}

/// The parts of a glob with wildcards: what stands before the first one, after the last, and between.
struct Parts<'a> {
    before: &'a str,
    wild: &'a str,
    after: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` where there is no wildcard.
    fn of(glob: &'a str) -> Option<Self> {
        let is_wild = |character| matches!(character, '*' | '?');
        let (before, rest) = glob.split_at(glob.find(is_wild)?);
        let (wild, after) = rest.split_at(rest.rfind(is_wild)? + 1);
        Some(Self { before, wild, after })
    }
}

/// Whether the whole name is as the glob says. `None` where that costs more than these steps, from which it is taken.
fn matches(glob: &str, name: &str, steps: &mut usize) -> Option<bool> {
    let Some(Parts { before, wild, after }) = Parts::of(glob) else { return Some(glob == name) };
    // Most globs are decided by what stands before the first wildcard, or after the last, or by their length.
    let rest = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let Some(name) = rest else { return Some(false) };
    let shortest = wild.bytes().filter(|byte| *byte != b'*').count();
    match wild {
        "*" => Some(true),
        _ if name.len() < shortest => Some(false),
        wild => {
            *steps = steps.checked_sub(words(wild) * (TABLE_STEPS + name.len()))?;
            Some(Automaton::new(wild).accepts(name))
        }
    }
}

/// Words of 64 states that the automaton of a glob has.
fn words(glob: &str) -> usize {
    glob.len() / 64 + 1
}

/// A glob as an automaton over the bytes of a name. State `n`: so many of the glob's elements, stars aside, have matched.
///
/// A byte leads from a state to the next if the element between them is that byte, or is `?` and the byte begins a
/// character. A star after an element lets its state stay; after `?` the further bytes of the character do.
struct Automaton {
    /// Words of 64 states.
    words: usize,
    /// For each byte, the states that it leads on from.
    literal: Vec<u64>,
    /// The states before a `?`.
    any: Vec<u64>,
    /// The states after a `?`.
    inside: Vec<u64>,
    /// The states with a star after them.
    stay: Vec<u64>,
    last: usize,
}

impl Automaton {
    fn new(glob: &str) -> Self {
        let words = words(glob);
        let none = || vec![0; words];
        let (literal, last) = (vec![0; 256 * words], 0);
        let mut made = Self { words, literal, any: none(), inside: none(), stay: none(), last };
        for byte in glob.bytes() {
            let (word, bit) = (made.last / 64, 1 << (made.last % 64));
            match byte {
                b'*' => made.stay[word] |= bit,
                b'?' => {
                    made.any[word] |= bit;
                    made.last += 1;
                    made.inside[made.last / 64] |= 1 << (made.last % 64);
                }
                byte => {
                    made.literal[usize::from(byte) * words + word] |= bit;
                    made.last += 1;
                }
            }
        }
        made
    }

    fn accepts(&self, name: &str) -> bool {
        let mut states = vec![0_u64; self.words];
        states[0] = 1;
        for byte in name.bytes() {
            let literal = &self.literal[usize::from(byte) * self.words..][..self.words];
            let begins_character = byte & 0b1100_0000 != 0b1000_0000;
            let (mut carry, mut alive) = (0, 0);
            for word in 0..self.words {
                let (any, inside) =
                    if begins_character { (self.any[word], 0) } else { (0, self.inside[word]) };
                let from = states[word] & (literal[word] | any);
                let stays = states[word] & (self.stay[word] | inside);
                states[word] = from << 1 | carry | stays;
                carry = from >> 63;
                alive |= states[word];
            }
            if alive == 0 {
                return false;
            }
        }
        states[self.last / 64] & 1 << (self.last % 64) != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wildmatch::WildMatch;

    use super::*;

    /// Whether the whole name is as the glob says, whatever that costs.
    fn matches(glob: &str, name: &str) -> bool {
        super::matches(glob, name, &mut usize::MAX.clone()).unwrap()
    }

    #[test]
    fn a_service_is_wanted_that_one_glob_includes_and_none_excludes() {
        let filter = ServiceFilter::new(&["web-*", "db-?"], &["*-old", "web-*-test"]);
        for (name, wanted) in [
            ("web-shop", true),
            ("db-1", true),
            ("db-10", false),
            ("web-shop-old", false),
            ("web-a-test", false),
            ("web", false),
            ("mail", false),
        ] {
            assert_eq!(filter.wants(name), wanted, "{name}");
        }
        assert!(ServiceFilter::default().wants("anything"));
    }

    #[test]
    fn names_are_matched_as_long_as_that_takes_no_more_than_a_cycle_may() {
        let hostile = ServiceFilter::new(&["*".to_owned()], &vec![format!("{}b?*", "*a".repeat(100)); 100]);
        let mut matching = Matching::default();
        let name = "a".repeat(LONGEST_TEXT);
        let cost = hostile.steps(1);
        matching.steps = 2 * cost;
        let matched = [(); 4].map(|()| matching.wants(&hostile, &name));
        assert_eq!(matched[0], Ok(true));
        assert_eq!(matched[3], Err(AnswerProblem::TooLarge), "{cost} steps a name");
        assert!(MOST_STEPS / cost < 5_000, "some thousands of such names");

        // Prefixes, suffixes and a length that cannot match cost nothing.
        let usual = ServiceFilter::new(&["web-*", "*-db", &"*a".repeat(100)], &[]);
        matching.steps = 0;
        assert_eq!(matching.wants(&usual, "shop-db"), Ok(true));
        assert_eq!(matching.wants(&usual, "shop"), Ok(false));
        let many: Vec<_> = (0..100).map(|number| format!("*team-{number}-*")).collect();
        let cost =
            ServiceFilter::new(&many, &[]).steps(1) / (TABLE_STEPS + LONGEST_TEXT) * (TABLE_STEPS + 60);
        assert!(10_000 * cost < MOST_STEPS / 2, "{cost} steps for a name of 60 characters");
    }

    #[test]
    fn a_question_mark_is_one_character_of_any_number_of_bytes() {
        for (glob, name, expected) in [
            ("?", "é", true),
            ("??", "é", false),
            ("a?c", "a\u{1f980}c", true),
            ("*?", "", false),
            ("*é?*", "xé\u{1f980}", true),
            ("é*é", "é", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }

    #[test]
    fn a_glob_of_more_states_than_a_word_has_matches_across_words() {
        let long = "ab".repeat(100);
        assert!(matches(&format!("*{long}?*"), &format!("x{long}yz")));
        assert!(!matches(&format!("*{long}?*"), &format!("x{long}")));
        assert!(matches(&"?".repeat(200), &"é".repeat(200)) && !matches(&"?".repeat(200), &"é".repeat(199)));
    }

    proptest! {
        #[test]
        fn globs_match_as_they_do_elsewhere(glob in "[abé*?]{1,80}", name in "[abé]{0,100}") {
            prop_assert_eq!(matches(&glob, &name), WildMatch::new(&glob).matches(&name));
        }

        #[test]
        fn a_glob_made_of_a_name_matches_it(name in "[ab\u{1f980}]{1,100}", wild in proptest::collection::vec(0..9_u8, 100)) {
            let glob: String = name.chars().zip(wild).map(|(character, wild)| match wild {
                0 => "*".to_owned(),
                1 => "?".to_owned(),
                2 => format!("*{character}*"),
                _ => character.to_string(),
            }).collect();
            prop_assert!(matches(&glob, &name), "{} {}", glob, name);
        }
    }
}
