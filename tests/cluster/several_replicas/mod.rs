//! Several replicas of the operator as a Prometheus sees them that scrapes through a Service.

mod group;
mod prometheus;
mod scrapes;
mod service;
