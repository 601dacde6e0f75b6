//! The columns of services and instances, and the order that a person chooses: `cpu`, or `-cpu` for the largest first.

use std::cmp::Ordering;
use std::str::FromStr;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    State,
    Name,
    Account,
    Instances,
    Cpu,
    Memory,
    Network,
    Restarts,
    Image,
    Age,
}

impl Column {
    const ALL: [Self; 10] = [
        Self::State,
        Self::Name,
        Self::Account,
        Self::Instances,
        Self::Cpu,
        Self::Memory,
        Self::Network,
        Self::Restarts,
        Self::Image,
        Self::Age,
    ];

    /// Its name in `?sort=`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Account => "account",
            Self::Instances => "instances",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Network => "network",
            Self::Restarts => "restarts",
            Self::Image => "image",
            Self::Age => "age",
        }
    }

    /// Whether people look for the largest in it first.
    pub(crate) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Instances | Self::Cpu | Self::Memory | Self::Network | Self::Restarts | Self::Age
        )
    }
}

/// An order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) column: Column,
    pub(crate) descending: bool,
}

impl Default for Sort {
    /// What is worst comes first.
    fn default() -> Self {
        Self { column: Column::State, descending: false }
    }
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let column = Column::ALL.into_iter().find(|column| column.as_str() == name);
        column.map(|column| Self { column, descending }).ok_or_else(|| {
            let names = Column::ALL.map(Column::as_str).join(", ");
            format!("sort must be one of {names}; prefix it with - for descending order")
        })
    }
}

impl Sort {
    /// As it stands in a URL.
    pub(crate) fn text(self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column.as_str())
    }

    /// What a click on the header of a column makes of it: the column's usual order, or the other one.
    pub(super) fn clicked(self, column: Column) -> Self {
        let descending = if self.column == column { !self.descending } else { column.is_number() };
        Self { column, descending }
    }

    /// Sorts rows by this key, equal ones by the names of what they show.
    pub(super) fn sort<T>(
        self,
        rows: &mut [T],
        key: impl Fn(&T) -> SortKey<'_>,
        name: impl Fn(&T, &T) -> Ordering,
    ) {
        rows.sort_by(|one, other| {
            let ordering = key(one).compare(&key(other), self.descending);
            ordering.then_with(|| name(one, other))
        });
    }
}

/// What a row is sorted by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SortKey<'a> {
    Text(&'a str),
    /// Absent ones come last in either order.
    Number(Option<f64>),
    /// Nothing: the names decide.
    Name,
}

impl SortKey<'_> {
    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let turned = |ordering: Ordering| if descending { ordering.reverse() } else { ordering };
        match (self, other) {
            (Self::Number(Some(one)), Self::Number(Some(two))) => turned(one.total_cmp(two)),
            (Self::Number(one), Self::Number(two)) => two.is_some().cmp(&one.is_some()),
            (Self::Text(one), Self::Text(two)) => turned(one.cmp(two)),
            _ => Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_is_written_and_a_wrong_one_names_all_columns() {
        for text in ["state", "-cpu", "name", "-age"] {
            assert_eq!(text.parse::<Sort>().unwrap().text(), text);
        }
        assert!("--cpu".parse::<Sort>().unwrap_err().contains("state, name, account"));
    }

    #[test]
    fn a_click_turns_the_order_and_numbers_begin_with_the_largest() {
        let clicked = |from: &str, column| from.parse::<Sort>().unwrap().clicked(column).text();
        assert_eq!(clicked("state", Column::Cpu), "-cpu");
        assert_eq!(clicked("-cpu", Column::Cpu), "cpu");
        assert_eq!(clicked("-cpu", Column::Name), "name");
    }

    #[test]
    fn absent_numbers_come_last_and_names_decide_between_equals() {
        for (order, expected) in [("cpu", "b c a d"), ("-cpu", "c b a d")] {
            let mut rows = [("d", None), ("a", None), ("c", Some(2.0)), ("b", Some(1.0))];
            let sort: Sort = order.parse().unwrap();
            sort.sort(&mut rows, |row| SortKey::Number(row.1), |one, other| one.0.cmp(other.0));
            assert_eq!(rows.map(|row| row.0).join(" "), expected);
        }
    }
}
