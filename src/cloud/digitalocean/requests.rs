//! What a cycle requests and what it gets: requests and responses, each with the app that it is about.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

use super::points::{Metric, Points};
use super::wire::{AppHealth, Page, Sizes};
use crate::cloud::CloudError;
use crate::cloud::kit::{InventoryBudget, Spent};
use crate::cloud::model::InstanceFacts;

/// A request, and for which app of the cycle it is.
pub(super) enum CycleRequest {
    /// A page of apps.
    Page(u64),
    /// The sizes of instances.
    Sizes,
    /// An app's instances, read within this budget.
    Instances(usize, Url, InventoryBudget),
    /// The health of an app's components.
    Health(usize, Url),
    /// A metric of all instances of an app, read within this budget.
    Metric(usize, Metric, Url, InventoryBudget),
}

/// The response to a request, or why there is none.
pub(super) enum CycleResponse {
    Page(u64, Result<Page, CloudError>),
    Sizes(Result<Sizes, CloudError>),
    Instances(usize, Result<ListedInstances, CloudError>),
    Health(usize, Result<AppHealth, CloudError>),
    Metric(usize, Metric, Result<Spent<Points>, CloudError>),
}

/// The instances of an app by their component.
pub(super) type ListedInstances = HashMap<String, Vec<Arc<InstanceFacts>>>;
