//! Simulated clouds over real HTTP.

mod clock;
pub mod duration;
mod numbers;
pub mod world;

pub use clock::Clock;
