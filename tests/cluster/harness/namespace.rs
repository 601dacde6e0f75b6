//! A namespace of a test's own.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::{Client, Resource};

use super::cluster::Cluster;
use super::kubeconfig::Kubeconfig;
use super::kubectl::{Ran, kubectl};

/// A namespace for one test. Dropping it starts its deletion, without waiting for the end.
pub(crate) struct Namespace {
    name: String,
    client: Client,
    cluster: Cluster,
}

impl Namespace {
    /// Makes one named after `hint`.
    pub(crate) async fn create(cluster: &Cluster, hint: &str) -> anyhow::Result<Self> {
        let name = cluster.unique(hint);
        let client = cluster.client().await?;
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let object = Object { metadata, ..Object::default() };
        Api::<Object>::all(client.clone()).create(&PostParams::default(), &object).await?;
        Ok(Self { name, client, cluster: cluster.clone() })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The administrator's client, of the test's own runtime.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The cluster it is in.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its objects of one kind.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.name)
    }

    /// `kubectl --namespace <this>` as the administrator.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> anyhow::Result<Ran> {
        self.kubectl_as(&self.cluster.admin()?, args, "").await
    }

    /// `kubectl --namespace <this>` as somebody, with something on its standard input for `-f -`.
    pub(crate) async fn kubectl_as(
        &self,
        who: &Kubeconfig,
        args: &[&str],
        input: &str,
    ) -> anyhow::Result<Ran> {
        let args: Vec<&str> = ["--namespace", &self.name].into_iter().chain(args.iter().copied()).collect();
        Ok(kubectl(who, &args, input).await)
    }

    /// `kubectl apply -f -` in this namespace as the administrator.
    pub(crate) async fn apply(&self, manifests: &str) -> anyhow::Result<Ran> {
        self.kubectl_as(&self.cluster.admin()?, &["apply", "-f", "-"], manifests).await
    }

    /// A kubeconfig of a `ServiceAccount` here, made where it is missing.
    pub(crate) async fn service_account(&self, name: &str) -> anyhow::Result<Kubeconfig> {
        self.cluster.service_account(&self.name, name).await
    }

    /// Deletes it now. Its objects go in the background, as with `kubectl delete namespace --wait=false`.
    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        let namespaces: Api<Object> = Api::all(self.client());
        namespaces.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        // The test's runtime may be ending, so the last call gets one of its own. Whether it arrives matters little: the
        // whole cluster goes with the test binary; this keeps what is over out of the other tests' sight.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            let _ = runtime.block_on(async {
                let namespaces: Api<Object> = Api::all(cluster.client().await?);
                namespaces.delete(&name, &DeleteParams::default()).await?;
                anyhow::Ok(())
            });
        });
    }
}
