//! What all requests to one simulated cloud share.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::accounts::Accounts;
use super::clock::Clock;
use super::counts::Counter;
use super::faults::{Fault, FaultError, Faults};
use super::provider::{SimulatedCloud, SimulatedProvider};
use super::settings::Settings;

/// The state of a running cloud.
pub(super) struct State {
    pub(super) provider: Arc<dyn SimulatedProvider>,
    pub(super) cloud: Box<dyn SimulatedCloud>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) counter: Counter,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    pub(super) latency: Duration,
    /// Cancelled when the cloud is to stop.
    pub(super) stop: CancellationToken,
}

impl State {
    /// The state of a cloud of these settings, or the fault among them that does not fit it.
    pub(super) fn new(
        settings: &Settings,
        scheme: &'static str,
        stop: CancellationToken,
    ) -> Result<Self, FaultError> {
        let provider = Arc::clone(&settings.provider);
        let accounts = Arc::new(Accounts::new(settings.seed, settings.churn, &settings.accounts));
        let state = Self {
            cloud: provider.start(Arc::clone(&accounts), scheme),
            counter: Counter::new(provider.operations()),
            provider,
            accounts,
            clock: settings.clock.clone(),
            faults: Faults::new(settings.seed),
            latency: settings.latency,
            stop,
        };
        settings.faults.iter().try_for_each(|fault| state.set_fault(fault.clone()))?;
        Ok(state)
    }

    /// Adds a fault, unless it names what this cloud does not have.
    pub(super) fn set_fault(&self, fault: Fault) -> Result<(), FaultError> {
        fault.check(self.provider.operations())?;
        self.faults.set(fault);
        Ok(())
    }
}
