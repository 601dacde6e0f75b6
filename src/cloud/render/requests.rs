//! What a cycle requests and what it gets: requests and responses, each with the batch or service that it is about.

use url::Url;

use super::instances::InstanceList;
use super::metric::Metric;
use super::series::Answer;
use super::urls::Window;
use crate::cloud::CloudError;
use crate::cloud::kit::{InventoryBudget, Spent};

/// A request, and for which batch or service of the cycle it is.
pub(super) enum CycleRequest {
    /// A metric of a batch in this window, read within this budget.
    Metric(usize, Metric, Window, Url, InventoryBudget),
    /// The instances of a service, read within this budget.
    Instances(usize, Url, InventoryBudget),
}

/// The response to a request, or why there is none.
pub(super) enum CycleResponse {
    Metric(usize, Metric, Result<Spent<Answer>, CloudError>),
    Instances(usize, Result<Spent<InstanceList>, CloudError>),
}
