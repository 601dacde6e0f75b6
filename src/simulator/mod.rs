//! Simulated clouds over real HTTP: for tests, benchmarks and demos, where a real one is not available.
//!
//! [`world`] says what exists and how load moves, `faults` say what goes wrong, and a folder for each provider speaks its
//! format, behind [`SimulatedProvider`] and [`SimulatedCloud`]. [`providers`] lists them.
//! It is the other side of the wire and shares no code with the operator's clients: a mistake made on both sides
//! would never be seen.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use caas_operator::simulator::{Settings, Simulator};
//!
//! let cloud = Simulator::start(Settings::default()).await?;
//! let login = cloud.credentials().remove(0);
//! println!("{} as {}", cloud.url(), login.username);
//! cloud.set_fault("metrics:429=2@0.1".parse()?)?;
//! cloud.stop().await;
//! # Ok(())
//! # }
//! ```

mod account;
mod accounts;
mod admin;
mod alauda;
mod clock;
mod cloudfoundry;
pub mod command_line;
mod counts;
mod digitalocean;
mod duration;
mod faults;
mod handler;
mod northflank;
mod numbers;
mod operation;
mod provider;
mod providers;
mod railway;
mod rate_limit;
mod render;
mod request;
mod response;
mod server;
mod sessions;
mod settings;
mod state;
pub mod world;

pub use account::AccountSettings;
pub use accounts::{Account, Accounts};
pub use alauda::Alauda;
pub use clock::Clock;
pub use cloudfoundry::CloudFoundry;
pub use counts::Counts;
pub use digitalocean::{DigitalOcean, NoData, RestartCount};
pub use faults::{ContentFaults, Fault, FaultError, FaultKind, RetryAfter, Revocation, Scope};
pub use northflank::{
    CpuPercentOf, CpuUnit, HttpSeries, Kilo, Megabyte, MemoryUnit, NoValues, Northflank, Permission, Reset,
};
pub use operation::{Operation, Role};
pub use provider::{Demo, SimulatedCloud, SimulatedProvider, Target};
pub use providers::providers;
pub use railway::{Gigabyte, Railway, ReplicaCount, ResetFormat, TokenRefusal, TrafficValue};
pub use render::{ByteUnit, CountUnit, Render, ResetTime, ResourceLabel, SumTime, UnknownResource};
pub use request::{ApiRequest, Query};
pub use response::ApiResponse;
pub use server::{Running, Simulator, StartError};
pub use sessions::{Login, Sessions};
pub use settings::Settings;
pub use world::{World, WorldSettings};
