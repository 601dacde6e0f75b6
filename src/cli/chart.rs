//! An operator on somebody's machine beside the one that the chart installed: both would write the same statuses and
//! ServiceMonitors. Finds the chart's by its Deployments, and says what a Prometheus in the cluster cannot reach.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use thiserror::Error;

use crate::controller::{ApiError, ScrapeService, call};

/// The label of all that the chart installs.
const PART_OF: &str = "app.kubernetes.io/part-of=caas-operator";

/// An operator that the chart installed runs.
#[derive(Debug, Error)]
#[error(
    "an operator is already running in this cluster: Deployment {0}. Two operators with the same accounts overwrite each other's ServiceMonitors and statuses. Scale it to 0 first, or, to test accounts next to it, use `caas-operator check --from-cluster`. If the two operators have different namespaces, add --allow-second-operator"
)]
pub(super) struct AlreadyRuns(String);

/// Whether this process is in a pod: the kubelet sets the variable in every one.
pub(super) fn is_in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty())
}

/// Says what does not work from outside of the cluster.
pub(super) fn warn_of_scrapes(service: &ScrapeService) {
    let service = format!("{}/{}", service.namespace, service.name);
    tracing::warn!(
        %service,
        "this process does not run in a pod, so Prometheus in the cluster cannot reach it through the Service in its \
         ServiceMonitors; scrape this process at its own address"
    );
}

/// Fails where an operator that the chart installed has a pod that is ready. Where its Deployments may not be listed or the API
/// server is away, that is logged, and nobody is refused.
pub(super) async fn ensure_none_runs(client: &Client, service: &ScrapeService) -> Result<(), AlreadyRuns> {
    let everywhere = ready(Api::all(client.clone())).await;
    let found = match everywhere {
        // Who may not list those of the cluster may still list those beside the Service.
        Err(_) => ready(Api::namespaced(client.clone(), &service.namespace)).await,
        found => found,
    };
    match found {
        Ok(Some(deployment)) => Err(AlreadyRuns(deployment)),
        Ok(None) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "cannot check whether the chart's operator also runs in the cluster: its Deployments cannot be listed");
            Ok(())
        }
    }
}

/// A Deployment of the chart that has a pod that is ready, by namespace and name.
async fn ready(api: Api<Deployment>) -> Result<Option<String>, ApiError> {
    let ours = ListParams::default().labels(PART_OF);
    let list = call(api.list(&ours)).await?;
    let is_ready = |deployment: &Deployment| {
        deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default() > 0
    };
    let found = list.items.iter().find(|deployment| is_ready(deployment));
    Ok(found.map(|it| format!("{}/{}", it.namespace().unwrap_or_default(), it.name_any())))
}
