//! A simulated Northflank: the part of API version 1 that reads projects, services, containers, plans and metrics, as its
//! published pages describe it.

mod cloud;
mod limits;
mod metrics;
mod options;
mod plans;
mod problem;
mod projects;
mod provider;
mod route;
mod wire;

pub use options::{
    CpuPercentOf, CpuUnit, HttpSeries, Kilo, Megabyte, MemoryUnit, NoValues, Northflank, Permission, Reset,
};
