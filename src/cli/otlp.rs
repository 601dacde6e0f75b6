//! The options with which metrics are pushed by OTLP. Two of them have the variables that OpenTelemetry gives them.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use secrecy::SecretString;
use thiserror::Error;

use super::options::Unrepeated;
use crate::otlp::{Client, ClientError, Endpoint, HeaderProblem, Origin, Pusher, parse_headers};
use crate::schema::Duration;

/// Where to push, and how often.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "OTLP push")]
pub(super) struct OtlpOptions {
    /// Base URL to push all metrics to by OTLP over HTTP, for example port 4318 of a collector; /v1/metrics is
    /// appended. Default: nothing is pushed
    #[arg(
        id = "otlp-endpoint",
        long = "otlp-endpoint",
        value_name = "URL",
        env = "CAAS_OPERATOR_OTLP_ENDPOINT",
        hide_env_values = true,
        value_parser = Unrepeated { name: "--otlp-endpoint or CAAS_OPERATOR_OTLP_ENDPOINT", read: str::parse::<Endpoint> }
    )]
    endpoint: Option<Endpoint>,
    /// Headers of each push, such as authorization=Bearer%20…; comma-separated, with percent-encoded values. Prefer
    /// the variable: other users of the machine can see command lines
    #[arg(
        id = "otlp-headers",
        long = "otlp-headers",
        value_name = "HEADERS",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true
    )]
    headers: Option<SecretString>,
    /// File with the CA certificates (PEM) to trust for pushes. Default: the system's CA certificates
    #[arg(
        id = "otlp-ca-file",
        long = "otlp-ca-file",
        value_name = "FILE",
        env = "OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    ca_file: Option<PathBuf>,
    /// Time from the start of one push to the start of the next, 1s to 5m; Prometheus treats a series as ended after 5
    /// minutes without a sample
    #[arg(id = "otlp-interval", long = "otlp-interval", value_name = "DURATION", env = "CAAS_OPERATOR_OTLP_INTERVAL", default_value = "60s", value_parser = interval)]
    interval: Duration,
}

/// Why nothing can be pushed.
#[derive(Debug, Error)]
pub(super) enum OtlpError {
    /// The headers cannot be read.
    #[error("{0}; check --otlp-headers or OTEL_EXPORTER_OTLP_HEADERS")]
    Headers(#[from] HeaderProblem),
    /// The file cannot be read.
    #[error(
        "the file {file} cannot be read: {error}; check --otlp-ca-file or OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    File {
        /// Its path.
        file: String,
        /// The system's error.
        error: io::Error,
    },
    /// There is no client.
    #[error("nothing can be pushed by OTLP: {0}")]
    Client(#[from] ClientError),
}

impl OtlpOptions {
    /// What pushes, where an endpoint is given.
    pub(super) fn pusher(&self) -> Result<Option<Pusher>, OtlpError> {
        let Some(endpoint) = self.endpoint.clone() else { return Ok(None) };
        let headers = self.headers.as_ref().map(parse_headers).transpose()?.unwrap_or_default();
        let read = |file: &PathBuf| {
            std::fs::read(file).map_err(|error| OtlpError::File { file: file.display().to_string(), error })
        };
        let ca_bundle = self.ca_file.as_ref().map(read).transpose()?;
        let client = Client::new(endpoint, headers, ca_bundle.as_deref())?;
        // A pod's host name is its own name.
        let instance = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let origin = Origin { instance, started: SystemTime::now() };
        Ok(Some(Pusher::new(client, self.interval.into(), origin)))
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval: Duration = text.parse().map_err(|error: crate::schema::NotADuration| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_secs(300)).contains(&interval) {
        Ok(interval)
    } else {
        Err("use a duration from 1s to 5m".to_owned())
    }
}
