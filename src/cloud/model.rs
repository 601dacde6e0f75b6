//! What a cloud said in one cycle: services, their instances, the newest sample of each.
//!
//! Plain values in one set of units for all providers. What the cloud did not say is `None`, never 0.

use std::sync::Arc;

use super::CloudError;

/// So many bytes of a text that a cloud tells are kept, up to the end of a character. No name is as long; what is
/// exposed is shorter still, and a cloud that tells megabytes must not fill the memory with them.
pub const LONGEST_TEXT: usize = 1024;

/// What a cloud tells of a service besides its instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceFacts {
    /// The service's name, unique within its application.
    pub name: String,
    /// The application that the service belongs to, if to any.
    pub application: Option<String>,
    /// The provider's own word for the state, such as `Running`.
    pub status: Option<String>,
    /// How many instances the service should have.
    pub desired_instances: Option<i64>,
    /// How many instances run.
    pub running_instances: Option<i64>,
    /// The image's name without its tag.
    pub image: Option<String>,
    /// The image's tag.
    pub image_tag: Option<String>,
    /// The provider's name for the instances' size, such as `XS`.
    pub size: Option<String>,
    /// The provider's name for the region.
    pub region: Option<String>,
}

/// What a cloud tells of an instance besides its measurements.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InstanceFacts {
    /// The instance's name, such as `kibana.0`.
    pub name: String,
    /// The provider's identifier, unique for the life of the instance.
    pub id: String,
    /// When the instance started, in seconds since the epoch.
    pub started_at: Option<f64>,
}

/// One row of measurements. Units are the finest that lose nothing; the exposition turns them into base units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// When the cloud measured, in seconds since the epoch.
    pub timestamp: f64,
    /// CPU time used since the instance started, in nanoseconds; a counter.
    pub cpu_usage_nanoseconds: Option<f64>,
    /// CPU time since the start over the time since the start, in percent of one core: an average of the cloud's own, for
    /// which a rate of the counter is the better signal.
    pub cpu_utilization_percent: Option<f64>,
    /// Memory in use, in bytes.
    pub memory_usage_bytes: Option<f64>,
    /// Memory in use, in percent of what the instance may use.
    pub memory_utilization_percent: Option<f64>,
    /// Bytes received since the instance started; a counter.
    pub receive_bytes: Option<f64>,
    /// Errors while receiving since the instance started; a counter.
    pub receive_errors: Option<f64>,
    /// Bytes sent since the instance started; a counter.
    pub transmit_bytes: Option<f64>,
    /// Errors while sending since the instance started; a counter.
    pub transmit_errors: Option<f64>,
}

/// What came of asking for an instance's newest sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// The newest row.
    Sample(Sample),
    /// The cloud has no data of this instance now.
    NoData,
    /// The request failed; other instances are not concerned.
    Failed(CloudError),
    /// Not asked, because the service is stopped.
    NotRunning,
}

/// An instance with what came of asking for its sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// What does not change from cycle to cycle.
    pub facts: Arc<InstanceFacts>,
    /// The measurement, or why there is none.
    pub reading: Reading,
}

/// A service with its instances.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// What the inventory says of it.
    pub facts: Arc<ServiceFacts>,
    /// Its instances, or why they could not be listed.
    pub instances: Result<Vec<Instance>, CloudError>,
}

/// What one cycle brought. Services that the filter excludes are not in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collection {
    /// The services that were seen.
    pub services: Vec<Service>,
    /// Why the list of services ends early, if it does: then a service that is not in it may still exist.
    pub cut_short: Option<CloudError>,
}

impl Collection {
    /// All failures inside a collection that as a whole succeeded, in the order of the inventory.
    pub fn errors(&self) -> impl Iterator<Item = &CloudError> {
        self.cut_short.iter().chain(self.services.iter().flat_map(Service::errors))
    }

    /// How many failures there are, and the gravest of them: one that concerns the whole account, else the first.
    pub fn failures(&self) -> (usize, Option<&CloudError>) {
        let gravity = |error: &&CloudError| match error {
            CloudError::LoginRejected => 0,
            CloudError::EndpointRefused(_) => 1,
            CloudError::RateLimited { .. } => 2,
            CloudError::Unreachable(_) | CloudError::Status(_) | CloudError::Answer(_) => 3,
        };
        // Of equals the first.
        (self.errors().count(), self.errors().min_by_key(gravity))
    }
}

impl Service {
    fn errors(&self) -> impl Iterator<Item = &CloudError> {
        let instances = self.instances.as_deref().unwrap_or_default();
        self.instances.as_ref().err().into_iter().chain(instances.iter().filter_map(|instance| {
            match &instance.reading {
                Reading::Failed(error) => Some(error),
                Reading::Sample(_) | Reading::NoData | Reading::NotRunning => None,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_whole_account_goes_before_one_that_stands_earlier() {
        let failed = |error: CloudError| Service { facts: Arc::default(), instances: Err(error) };
        let limited = CloudError::RateLimited { retry_after: None };
        let mut collection = Collection {
            services: vec![failed(CloudError::Status(404)), failed(CloudError::Status(500))],
            cut_short: None,
        };
        assert_eq!(collection.failures(), (2, Some(&CloudError::Status(404))));
        collection.services.push(failed(limited.clone()));
        assert_eq!(collection.failures(), (3, Some(&limited)));
        collection.services.push(failed(CloudError::LoginRejected));
        assert_eq!(collection.failures(), (4, Some(&CloudError::LoginRejected)));
    }
}
