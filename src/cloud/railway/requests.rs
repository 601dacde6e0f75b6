//! What a cycle requests and what it gets: requests and responses, each with the project or environment that it is about.

use std::sync::Arc;

use super::answer::Answer;
use super::facts::ListedService;
use super::page::Page;
use super::usage::Usage;
use super::wire::{Environment, Project};
use crate::cloud::CloudError;
use crate::cloud::kit::{InventoryBudget, Spent};
use crate::cloud::model::Sample;

/// A request, and for which project or environment of the cycle it is.
pub(super) enum CycleRequest {
    /// The page of projects after this cursor, read within this budget.
    Projects(String, InventoryBudget),
    /// The page of a project's environments: its id, and the cursor, read within this budget.
    Environments(usize, String, String, InventoryBudget),
    /// A page of an environment's services, read within this budget.
    Services(usize, ServicesRequest, InventoryBudget),
    /// What was measured of all instances of an environment, by its id, read within this budget.
    Usage(usize, String, InventoryBudget),
    /// The HTTP traffic of services of an environment: its id, and places and ids of the services, read within this budget.
    Http(usize, String, Vec<usize>, Vec<String>, InventoryBudget),
}

/// What a request for services names.
pub(super) struct ServicesRequest {
    pub(super) environment: String,
    pub(super) project: String,
    pub(super) application: Arc<str>,
    /// The page after this cursor; the first one without.
    pub(super) after: Option<String>,
}

/// An answer, or why there is none.
type Answered<T> = Result<Answer<T>, CloudError>;

/// The response to a request, or why there is none.
pub(super) enum CycleResponse {
    Projects(Answered<Page<Project>>),
    Environments(usize, Answered<Page<Environment>>),
    Services(usize, Answered<Page<ListedService>>),
    Usage(usize, Answered<Spent<Usage>>),
    Http(usize, Vec<usize>, Answered<Spent<Vec<Option<Sample>>>>),
}

impl CycleResponse {
    /// Whether it is a page of a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Projects(_) | Self::Environments(..) | Self::Services(..))
    }

    /// The error that it is, if it is one.
    pub(super) fn error(&self) -> Option<&CloudError> {
        match self {
            Self::Projects(answer) => answer.as_ref().err(),
            Self::Environments(_, answer) => answer.as_ref().err(),
            Self::Services(_, answer) => answer.as_ref().err(),
            Self::Usage(_, answer) => answer.as_ref().err(),
            Self::Http(_, _, answer) => answer.as_ref().err(),
        }
    }
}
