//! Services whose metrics are asked for together, and what the answers say of each. Pure.

use std::collections::HashMap;

use super::instances::InstancePoints;
use super::kept::KnownBandwidth;
use super::metric::Metric;
use super::series::{Answer, NewestPoint};
use super::target::Kind;
use crate::cloud::kit::point::Point;
use crate::cloud::model::{Limits, MeasurementSet, Reading, SampleBuilder, Scale};

/// A batch of services as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The services among those of the cycle.
    pub(super) services: Vec<usize>,
    /// The answers by metric.
    answers: [Option<Answer>; Metric::COUNT],
    /// What is not asked for, since the last values are the newest.
    pub(super) current: MeasurementSet,
    /// Requests without a response.
    pub(super) pending: usize,
    /// Those of them that show which instances there are.
    pub(super) pending_usage: usize,
}

impl Batch {
    /// A batch of these services of the cycle, for which nothing was asked yet.
    pub(super) fn new(services: Vec<usize>) -> Self {
        Self { services, ..Self::default() }
    }

    /// Takes an answer in.
    pub(super) fn add(&mut self, metric: Metric, answer: Answer) {
        self.answers[metric as usize] = Some(answer);
    }

    /// The answer to the request for a metric.
    pub(super) fn answer(&self, metric: Metric) -> Option<&Answer> {
        self.answers[metric as usize].as_ref()
    }

    /// Says that these metrics are not asked for, since the last values are the newest.
    pub(super) fn leave_out(&mut self, metrics: [Metric; 2]) {
        let measurements = metrics.into_iter().filter_map(Metric::measurement);
        self.current = measurements.fold(self.current, |all, one| all.union(MeasurementSet::of(&[one])));
    }

    /// The answers to the requests for two metrics; `None` unless both came.
    pub(super) fn both(&self, [one, other]: [Metric; 2]) -> Option<[&Answer; 2]> {
        Some([self.answer(one)?, self.answer(other)?])
    }

    /// Whether it is known which instances there are.
    pub(super) fn has_instances(&self) -> bool {
        self.answer(Metric::Cpu).is_some() || self.answer(Metric::Memory).is_some()
    }

    /// What came of the metrics of an instance with these points.
    pub(super) fn instance(&self, points: &InstancePoints) -> Reading {
        let mut values = Values { current: self.current, ..Values::default() };
        for (metric, point) in [(Metric::Cpu, points.cpu), (Metric::Memory, points.memory)] {
            values.read(metric, self.answer(metric).is_some(), |sample| {
                if let (Some(measurement), Some(Point { time, value })) = (metric.measurement(), point) {
                    sample.add(measurement, Scale::Base, value, time);
                }
            });
        }
        values.reading()
    }

    /// What came of the metrics of a service as a whole. `bandwidth` is what is known of it now: `None` where it was never
    /// read.
    pub(super) fn service(
        &self,
        id: &str,
        kind: Kind,
        with_http: bool,
        bandwidth: Option<KnownBandwidth>,
    ) -> Reading {
        let mut values = Values { current: self.current, ..Values::default() };
        if with_http && kind == Kind::WebService {
            for metric in [Metric::Requests, Metric::Latency] {
                let answer = self.answer(metric);
                values.read(metric, answer.is_some(), |sample| {
                    let newest = answer.into_iter().flat_map(|answer| answer.newest_of(id));
                    for NewestPoint { name, point: Point { time, value } } in newest {
                        if let Some(measurement) = metric.measurement() {
                            sample.add_labeled(measurement, name, Scale::Base, *value, *time);
                        }
                    }
                });
            }
        }
        let metric = Metric::Bandwidth;
        values.read(metric, bandwidth.is_some(), |sample| {
            if let (Some(measurement), Some(Point { time, value })) =
                (metric.measurement(), bandwidth.and_then(|bandwidth| bandwidth.point))
            {
                sample.add(measurement, Scale::Base, value, time);
            }
        });
        values.reading()
    }

    /// What these instances of a service may use, empty for those of which the cloud does not say it. `None` unless both
    /// limits were answered.
    pub(super) fn limits<'a>(
        &self,
        service: &str,
        instances: impl Iterator<Item = &'a str>,
    ) -> Option<HashMap<String, Limits>> {
        let (cpu, memory) = (self.answer(Metric::CpuLimit)?, self.answer(Metric::MemoryLimit)?);
        // Clouds use 0 for "none".
        let by_id = |answer: &'_ Answer| -> HashMap<String, f64> {
            let limits = answer.of(service).iter().filter(|newest| newest.point.value > 0.0);
            limits.map(|newest| (newest.name.clone(), newest.point.value)).collect()
        };
        let (cpu, memory) = (by_id(cpu), by_id(memory));
        let limits = |id: &str| Limits {
            cpu_cores: cpu.get(id).copied(),
            memory_bytes: memory.get(id).copied(),
            disk_bytes: None,
        };
        Some(instances.map(|id| (id.to_owned(), limits(id))).collect())
    }
}

/// Values, and beside them what was not read.
#[derive(Default)]
struct Values {
    sample: SampleBuilder,
    unread: MeasurementSet,
    current: MeasurementSet,
}

impl Values {
    /// Adds the values of a metric, or that it was not read.
    fn read(&mut self, metric: Metric, is_read: bool, add: impl FnOnce(&mut SampleBuilder)) {
        if is_read {
            add(&mut self.sample);
        } else if let Some(measurement) = metric.measurement().filter(|one| !self.current.contains(*one)) {
            self.unread = self.unread.union(MeasurementSet::of(&[measurement]));
        }
    }

    fn reading(self) -> Reading {
        let Self { mut sample, unread, current } = self;
        let sample = sample.build();
        Reading { sample: (!sample.is_empty()).then_some(sample), unread, current, error: None }
    }
}

/// The limits that all instances share whose limits are known.
pub(super) fn shared_limits<'a>(mut limits: impl Iterator<Item = &'a Limits>) -> Option<Limits> {
    let first = limits.by_ref().find(|limits| !limits.is_empty())?;
    limits.filter(|limits| !limits.is_empty()).all(|limits| limits == first).then_some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::kit::InventoryBudget;
    use crate::cloud::model::Measurement;
    use crate::cloud::render::series;

    #[allow(clippy::unnecessary_wraps)]
    fn bandwidth(point: Option<Point>) -> Option<KnownBandwidth> {
        Some(KnownBandwidth { read_at: tokio::time::Instant::now(), point })
    }

    fn answer(metric: Metric, unit: &str, label: (&str, &str), value: f64) -> Answer {
        let body = serde_json::json!([{
            "labels": [{"field": "resource", "value": "srv-a"}, {"field": label.0, "value": label.1}],
            "unit": unit, "values": [{"timestamp": "2026-11-27T10:00:00Z", "value": value}],
        }]);
        series::newest(body.to_string().as_bytes(), metric, 0, i64::MAX, &mut { InventoryBudget::PER_CYCLE })
            .unwrap()
    }

    #[test]
    fn a_metric_that_was_not_answered_is_unread_and_one_without_a_point_is_no_data() {
        let mut batch = Batch::new(vec![0]);
        batch.add(Metric::Cpu, Answer::default());
        let reading = batch.instance(&InstancePoints::default());
        assert_eq!(reading.unread, MeasurementSet::of(&[Measurement::MemoryUsage]));
        assert_eq!(reading.sample, None);

        let of = |kind, with_http, bandwidth| batch.service("srv-a", kind, with_http, bandwidth).unread;
        let http = [Measurement::ServiceHttpRequests, Measurement::ServiceHttpDuration];
        assert_eq!(of(Kind::WebService, true, bandwidth(None)), MeasurementSet::of(&http));
        assert_eq!(of(Kind::WebService, false, bandwidth(None)), MeasurementSet::NONE, "not asked for");
        assert_eq!(
            of(Kind::BackgroundWorker, true, None),
            MeasurementSet::of(&[Measurement::ServiceTransmitRate])
        );
    }

    #[test]
    fn requests_and_latency_carry_their_code_and_quantile() {
        let mut batch = Batch::new(vec![0]);
        batch.add(Metric::Requests, answer(Metric::Requests, "requests", ("statusCode", "200"), 120.0));
        batch.add(Metric::Latency, answer(Metric::Latency, "ms", ("quantile", "0.95"), 250.0));
        let reading =
            batch.service("srv-a", Kind::WebService, true, bandwidth(Some(Point { time: 9.0, value: 7.0 })));
        let sample = reading.sample.unwrap();
        let values: Vec<_> =
            sample.values().map(|value| (value.measurement, value.label, value.base())).collect();
        assert_eq!(
            values,
            [
                (Measurement::ServiceHttpRequests, Some("200"), 2.0),
                (Measurement::ServiceHttpDuration, Some("0.95"), 0.25),
                (Measurement::ServiceTransmitRate, None, 7.0),
            ]
        );
    }

    #[test]
    fn limits_are_those_of_each_instance_and_0_is_none() {
        let mut batch = Batch::new(vec![0]);
        batch.add(Metric::CpuLimit, answer(Metric::CpuLimit, "cpu", ("instance", "one"), 0.5));
        assert_eq!(batch.limits("srv-a", ["one"].into_iter()), None, "memory was not answered");
        batch.add(Metric::MemoryLimit, answer(Metric::MemoryLimit, "GB", ("instance", "one"), 0.0));
        let limits = batch.limits("srv-a", ["one", "two"].into_iter()).unwrap();
        assert_eq!(limits["one"], Limits { cpu_cores: Some(0.5), ..Limits::default() });
        assert_eq!(limits["two"], Limits::default());
    }

    #[test]
    fn limits_that_all_share_are_those_of_the_service() {
        let of = |cpu_cores| Limits { cpu_cores, ..Limits::default() };
        let shared = |limits: &[Limits]| shared_limits(limits.iter());
        assert_eq!(shared(&[of(None), of(Some(1.0)), of(Some(1.0))]), Some(of(Some(1.0))));
        assert_eq!(shared(&[of(Some(2.0)), of(Some(1.0))]), None);
        assert_eq!(shared(&[of(None)]), None);
    }
}
