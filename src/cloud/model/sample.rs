//! The values that one owner's measurements had, each with its unit and its time, in few bytes.
//!
//! An account may have 100,000 instances, and several holders keep each sample: clones share the values.

use std::sync::Arc;

use super::measurement::{Measurement, MeasurementSet, Scale};
use super::unprintable::is_unprintable;

/// A label's value that is longer is dropped with its measurement: status codes and quantiles are short.
const LONGEST_LABEL: usize = 64;
/// A sample has no more different labels; values with further ones are dropped. HTTP has fewer status codes in use, and a
/// cloud that invents thousands must not fill the memory with them.
const MOST_LABELS: usize = 100;

/// Measured values of one instance or service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    timestamp: f64,
    values: Arc<[Value]>,
    /// The extra labels' values, where there are any; one thin pointer, as nearly all samples have none.
    labels: Option<Arc<Labels>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Labels(Box<[Box<str>]>);

/// One value, in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Value {
    number: f64,
    /// Milliseconds between the value and the sample's newest.
    age: u32,
    /// Index into the sample's labels.
    label: u16,
    measurement: Measurement,
    scale: Scale,
}

/// The label index of a value without a label.
const UNLABELED: u16 = u16::MAX;

/// A value as it is read from a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured<'a> {
    /// What was measured.
    pub measurement: Measurement,
    /// The value as the cloud gave it.
    pub number: f64,
    /// The unit in which the cloud gave it.
    pub scale: Scale,
    /// The value of the measurement's extra label, where it has one.
    pub label: Option<&'a str>,
    /// When the cloud measured, in seconds since the epoch.
    pub time: f64,
}

impl Measured<'_> {
    /// The value in the base unit.
    pub fn base(&self) -> f64 {
        self.number / self.scale.divisor()
    }

    /// The value in this unit; exactly as the cloud gave it where it gave it so.
    pub fn scaled(&self, scale: Scale) -> f64 {
        if self.scale == scale { self.number } else { self.base() * scale.divisor() }
    }
}

impl Sample {
    /// Values without extra labels that were all measured at one time, in seconds since the epoch. A measurement occurs
    /// once in them.
    pub fn at(timestamp: f64, values: &[(Measurement, Scale, f64)]) -> Self {
        let value = |&(measurement, scale, number): &(Measurement, Scale, f64)| Value {
            number,
            age: 0,
            label: UNLABELED,
            measurement,
            scale,
        };
        Self { timestamp, values: values.iter().map(value).collect(), labels: None }
    }

    /// Collects values of several times.
    pub fn builder() -> SampleBuilder {
        SampleBuilder::default()
    }

    /// When the newest of the values was measured, in seconds since the epoch.
    pub fn timestamp(&self) -> f64 {
        self.timestamp
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The memory of the values and labels, in bytes; shared by all clones.
    pub fn heap_bytes(&self) -> usize {
        // What counts the owners, and what the allocator takes for itself.
        const OVERHEAD: usize = 32;
        let labels = self.labels.as_ref().map_or(0, |labels| {
            let texts = labels.0.iter().map(|text| text.len() + size_of::<Box<str>>() + OVERHEAD / 2);
            OVERHEAD + texts.sum::<usize>()
        });
        OVERHEAD + size_of_val(&*self.values) + labels
    }

    /// Whether there are no values; the time may be known all the same.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The measurement of each value.
    pub fn measurements(&self) -> impl Iterator<Item = Measurement> {
        self.values.iter().map(|value| value.measurement)
    }

    /// What was measured.
    pub fn measured(&self) -> MeasurementSet {
        self.measurements().fold(MeasurementSet::NONE, |set, one| set.union(MeasurementSet::of(&[one])))
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = Measured<'_>> {
        self.values.iter().map(|value| self.read(value))
    }

    /// The values of one measurement: at most one, unless the measurement has an extra label.
    pub fn of(&self, measurement: Measurement) -> impl Iterator<Item = Measured<'_>> {
        self.values.iter().filter(move |value| value.measurement == measurement).map(|value| self.read(value))
    }

    /// The value of a measurement, the first where there are several.
    pub fn get(&self, measurement: Measurement) -> Option<Measured<'_>> {
        self.values.iter().find(|value| value.measurement == measurement).map(|value| self.read(value))
    }

    /// The value of a measurement that has no extra label. It is first looked for at `place`, which becomes its place: where
    /// one measurement of many samples is read, nearly all of them have it at the same place.
    pub fn get_at(&self, place: &mut usize, measurement: Measurement) -> Option<Measured<'_>> {
        let is_it = |value: &Value| value.measurement == measurement;
        if !self.values.get(*place).is_some_and(is_it) {
            *place = self.values.iter().position(is_it)?;
        }
        self.values.get(*place).map(|value| self.read(value))
    }

    /// The value of a measurement in the base unit.
    pub fn value(&self, measurement: Measurement) -> Option<f64> {
        self.get(measurement).map(|value| value.base())
    }

    /// The values of these measurements only; `None` where there are none.
    #[must_use]
    pub fn only(&self, measurements: MeasurementSet) -> Option<Self> {
        let measured = self.measured();
        if measured.without(measurements).is_empty() {
            return (!measured.is_empty()).then(|| self.clone());
        }
        let mut part = Self::builder();
        self.values().filter(|value| measurements.contains(value.measurement)).for_each(|value| {
            part.push(value);
        });
        (!part.values.is_empty()).then(|| part.build())
    }

    /// The values of this sample and of others, which have none of its measurements.
    #[must_use]
    pub fn joined<'a>(&'a self, others: impl Iterator<Item = &'a Self>) -> Self {
        let mut whole = SampleBuilder { newest: self.timestamp, ..SampleBuilder::default() };
        for sample in std::iter::once(self).chain(others) {
            sample.values().for_each(|value| {
                whole.push(value);
            });
        }
        whole.build()
    }

    fn label(&self, index: u16) -> Option<&str> {
        self.labels.as_ref()?.0.get(usize::from(index)).map(|label| &**label)
    }

    fn read<'a>(&'a self, value: &Value) -> Measured<'a> {
        Measured {
            measurement: value.measurement,
            number: value.number,
            scale: value.scale,
            label: self.label(value.label),
            // Without the age the very number that the cloud gave.
            time: if value.age == 0 {
                self.timestamp
            } else {
                self.timestamp - f64::from(value.age) / 1000.0
            },
        }
    }
}

/// Collects values of several times into a [`Sample`].
#[derive(Debug, Default)]
pub struct SampleBuilder {
    newest: f64,
    values: Vec<(Value, f64)>,
    labels: Vec<Box<str>>,
}

impl SampleBuilder {
    /// Adds a value that was measured at `time`, in seconds since the epoch.
    pub fn add(&mut self, measurement: Measurement, scale: Scale, number: f64, time: f64) -> &mut Self {
        self.push(Measured { measurement, number, scale, label: None, time })
    }

    /// Adds a value with the measurement's extra label.
    pub fn add_labeled(
        &mut self,
        measurement: Measurement,
        label: &str,
        scale: Scale,
        number: f64,
        time: f64,
    ) -> &mut Self {
        self.push(Measured { measurement, number, scale, label: Some(label), time })
    }

    /// The values: of equal measurements and labels the newest. Empty where nothing was added.
    pub fn build(&mut self) -> Sample {
        let timestamp = self.newest;
        let value = |&(value, time): &(Value, f64)| {
            // A float's cast to an integer saturates.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let age = ((timestamp - time) * 1000.0).round() as u32;
            Value { age, ..value }
        };
        let labels = std::mem::take(&mut self.labels);
        Sample {
            timestamp,
            values: self.values.iter().map(value).collect(),
            labels: (!labels.is_empty()).then(|| Arc::new(Labels(labels.into()))),
        }
    }

    /// Takes a value in, unless it is no number, or its label does not fit the table.
    fn push(&mut self, value: Measured<'_>) -> &mut Self {
        let Measured { measurement, number, scale, label, time } = value;
        let fits = label.is_some() == measurement.row().label.is_some()
            && label.is_none_or(|label| {
                !label.is_empty() && label.len() <= LONGEST_LABEL && !label.contains(is_unprintable)
            })
            && label.is_none_or(|label| self.labels.len() < MOST_LABELS || self.has_label(label));
        if !fits || !number.is_finite() {
            return self;
        }
        let label = label.map_or(UNLABELED, |label| self.label(label));
        let new = Value { number, age: 0, label, measurement, scale };
        let same = |(old, _): &&mut (Value, f64)| (old.measurement, old.label) == (measurement, label);
        match self.values.iter_mut().find(same) {
            Some((_, before)) if *before > time => {}
            Some(old) => *old = (new, time),
            None => self.values.push((new, time)),
        }
        self.newest = self.newest.max(time);
        self
    }

    fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|known| **known == *label)
    }

    fn label(&mut self, label: &str) -> u16 {
        let index = self.labels.iter().position(|known| **known == *label).unwrap_or_else(|| {
            self.labels.push(label.into());
            self.labels.len() - 1
        });
        // `push` lets no more labels in than fit.
        u16::try_from(index).unwrap_or(UNLABELED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_as_they_went_in_and_in_base_units() {
        let sample = Sample::at(
            9.25,
            &[
                (Measurement::CpuUsageSeconds, Scale::Nano, 310_527_697.0),
                (Measurement::MemoryUtilization, Scale::Percent, 2.993_774_414_062_5),
                (Measurement::MemoryUsage, Scale::Base, 16_072_704.0),
            ],
        );
        let cpu = sample.get(Measurement::CpuUsageSeconds).unwrap();
        assert_eq!((cpu.scaled(Scale::Nano), cpu.base(), cpu.time), (310_527_697.0, 0.310_527_697, 9.25));
        assert_eq!(sample.value(Measurement::MemoryUtilization), Some(2.993_774_414_062_5 / 100.0));
        assert_eq!(sample.value(Measurement::Restarts), None);
        // A cloud that gives a ratio: the legacy gauge wants percent.
        let ratio = Sample::builder().add(Measurement::MemoryUtilization, Scale::Base, 0.25, 1.0).build();
        assert_eq!(
            ratio.get(Measurement::MemoryUtilization).unwrap().scaled(Scale::Percent).to_bits(),
            25f64.to_bits()
        );
    }

    #[test]
    fn a_value_is_found_wherever_it_is_looked_for_first() {
        let (cpu, memory) = (Measurement::CpuUsageCores, Measurement::MemoryUsage);
        let both = [Sample::at(1.0, &[(cpu, Scale::Base, 0.5), (memory, Scale::Base, 7.0)])];
        let one =
            [Sample::at(1.0, &[(memory, Scale::Base, 8.0)]), Sample::at(1.0, &[(cpu, Scale::Base, 0.25)])];
        let samples = [&both[0], &both[0], &one[0], &one[1], &both[0]];
        let found = |measurement, mut place| -> Vec<_> {
            samples.map(|sample| sample.get_at(&mut place, measurement).map(|value| value.number)).into()
        };
        for first in 0..4 {
            assert_eq!(found(memory, first), [Some(7.0), Some(7.0), Some(8.0), None, Some(7.0)]);
            assert_eq!(found(cpu, first), [Some(0.5), Some(0.5), None, Some(0.25), Some(0.5)]);
        }
    }

    #[test]
    fn each_value_has_its_own_time_and_the_sample_that_of_the_newest() {
        let sample = Sample::builder()
            .add(Measurement::CpuUsageCores, Scale::Base, 0.5, 1_480_000_060.0)
            .add(Measurement::MemoryUsage, Scale::Base, 7.0, 1_480_000_000.0)
            .build();
        let times: Vec<f64> = sample.values().map(|value| value.time).collect();
        assert_eq!((sample.timestamp(), times), (1_480_000_060.0, vec![1_480_000_060.0, 1_480_000_000.0]));
    }

    #[test]
    fn of_equal_measurements_and_labels_the_newest_is_kept() {
        let requests = Measurement::ServiceHttpRequests;
        let sample = Sample::builder()
            .add_labeled(requests, "2xx", Scale::Base, 1.0, 10.0)
            .add_labeled(requests, "5xx", Scale::Base, 2.0, 20.0)
            .add_labeled(requests, "2xx", Scale::Base, 3.0, 30.0)
            .add_labeled(requests, "2xx", Scale::Base, 4.0, 5.0)
            .build();
        let values: Vec<_> =
            sample.of(requests).map(|value| (value.label, value.number, value.time)).collect();
        assert_eq!(values, [(Some("2xx"), 3.0, 30.0), (Some("5xx"), 2.0, 20.0)]);
    }

    #[test]
    fn what_is_no_number_or_has_not_the_tables_label_is_left_out() {
        let sample = Sample::builder()
            .add(Measurement::MemoryUsage, Scale::Base, f64::NAN, 1.0)
            .add(Measurement::ServiceHttpRequests, Scale::Base, 1.0, 1.0)
            .add_labeled(Measurement::MemoryUsage, "x", Scale::Base, 1.0, 1.0)
            .add_labeled(Measurement::ServiceHttpRequests, &"x".repeat(65), Scale::Base, 1.0, 1.0)
            .build();
        assert_eq!(sample, Sample::default());
    }

    #[test]
    fn a_cloud_that_invents_labels_fills_no_memory_with_them() {
        let mut builder = Sample::builder();
        for code in 0..10_000 {
            builder.add_labeled(
                Measurement::ServiceHttpRequests,
                &code.to_string(),
                Scale::Base,
                f64::from(code),
                1.0,
            );
        }
        // One that is known is taken all the same.
        builder.add_labeled(Measurement::ServiceHttpRequests, "7", Scale::Base, 8.0, 2.0);
        let sample = builder.build();
        assert_eq!(sample.len(), MOST_LABELS);
        let seven = sample.values().find(|value| value.label == Some("7")).unwrap();
        assert_eq!(seven.base().to_bits(), 8_f64.to_bits());
        assert!((MOST_LABELS * 32..16 << 10).contains(&sample.heap_bytes()), "{}", sample.heap_bytes());
    }

    #[test]
    fn parts_of_samples_are_taken_and_joined() {
        let both = Sample::builder()
            .add(Measurement::CpuUsageCores, Scale::Base, 0.5, 60.0)
            .add(Measurement::MemoryUsage, Scale::Base, 7.0, 30.0)
            .build();
        let memory = both.only(MeasurementSet::of(&[Measurement::MemoryUsage])).unwrap();
        assert_eq!((memory.timestamp(), memory.len()), (30.0, 1));
        assert_eq!(both.only(MeasurementSet::of(&[Measurement::Restarts])), None);
        let cpu = both.only(MeasurementSet::of(&[Measurement::CpuUsageCores])).unwrap();
        assert_eq!(cpu.joined([&memory].into_iter()), both);
        let whole = both.only(MeasurementSet::ALL).unwrap();
        assert!(Arc::ptr_eq(&whole.values, &both.values), "nothing is copied where all is taken");
    }

    #[test]
    fn a_sample_is_small() {
        assert_eq!((size_of::<Value>(), size_of::<Sample>(), size_of::<Option<Sample>>()), (16, 32, 32));
    }
}
