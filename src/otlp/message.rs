//! OTLP's messages, made of families and samples. Pure.
//!
//! A metric keeps its Prometheus name whole, as the specification of the compatibility of both wants it by default. Receivers
//! add a unit and `_total` only where a name does not have them, so the name comes out the same whether they add suffixes or
//! not. A unit by which they would change the name is left out.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum,
};
use prost::Message;

use super::text::{Sample, labels};
use crate::hash::keyed_hash;

/// The family whose values are the starts of the counters of the same labels.
const START_TIME: &str = "caas_instance_start_time_seconds";

/// An attribute with a text.
pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// How the values of a family develop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// Up and down. Infos are gauges of value 1.
    #[default]
    Gauge,
    /// Up, and back to 0 with a new start.
    Counter,
    /// Counts by bucket.
    Histogram,
}

/// The family whose samples are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
}

impl Family {
    /// The metric of the family, without points.
    pub(super) fn metric(&self) -> Metric {
        let temporality = AggregationTemporality::Cumulative.into();
        let data = match self.kind {
            Kind::Gauge => Data::Gauge(Gauge::default()),
            Kind::Counter => {
                Data::Sum(Sum { aggregation_temporality: temporality, is_monotonic: true, ..Sum::default() })
            }
            Kind::Histogram => {
                Data::Histogram(Histogram { aggregation_temporality: temporality, ..Histogram::default() })
            }
        };
        Metric {
            name: self.name.clone(),
            description: self.help.clone(),
            unit: unit(&self.name, self.kind).to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }
}

/// The unit in UCUM, from the word that the name ends in.
///
/// `By/s` would be right for `…_bytes_per_second`, but receivers that add suffixes look for the single words of a name, do
/// not find `per_second`, and add it once more.
fn unit(name: &str, kind: Kind) -> &'static str {
    let base = name.trim_end_matches("_total");
    match base.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        Some("cores") => "{core}",
        Some("ratio") if kind == Kind::Gauge => "1",
        _ => "",
    }
}

/// When values were measured and counting began, in nanoseconds since the epoch.
pub(super) struct Times {
    /// For samples without a time of their own.
    now: u64,
    /// For counters whose start is not known otherwise; 0: not known.
    started: u64,
    /// The starts of instances, by the hash of their labels.
    of_instances: HashMap<u64, u64>,
}

impl Times {
    pub(super) fn new(now: u64, started: u64) -> Self {
        Self { now, started, of_instances: HashMap::new() }
    }

    /// Takes note of a start, where the sample is one.
    pub(super) fn note(&mut self, sample: &Sample<'_>) {
        if sample.name == START_TIME {
            // A float's cast to an integer saturates, so even a senseless time is a valid one.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let start = (sample.value * 1e9) as u64;
            self.of_instances.insert(keyed_hash(sample.labels), start);
        }
    }

    fn of(&self, sample: &Sample<'_>) -> u64 {
        let milliseconds = sample.time.and_then(|time| u64::try_from(time).ok());
        milliseconds.map_or(self.now, |time| time.saturating_mul(1_000_000))
    }

    /// When counting began; 0 where that is not known, or where the clocks of the cloud differ.
    fn start(&self, sample: &Sample<'_>, time: u64) -> u64 {
        let start = self.of_instances.get(&keyed_hash(sample.labels)).copied();
        start.filter(|start| *start <= time).unwrap_or(self.started.min(time))
    }
}

/// A point of either form.
pub(super) enum Point {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
}

impl Point {
    /// How many bytes it has in a message.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Histogram(point) => point.encoded_len(),
        }
    }

    /// The same, flagged as without a value: its series has ended. Prometheus writes a staleness marker for it.
    pub(super) fn without_value(self) -> Self {
        let flags = DataPointFlags::NoRecordedValueMask as u32;
        match self {
            Self::Number(point) => Self::Number(NumberDataPoint { value: None, flags, ..point }),
            Self::Histogram(point) => Self::Histogram(HistogramDataPoint { flags, ..point }),
        }
    }
}

/// The point of a sample that is no part of a histogram; `common` are attributes of all points of the target.
pub(super) fn point(sample: &Sample<'_>, kind: Kind, times: &Times, common: &[KeyValue]) -> NumberDataPoint {
    let time = times.of(sample);
    NumberDataPoint {
        attributes: attributes(sample.labels, common),
        start_time_unix_nano: if kind == Kind::Counter { times.start(sample, time) } else { 0 },
        time_unix_nano: time,
        value: Some(Number::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// The labels of a series, and before them those of its target that it does not have itself.
fn attributes(text: &str, common: &[KeyValue]) -> Vec<KeyValue> {
    let mut all = common.to_vec();
    for (name, value) in labels(text) {
        all.retain(|known| known.key != name);
        all.push(attribute(name, &value));
    }
    all
}

/// A histogram whose lines are read one after the other: its buckets, each with those below it, its sum, and its count.
#[derive(Debug, Default)]
pub(super) struct OpenHistogram {
    point: HistogramDataPoint,
    /// The count of the bucket before.
    below: u64,
}

impl OpenHistogram {
    /// Takes a line; returns the point with the last one.
    pub(super) fn push(
        &mut self,
        family: &str,
        sample: &Sample<'_>,
        times: &Times,
        common: &[KeyValue],
    ) -> Option<HistogramDataPoint> {
        // Counts are whole and positive, and exact in an f64.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = sample.value as u64;
        match sample.name.strip_prefix(family)? {
            "_bucket" => {
                let bound = labels(sample.labels).find(|(name, _)| *name == "le")?.1.parse::<f64>().ok()?;
                if bound.is_finite() {
                    self.point.explicit_bounds.push(bound);
                }
                self.point.bucket_counts.push(count.saturating_sub(self.below));
                self.below = count;
                None
            }
            "_sum" => {
                self.point.sum = Some(sample.value);
                None
            }
            "_count" => {
                let Self { mut point, .. } = std::mem::take(self);
                point.time_unix_nano = times.of(sample);
                point.start_time_unix_nano = times.start(sample, point.time_unix_nano);
                point.count = count;
                point.attributes = attributes(sample.labels, common);
                Some(point)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_one_that_leaves_the_name_as_it_is() {
        for (name, kind, expected) in [
            ("caas_instance_cpu_usage_seconds_total", Kind::Counter, "s"),
            ("caas_instance_network_receive_bytes_total", Kind::Counter, "By"),
            ("caas_instance_network_receive_bytes_per_second", Kind::Gauge, ""),
            ("caas_instance_network_receive_errors_total", Kind::Counter, ""),
            ("caas_instance_memory_utilization_ratio", Kind::Gauge, "1"),
            ("some_ratio_total", Kind::Counter, ""),
            ("caas_instance_cpu_limit_cores", Kind::Gauge, "{core}"),
            ("caas_service_info", Kind::Gauge, ""),
        ] {
            let family = Family { name: name.into(), help: "Help.".into(), kind };
            let metric = family.metric();
            assert_eq!((&*metric.name, &*metric.unit, &*metric.description), (name, expected, "Help."));
        }
    }

    #[test]
    fn a_label_of_a_series_goes_before_one_of_its_target() {
        let common = [attribute("team", "checkout"), attribute("account", "target's")];
        let all = attributes(r#"account="acme",image="",service_name="a\"b""#, &common);
        let expected =
            [attribute("team", "checkout"), attribute("account", "acme"), attribute("service_name", "a\"b")];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_counter_starts_with_its_instance_unless_that_lies_ahead() {
        let sample = |name, labels, value, time| Sample { name, labels, value, time };
        let mut times = Times::new(5_000_000_000, 1_000_000_000);
        times.note(&sample(START_TIME, "id=\"a\"", 3.5, None));
        times.note(&sample(START_TIME, "id=\"b\"", 9.0, None));
        let start = |labels, kind| {
            let point = point(&sample("n_total", labels, 7.0, None), kind, &times, &[]);
            (point.start_time_unix_nano, point.time_unix_nano)
        };
        assert_eq!(start("id=\"a\"", Kind::Counter), (3_500_000_000, 5_000_000_000));
        assert_eq!(start("id=\"b\"", Kind::Counter), (1_000_000_000, 5_000_000_000));
        assert_eq!(start("id=\"c\"", Kind::Counter), (1_000_000_000, 5_000_000_000));
        assert_eq!(start("id=\"a\"", Kind::Gauge), (0, 5_000_000_000));

        let own = point(&sample("n_total", "id=\"a\"", 7.0, Some(4_250)), Kind::Counter, &times, &[]);
        assert_eq!((own.start_time_unix_nano, own.time_unix_nano), (3_500_000_000, 4_250_000_000));
    }
}
