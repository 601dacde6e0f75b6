//! Lists as GraphQL's connections have them: nodes in edges, and whether another page follows. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::parse;
use crate::cloud::kit::list::for_each;
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::{Inventory, Pages};

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    /// Entries that cannot be read. The list is not complete without them.
    pub(super) unreadable: usize,
    /// Whether the rest of the page exceeds the budget.
    pub(super) cut: bool,
    /// Whether another page follows.
    pub(super) has_next: bool,
    /// What names the page after this one.
    pub(super) cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list of one entry.
    pub(super) fn only(entry: T) -> Self {
        Self { entries: vec![entry], unreadable: 0, cut: false, has_next: false, cursor: None }
    }

    /// The cursor of the page after this one, if another one follows and this one was not cut. The error is that there is one
    /// that cannot be requested, or remembered.
    pub(super) fn next(
        &self,
        only_known: bool,
        pages: &mut Pages<String>,
        inventory: &mut Inventory,
    ) -> Result<Option<String>, AnswerProblem> {
        if self.cut || !self.has_next {
            return Ok(None);
        }
        let cursor = self.cursor.clone().ok_or(AnswerProblem::Shape)?;
        pages.follow(cursor, only_known, inventory).map(Some)
    }
}

/// Reads a connection whose entries `read` reads one by one, until it returns an error.
pub(super) fn entries<T>(
    json: &str,
    mut read: impl FnMut(&str) -> Result<Option<T>, AnswerProblem>,
) -> Result<Page<T>, AnswerProblem> {
    let mut entries = Vec::new();
    let page = connection(json, |node| {
        let entry = read(node)?;
        let is_readable = entry.is_some();
        entries.extend(entry);
        Ok(is_readable)
    })?;
    Ok(Page { entries, ..page })
}

/// Reads a connection: calls `take` with each node until it returns an error, which cuts the page. `take` says whether the
/// node could be read.
pub(super) fn connection<T>(
    json: &str,
    mut take: impl FnMut(&str) -> Result<bool, AnswerProblem>,
) -> Result<Page<T>, AnswerProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireConnection<'a> {
        #[serde(borrow)]
        edges: &'a RawValue,
        #[serde(borrow)]
        page_info: WirePageInfo<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WirePageInfo<'a> {
        has_next_page: bool,
        #[serde(borrow, default)]
        end_cursor: Scalar<'a>,
    }
    #[derive(Deserialize)]
    struct WireEdge<'a> {
        #[serde(borrow)]
        node: &'a RawValue,
    }
    let connection: WireConnection<'_> = parse(json)?;
    let (mut unreadable, mut cut) = (0, false);
    for_each(connection.edges.get(), |edge: &RawValue| {
        let node = serde_json::from_str::<WireEdge<'_>>(edge.get()).ok();
        match node.map(|edge| take(edge.node.get())) {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => unreadable += 1,
            Some(Err(_)) => cut = true,
        }
        !cut
    })?;
    let WirePageInfo { has_next_page, end_cursor } = connection.page_info;
    Ok(Page { entries: Vec::new(), unreadable, cut, has_next: has_next_page, cursor: end_cursor.into_text() })
}
