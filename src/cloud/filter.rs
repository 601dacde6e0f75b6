//! Which services of an account are wanted: globs on the service's name.
//!
//! A tenant writes the globs and a cloud the names, so a match must not cost more than the lengths of the two: a matcher that
//! goes back to the last star takes their product. This one follows all ways through a glob at once, a bit for each.

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
        let included = self.include.is_empty() || self.include.iter().any(|glob| matches(glob, name));
        included && !self.exclude.iter().any(|glob| matches(glob, name))
    }
}

impl Default for ServiceFilter {
    fn default() -> Self {
        Self::new::<&str>(&[], &[])
    }
}

/// Whether the whole name is as the glob says.
fn matches(glob: &str, name: &str) -> bool {
    let is_wild = |character| matches!(character, '*' | '?');
    let Some(first) = glob.find(is_wild) else { return glob == name };
    // Most globs are decided by what stands before the first wildcard, or after the last.
    let Some(name) = name.strip_prefix(&glob[..first]) else { return false };
    let glob = &glob[first..];
    let last = glob.rfind(is_wild).map_or(0, |last| last + 1);
    let Some(name) = name.strip_suffix(&glob[last..]) else { return false };
    match &glob[..last] {
        "*" => true,
        wild => Automaton::new(wild).accepts(name),
    }
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
        let words = glob.len() / 64 + 1;
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
