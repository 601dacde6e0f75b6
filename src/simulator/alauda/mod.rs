//! A simulated Alauda cloud: the v1 API as documented and as its official client of 2015 reads it.

mod cloud;
mod options;
mod problem;
mod provider;
mod route;
mod wire;

pub use options::Alauda;
