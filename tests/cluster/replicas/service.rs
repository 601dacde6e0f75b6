//! Stands in for a Service: one address, behind which each new connection goes to one of the replicas that are ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::Operator;

/// How often readiness is looked at: a cluster needs a second or two to tell all nodes.
const LOOK: Duration = Duration::from_millis(500);

/// Where each pod is served and probed.
type Pods = Arc<Mutex<BTreeMap<String, (String, String)>>>;

/// The stand-in; ends when dropped.
pub(super) struct Service {
    port: u16,
    pods: Pods,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Service {
    /// A Service without pods.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (pods, ready) = (Pods::default(), Arc::new(Mutex::new(Vec::new())));
        let probing = tokio::spawn(probe(Arc::clone(&pods), Arc::clone(&ready)));
        let serving = tokio::spawn(serve(listener, ready));
        Ok(Self { port, pods, _tasks: [probing, serving].map(AbortOnDropHandle::new) })
    }

    /// The selector takes this pod as well.
    pub(super) fn add(&self, pod: &str, operator: &Operator) {
        let address = operator.url().trim_start_matches("http://").to_owned();
        self.pods.lock().unwrap().insert(pod.to_owned(), (address, operator.health_url("/readyz")));
    }

    /// The pod is being deleted: it is no endpoint any more.
    pub(super) fn remove(&self, pod: &str) {
        self.pods.lock().unwrap().remove(pod);
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

async fn probe(pods: Pods, ready: Arc<Mutex<Vec<String>>>) {
    let client = reqwest::Client::builder().no_proxy().timeout(LOOK).build().unwrap();
    loop {
        let all: Vec<_> = pods.lock().unwrap().values().cloned().collect();
        let mut now = Vec::new();
        for (address, probe) in all {
            if client.get(probe).send().await.is_ok_and(|answer| answer.status().is_success()) {
                now.push(address);
            }
        }
        *ready.lock().unwrap() = now;
        tokio::time::sleep(LOOK).await;
    }
}

async fn serve(listener: TcpListener, ready: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let chosen = {
            let ready = ready.lock().unwrap();
            (!ready.is_empty()).then(|| ready[fastrand::usize(..ready.len())].clone())
        };
        tokio::spawn(async move {
            let Some(chosen) = chosen else { return };
            if let Ok(mut server) = TcpStream::connect(chosen).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
