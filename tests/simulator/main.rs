//! Simulated clouds on the wire: a plain HTTP client or a bare socket against a running cloud, compared with the
//! documented API. No client of the operator takes part.

// These lints exempt functions with `#[test]` only; the helpers of this crate are for tests too.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod another_provider;
mod api;
mod cloudfoundry;
mod drift;
mod faults;
mod northflank;
mod official;
mod railway;
mod render;
mod running;

use std::sync::Once;

use caas_operator::simulator::{Clock, Running, Settings, Simulator};
use reqwest::{Client, Response};
use serde_json::Value;

/// A day in 2026.
pub const NOW: f64 = 1_772_000_000.0;

/// A client that neither decompresses nor follows redirects, so that tests see what is on the wire.
pub fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().expect("the first provider");
    });
    Client::builder()
        .no_gzip()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

/// A cloud whose clock always shows [`NOW`].
pub async fn cloud(settings: Settings) -> Running {
    Simulator::start(Settings { clock: Clock::fixed(NOW), ..settings }).await.expect("a cloud")
}

/// A user of a cloud, logged in.
pub struct User {
    /// Its HTTP client.
    pub client: Client,
    /// The cloud's endpoint.
    pub url: String,
    /// Its token.
    pub token: String,
}

impl User {
    /// Logs in as the first user.
    pub async fn of(cloud: &Running) -> Self {
        let (client, login) = (client(), cloud.credentials().remove(0));
        let form = [("username", login.username), ("password", login.password)];
        let response =
            client.post(cloud.url() + "generate-api-token/").form(&form).send().await.expect("a response");
        let body: Value = response.json().await.expect("JSON");
        let token = body["token"].as_str().expect("a token").to_owned();
        Self { client, url: cloud.url(), token }
    }

    /// Requests a path below the endpoint.
    pub async fn get(&self, path: &str) -> reqwest::Result<Response> {
        let request = self.client.get(format!("{}{path}", self.url));
        request.header("Authorization", format!("Token {}", self.token)).send().await
    }

    /// The status of a path.
    pub async fn status(&self, path: &str) -> u16 {
        self.get(path).await.expect("a response").status().as_u16()
    }

    /// The JSON of a path, whose status must be 200.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await.expect("a response");
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    /// The path of the measurements of the first instance of kibana.
    pub async fn metrics_path(&self, start: f64, end: f64) -> String {
        let service = self.json("services/acme/kibana").await;
        let uuid = service["instances"][0]["uuid"].as_str().expect("a uuid").to_owned();
        format!(
            "services/acme/kibana/instances/{uuid}/metrics?start_time={start}&end_time={end}&point_per_period=1m"
        )
    }
}
