//! What a cloud says of services and instances besides measurements.
//!
//! Replicas tell each other of them in JSON: a field that a newer version adds is one that this one does not know.

use serde::{Deserialize, Serialize};

/// So many bytes of a text that a cloud gives are kept, up to the end of a character. No name is as long; what is exposed is
/// shorter still, and a cloud that sends megabytes must not fill the memory with them.
pub const LONGEST_TEXT: usize = 1024;

/// A state that all clouds share; the provider's own word is kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does its work.
    Running,
    /// It works in part, such as with fewer instances than it should have.
    Degraded,
    /// It is being built, rolled out or started.
    Deploying,
    /// The cloud has put it to sleep until it is needed.
    Sleeping,
    /// A user has stopped it.
    Stopped,
    /// It has crashed or could not be deployed.
    Failed,
    /// The provider's word has no meaning that is known here.
    #[serde(other)]
    Unknown,
}

impl State {
    /// All states, in the order in which they are exposed.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Degraded,
        Self::Deploying,
        Self::Sleeping,
        Self::Stopped,
        Self::Failed,
        Self::Unknown,
    ];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Deploying => "deploying",
            Self::Sleeping => "sleeping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// What an instance may use, in base units.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// CPU in cores.
    pub cpu_cores: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<f64>,
    /// Disk space in bytes.
    pub disk_bytes: Option<f64>,
}

impl Limits {
    /// These limits, and the others where these are not known.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            cpu_cores: self.cpu_cores.or(others.cpu_cores),
            memory_bytes: self.memory_bytes.or(others.memory_bytes),
            disk_bytes: self.disk_bytes.or(others.disk_bytes),
        }
    }

    /// Whether no limit is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a cloud says of a service besides its instances.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceFacts {
    /// The service's name, unique within its application.
    pub name: String,
    /// The application, project or space that the service belongs to, if to any.
    pub application: Option<String>,
    /// The provider's identifier, which tells services of one name apart.
    pub id: Option<String>,
    /// The provider's own word for the state, such as `Running`.
    pub status: Option<String>,
    /// What that word means.
    pub state: Option<State>,
    /// What the service is for, such as `web` or `worker`.
    pub kind: Option<String>,
    /// How many instances the service should have.
    pub desired_instances: Option<i64>,
    /// How many instances run.
    pub running_instances: Option<i64>,
    /// How many instances are ready to serve.
    pub ready_instances: Option<i64>,
    /// The image's name without its tag.
    pub image: Option<String>,
    /// The image's tag.
    pub image_tag: Option<String>,
    /// The provider's name for the instances' size, such as `XS`.
    pub size: Option<String>,
    /// The provider's name for the region.
    pub region: Option<String>,
    /// What each of its instances may use.
    pub limits: Limits,
}

impl ServiceFacts {
    /// How many instances run, or are ready where the cloud says only that.
    pub fn running(&self) -> Option<i64> {
        self.running_instances.or(self.ready_instances)
    }

    /// Whether it does not do what it should: it has failed, is degraded, or runs fewer instances than desired. One that is
    /// stopped or asleep does.
    pub fn is_ill(&self) -> bool {
        match self.state {
            Some(State::Stopped | State::Sleeping) => false,
            Some(State::Failed | State::Degraded) => true,
            _ => {
                self.running().zip(self.desired_instances).is_some_and(|(running, desired)| running < desired)
            }
        }
    }

    /// The bytes of all its texts, name and application included.
    pub fn text_bytes(&self) -> usize {
        let Self { name, application, id, status, kind, image, image_tag, size, region, .. } = self;
        let others = [application, id, status, kind, image, image_tag, size, region];
        name.len() + others.map(|text| text.as_ref().map_or(0, String::len)).iter().sum::<usize>()
    }
}

/// What a cloud says of an instance besides its measurements.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceFacts {
    /// The instance's name, such as `kibana.0`.
    pub name: String,
    /// The provider's identifier, unique for the life of the instance.
    pub id: String,
    /// What the instance does.
    pub state: Option<State>,
    /// When the instance started, in seconds since the epoch.
    pub started_at: Option<f64>,
    /// When the instance was created, in seconds since the epoch.
    pub created_at: Option<f64>,
    /// What is said of this very instance. A box, as few clouds say any of it and instances are many.
    pub overrides: Option<Box<Overrides>>,
}

/// Facts of one instance that win over those of its service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The provider's name for the region.
    pub region: Option<String>,
    /// The provider's name for the size.
    pub size: Option<String>,
    /// What the instance may use.
    pub limits: Limits,
}

impl InstanceFacts {
    /// The bytes of all its texts, and of its overrides where it has some.
    pub fn text_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let overrides = self.overrides.as_ref().map_or(0, |overrides| {
            size_of::<Overrides>() + length(&overrides.region) + length(&overrides.size)
        });
        self.name.len() + self.id.len() + overrides
    }

    /// When the instance started, or was created where the cloud says only that.
    pub fn start_time(&self) -> Option<f64> {
        self.started_at.or(self.created_at)
    }

    /// What the instance may use: its own limits, else those of its service.
    pub fn limits(&self, service: &ServiceFacts) -> Limits {
        self.overrides.as_ref().map_or(service.limits, |own| own.limits.or(service.limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instances_own_limits_win_one_by_one() {
        let service = ServiceFacts {
            limits: Limits { cpu_cores: Some(1.0), memory_bytes: Some(100.0), disk_bytes: None },
            ..ServiceFacts::default()
        };
        let own = Limits { memory_bytes: Some(200.0), ..Limits::default() };
        let overrides = Some(Box::new(Overrides { limits: own, ..Overrides::default() }));
        let instance = InstanceFacts { overrides, ..InstanceFacts::default() };
        let both = Limits { cpu_cores: Some(1.0), memory_bytes: Some(200.0), disk_bytes: None };
        assert_eq!(instance.limits(&service), both);
        assert_eq!(InstanceFacts::default().limits(&service), service.limits);
    }
}
