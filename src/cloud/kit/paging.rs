//! Lists that come in pages: which page is next, when a list does not end, and when it ends too early.
//!
//! What a complete list does not have was deleted, so a list that contradicts itself never counts as complete.

use std::collections::HashSet;
use std::hash::Hash;

use serde_json::value::RawValue;
use url::Url;

use super::inventory::Inventory;
use super::loose::{Scalar, is_complete};
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::parse;
use crate::schema::address::is_unambiguous;

/// The most pages that are read of one list. A list with more of them is taken for one that does not end.
const MAX_PAGES: usize = 1_000;

/// How much of a list a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listed {
    /// The entries of the page, whether they can be read and are collected or not.
    pub entries: usize,
    /// The entries that the list has as the page says it, if it does.
    pub total: Option<i64>,
}

/// What names a page.
pub trait PageKey: Clone + Eq + Hash {
    /// The bytes of its text.
    fn text_bytes(&self) -> usize;
}

impl PageKey for String {
    fn text_bytes(&self) -> usize {
        self.len()
    }
}

impl PageKey for Url {
    fn text_bytes(&self) -> usize {
        self.as_str().len()
    }
}

impl PageKey for u64 {
    fn text_bytes(&self) -> usize {
        0
    }
}

/// The pages of one list that were requested, by what names them: a URL, a cursor or a number.
#[derive(Debug)]
pub struct Pages<K> {
    first: K,
    /// Those after the first one: most lists have no other page, and then this takes no memory.
    requested: HashSet<K>,
    /// The entries of the pages that [`Self::after`] was told of.
    entries: usize,
}

impl<K: PageKey> Pages<K> {
    /// A list whose first page is requested by this key.
    pub fn starting_at(first: K) -> Self {
        Self { first, requested: HashSet::new(), entries: 0 }
    }

    /// Adds the page that the newest one names as its next, and returns its key.
    ///
    /// `only_known` says that the newest page had entries, and every one of them was on an earlier page. `PageCycle` where
    /// the list leads back into itself, `TooManyPages` where it does not end, `TooLarge` where the key exceeds what the inventory may
    /// hold.
    pub fn follow(
        &mut self,
        next: K,
        only_known: bool,
        inventory: &mut Inventory,
    ) -> Result<K, AnswerProblem> {
        if only_known || next == self.first || self.requested.contains(&next) {
            return Err(AnswerProblem::PageCycle);
        }
        if self.requested.len() + 1 >= MAX_PAGES {
            return Err(AnswerProblem::TooManyPages);
        }
        // It is remembered, and waits to be sent.
        inventory.remember::<K>(2 * next.text_bytes())?;
        self.requested.insert(next.clone());
        Ok(next)
    }

    /// The same for a list that says how long it is. `next` is `None` on the last page, and so is the result.
    ///
    /// `IncompleteList` where the list ends before it has as many entries as its last page says: the number that a page
    /// says before is not compared, since the list may change while its pages are read.
    pub fn after(
        &mut self,
        next: Option<K>,
        listed: Listed,
        only_known: bool,
        inventory: &mut Inventory,
    ) -> Result<Option<K>, AnswerProblem> {
        self.entries += listed.entries;
        match next {
            Some(next) => self.follow(next, only_known, inventory).map(Some),
            None if listed
                .total
                .is_some_and(|total| usize::try_from(total).is_ok_and(|total| total > self.entries)) =>
            {
                Err(AnswerProblem::IncompleteList)
            }
            None => Ok(None),
        }
    }
}

/// Reads the field in which a page names the next one. It is missing, null or empty on the last page; `Shape` where it is
/// no text, or one that is too long to be kept.
pub fn next_named(field: Option<&RawValue>) -> Result<Option<String>, AnswerProblem> {
    match field.map(|json| parse(json.get())).transpose()? {
        None => Ok(None),
        Some(Scalar::Text(text)) if is_complete(&text) => {
            Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
        }
        Some(_) => Err(AnswerProblem::Shape),
    }
}

/// The URL of the page that `next`, absolute or relative, names on `page`.
///
/// It keeps the origin of `page` and stays below `endpoint`, since credentials must not be sent anywhere else. Only the
/// query of `next` counts where its path lies outside of the endpoint, as it does for a cloud behind a proxy, or where
/// servers may read it as one that does.
pub fn next_url(endpoint: &Url, page: &Url, next: &str) -> Result<Url, AnswerProblem> {
    if !is_complete(next) {
        return Err(AnswerProblem::Shape);
    }
    let named = page.join(next).map_err(|_| AnswerProblem::Shape)?;
    if named.cannot_be_a_base() {
        return Err(AnswerProblem::Shape);
    }
    let mut url = page.clone();
    let is_below = named.path().starts_with(&format!("{}/", endpoint.path().trim_end_matches('/')));
    if is_below && is_unambiguous(named.path()) {
        url.set_path(named.path());
    }
    url.set_query(named.query());
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MemoryBudget;

    #[test]
    fn a_list_ends_where_it_names_a_page_that_was_requested() {
        let mut pages = Pages::starting_at("first".to_owned());
        let mut follow = |next: &str| pages.follow(next.to_owned(), false, &mut Inventory::new());
        assert_eq!(follow("second"), Ok("second".to_owned()));
        for known in ["first", "second"] {
            assert_eq!(follow(known), Err(AnswerProblem::PageCycle));
        }
        assert_eq!(follow("third"), Ok("third".to_owned()), "a refused page costs nothing");
    }

    #[test]
    fn a_list_ends_where_a_page_repeats_what_is_known() {
        let mut pages = Pages::starting_at(1);
        assert_eq!(pages.follow(2, true, &mut Inventory::new()), Err(AnswerProblem::PageCycle));
    }

    #[test]
    fn what_names_pages_is_charged_by_its_length() {
        let memory = MemoryBudget::new(2 << 20);
        let mut inventory = Inventory::charged(memory.holder("team-a", "acme").charge());
        let mut pages = Pages::starting_at(String::new());
        let mut followed = (0..MAX_PAGES).map(|number| {
            let cursor = format!("{number:0>8000}");
            pages.follow(cursor, false, &mut inventory).map(drop)
        });
        let refused = followed.position(|followed| followed == Err(AnswerProblem::TooLarge));
        assert!(refused.is_some_and(|pages| (100..135).contains(&pages)), "{refused:?} pages of 2 MiB");
    }

    #[test]
    fn a_list_has_a_thousand_pages_at_most() {
        let mut pages = Pages::starting_at(1);
        let ends =
            (2..10_000).map(|next| pages.follow(next, false, &mut Inventory::new())).find(Result::is_err);
        assert_eq!(ends, Some(Err(AnswerProblem::TooManyPages)));
        assert_eq!(pages.requested.len() + 1, 1_000);
    }

    #[test]
    fn a_list_that_ends_before_it_has_what_it_says_it_has_is_not_complete() {
        let page = |entries, total| Listed { entries, total };
        let of_two_pages = |first, last| {
            let mut pages = Pages::starting_at(1);
            let mut inventory = Inventory::new();
            assert_eq!(pages.after(Some(2), first, false, &mut inventory), Ok(Some(2)));
            pages.after(None, last, false, &mut inventory)
        };
        assert_eq!(of_two_pages(page(20, Some(41)), page(20, Some(41))), Err(AnswerProblem::IncompleteList));
        assert_eq!(of_two_pages(page(20, Some(41)), page(21, Some(41))), Ok(None));
        assert_eq!(
            of_two_pages(page(20, Some(41)), page(20, Some(40))),
            Ok(None),
            "one was deleted meanwhile"
        );
        assert_eq!(
            of_two_pages(page(20, Some(41)), page(20, None)),
            Ok(None),
            "the last page does not say it"
        );
        let mut pages = Pages::starting_at(1);
        let repeated = pages.after(Some(1), page(20, Some(20)), false, &mut Inventory::new());
        assert_eq!(repeated, Err(AnswerProblem::PageCycle));
    }

    #[test]
    fn a_next_page_that_is_no_text_is_not_the_end_of_the_list() {
        let read = |json: &str| {
            let field: Option<&RawValue> = serde_json::from_str(json).unwrap();
            next_named(field)
        };
        for last in ["null", "\"\""] {
            assert_eq!(read(last), Ok(None), "{last}");
        }
        assert_eq!(read(r#""?page=2""#), Ok(Some("?page=2".to_owned())));
        let long = format!("\"{}\"", "a".repeat(70_000));
        for odd in ["2", "false", "[]", r#"{"href": "?page=2"}"#, &long] {
            assert_eq!(read(odd), Err(AnswerProblem::Shape), "{}", &odd[..odd.len().min(30)]);
        }
        assert_eq!(next_named(None), Ok(None), "the field is missing");
    }

    #[test]
    fn the_next_page_keeps_the_origin_and_stays_below_the_endpoint() {
        let endpoint: Url = "https://caas.example.com/v1/".parse().unwrap();
        let page: Url = "https://caas.example.com/v1/services/acme/?page=1".parse().unwrap();
        for (next, expected) in [
            ("?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("/v1/services/acme/?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("http://caas.example.com/v1/x?page=2", "https://caas.example.com/v1/x?page=2"),
            ("https://evil.example/steal?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("//evil.example/steal", "https://caas.example.com/v1/services/acme/"),
            ("https://u:p@caas.example.com:444/v1/x#f", "https://caas.example.com/v1/x"),
            ("/v1evil/x?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("/v1/..;/admin/?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("/v1//admin/?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("/v1/%2e%2e%2fadmin/?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
            ("../../../v2/?page=2", "https://caas.example.com/v1/services/acme/?page=2"),
        ] {
            assert_eq!(next_url(&endpoint, &page, next).unwrap().as_str(), expected, "{next}");
        }
        for odd in ["mailto:a@b", "data:,x", "https://[", "javascript:1"] {
            assert!(next_url(&endpoint, &page, odd).is_err(), "{odd}");
        }
    }
}
