//! Simulated clouds over real HTTP: for tests, benchmarks and demos, where a real one cannot be had.
//!
//! [`world`] says what exists and how load moves, `alauda` speaks a provider's format, [`faults`] say what goes wrong.
//! It is the other side of the wire and shares no code with the operator's clients: a mistake made twice
//! would never be seen.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use caas_operator::simulator::{Settings, Simulator};
//!
//! let cloud = Simulator::start(Settings::default()).await?;
//! let login = cloud.credentials().remove(0);
//! println!("{} as {}", cloud.url(), login.username);
//! cloud.set_fault("metrics:429=2@0.1".parse()?);
//! cloud.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod admin;
mod alauda;
mod answer;
mod clock;
mod counts;
pub mod duration;
pub mod faults;
mod numbers;
mod server;
mod sessions;
mod settings;
mod traffic;
pub mod world;

pub use clock::Clock;
pub use counts::Counts;
pub use faults::{Fault, FaultKind, Operation, RetryAfter, Revocation};
pub use server::{Running, Simulator, StartError};
pub use sessions::Login;
pub use settings::{AccountSettings, Settings};
pub use world::{World, WorldSettings};
