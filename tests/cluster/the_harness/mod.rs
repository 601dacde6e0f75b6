//! The harness held against itself: what its tests promise to the other tests.

mod audit;
mod operator;
mod planes;
mod proxy;
mod users;
