//! A sample as a JSON object: a field for each measurement of the table that has a value, in the table's order.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::cloud::model::{MEASUREMENTS, Sample};

/// A sample's time and values, in base units. Several values of one measurement are an object by its extra label.
#[derive(Debug)]
pub(super) struct Values<'a>(pub(super) &'a Sample);

/// The names of the fields, by measurement.
static FIELDS: LazyLock<Vec<String>> =
    LazyLock::new(|| MEASUREMENTS.iter().map(|row| field_name(row.name)).collect());

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(sample) = self;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("timestampSeconds", &sample.timestamp())?;
        for (row, field) in MEASUREMENTS.iter().zip(FIELDS.iter()) {
            let values = sample.of(row.measurement);
            if row.label.is_some() {
                let by_label: BTreeMap<_, _> =
                    values.map(|value| (value.label.unwrap_or_default(), value.base())).collect();
                if !by_label.is_empty() {
                    object.serialize_entry(field, &by_label)?;
                }
            } else if let Some(value) = sample.value(row.measurement) {
                object.serialize_entry(field, &value)?;
            }
        }
        object.end()
    }
}

/// `caas_instance_cpu_usage_seconds_total` becomes `cpuUsageSeconds`.
fn field_name(metric: &str) -> String {
    let words = metric.trim_end_matches("_total").split('_').skip(2);
    let mut name = String::new();
    for word in words {
        match word.split_at_checked(1) {
            Some((first, rest)) if !name.is_empty() => {
                name.push_str(&first.to_ascii_uppercase());
                name.push_str(rest);
            }
            _ => name.push_str(word),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::model::{Measurement, Scale};

    #[test]
    fn the_fields_are_those_of_the_table_in_base_units() {
        let sample = Sample::builder()
            .add(Measurement::CpuUtilization, Scale::Percent, 12.5, 9.0)
            .add(Measurement::CpuUsageSeconds, Scale::Nano, 1_500_000_000.0, 9.0)
            .add_labeled(Measurement::ServiceHttpRequests, "5xx", Scale::Base, 1.0, 8.0)
            .add_labeled(Measurement::ServiceHttpRequests, "2xx", Scale::Base, 4.0, 8.0)
            .build();
        assert_eq!(
            serde_json::to_string(&Values(&sample)).unwrap(),
            r#"{"timestampSeconds":9.0,"cpuUsageSeconds":1.5,"cpuUtilizationRatio":0.125,"httpRequestsPerSecond":{"2xx":4.0,"5xx":1.0}}"#
        );
    }

    #[test]
    fn no_two_measurements_of_an_owner_share_a_field() {
        let mut fields: Vec<_> =
            MEASUREMENTS.iter().map(|row| (row.name.split('_').nth(1), field_name(row.name))).collect();
        fields.sort_unstable();
        fields.dedup();
        assert_eq!(fields.len(), MEASUREMENTS.len());
    }
}
