//! Kubeconfig files, as the operator and `kubectl` take them, and kube clients made from them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use kube::config::KubeConfigOptions;
use serde_json::json;

/// A kubeconfig file of one user; the file goes with the control plane's folder.
#[derive(Clone, Debug)]
pub(crate) struct Kubeconfig {
    path: PathBuf,
    url: String,
    ca_file: PathBuf,
    token: String,
}

impl Kubeconfig {
    /// Writes the file for a user whom `token` names.
    pub(crate) fn write(path: PathBuf, url: &str, ca_file: &Path, token: &str) -> anyhow::Result<Self> {
        let ca_file = ca_file.to_path_buf();
        let name = "test";
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": ca_file}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        });
        fs::write(&path, content.to_string()).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { path, url: url.to_owned(), ca_file, token: token.to_owned() })
    }

    /// The same user at another address, such as a proxy's; in a file beside this one.
    pub(crate) fn at(&self, name: &str, url: &str) -> anyhow::Result<Self> {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let path = self.path.with_file_name(format!("{stem}-{name}.kubeconfig"));
        Self::write(path, url, &self.ca_file, &self.token)
    }

    /// The API server's address in it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A client for the runtime that is running. It does not repeat a call by itself, so that a test sees each answer.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        let file = kube::config::Kubeconfig::read_from(&self.path)?;
        let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        Ok(kube::Client::try_from(config)?)
    }
}
