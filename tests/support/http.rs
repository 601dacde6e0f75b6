//! Our server on a free port, and a client for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Once;

use axum::Router;
use caas_operator::server::{Limits, bind};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A listener that serves until it is stopped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) ended: JoinHandle<()>,
}

/// Serves the router on a free port.
pub(crate) async fn serve(router: Router, limits: Limits) -> Served {
    let bound = bind((Ipv4Addr::LOCALHOST, 0).into(), "--listen").await.unwrap().with_limits(limits);
    let (address, stop) = (bound.addr(), CancellationToken::new());
    Served { address, stop: stop.clone(), ended: tokio::spawn(bound.serve(router, stop)) }
}

impl Served {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A client that shows responses unchanged: it neither requests nor decodes compression.
pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // The client needs a TLS provider even for plain HTTP.
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    reqwest::Client::builder().no_gzip().no_proxy().build().unwrap()
}
