//! An instance's measurements as the API sends them: names of columns, and rows of numbers. Pure.
//!
//! Reads in one pass, keeps the newest row only, and finds values by column name, never by position.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_problem, json_text};
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::point::LATEST;
use crate::cloud::model::{Measurement, Reading, Sample, Scale};

/// The largest value. No counter of 64 bits and nothing else that is exposed exceeds it.
const LARGEST: f64 = u64::MAX as f64;

/// Reads the newest row. The response for an instance without data is empty or has no points.
pub(super) fn newest(body: &[u8]) -> Result<Reading, AnswerProblem> {
    let text = json_text(body)?;
    if text.trim_ascii().is_empty() {
        return Ok(Reading::no_data());
    }
    let response = read(text, None)?;
    // Columns that come after the points make a second pass.
    let response = match response {
        Response { columns: Some(columns), early_points: true, .. } => read(text, Some(columns))?,
        response => response,
    };
    match response {
        Response { newest: Some(row), .. } => Ok(Reading::measured(row.sample())),
        Response { rows: 0, .. } => Ok(Reading::no_data()),
        // There are rows, but none has a time, or nothing names their columns.
        Response { .. } => Err(AnswerProblem::Shape),
    }
}

fn read(text: &str, columns: Option<Vec<Column>>) -> Result<Response, AnswerProblem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let response = ResponseSeed { columns }.deserialize(&mut deserializer);
    let end = response.and_then(|response| deserializer.end().map(|()| response));
    end.map_err(|error| json_problem(&error))
}

/// What a column holds, if it is one that is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Time,
    /// An index into [`MEASURED`].
    Measured(usize),
    Other,
}

/// The columns that hold measurements, each with its unit.
const MEASURED: [(&str, Measurement, Scale); 8] = [
    ("cpu_cumulative_usage", Measurement::CpuUsageSeconds, Scale::Nano),
    ("cpu_utilization", Measurement::CpuUtilization, Scale::Percent),
    ("memory_usage", Measurement::MemoryUsage, Scale::Base),
    ("memory_utilization", Measurement::MemoryUtilization, Scale::Percent),
    ("rx_bytes", Measurement::ReceiveBytes, Scale::Base),
    ("rx_errors", Measurement::ReceiveErrors, Scale::Base),
    ("tx_bytes", Measurement::TransmitBytes, Scale::Base),
    ("tx_errors", Measurement::TransmitErrors, Scale::Base),
];

impl Column {
    fn named(name: &str) -> Self {
        if name == "time" {
            return Self::Time;
        }
        MEASURED.iter().position(|(column, ..)| *column == name).map_or(Self::Other, Self::Measured)
    }
}

/// One row, with values in the order of [`MEASURED`].
#[derive(Debug, Clone, Copy)]
struct Row {
    timestamp: f64,
    values: [Option<f64>; MEASURED.len()],
}

impl Row {
    fn sample(&self) -> Sample {
        let mut values = [(Measurement::CpuUsageSeconds, Scale::Base, 0.0); MEASURED.len()];
        let mut count = 0;
        for ((_, measurement, scale), value) in MEASURED.iter().zip(self.values) {
            if let Some(value) = value {
                values[count] = (*measurement, *scale, value);
                count += 1;
            }
        }
        Sample::at(self.timestamp, &values[..count])
    }
}

#[derive(Default)]
struct Response {
    columns: Option<Vec<Column>>,
    newest: Option<Row>,
    rows: usize,
    /// The points came before the columns, so they were only counted.
    early_points: bool,
}

/// Reads the response's object. `null` and an empty object are responses without points.
struct ResponseSeed {
    columns: Option<Vec<Column>>,
}

impl<'de> DeserializeSeed<'de> for ResponseSeed {
    type Value = Response;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Response, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ResponseSeed {
    type Value = Response;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with columns and points")
    }

    fn visit_unit<E>(self) -> Result<Response, E> {
        Ok(Response::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Response, A::Error> {
        let mut response = Response { columns: self.columns, ..Response::default() };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match (&*key, &response.columns) {
                ("columns", None) => response.columns = map.next_value_seed(ColumnsSeed)?,
                ("points", columns) => {
                    response.early_points = columns.is_none();
                    let columns = columns.as_deref().unwrap_or_default();
                    let points = map.next_value_seed(PointsSeed { columns })?;
                    response.newest = points.newest;
                    response.rows = points.rows;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(response)
    }
}

/// Reads the column names. `null` is no list of names.
struct ColumnsSeed;

impl<'de> DeserializeSeed<'de> for ColumnsSeed {
    type Value = Option<Vec<Column>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ColumnsSeed {
    type Value = Option<Vec<Column>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of names")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut columns = Vec::with_capacity(10);
        while let Some(name) = list.next_element::<Scalar<'de>>()? {
            columns.push(if let Scalar::Text(name) = name { Column::named(&name) } else { Column::Other });
        }
        Ok(Some(columns))
    }
}

#[derive(Default)]
struct Points {
    newest: Option<Row>,
    rows: usize,
}

struct PointsSeed<'a> {
    columns: &'a [Column],
}

impl<'de> DeserializeSeed<'de> for PointsSeed<'_> {
    type Value = Points;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Points, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PointsSeed<'_> {
    type Value = Points;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of rows")
    }

    fn visit_unit<E>(self) -> Result<Points, E> {
        Ok(Points::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Points, A::Error> {
        let mut points = Points::default();
        while let Some(row) = list.next_element_seed(RowSeed { columns: self.columns })? {
            points.rows += 1;
            let newer = |row: &Row| points.newest.is_none_or(|newest| row.timestamp > newest.timestamp);
            if let Some(row) = row.filter(newer) {
                points.newest = Some(row);
            }
        }
        Ok(points)
    }
}

/// Reads one row. `None` where it has no time. A row may be shorter or longer than the columns.
struct RowSeed<'a> {
    columns: &'a [Column],
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Option<Row>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Option<Row>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row of numbers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; MEASURED.len()];
        let mut time = None;
        for column in self.columns {
            let value = if *column == Column::Other {
                match list.next_element::<IgnoredAny>()? {
                    Some(_) => continue,
                    None => break,
                }
            } else {
                match list.next_element::<Scalar<'de>>()? {
                    Some(value) => value.number().filter(|number| (0.0..=LARGEST).contains(number)),
                    None => break,
                }
            };
            match column {
                Column::Time => time = value.filter(|seconds| *seconds > 0.0 && *seconds < LATEST),
                Column::Measured(index) => values[*index] = value,
                Column::Other => {}
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(time.map(|timestamp| Row { timestamp, values }))
    }
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
