//! What a client of a control plane needs: its address, whom it trusts, and a kubeconfig for each user. Cheap to clone; knows
//! nothing of the processes behind it, and holds nothing that is bound to a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, anyhow};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ObjectMeta, PostParams};

use super::audit::AuditLog;
use super::crds;
use super::keys::{Keys, random_token};
use super::kubeconfig::Kubeconfig;
use super::kubectl::{Ran, kubectl};
use super::namespace::Namespace;
use super::scratch::Scratch;

/// Users with a token of their own, and their groups. `admin` may do everything; the others what RBAC grants them.
const USERS: [(&str, &str); 4] = [
    ("admin", "system:masters"),
    ("system:kube-controller-manager", "system:masters"),
    ("operator", "caas-operators"),
    ("tenant", "tenants"),
];

/// See the module.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    url: String,
    keys: Keys,
    scratch: Arc<Scratch>,
    users: Vec<(&'static str, Kubeconfig)>,
    names: AtomicUsize,
}

impl Cluster {
    /// Writes what the API server at `url` is started with, and the kubeconfigs. `names`: all that it is called by.
    pub(crate) fn new(scratch: Arc<Scratch>, url: String, names: &[String]) -> anyhow::Result<Self> {
        let keys = Keys::generate(names)?;
        let ca_file = scratch.file("ca.crt");
        let mut users = Vec::new();
        let mut tokens = Vec::new();
        for (user, groups) in USERS {
            let token = random_token();
            let file = scratch.file(&format!("{}.kubeconfig", user.replace(':', "-")));
            users.push((user, Kubeconfig::write(file, &url, &ca_file, &token)?));
            tokens.push(format!("{token},{user},{user},\"{groups}\"\n"));
        }
        for (name, content) in [
            ("ca.crt", &keys.ca),
            ("server.crt", &keys.server_certificate),
            ("server.key", &keys.server_key),
            ("service-account.key", &keys.service_account_key),
            ("service-account.pub", &keys.service_account_public_key),
            ("tokens.csv", &tokens.concat()),
        ] {
            std::fs::write(scratch.file(name), content).with_context(|| format!("writing {name}"))?;
        }
        Ok(Self(Arc::new(Inner { url, keys, scratch, users, names: AtomicUsize::new(1) })))
    }

    /// The API server's address, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// The certificates.
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The folder of this control plane, gone with it.
    pub(crate) fn scratch(&self) -> &Arc<Scratch> {
        &self.0.scratch
    }

    /// A name nothing else in this cluster was given: `hint-7`.
    pub(crate) fn unique(&self, hint: &str) -> String {
        format!("{hint}-{}", self.0.names.fetch_add(1, Ordering::Relaxed))
    }

    /// The kubeconfig of a user with a token of their own: `admin`, or `operator` and `tenant`, who may do what RBAC grants
    /// the user of that name. For the operator as it is installed, see [`Cluster::service_account`].
    pub(crate) fn kubeconfig_for(&self, user: &str) -> anyhow::Result<Kubeconfig> {
        let found = self.0.users.iter().find(|(name, _)| *name == user);
        let (_, kubeconfig) = found.with_context(|| format!("no user {user}: there are {USERS:?}"))?;
        Ok(kubeconfig.clone())
    }

    /// The administrator's kubeconfig.
    pub(crate) fn admin(&self) -> anyhow::Result<Kubeconfig> {
        self.kubeconfig_for("admin")
    }

    /// An administrator's client for the runtime that is running.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        self.admin()?.client().await
    }

    /// A kubeconfig with a token of a `ServiceAccount`, which is made where it is missing. To RBAC and in the audit log it is
    /// `system:serviceaccount:<namespace>:<name>`.
    pub(crate) async fn service_account(&self, namespace: &str, name: &str) -> anyhow::Result<Kubeconfig> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        if accounts.get_opt(name).await?.is_none() {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            let account = ServiceAccount { metadata, ..ServiceAccount::default() };
            accounts.create(&PostParams::default(), &account).await?;
        }
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let answer: TokenRequest =
            accounts.create_subresource("token", name, &PostParams::default(), &request).await?;
        let token = answer.status.context("the API server gave no token")?.token;
        let scratch = self.scratch();
        let file = scratch.file(&format!("{}.kubeconfig", self.unique(&format!("{namespace}-{name}"))));
        Kubeconfig::write(file, self.url(), &scratch.file("ca.crt"), &token)
    }

    /// A namespace for one test; deleted when dropped.
    pub(crate) async fn namespace(&self, hint: &str) -> anyhow::Result<Namespace> {
        Namespace::create(self, hint).await
    }

    /// `kubectl` as the administrator.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> anyhow::Result<Ran> {
        Ok(kubectl(&self.admin()?, args, "").await)
    }

    /// `kubectl apply -f -` as the administrator: any manifests, such as RBAC.
    pub(crate) async fn apply(&self, manifests: &str) -> anyhow::Result<()> {
        let ran = kubectl(&self.admin()?, &["apply", "--server-side", "-f", "-"], manifests).await;
        if ran.ok { Ok(()) } else { Err(anyhow!("kubectl apply: {}", ran.stderr)) }
    }

    /// Installs Prometheus Operator's ServiceMonitor CRD and waits until it is served.
    pub(crate) async fn install_service_monitors(&self) -> anyhow::Result<()> {
        crds::install(&self.client().await?, &crds::service_monitors()).await
    }

    /// Installs Prometheus Operator's `PrometheusRule` CRD and waits until it is served.
    pub(crate) async fn install_prometheus_rules(&self) -> anyhow::Result<()> {
        crds::install(&self.client().await?, &crds::prometheus_rules()).await
    }

    /// Installs Prometheus Operator's `ScrapeConfig` CRD and waits until it is served.
    pub(crate) async fn install_scrape_configs(&self) -> anyhow::Result<()> {
        crds::install(&self.client().await?, &crds::scrape_configs()).await
    }

    /// Removes that of ServiceMonitors, and with it all ServiceMonitors; waits until it is gone from discovery.
    pub(crate) async fn remove_service_monitors(&self) -> anyhow::Result<()> {
        crds::remove(&self.client().await?, &crds::service_monitors()).await
    }

    /// Installs the CRDs in the project's `crds/`.
    pub(crate) async fn install_our_crds(&self) -> anyhow::Result<()> {
        let client = self.client().await?;
        for file in crds::ours()? {
            crds::install(&client, &file).await?;
        }
        Ok(())
    }

    /// The audit log so far.
    pub(crate) fn audit_log(&self) -> anyhow::Result<AuditLog> {
        AuditLog::read(&self.scratch().file("audit.log"))
    }

    /// An HTTP client that trusts this cluster's authority and changes nothing that passes.
    pub(crate) fn http_client(&self) -> anyhow::Result<reqwest::Client> {
        let ca = reqwest::Certificate::from_pem(self.keys().ca.as_bytes())?;
        Ok(reqwest::Client::builder().tls_certs_only([ca]).no_proxy().no_gzip().build()?)
    }
}
