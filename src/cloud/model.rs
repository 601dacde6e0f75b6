//! What a cloud said in one cycle: services, their instances, the newest values of each.
//!
//! Plain values in one shape for all providers. What the cloud did not say is `None`, never 0.

pub mod derive;
pub mod facts;
pub mod measurement;
pub mod sample;
pub mod unprintable;

use std::sync::Arc;

pub use facts::{InstanceFacts, LONGEST_TEXT, Limits, Overrides, ServiceFacts, State};
pub use measurement::{MEASUREMENTS, Measurement, MeasurementSet, Scale};
pub use sample::{Sample, SampleBuilder};

use crate::cloud::error::CloudError;

/// What one cycle found out about the measurements of an instance or a service: values, and beside them what could not be
/// read. A measurement that is neither among the values nor unread nor current has no value any more.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The newest values.
    pub sample: Option<Sample>,
    /// Measurements without an answer, or with one that holds no data yet: their last values stay until they are stale.
    pub unread: MeasurementSet,
    /// Measurements that were not asked for, since the cloud can have nothing newer: their last values hold as if they had
    /// been read again.
    pub current: MeasurementSet,
    /// Why, if a request for this very instance or service failed. A request for many is one of
    /// [`Collection::batch_errors`] instead.
    pub error: Option<CloudError>,
}

impl Reading {
    /// Everything that the cloud has was read.
    pub fn measured(sample: Sample) -> Self {
        Self { sample: Some(sample), ..Self::default() }
    }

    /// The cloud has no data of this instance now. A window without a point is common between two points.
    pub fn no_data() -> Self {
        Self { unread: MeasurementSet::ALL, ..Self::default() }
    }

    /// The request failed; other instances are not concerned.
    pub fn failed(error: CloudError) -> Self {
        Self { error: Some(error), ..Self::no_data() }
    }

    /// Not read, because there is nothing to measure: the service is stopped.
    pub fn not_running() -> Self {
        Self::default()
    }
}

/// An instance with what came of reading its measurements.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// What the inventory says of it.
    pub facts: Arc<InstanceFacts>,
    /// The values, or why there are none.
    pub reading: Reading,
}

/// A service with its instances.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// What the inventory says of it.
    pub facts: Arc<ServiceFacts>,
    /// Values of the service as a whole; [`Reading::default`] for a cloud that has none.
    pub reading: Reading,
    /// Its instances, or why they could not be listed.
    pub instances: Result<Vec<Instance>, CloudError>,
}

/// What one cycle returned. Services that the filter excludes are not in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collection {
    /// The services that were seen.
    pub services: Vec<Service>,
    /// Why the list of services ends early, if it does: then a service that is not in it may still exist.
    pub cut_short: Option<CloudError>,
    /// Requests for the measurements of many instances that failed, each once.
    pub batch_errors: Vec<CloudError>,
}

impl Collection {
    /// How many services and instances there are.
    pub fn len(&self) -> usize {
        let instances = |service: &Service| service.instances.as_ref().map_or(0, Vec::len);
        self.services.iter().map(|service| 1 + instances(service)).sum()
    }

    /// Whether there is no service.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// All failures inside a collection that as a whole succeeded, in the order of the inventory.
    pub fn errors(&self) -> impl Iterator<Item = &CloudError> {
        self.cut_short.iter().chain(&self.batch_errors).chain(self.services.iter().flat_map(Service::errors))
    }

    /// How many failures there are, and the gravest of them: one that concerns the whole account or a permission, else
    /// the first.
    pub fn failures(&self) -> (usize, Option<&CloudError>) {
        let gravity = |error: &&CloudError| match error {
            CloudError::LoginRejected => 0,
            CloudError::EndpointRefused(_) => 1,
            CloudError::RateLimited { .. } => 2,
            CloudError::ScopeMissing(_) | CloudError::NotVisible(_) => 3,
            CloudError::Unreachable(_) | CloudError::Status(_) | CloudError::Answer(_) => 4,
        };
        // The first of equals.
        (self.errors().count(), self.errors().min_by_key(gravity))
    }
}

impl Service {
    fn errors(&self) -> impl Iterator<Item = &CloudError> {
        let instances = self.instances.as_deref().unwrap_or_default();
        let readings = instances.iter().filter_map(|instance| instance.reading.error.as_ref());
        self.reading.error.iter().chain(self.instances.as_ref().err()).chain(readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_whole_account_goes_before_one_that_comes_earlier() {
        let failed = |error: CloudError| Service {
            facts: Arc::default(),
            reading: Reading::default(),
            instances: Err(error),
        };
        let limited = CloudError::RateLimited { retry_after: None };
        let mut collection = Collection {
            services: vec![failed(CloudError::Status(404)), failed(CloudError::Status(500))],
            ..Collection::default()
        };
        assert_eq!(collection.failures(), (2, Some(&CloudError::Status(404))));
        collection.services.push(failed(CloudError::ScopeMissing("the scope app:read")));
        assert_eq!(collection.failures().1, Some(&CloudError::ScopeMissing("the scope app:read")));
        collection.services.push(failed(limited.clone()));
        assert_eq!(collection.failures(), (4, Some(&limited)));
        collection.services.push(failed(CloudError::LoginRejected));
        assert_eq!(collection.failures(), (5, Some(&CloudError::LoginRejected)));
    }

    #[test]
    fn a_batch_that_fails_is_one_failure_however_many_instances_it_was_about() {
        let instance = Instance { facts: Arc::default(), reading: Reading::no_data() };
        let service = Service {
            facts: Arc::default(),
            reading: Reading::default(),
            instances: Ok(vec![instance; 100]),
        };
        let collection = Collection {
            services: vec![service],
            batch_errors: vec![CloudError::Status(500)],
            ..Collection::default()
        };
        assert_eq!(collection.failures(), (1, Some(&CloudError::Status(500))));
    }
}
