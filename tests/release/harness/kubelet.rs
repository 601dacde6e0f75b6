//! The node: binds each Pod to itself and runs it. Knows which Pods exist, not how one runs.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;

use super::network::PodNetwork;
use super::pod::{Life, Surroundings};

const NODE_NAME: &str = "node";

/// Creates the node and runs its Pods for as long as the process lives.
pub(crate) async fn start(surroundings: Surroundings) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(surroundings.client.clone());
    let node = serde_json::from_value(json!({"metadata": {"name": NODE_NAME}}))?;
    nodes.create(&PostParams::default(), &node).await?;
    tokio::spawn(async move {
        if let Err(error) = look_after(Arc::new(surroundings)).await {
            eprintln!("kubelet: {error:#}");
        }
    });
    Ok(())
}

async fn look_after(surroundings: Arc<Surroundings>) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::all(surroundings.client.clone());
    let mut events = watcher(pods, watcher::Config::default()).default_backoff().touched_objects().boxed();
    let mut lives: HashMap<String, watch::Sender<Pod>> = HashMap::new();
    let mut number = 1;
    while let Some(event) = events.next().await {
        let pod = match event {
            Ok(pod) => pod,
            Err(error) => {
                eprintln!("kubelet: the watch of Pods is interrupted: {error:#}");
                continue;
            }
        };
        let uid = pod.uid().context("a Pod without a uid")?;
        if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none()) {
            bind(&surroundings.client, &pod).await?;
            continue;
        }
        if let Some(life) = lives.get(&uid) {
            // A life that is over hears nothing more.
            let _ = life.send(pod);
            continue;
        }
        if pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        number += 1;
        let network = PodNetwork::create(number).await?;
        let (tell, changes) = watch::channel(pod);
        lives.insert(uid, tell);
        tokio::spawn(Life::new(Arc::clone(&surroundings), changes, network).live());
    }
    Ok(())
}

/// Does the work of a scheduler.
async fn bind(client: &Client, pod: &Pod) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name_any()},
        "target": {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME},
    });
    let bound: Result<serde_json::Value, _> =
        pods.create_subresource("binding", &pod.name_any(), &PostParams::default(), &binding).await;
    match bound {
        // Deleted, or bound by an earlier event of the same Pod.
        Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}
