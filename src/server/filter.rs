//! Filter expressions: which accounts, services and instances a person wants to see.
//!
//! Words apart by blanks, all of which must match: a text that occurs in a name, or `key:value`; `-` before it negates it.
//! Values may have `*` and `?`, several of them are apart by commas, and quotes keep blanks: `app:"my shop"`. Case does not
//! count. Knows no HTTP; [`Filtered`] says what a key means for each kind of object.

use crate::cloud::ServiceFilter;

/// More words than anybody writes are not read: each is compared with all that a large account has.
const MOST_WORDS: usize = 24;

/// What a key selects by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Account,
    Namespace,
    Provider,
    Application,
    Service,
    Instance,
    /// The common state, the cloud's own word for it, or the reason of an account.
    State,
    /// The image's name, whole or its last part.
    Image,
    Tag,
    Region,
    /// A constant label of the account, from `spec.metrics.labels`.
    Label(String),
}

/// The keys that a word without a key is looked for in.
const TEXT: [Key; 10] = [
    Key::Service,
    Key::Application,
    Key::Account,
    Key::Namespace,
    Key::Provider,
    Key::State,
    Key::Image,
    Key::Tag,
    Key::Region,
    Key::Instance,
];

impl Key {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "account" => Self::Account,
            "namespace" | "ns" => Self::Namespace,
            "provider" | "cloud" => Self::Provider,
            "application" | "app" => Self::Application,
            "service" => Self::Service,
            "instance" => Self::Instance,
            "state" | "status" => Self::State,
            "image" => Self::Image,
            "tag" => Self::Tag,
            "region" => Self::Region,
            other => Self::Label(other.strip_prefix("label.").filter(|name| !name.is_empty())?.to_owned()),
        })
    }
}

/// What a filter looks at.
pub(super) trait Filtered {
    /// Whether one of the values that this key has passes the test.
    fn any(&self, key: &Key, test: &dyn Fn(&str) -> bool) -> bool;
}

/// An expression. The empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Filter {
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq)]
struct Word {
    negated: bool,
    wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    /// A text in lower case, anywhere in a value.
    Text(String),
    /// A value as a whole, as one of the globs says.
    Value(Key, ServiceFilter),
}

impl Filter {
    /// Reads an expression. Every text is one: a word with an unknown key, such as `nginx:1.2`, is looked for as it is.
    pub(super) fn new(expression: &str) -> Self {
        let words = split(expression).into_iter().take(MOST_WORDS);
        Self { words: words.filter_map(|word| Word::new(&word)).collect() }
    }

    /// The same for the objects of these namespaces only.
    pub(super) fn within(mut self, namespaces: &str) -> Self {
        let wanted = Wanted::Value(Key::Namespace, globs(namespaces));
        self.words.push(Word { negated: false, wanted });
        self
    }

    /// Whether the object is wanted.
    pub(super) fn matches(&self, object: &impl Filtered) -> bool {
        self.words.iter().all(|word| word.wanted.matches(object) != word.negated)
    }
}

impl Word {
    fn new(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        // Somebody is about to type the rest, here and below.
        if word == "-" {
            return None;
        }
        let (negated, word) = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, &*word),
        };
        let key = word.split_once(':').and_then(|(key, values)| Some((Key::named(key)?, values)));
        let wanted = match key {
            Some((_, "")) => return None,
            Some((key, values)) => Wanted::Value(key, globs(values)),
            None => Wanted::Text(word.to_owned()),
        };
        Some(Self { negated, wanted })
    }
}

impl Wanted {
    fn matches(&self, object: &impl Filtered) -> bool {
        match self {
            Self::Text(text) => {
                let contains = |value: &str| value.to_lowercase().contains(text);
                TEXT.iter().any(|key| object.any(key, &contains))
            }
            Self::Value(key, globs) => object.any(key, &|value| globs.wants(&value.to_lowercase())),
        }
    }
}

fn globs(values: &str) -> ServiceFilter {
    let values: Vec<String> = values.split(',').map(str::to_lowercase).collect();
    ServiceFilter::new(&values, &[])
}

/// The words, without their quotes.
fn split(expression: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in expression.chars() {
        match character {
            '"' => quoted = !quoted,
            blank if blank.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service of one account, as pairs of key and value.
    struct Shop;

    impl Filtered for Shop {
        fn any(&self, key: &Key, test: &dyn Fn(&str) -> bool) -> bool {
            let values: &[&str] = match key {
                Key::Account => &["acme", "team-a/acme"],
                Key::Namespace => &["team-a"],
                Key::Application => &["My Shop"],
                Key::Service => &["checkout-web"],
                Key::State => &["running", "Started"],
                Key::Image => &["registry.example.com/shop/web", "web"],
                Key::Tag => &["1.2"],
                Key::Label(name) if name == "team" => &["checkout"],
                _ => &[],
            };
            values.iter().any(|value| test(value))
        }
    }

    #[test]
    fn every_word_has_to_match_and_a_negated_one_must_not() {
        for (expression, matches) in [
            ("", true),
            ("  ", true),
            ("CHECKOUT", true),
            ("checkout shop", true),
            ("checkout mail", false),
            ("-mail", true),
            ("-checkout", false),
            ("namespace:team-a app:\"my shop\" -state:Stopped label.team:checkout", true),
            ("namespace:team-b", false),
            ("namespace:team-b,team-a", true),
            ("ns:team-*", true),
            ("account:team-a/acme", true),
            ("account:acm", false),
            ("state:started", true),
            ("-state:running", false),
            ("image:web tag:1.?", true),
            ("label.team:other", false),
            ("label.tier:web", false),
            ("-label.tier:web", true),
            ("region:eu", false),
            // Not ready yet, and not a key at all.
            ("service:", true),
            ("nginx:1.2", false),
            ("label.:x", false),
            ("-", true),
        ] {
            assert_eq!(Filter::new(expression).matches(&Shop), matches, "{expression:?}");
        }
    }

    #[test]
    fn a_list_of_namespaces_narrows_an_expression() {
        assert!(Filter::new("checkout").within("team-a,team-b").matches(&Shop));
        assert!(!Filter::new("checkout").within("team-b").matches(&Shop));
    }

    #[test]
    fn an_expression_has_a_bounded_number_of_words() {
        assert_eq!(Filter::new(&"a ".repeat(10_000)).words.len(), MOST_WORDS);
    }
}
