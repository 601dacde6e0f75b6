//! What a world is made of.

/// What a world is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSettings {
    /// Worlds of the same seed and settings are the same.
    pub seed: u64,
    /// The user or organization that owns everything in it.
    pub namespace: String,
    /// How many services there are (at most, where they come and go).
    pub services: usize,
    /// How many instances each service has (the usual number, where services scale).
    pub instances: usize,
    /// How many of the services belong to an application.
    pub applications: usize,
    /// The share of services that stop, start, scale, are redeployed, come and go: 0.0 (all numbers stay) to 1.0.
    pub churn: f64,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            namespace: "acme".to_owned(),
            services: 20,
            instances: 5,
            applications: 0,
            churn: 0.0,
        }
    }
}
