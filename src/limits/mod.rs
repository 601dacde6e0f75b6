//! What the process may hold and do at once, and how namespaces share it. Knows no Kubernetes, no cloud and no HTTP.
//!
//! Tenants, clouds and clients choose how much work and memory they cause. Whatever they cause is taken from a total that
//! is fixed at start, and no namespace can take it from the others: [`memory`] for what is kept, [`shares`] for what is
//! waited for, [`workers`] for CPU work, [`values`] for large values that many use alike.

pub mod available;
pub mod memory;
pub mod shares;
pub mod values;
pub mod workers;

pub use available::available_memory;
pub use memory::{Charge, Holder, MemoryBudget, Named, OverBudget};
pub use shares::{Share, SharedPermit, Shares};
pub use values::{keep_values_within, shared_value};
pub use workers::{LARGEST_RESULT, WorkSize, WorkerShare, Workers};

/// The limits that all parts of the process share. Cheap to clone. By default memory has none.
#[derive(Debug, Clone, Default)]
pub struct ProcessLimits {
    /// What is kept from one cycle to the next.
    pub memory: MemoryBudget,
    /// How many bytes answers of clouds may have in memory while they arrive and are read. `None`: as much as they have by
    /// default.
    pub answers: Option<usize>,
    /// How many files, connections included, the process may open. `None`: as many as it wants.
    pub files: Option<u64>,
    /// CPU work.
    pub workers: Workers,
    /// Whether the last hour of services is not kept, which people see on the page and nothing else needs.
    pub without_history: bool,
}

impl ProcessLimits {
    /// The limits of a process that may use so much memory, in bytes.
    ///
    /// A third is kept for accounts, a quarter holds what is made of answers before it is charged to one, an eighth holds answers,
    /// and a sixteenth their heads. The rest is for what is not counted: the program itself, scrapes under way, the API server's
    /// answers, and what the allocator cannot use.
    pub fn within(memory: usize) -> Self {
        Self {
            memory: MemoryBudget::new(memory / 3),
            answers: Some(memory / 8),
            workers: Workers::within(memory),
            ..Self::default()
        }
    }
}
