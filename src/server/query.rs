//! The query string that the page and the JSON paths share: what is shown, in which order, and which part of it.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use super::filter::Filter;
use super::sort::{Column, Sort};

/// Rows of a page.
pub(super) const PAGE_ROWS: usize = 200;
/// The most that a page of HTML, which is made as a whole, may be asked for.
pub(super) const MOST_ROWS: usize = 1000;
/// The longest expression, in bytes.
const LONGEST_EXPRESSION: usize = 1024;

/// What stands for itself in a query string or in a segment of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as one segment of a path, or as a value of a query string.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// The expression as it was written.
    pub(super) text: String,
    /// Only the objects of these namespaces, apart by commas.
    pub(super) namespace: Option<String>,
    /// The order, where one is asked for.
    pub(super) sort: Option<Sort>,
    /// From 1.
    pub(super) page: usize,
    /// How many of a list; `None`: as many as the path has by default.
    pub(super) limit: Option<usize>,
    /// The application of a service, whose name is unique in it only.
    pub(super) application: Option<String>,
    /// `html` or `json`, in place of what `Accept` says.
    pub(super) format: Option<String>,
}

impl Query {
    /// Reads the query string of a request. The error says what to write.
    pub(super) fn of(uri: &Uri) -> Result<Self, String> {
        let mut query = Self {
            text: String::new(),
            namespace: None,
            sort: None,
            page: 1,
            limit: None,
            application: None,
            format: None,
        };
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            // An empty field of a form is one that is not set.
            if value.is_empty() {
                continue;
            }
            match &*name {
                "q" if value.len() > LONGEST_EXPRESSION => {
                    return Err(format!("q must be at most {LONGEST_EXPRESSION} bytes long"));
                }
                "q" => query.text = value.into_owned(),
                "namespace" => query.namespace = Some(value.into_owned()),
                "sort" => query.sort = Some(value.parse()?),
                "page" => query.page = number("page", &value)?,
                "limit" => query.limit = Some(number("limit", &value)?),
                "application" => query.application = Some(value.into_owned()),
                "format" => query.format = Some(value.into_owned()),
                // Such as what a proxy adds.
                _ => {}
            }
        }
        Ok(query)
    }

    /// What the expression and the namespaces select.
    pub(super) fn filter(&self) -> Filter {
        let filter = Filter::new(&self.text);
        match &self.namespace {
            Some(namespaces) => filter.within(namespaces),
            None => filter,
        }
    }

    /// The order of rows.
    pub(super) fn order(&self) -> Sort {
        self.sort.unwrap_or_default()
    }

    /// How many rows a page has.
    pub(super) fn rows(&self) -> usize {
        self.limit.unwrap_or(PAGE_ROWS).min(MOST_ROWS)
    }

    /// The rows of the page that is asked for.
    pub(super) fn part_of<'a, T>(&self, rows: &'a [T]) -> &'a [T] {
        let start = (self.page - 1).saturating_mul(self.rows()).min(rows.len());
        &rows[start..rows.len().min(start + self.rows())]
    }

    /// The query string, with its `?`, of the same list in the order that a click on this column makes; from its first page.
    pub(super) fn sorted_by(&self, column: Column) -> String {
        Self { sort: Some(self.order().clicked(column)), page: 1, ..self.clone() }.as_string()
    }

    /// The query string of another page.
    pub(super) fn at_page(&self, page: usize) -> String {
        Self { page, ..self.clone() }.as_string()
    }

    /// The query string of the same as JSON.
    pub(super) fn as_json(&self) -> String {
        Self { format: Some("json".into()), ..self.clone() }.as_string()
    }

    fn as_string(&self) -> String {
        let text = (!self.text.is_empty()).then(|| self.text.clone());
        let fields = [
            ("application", self.application.clone()),
            ("q", text),
            ("namespace", self.namespace.clone()),
            ("sort", self.sort.map(Sort::text)),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("page", (self.page > 1).then(|| self.page.to_string())),
            ("format", self.format.clone()),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let joined: Vec<_> = fields.map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
        // A link with an empty reference would keep the query that it is meant to drop.
        format!("?{}", joined.join("&"))
    }
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number: &usize| (1..=1_000_000).contains(number));
    number.ok_or_else(|| format!("{name} must be a number from 1 to 1000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query, String> {
        Query::of(&format!("/services{text}").parse().unwrap())
    }

    #[test]
    fn a_query_string_is_written_as_it_is_read() {
        let text =
            "?application=a%20b&q=namespace%3Ateam-a%20%2Fx&namespace=b&sort=-cpu&limit=5&page=2&format=json";
        assert_eq!(query(text).unwrap().as_string(), text);
        assert_eq!(query("?q=&page=").unwrap().as_string(), "?");
        assert_eq!(query("?q=a+b%2Bc&other=1").unwrap().text, "a b+c");
    }

    #[test]
    fn another_order_begins_at_the_first_page() {
        let query = query("?q=web&sort=-cpu&page=3").unwrap();
        assert_eq!(query.sorted_by(Column::Cpu), "?q=web&sort=cpu");
        assert_eq!(query.at_page(4), "?q=web&sort=-cpu&page=4");
    }

    #[test]
    fn what_cannot_be_is_answered_with_what_to_write() {
        for (text, says) in [
            ("?page=0", "page must be a number"),
            ("?page=-1", "page must be"),
            ("?limit=x", "limit must be"),
            ("?sort=colour", "sort must be one of state"),
        ] {
            let error = query(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(query(&format!("?q={}", "a".repeat(LONGEST_EXPRESSION + 1))).is_err());
        assert_eq!(query("?limit=5000").unwrap().rows(), MOST_ROWS);
    }
}
