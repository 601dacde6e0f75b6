//! An instance's measurements as the API sends them: names of columns, and rows of numbers. Pure.
//!
//! Reads in one pass, keeps the newest value of each column only, and finds values by column name, never by position.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_problem, json_text};
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::point::{LATEST, Newest, Point};
use crate::cloud::model::{Measurement, Reading, Sample, Scale};

/// The largest value. No counter of 64 bits and nothing else that is exposed exceeds it.
const LARGEST: f64 = u64::MAX as f64;

/// Reads the newest value of each column, of the rows that are not older than `oldest` (seconds since the epoch). A row may
/// have nulls where an older one has values. The response for an instance without data is empty, or has no points or none
/// with a value.
pub(super) fn newest(body: &[u8], oldest: f64) -> Result<Reading, AnswerProblem> {
    let text = json_text(body)?;
    if text.trim_ascii().is_empty() {
        return Ok(Reading::no_data());
    }
    let response = read(text, None, oldest)?;
    // Columns that come after the points make a second pass.
    let response = match response {
        Response { columns: Some(columns), early_points: true, .. } => read(text, Some(columns), oldest)?,
        response => response,
    };
    let points = response.points.unwrap_or_else(|| Points::since(oldest));
    if points.rows > 0 && !points.has_times {
        // There are rows, but none has a time, or nothing names their columns.
        return Err(AnswerProblem::Shape);
    }
    let sample = points.sample();
    Ok(if sample.is_empty() { Reading::no_data() } else { Reading::measured(sample) })
}

fn read(text: &str, columns: Option<Vec<Column>>, oldest: f64) -> Result<Response, AnswerProblem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let response = ResponseSeed { columns, oldest }.deserialize(&mut deserializer);
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
    time: f64,
    values: [Option<f64>; MEASURED.len()],
}

#[derive(Default)]
struct Response {
    columns: Option<Vec<Column>>,
    /// `None` without the field.
    points: Option<Points>,
    /// The points came before the columns, so they were only counted.
    early_points: bool,
}

/// Reads the response's object. `null` and an empty object are responses without points.
struct ResponseSeed {
    columns: Option<Vec<Column>>,
    oldest: f64,
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
                    let seed = PointsSeed { columns, oldest: self.oldest };
                    response.points = Some(map.next_value_seed(seed)?);
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

/// What the rows hold.
struct Points {
    /// The newest value of each of [`MEASURED`].
    newest: [Newest; MEASURED.len()],
    rows: usize,
    /// Whether any row has a time.
    has_times: bool,
}

impl Points {
    fn since(oldest: f64) -> Self {
        Self { newest: [Newest::since(oldest); MEASURED.len()], rows: 0, has_times: false }
    }

    fn sample(&self) -> Sample {
        let mut sample = Sample::builder();
        for ((_, measurement, scale), newest) in MEASURED.iter().zip(&self.newest) {
            if let Some(Point { time, value }) = newest.point() {
                sample.add(*measurement, *scale, value, time);
            }
        }
        sample.build()
    }
}

struct PointsSeed<'a> {
    columns: &'a [Column],
    oldest: f64,
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
        Ok(Points::since(self.oldest))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Points, A::Error> {
        let mut points = Points::since(self.oldest);
        while let Some(row) = list.next_element_seed(RowSeed { columns: self.columns })? {
            points.rows += 1;
            if let Some(Row { time, values }) = row {
                points.has_times = true;
                for (newest, value) in points.newest.iter_mut().zip(values) {
                    newest.offer(Some(time), value);
                }
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
        Ok(time.map(|time| Row { time, values }))
    }
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
