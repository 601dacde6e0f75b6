//! What providers share above the wire: paging, the requests of a cycle and when they are due, sessions, bounds, and readers of
//! loose JSON and of units.
//!
//! Uses `cloud::http` and the model and names no provider. A provider combines these parts with what only its own API
//! knows: paths, the shape of responses, and how to log in. How long a cloud asks a client to wait is read one layer
//! below, in `cloud::http`, since every request needs it.

pub mod arrivals;
pub mod circuit_breaker;
pub mod image;
pub mod inventory;
pub mod kept;
pub mod list;
pub mod loose;
pub mod object;
pub mod paging;
pub mod path;
pub mod point;
pub mod queue;
pub mod session;
pub mod unit;

pub use arrivals::{Arrivals, Moment};
pub use circuit_breaker::CircuitBreaker;
pub use image::split_image;
pub use inventory::{Inventory, InventoryBudget, Spent, entry_bytes, instance_bytes};
pub use kept::{KeptBytes, KeptState};
pub use paging::Pages;
pub use session::Session;
