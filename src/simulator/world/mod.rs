//! What exists in a simulated cloud at a time, computed from a seed and a clock and never stored.
//!
//! Pure functions of (seed, time) answer every question, so a world of 100,000 instances costs as much as
//! the page that is requested. Knows nothing of HTTP and of any provider's format.

mod instance;
mod inventory;
mod load;
mod names;
mod service;
mod settings;
mod size;
#[cfg(test)]
mod tests;

pub use instance::{Instance, LAG, MOST_POINTS, Point};
pub use inventory::World;
pub use service::{DEPLOYING, Service, Status};
pub use settings::WorldSettings;
pub use size::{SIZES, Size};
