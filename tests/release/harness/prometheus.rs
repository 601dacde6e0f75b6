//! A real Prometheus that runs what Prometheus Operator generates for one of its shards, and follows its changes.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, ListParams};
use serde::Deserialize;
use serde_json::{Value, json};

use super::PATIENCE;
use super::container::Container;
use super::network;
use super::world::World;
use crate::control::process::Process;
use crate::control::until;
use crate::servers::server;

/// Where Prometheus objects and their configuration lie.
pub(crate) const NAMESPACE: &str = "monitoring";

/// Where Prometheus Operator expects the rules in a Prometheus' Pod.
const RULES: &str = "/etc/prometheus/rules/";

/// How often the configuration is checked for changes.
const LOOK: Duration = Duration::from_millis(250);

/// Namespace, `ServiceAccount` and rights of every Prometheus, as Prometheus Operator documents them.
const RIGHTS: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}},
{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prometheus", "namespace": "monitoring"}},
{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "prometheus"}, "rules": [
  {"apiGroups": [""], "resources": ["nodes", "services", "endpoints", "pods"], "verbs": ["get", "list", "watch"]},
  {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}]},
{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "prometheus"},
  "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus"},
  "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}]}]}"#;

/// A running Prometheus.
pub(crate) struct Prometheus {
    url: String,
    process: Mutex<Process>,
    http: reqwest::Client,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// All its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value.
    pub(crate) value: f64,
}

impl Series {
    /// A label's value, or nothing.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Installs what all Prometheuses share.
pub(crate) async fn install_rights(world: &World) -> anyhow::Result<()> {
    world.plane.apply(RIGHTS).await
}

/// Creates a Prometheus object that selects ServiceMonitors and rules of all namespaces, with `more` in its spec.
pub(crate) async fn install(world: &World, name: &str, more: Value) -> anyhow::Result<()> {
    let mut spec = json!({
        "serviceAccountName": "prometheus", "serviceDiscoveryRole": "EndpointSlice",
        "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {},
        "ruleSelector": {}, "ruleNamespaceSelector": {},
        "scrapeInterval": "5s", "scrapeTimeout": "5s", "evaluationInterval": "1s",
    });
    let (Some(spec_fields), Value::Object(more)) = (spec.as_object_mut(), more) else { bail!("an object") };
    spec_fields.extend(more);
    let object = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
    world.plane.apply(&object.to_string()).await
}

impl Prometheus {
    /// Runs one shard of the Prometheus object of that name, with the rights of its `ServiceAccount`.
    pub(crate) async fn run(world: &World, name: &str, shard: usize) -> anyhow::Result<Self> {
        let folder = world.plane.scratch().file(&format!("prometheus-{name}-{shard}"));
        std::fs::create_dir_all(&folder)?;
        let client = world.plane.client().await?;
        let mut source = Source { client, name: name.to_owned(), shard, folder, seen: String::new() };
        until(PATIENCE, "a configuration by Prometheus Operator", async || {
            ensure!(source.update().await?, "none yet\n{}", world.log("prometheus-operator"));
            Ok(())
        })
        .await;
        let prometheus = Self::start(world, &source).await?;
        let (url, http) = (prometheus.url.clone(), prometheus.http.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                match source.update().await {
                    Ok(false) => {}
                    Ok(true) => reload(&http, &url).await,
                    // For example, the API server is away; the next check tries again.
                    Err(error) => eprintln!("Prometheus {}: {error:#}", source.name),
                }
            }
        });
        Ok(prometheus)
    }

    /// Runs one with a given configuration.
    pub(crate) async fn plain(world: &World, name: &str, configuration: &str) -> anyhow::Result<Self> {
        let folder = world.plane.scratch().file(&format!("prometheus-{name}"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("prometheus.yaml"), configuration)?;
        let client = world.plane.client().await?;
        let source = Source { client, name: name.to_owned(), shard: 0, folder, seen: String::new() };
        Self::start(world, &source).await
    }

    async fn start(world: &World, source: &Source) -> anyhow::Result<Self> {
        static NUMBER: AtomicU8 = AtomicU8::new(10);
        let address = Ipv4Addr::new(10, 244, 0, NUMBER.fetch_add(1, Ordering::Relaxed));
        network::add_address(address).await?;
        let url = format!("http://{address}:9090");
        let folder = source.folder.display();
        let container = Container {
            name: format!("prometheus-{}-{}", source.name, source.shard),
            network: None,
            user: None,
            mounts: vec![world.service_account(NAMESPACE, "prometheus").await?],
            path: server("prometheus"),
            args: vec![
                format!("--config.file={folder}/prometheus.yaml"),
                format!("--storage.tsdb.path={folder}/data"),
                format!("--web.listen-address={address}:9090"),
                "--web.enable-lifecycle".to_owned(),
            ],
            env: vec![
                ("KUBERNETES_SERVICE_HOST".to_owned(), "10.96.0.1".to_owned()),
                ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
            ],
        };
        let process = Process::start(world.plane.scratch(), &container.program())?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        let prometheus = Self { url, process: Mutex::new(process), http };
        until(PATIENCE, "Prometheus to be ready", async || {
            let answer = prometheus.http.get(format!("{}/-/ready", prometheus.url)).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => Ok(()),
                other => bail!("{other:?}\n{}", prometheus.log_tail()),
            }
        })
        .await;
        Ok(prometheus)
    }

    /// The result of a PromQL query now.
    pub(crate) async fn query(&self, query: &str) -> anyhow::Result<Vec<Series>> {
        self.vector(&[("query", query)]).await
    }

    /// The result at a time, in seconds since the epoch.
    pub(crate) async fn query_at(&self, query: &str, time: f64) -> anyhow::Result<Vec<Series>> {
        self.vector(&[("query", query), ("time", &time.to_string())]).await
    }

    async fn vector(&self, asked: &[(&str, &str)]) -> anyhow::Result<Vec<Series>> {
        let data: Vector = self.get("query", asked).await?;
        let parse = |sample: Sample| -> anyhow::Result<Series> {
            Ok(Series { labels: sample.metric, value: sample.value.1.parse()? })
        };
        data.result.into_iter().map(parse).collect()
    }

    /// Waits until the result of a query is as expected, and returns it.
    ///
    /// # Panics
    /// If it never is, with the last result.
    pub(crate) async fn until(&self, query: &str, holds: impl Fn(&[Series]) -> bool) -> Vec<Series> {
        until(PATIENCE, query, async || {
            let series = self.query(query).await?;
            ensure!(holds(&series), "{series:?}");
            Ok(series)
        })
        .await
    }

    /// Waits until it no longer scrapes anything for a ServiceMonitor.
    pub(crate) async fn until_no_job(&self, namespace: &str, monitor: &str) {
        let job = json!(format!("serviceMonitor/{namespace}/{monitor}/0"));
        until(PATIENCE, &format!("no job {job}"), async || {
            let jobs: Value = self.get("scrape_pools", &[]).await?;
            ensure!(!jobs["scrapePools"].as_array().context("a list")?.contains(&job), "{jobs}");
            Ok(())
        })
        .await;
    }

    /// All values of a range vector, oldest first, such as `up[1m]`.
    pub(crate) async fn values(
        &self,
        query: &str,
    ) -> anyhow::Result<Vec<(BTreeMap<String, String>, Vec<(f64, f64)>)>> {
        let data: Matrix = self.get("query", &[("query", query)]).await?;
        let values = |line: Line| -> anyhow::Result<_> {
            let values: Result<Vec<_>, _> = line
                .values
                .into_iter()
                .map(|(time, value)| value.parse().map(|value| (time, value)))
                .collect();
            Ok((line.metric, values?))
        };
        data.result.into_iter().map(values).collect()
    }

    /// Its API below `/api/v1/`, the `data` of an answer.
    pub(crate) async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let request = self.http.get(format!("{}/api/v1/{path}", self.url)).query(query);
        let answer: Answer<T> = request.send().await?.json().await?;
        match answer {
            Answer { status, data: Some(data), .. } if status == "success" => Ok(data),
            other => bail!("Prometheus says {}: {}", other.status, other.error),
        }
    }

    /// The end of its log, for a failure's message.
    pub(crate) fn log_tail(&self) -> String {
        self.process.lock().map(|process| process.log_tail(30)).unwrap_or_default()
    }
}

async fn reload(http: &reqwest::Client, url: &str) {
    match http.post(format!("{url}/-/reload")).send().await {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => {
            eprintln!("{url} refuses its configuration: {}", answer.text().await.unwrap_or_default());
        }
        Err(error) => eprintln!("{url}: {error:#}"),
    }
}

/// The configuration that Prometheus Operator writes, and its destination.
struct Source {
    client: Client,
    name: String,
    shard: usize,
    folder: PathBuf,
    seen: String,
}

impl Source {
    /// Writes configuration and rules if they changed; returns whether they did.
    async fn update(&mut self) -> anyhow::Result<bool> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let Some(secret) = secrets.get_opt(&format!("prometheus-{}", self.name)).await? else {
            return Ok(false);
        };
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mine = ListParams::default().labels(&format!("prometheus-name={}", self.name));
        let maps = maps.list(&mine).await?.items;
        let versions = maps.iter().map(|map| map.metadata.resource_version.clone());
        let seen = format!("{:?} {:?}", secret.metadata.resource_version, versions.collect::<Vec<_>>());
        if seen == self.seen {
            return Ok(false);
        }
        for map in &maps {
            let folder = self.folder.join("rules").join(map.metadata.name.as_deref().unwrap_or_default());
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder)?;
            for (file, text) in map.data.iter().flatten() {
                std::fs::write(folder.join(file), text)?;
            }
        }
        let packed =
            secret.data.unwrap_or_default().remove("prometheus.yaml.gz").context("no configuration")?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.0.as_slice()).read_to_string(&mut text)?;
        let text = text
            .replace("$(SHARD)", &self.shard.to_string())
            .replace("$(POD_NAME)", &format!("prometheus-{}-{}", self.name, self.shard))
            .replace(RULES, &format!("{}/rules/", self.folder.display()));
        std::fs::write(self.folder.join("prometheus.yaml"), text)?;
        self.seen = seen;
        Ok(true)
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    status: String,
    data: Option<T>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}
