//! A simulated Render: the part of API version 1 that reads services and their metrics, as its published descriptions and
//! Render's own clients have it.

mod cloud;
mod inventory;
mod limit;
mod metrics;
mod options;
mod pages;
mod plans;
mod problem;
mod provider;
mod route;
mod wire;

pub use options::{ByteUnit, CountUnit, Render, ResetTime, ResourceLabel, SumTime, UnknownResource};
