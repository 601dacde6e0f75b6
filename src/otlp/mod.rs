//! Pushes what is served as metrics to an OTLP endpoint over HTTP, for those who have nothing that scrapes.
//!
//! Each interval the newest bodies are read, an account at a time ([`round`]), turned into OTLP's messages ([`source`],
//! [`message`]) and sent in requests of a bounded size, one after the other ([`client`], [`task`]). So what arrives is what
//! a scrape would have found, in requests that need the same memory however many accounts there are. Of what was pushed, the
//! compressed bodies are kept until the next push, which says what ended since ([`sent`]). Nothing is queued: what an endpoint
//! does not take is dropped, and the next push has newer values.
//!
//! Why not the SDK (the crate `opentelemetry-otlp`): its exporter sends what instruments have added up over an interval, and
//! what took finished data, `MetricProducer`, is gone (open-telemetry/opentelemetry-rust#2505). Here the samples are finished:
//! they have labels and times of their own, a counter has the start of the instance that it is about, and series end. So only
//! the messages are taken (`opentelemetry-proto`), and an HTTP client sends them.
//!
//! Reads the registry and the own metrics, and knows no cloud and no Kubernetes.

mod client;
mod endpoint;
mod headers;
mod message;
mod round;
mod sent;
mod source;
mod task;
mod text;

pub use client::{Client, ClientError};
pub use endpoint::Endpoint;
pub use headers::{HeaderProblem, parse as parse_headers};
pub use round::Origin;
pub use task::Pusher;
