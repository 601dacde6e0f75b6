//! Turns an account's values into immutable bodies, once a cycle: a scrape copies bytes and formats nothing.
//!
//! Knows what a cloud said (`cloud::model`), no account's settings and no HTTP.

pub mod body;
pub mod families;
pub mod gzip;
pub mod info;
pub mod labels;
mod legacy;
mod lines;
pub mod openmetrics;
pub mod options;
pub mod render;
mod selection;
pub mod text;
pub mod values;

pub use body::{Bodies, Body};
pub use options::Options;
pub use render::{Rendered, Renderer};
