//! A Pod's files and environment, from the objects that it references. Supports the kinds of volumes and references that
//! operators use, and fails on others.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, Pod, Secret, ServiceAccount, VolumeProjection,
};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};

/// The Service `kubernetes`, which is in every container's environment.
const API_SERVER: [(&str, &str); 2] =
    [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

/// Reads the objects that a Pod references.
pub(crate) struct Volumes<'a> {
    client: Client,
    pod: &'a Pod,
    namespace: String,
    address: Ipv4Addr,
}

impl<'a> Volumes<'a> {
    /// Of a Pod with this address.
    pub(crate) fn of(client: Client, pod: &'a Pod, address: Ipv4Addr) -> Self {
        Self { client, pod, namespace: pod.namespace().unwrap_or_default(), address }
    }

    /// Writes the container's volumes below `folder`; returns each folder and its mount path.
    pub(crate) async fn write(
        &self,
        container: &Container,
        folder: &Path,
    ) -> anyhow::Result<Vec<(PathBuf, String)>> {
        let volumes = self.pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.as_deref().unwrap_or_default() {
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            let volume = volume.with_context(|| format!("no volume {}", mount.name))?;
            let source = folder.join(&mount.name);
            fs::create_dir_all(&source)?;
            let Some(projected) = &volume.projected else {
                bail!("volume {}: this kubelet knows projected volumes only", mount.name)
            };
            for projection in projected.sources.as_deref().unwrap_or_default() {
                for (path, content) in self.projection(projection).await? {
                    fs::write(source.join(path), content)?;
                }
            }
            mounts.push((source, mount.mount_path.clone()));
        }
        Ok(mounts)
    }

    async fn projection(&self, source: &VolumeProjection) -> anyhow::Result<Vec<(String, String)>> {
        let mut files = Vec::new();
        if let Some(token) = &source.service_account_token {
            files.push((token.path.clone(), self.token(token.expiration_seconds).await?));
        }
        if let Some(config) = &source.config_map {
            let data = self.config_map(&config.name).await?.data.unwrap_or_default();
            for item in config.items.as_deref().unwrap_or_default() {
                let content = data.get(&item.key).with_context(|| format!("no key {}", item.key))?;
                files.push((item.path.clone(), content.clone()));
            }
        }
        for item in source.downward_api.iter().flat_map(|api| api.items.iter().flatten()) {
            let field = item.field_ref.as_ref().context("this kubelet knows fieldRef only")?;
            files.push((item.path.clone(), self.field(&field.field_path)?));
        }
        if source.secret.is_some() || source.cluster_trust_bundle.is_some() {
            bail!("this kubelet knows no Secrets and trust bundles in projected volumes");
        }
        Ok(files)
    }

    /// A token of the Pod's `ServiceAccount`, bound to the Pod.
    async fn token(&self, seconds: Option<i64>) -> anyhow::Result<String> {
        let account = self.pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(self.pod.name_any()),
            uid: self.pod.uid(),
        };
        let spec = TokenRequestSpec {
            bound_object_ref: Some(bound),
            expiration_seconds: seconds,
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let account = account.unwrap_or("default");
        let answer: TokenRequest =
            accounts.create_subresource("token", account, &PostParams::default(), &request).await?;
        Ok(answer.status.context("the API server gave no token")?.token)
    }

    /// The container's environment, its own entries after those of whole objects.
    pub(crate) async fn environment(&self, container: &Container) -> anyhow::Result<Vec<(String, String)>> {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut environment: Vec<(String, String)> = API_SERVER.into_iter().map(own).collect();
        environment.push(("HOSTNAME".to_owned(), self.pod.name_any()));
        for from in container.env_from.as_deref().unwrap_or_default() {
            if let Some(reference) = &from.config_map_ref {
                environment.extend(self.config_map(&reference.name).await?.data.unwrap_or_default());
            }
            if let Some(reference) = &from.secret_ref {
                environment.extend(self.secret(&reference.name).await?);
            }
        }
        for variable in container.env.as_deref().unwrap_or_default() {
            if let Some(value) = self.value(variable).await? {
                environment.push((variable.name.clone(), value));
            }
        }
        Ok(environment)
    }

    async fn value(&self, variable: &EnvVar) -> anyhow::Result<Option<String>> {
        let Some(from) = &variable.value_from else { return Ok(variable.value.clone()) };
        if let Some(field) = &from.field_ref {
            return self.field(&field.field_path).map(Some);
        }
        let (reference, data, optional) = if let Some(reference) = &from.config_map_key_ref {
            let data = self.config_map(&reference.name).await?.data.unwrap_or_default();
            (&reference.key, data, reference.optional)
        } else if let Some(reference) = &from.secret_key_ref {
            (&reference.key, self.secret(&reference.name).await?, reference.optional)
        } else {
            bail!("{}: this kubelet knows no such reference", variable.name)
        };
        let value = data.get(reference).cloned();
        if value.is_none() && optional != Some(true) {
            bail!("{}: there is no key {reference}", variable.name);
        }
        Ok(value)
    }

    fn field(&self, path: &str) -> anyhow::Result<String> {
        let spec = self.pod.spec.as_ref();
        let field = match path {
            "metadata.name" => Some(self.pod.name_any()),
            "metadata.namespace" => Some(self.namespace.clone()),
            "metadata.uid" => self.pod.uid(),
            "status.podIP" => Some(self.address.to_string()),
            "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
            "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
            _ => bail!("{path}: this kubelet knows no such field"),
        };
        field.with_context(|| format!("the Pod has no {path}"))
    }

    async fn config_map(&self, name: &str) -> anyhow::Result<ConfigMap> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        maps.get(name).await.with_context(|| format!("ConfigMap {name}"))
    }

    async fn secret(&self, name: &str) -> anyhow::Result<std::collections::BTreeMap<String, String>> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = secrets.get(name).await.with_context(|| format!("Secret {name}"))?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("a value that is no text");
        let data = secret.data.unwrap_or_default().into_iter();
        data.map(|(key, value)| Ok((key, text(value.0)?))).collect()
    }
}
