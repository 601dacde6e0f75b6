//! What kube-proxy and the cluster's DNS do: each Service's address forwards to a ready endpoint, and its name resolves to that
//! address. Supports TCP over IPv4.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::Api;
use kube::runtime::reflector::{Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::hosts::Hosts;
use super::network;

/// The label with which an `EndpointSlice` names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Follows Services and their endpoints for as long as the process lives.
pub(crate) async fn start(client: Client, hosts: Arc<Hosts>) -> anyhow::Result<()> {
    let (slices, writer) = store::<EndpointSlice>();
    let watch =
        watcher(Api::all(client.clone()), watcher::Config::default()).default_backoff().reflect(writer);
    tokio::spawn(watch.for_each(|_| std::future::ready(())));
    slices.wait_until_ready().await?;
    let services = watcher(Api::<Service>::all(client), watcher::Config::default()).default_backoff();
    tokio::spawn(async move {
        if let Err(error) = follow(services, slices, hosts).await {
            eprintln!("kube-proxy: {error:#}");
        }
    });
    Ok(())
}

async fn follow(
    events: impl StreamExt<Item = watcher::Result<watcher::Event<Service>>>,
    slices: Store<EndpointSlice>,
    hosts: Arc<Hosts>,
) -> anyhow::Result<()> {
    let mut events = std::pin::pin!(events);
    let mut open: HashMap<String, (Ipv4Addr, AbortHandle)> = HashMap::new();
    while let Some(event) = events.next().await {
        let (service, gone) = match event {
            Ok(watcher::Event::Apply(service) | watcher::Event::InitApply(service)) => (service, false),
            Ok(watcher::Event::Delete(service)) => (service, true),
            Ok(_) => continue,
            Err(error) => {
                eprintln!("kube-proxy: the watch of Services is interrupted: {error:#}");
                continue;
            }
        };
        let uid = service.uid().context("a Service without a uid")?;
        if gone {
            if let Some((address, forwarding)) = open.remove(&uid) {
                forwarding.abort();
                hosts.remove(address)?;
                network::remove_address(address).await?;
            }
            continue;
        }
        if open.contains_key(&uid) {
            continue;
        }
        let Some(address) = cluster_ip(&service) else { continue };
        network::add_address(address).await?;
        let forwarding = forward(&service, address, &slices).await?;
        hosts.add(address, &names(&service))?;
        open.insert(uid, (address, forwarding));
    }
    Ok(())
}

fn cluster_ip(service: &Service) -> Option<Ipv4Addr> {
    service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()
}

fn names(service: &Service) -> Vec<String> {
    let full = format!("{}.{}.svc", service.name_any(), service.namespace().unwrap_or_default());
    vec![full.clone(), format!("{full}.cluster.local")]
}

/// Listens on the Service's ports until aborted.
async fn forward(
    service: &Service,
    address: Ipv4Addr,
    slices: &Store<EndpointSlice>,
) -> anyhow::Result<AbortHandle> {
    let mut listening = JoinSet::new();
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    for port in ports {
        let number = u16::try_from(port.port)?;
        let listener = TcpListener::bind((address, number)).await.context("a Service's port")?;
        let backend = Backend {
            slices: slices.clone(),
            namespace: service.namespace().unwrap_or_default(),
            service: service.name_any(),
            port: port.name.clone(),
            turn: AtomicUsize::new(0),
        };
        listening.spawn(accept(listener, Arc::new(backend)));
    }
    let all = async move { while listening.join_next().await.is_some() {} };
    Ok(tokio::spawn(all).abort_handle())
}

async fn accept(listener: TcpListener, backend: Arc<Backend>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let backend = Arc::clone(&backend);
        // An established connection outlives its Service, as with kube-proxy.
        tokio::spawn(async move {
            // Without an endpoint the client's connection ends, as it would be refused by kube-proxy.
            let Some(address) = backend.choose() else { return };
            if let Ok(mut endpoint) = TcpStream::connect(address).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut endpoint).await;
            }
        });
    }
}

/// One port of a Service.
struct Backend {
    slices: Store<EndpointSlice>,
    namespace: String,
    service: String,
    port: Option<String>,
    turn: AtomicUsize,
}

impl Backend {
    /// The next ready endpoint, round robin.
    fn choose(&self) -> Option<SocketAddr> {
        let ready = self.ready();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ready.get(turn % ready.len().max(1)).copied()
    }

    fn ready(&self) -> Vec<SocketAddr> {
        let mine = |slice: &EndpointSlice| {
            slice.namespace().as_deref() == Some(&self.namespace)
                && slice.labels().get(SERVICE_NAME) == Some(&self.service)
        };
        let mut ready = BTreeMap::new();
        for slice in self.slices.state().into_iter().filter(|slice| mine(slice)) {
            let ports = slice.ports.as_deref().unwrap_or_default();
            let named = |name: &Option<String>| name.clone().unwrap_or_default();
            let port = ports.iter().find(|port| named(&port.name) == named(&self.port));
            let Some(port) = port.and_then(|port| u16::try_from(port.port?).ok()) else { continue };
            for endpoint in &slice.endpoints {
                let is_ready = endpoint.conditions.as_ref().and_then(|it| it.ready) != Some(false);
                for address in endpoint.addresses.iter().filter(|_| is_ready) {
                    if let Ok(address) = address.parse::<Ipv4Addr>() {
                        ready.insert(address, SocketAddr::from((address, port)));
                    }
                }
            }
        }
        ready.into_values().collect()
    }
}
