//! Tests of the harness itself: what it promises to the other tests.

mod audit;
mod operator;
mod planes;
mod proxy;
mod users;
