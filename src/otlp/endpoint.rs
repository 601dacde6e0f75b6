//! Where to push to: the base URL, as the variable `OTEL_EXPORTER_OTLP_ENDPOINT` of other programs has it.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The path of metrics below the base URL.
const PATH: &str = "v1/metrics";

/// The URL to which requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRITE: &str = "use a base URL such as http://localhost:4318, without user, query or fragment";
        let mut url: Url = text.parse().map_err(|_| WRITE)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_base = url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain || !is_base {
            return Err(WRITE);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.ends_with(PATH) {
            return Err("leave out /v1/metrics: it is appended");
        }
        url.set_path(&format!("{path}/{PATH}"));
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_metrics_is_added_to_a_base_url_and_nothing_else_is_taken() {
        for (text, expected) in [
            ("http://localhost:4318", Ok("http://localhost:4318/v1/metrics")),
            ("https://otlp.example.com/", Ok("https://otlp.example.com/v1/metrics")),
            ("http://prometheus:9090/api/v1/otlp", Ok("http://prometheus:9090/api/v1/otlp/v1/metrics")),
            ("http://localhost:4318/v1/metrics/", Err("leave out /v1/metrics")),
            ("localhost:4318", Err("use a base URL")),
            ("https://user:word@example.com", Err("use a base URL")),
            ("https://example.com/?key=word", Err("use a base URL")),
            ("ftp://example.com", Err("use a base URL")),
        ] {
            let parsed = text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
            match expected {
                Ok(url) => assert_eq!(parsed.as_deref(), Ok(url)),
                Err(start) => assert!(parsed.unwrap_err().starts_with(start), "{text}"),
            }
        }
    }
}
