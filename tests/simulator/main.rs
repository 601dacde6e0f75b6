//! The simulated cloud on the wire: a plain HTTP client (or a bare socket) against a running one, held against the
//! documented API. Nothing of the operator's own clients takes part.

// The lints see tests only where `#[test]` stands; the helpers of this crate are tests as well.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod another_provider;
mod api;
mod drift;
mod faults;
mod official;
mod running;

use std::sync::Once;

use caas_operator::simulator::{Clock, Running, Settings, Simulator};
use reqwest::{Client, Response};
use serde_json::Value;

/// A day in 2026.
pub const NOW: f64 = 1_772_000_000.0;

/// A client that neither unpacks nor follows, so that tests see what is on the wire.
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

/// A cloud whose clock stands still.
pub async fn cloud(settings: Settings) -> Running {
    Simulator::start(Settings { clock: Clock::fixed(NOW), ..settings }).await.expect("a cloud")
}

/// A user of a cloud who is logged in.
pub struct User {
    /// How they ask.
    pub client: Client,
    /// Whom they ask.
    pub url: String,
    /// What they prove themselves with.
    pub token: String,
}

impl User {
    /// Logs in as the first user.
    pub async fn of(cloud: &Running) -> Self {
        let (client, login) = (client(), cloud.credentials().remove(0));
        let form = [("username", login.username), ("password", login.password)];
        let answer =
            client.post(cloud.url() + "generate-api-token/").form(&form).send().await.expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        let token = body["token"].as_str().expect("a token").to_owned();
        Self { client, url: cloud.url(), token }
    }

    /// Asks for a path below the endpoint.
    pub async fn ask(&self, path: &str) -> reqwest::Result<Response> {
        let request = self.client.get(format!("{}{path}", self.url));
        request.header("Authorization", format!("Token {}", self.token)).send().await
    }

    /// The status of a path.
    pub async fn status(&self, path: &str) -> u16 {
        self.ask(path).await.expect("an answer").status().as_u16()
    }

    /// The JSON of a path that answers with 200.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.ask(path).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
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
