//! The bodies of an account's values, parsed by readers of our own or compared with snapshots.

// Clippy's exception for tests does not cover the helpers of an integration test.
#![allow(clippy::unwrap_used)]

mod duplicates;
mod families;
#[path = "../support/exposition.rs"]
mod formats;
#[path = "../support/pages.rs"]
mod pages;
mod round_trip;
mod size;
mod snapshots;

use caas_operator::exposition::gzip::Inflate;
use caas_operator::exposition::values::AccountValues;
use caas_operator::exposition::{Body, Options, Rendered, Renderer};

fn render(values: &AccountValues, options: &Options) -> Rendered {
    Renderer::default().render(values, options)
}

fn inflated(body: &Body) -> String {
    let mut inflate = Inflate::new(body.gzip.clone());
    let chunks = std::iter::from_fn(|| inflate.next_chunk(1 << 16).unwrap());
    String::from_utf8(chunks.flatten().collect()).unwrap()
}
