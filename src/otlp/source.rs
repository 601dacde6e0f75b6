//! One target's text as OTLP's messages, a bounded part at a time.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::message::{Family, Kind, OpenHistogram, Point, Times, point};
use super::sent::{Reading, TargetLabels};
use super::text::{Line, Lines, Sample};
use crate::hash::keyed_hash;

/// What Prometheus would scrape at one place: an account, or the program itself.
pub(super) struct Source {
    lines: Lines,
    labels: Arc<TargetLabels>,
    times: Times,
    family: Family,
    histogram: OpenHistogram,
    pass: Pass,
}

/// Which samples of the text are sent.
enum Pass {
    /// All; noted where an older text is to be compared with them.
    Served(Option<SeriesSet>),
    /// Of a text that was served before, those whose series are not served any more, as points without a value.
    Ended(SeriesSet),
}

/// Series of one target, as hashes of their names and labels.
#[derive(Debug, Default)]
pub(super) struct SeriesSet(HashSet<u64>);

/// A part of a source.
pub(super) struct Part {
    pub(super) metrics: ResourceMetrics,
    pub(super) points: usize,
    /// How many bytes these have in a message.
    pub(super) bytes: usize,
    /// Whether it is the last.
    pub(super) is_last: bool,
}

impl Source {
    /// A text whose samples, where they have no time of their own, are of the time that `times` says. `notes`: whether its
    /// series are noted.
    pub(super) fn served(reading: Reading, times: Times, notes: bool) -> Self {
        Self::new(reading, times, Pass::Served(notes.then(SeriesSet::default)))
    }

    /// A text that was served before: what ended since then, as `served` does not have it.
    pub(super) fn ended(reading: Reading, times: Times, served: SeriesSet) -> Self {
        Self::new(reading, times, Pass::Ended(served))
    }

    fn new(reading: Reading, times: Times, pass: Pass) -> Self {
        Self {
            lines: Lines::of(reading.gzip),
            labels: reading.labels,
            times,
            family: Family::default(),
            histogram: OpenHistogram::default(),
            pass,
        }
    }

    /// The series that were noted, with the labels of their target.
    pub(super) fn into_noted(self) -> (SeriesSet, Arc<TargetLabels>) {
        match self.pass {
            Pass::Served(noted) => (noted.unwrap_or_default(), self.labels),
            Pass::Ended(_) => (SeriesSet::default(), self.labels),
        }
    }

    /// The next points, at most so many, and none after those that exceed so many bytes. Costs CPU time: not for async threads.
    pub(super) fn next_part(&mut self, most: usize, most_bytes: usize) -> io::Result<Part> {
        let Self { lines, labels, times, family, histogram, pass } = self;
        let (mut metrics, mut points, mut bytes, mut is_last) = (Vec::<Metric>::new(), 0, 0, false);
        while points < most && bytes < most_bytes {
            let Some(line) = lines.next()? else {
                is_last = true;
                break;
            };
            let sample = match line {
                Line::Help(name, help) => {
                    *family = Family { name: name.to_owned(), help: help.to_owned(), kind: Kind::Gauge };
                    continue;
                }
                Line::Type(name, kind) => {
                    if family.name != name {
                        *family = Family { name: name.to_owned(), ..Family::default() };
                    }
                    family.kind = match kind {
                        "counter" => Kind::Counter,
                        "histogram" => Kind::Histogram,
                        _ => Kind::Gauge,
                    };
                    continue;
                }
                Line::Sample(sample) => sample,
            };
            times.note(&sample);
            let made = if family.kind == Kind::Histogram {
                histogram.push(&family.name, &sample, times, &labels.common).map(Point::Histogram)
            } else {
                Some(Point::Number(point(&sample, family.kind, times, &labels.common)))
            };
            let Some(point) = made.and_then(|point| pass.sends(&sample, point)) else { continue };
            if metrics.last().is_none_or(|metric| metric.name != family.name) {
                metrics.push(family.metric());
            }
            points += 1;
            bytes += point.encoded_len();
            match (metrics.last_mut().and_then(|metric| metric.data.as_mut()), point) {
                (Some(Data::Gauge(gauge)), Point::Number(point)) => gauge.data_points.push(point),
                (Some(Data::Sum(sum)), Point::Number(point)) => sum.data_points.push(point),
                (Some(Data::Histogram(all)), Point::Histogram(point)) => all.data_points.push(point),
                // A family has one kind.
                _ => points -= 1,
            }
        }
        // Without a scope: receivers would make labels of it that a scrape does not have.
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource = Resource { attributes: labels.resource.clone(), ..Resource::default() };
        let metrics =
            ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
        Ok(Part { metrics, points, bytes, is_last })
    }
}

impl Pass {
    /// What is sent of a sample, which for a histogram is that of its count.
    fn sends(&mut self, sample: &Sample<'_>, point: Point) -> Option<Point> {
        match self {
            Self::Served(None) => Some(point),
            Self::Served(Some(noted)) => {
                noted.0.insert(series(sample));
                Some(point)
            }
            // As after a scrape: one with a time of its own ends by itself, and may come back with an older time.
            Self::Ended(_) if sample.time.is_some() => None,
            Self::Ended(served) if served.0.contains(&series(sample)) => None,
            Self::Ended(_) => Some(point.without_value()),
        }
    }
}

/// The hash of a sample's series.
fn series(sample: &Sample<'_>) -> u64 {
    keyed_hash((sample.name, sample.labels))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use opentelemetry_proto::tonic::metrics::v1::DataPointFlags;

    use super::*;

    fn reading(text: &str) -> Reading {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let labels = TargetLabels { resource: Vec::new(), common: Vec::new() };
        Reading { labels: Arc::new(labels), gzip: gzip.finish().unwrap().into(), series: 0 }
    }

    const BEFORE: &str = r#"# HELP m Help.
# TYPE m gauge
m{a="1"} 1
m{a="2"} 2
# HELP n_total Help.
# TYPE n_total counter
n_total{a="1"} 5
n_total{a="2"} 6 1480000000250
# HELP h Help.
# TYPE h histogram
h_bucket{a="1",le="1"} 1
h_bucket{a="1",le="+Inf"} 3
h_sum{a="1"} 9
h_count{a="1"} 3
h_bucket{a="2",le="1"} 1
h_bucket{a="2",le="+Inf"} 3
h_sum{a="2"} 9
h_count{a="2"} 3
"#;

    #[test]
    fn what_is_served_no_longer_ends_unless_it_has_times_of_its_own() {
        let now = r#"# HELP m Help.
# TYPE m gauge
m{a="2"} 7
# HELP h Help.
# TYPE h histogram
h_bucket{a="1",le="1"} 2
h_bucket{a="1",le="+Inf"} 4
h_sum{a="1"} 9
h_count{a="1"} 4
"#;
        let mut served = Source::served(reading(now), Times::new(7, 0), true);
        assert_eq!(served.next_part(10, usize::MAX).unwrap().points, 2);
        let (noted, _) = served.into_noted();
        let mut ended = Source::ended(reading(BEFORE), Times::new(8, 0), noted);
        let mut metrics = Vec::new();
        // A part at a time: what it compares with does not depend on where a part ends.
        loop {
            let part = ended.next_part(1, usize::MAX).unwrap();
            assert!(part.points <= 1);
            metrics.extend(part.metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
            if part.is_last {
                break;
            }
        }
        let flag = DataPointFlags::NoRecordedValueMask as u32;
        let point = |metric: &Metric| match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => (gauge.data_points[0].flags, gauge.data_points[0].time_unix_nano),
            Data::Sum(sum) => (sum.data_points[0].flags, sum.data_points[0].time_unix_nano),
            Data::Histogram(all) => {
                // Receivers make a series of each bucket end.
                assert_eq!((&*all.data_points[0].explicit_bounds, all.data_points.len()), (&[1.0][..], 1));
                (all.data_points[0].flags, all.data_points[0].time_unix_nano)
            }
            other => panic!("{other:?}"),
        };
        let points: Vec<_> = metrics.iter().map(|metric| (&*metric.name, point(metric))).collect();
        assert_eq!(points, [("m", (flag, 8)), ("n_total", (flag, 8)), ("h", (flag, 8))]);
    }
}
