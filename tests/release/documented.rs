//! The pages, as a person follows them: every command is typed as it is written, on a cluster that has nothing but Prometheus
//! Operator's definitions, against simulated clouds at the names that the pages have. Every manifest is shown to the API server,
//! with the definitions of Argo CD, Flux and External Secrets too.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use caas_operator::simulator::Running;
use serde_json::{Value, json};

use crate::blocks::{Block, CONTINUES, Mark, blocks, page, pages};
use crate::control::crds;
use crate::control::kubectl::kubectl;
use crate::harness::once::Once;
use crate::harness::operators::install_definitions;
use crate::harness::terminal::Terminal;
use crate::harness::world::World;
use crate::harness::{public_clouds, timeout};
use crate::servers::server;

/// Namespaces that a new cluster has.
const FIRST: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The clouds, for all tests of this world.
async fn prepared(world: &'static World) {
    static CLOUDS: Once<Vec<Running>> = Once::new();
    CLOUDS
        .get("the clouds of the pages", async || {
            install_definitions(&world.plane).await?;
            public_clouds::start(world).await
        })
        .await;
}

/// Makes the cluster a new one: no release, none of our objects, no namespace but the first.
async fn emptied(world: &World) -> anyhow::Result<()> {
    let kubectl = async |words: &[&str]| anyhow::Ok(world.plane.kubectl(words).await?.expect_ok());
    let releases =
        world.helm(&["list", "--all-namespaces", "--output", "json"], &Value::Null).await.expect_ok();
    let releases: Vec<Value> = serde_json::from_str(&releases)?;
    for release in &releases {
        let named = |field: &str| release[field].as_str().unwrap_or_default().to_owned();
        let words = ["uninstall", &named("name"), "--namespace", &named("namespace"), "--wait"];
        world.helm(&words, &Value::Null).await.expect_ok();
    }
    let crd = "caasaccounts.caas-operator.io";
    kubectl(&["delete", "crd", crd, "--ignore-not-found", &timeout()]).await?;
    let of_ours =
        ["delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=caas-operator"];
    kubectl(&of_ours).await?;
    let namespaces = kubectl(&["get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}"]).await?;
    let later: Vec<&str> = namespaces.split_whitespace().filter(|name| !FIRST.contains(name)).collect();
    if !later.is_empty() {
        kubectl(&[&["delete", "namespace", &timeout()], &later[..]].concat()).await?;
    }
    Ok(())
}

/// How many blocks there were.
#[derive(Default)]
struct Count {
    ran: usize,
    marked: Vec<&'static str>,
}

/// Follows a page from its beginning to its end, or to the first command that fails.
async fn follow(world: &World, path: &str, count: &mut Count) -> anyhow::Result<()> {
    let text = page(path)?;
    let of_commands = |block: &Block| block.language == "sh";
    let blocks: Vec<Block> = blocks(&text)?.into_iter().filter(of_commands).collect();
    let is_run = |block: &Block| !matches!(block.mark, Mark::NotRun(_));
    if !text.contains(CONTINUES) && blocks.iter().any(is_run) {
        emptied(world).await?;
    }
    let mut terminal = Terminal::open(world)?;
    for Block { line, mark, text, .. } in blocks {
        let place = || format!("{path}:{line}:\n{text}");
        match mark {
            Mark::NotRun(reason) => {
                count.marked.push(reason);
                continue;
            }
            Mark::UntilCtrlC => terminal.starts(&text).await.with_context(place)?,
            Mark::NewCluster => {
                terminal.interrupts().await.with_context(place)?;
                emptied(world).await?;
                terminal.types(&text).await.with_context(place)?;
            }
            Mark::Typed => terminal.types(&text).await.with_context(place)?,
        }
        count.ran += 1;
    }
    terminal.interrupts().await.with_context(|| format!("{path}: its last program"))
}

pub(crate) async fn every_command_of_the_pages_succeeds_as_it_is_written(world: &'static World) {
    prepared(world).await;
    let (mut next, others): (Vec<_>, Vec<_>) =
        pages().into_iter().skip(1).partition(|path| page(path).unwrap().contains(CONTINUES));
    // What begins where the README ends comes right after it, and what replaces the cluster last.
    next.sort_by_key(|path| {
        blocks(&page(path).unwrap()).unwrap().iter().any(|block| block.mark == Mark::NewCluster)
    });
    let (mut count, mut failed) = (Count::default(), Vec::new());
    for path in [vec!["README.md".to_owned()], next, others].concat() {
        let before = count.ran;
        let begun = std::time::Instant::now();
        if let Err(error) = follow(world, &path, &mut count).await {
            failed.push(format!("{error:#}"));
        }
        if count.ran > before {
            println!("{path}: {} blocks ran in {:.0} s", count.ran - before, begun.elapsed().as_secs_f64());
        }
    }
    let reasons: BTreeSet<_> = count.marked.iter().collect();
    for reason in reasons {
        let times = count.marked.iter().filter(|it| it == &reason).count();
        println!("not run: {reason}: {times}");
    }
    println!("{} blocks ran, {} are marked", count.ran, count.marked.len());
    assert!(failed.is_empty(), "{}\n{}", failed.join("\n\n"), world.log("caas-operator"));
    assert!(count.ran > 30, "{}", count.ran);
}

/// Runs a tool on a text in a file; it has to accept it.
async fn accepted(tool: &str, words: &[&str], text: &str) -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    std::fs::write(file.path(), text)?;
    let output = tokio::process::Command::new(server(tool)).args(words).arg(file.path()).output().await?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

/// What became of a block of YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    ToTheApiServer,
    ToHelm,
    ToPromtool,
    /// A piece of another program's configuration.
    Nobody,
}

/// Shows a block to the program that it is for.
async fn show(world: &World, text: &str, values: &Value) -> anyhow::Result<Shown> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let first = documents.first().context("it is empty")?;
    if first["apiVersion"].is_string() {
        let ran = kubectl(&world.plane.admin()?, &["create", "--dry-run=server", "-f", "-"], text).await;
        ensure!(ran.ok, "{}", ran.stderr);
        return Ok(Shown::ToTheApiServer);
    }
    let keys: Vec<&String> = first.as_object().context("it is no mapping")?.keys().collect();
    if keys.iter().any(|key| *key == "scrape_configs") {
        accepted("promtool", &["check", "config", "--syntax-only"], text).await?;
        return Ok(Shown::ToPromtool);
    }
    if keys.iter().all(|key| values.get(key).is_some()) {
        let chart = crate::harness::helm::chart().display().to_string();
        accepted("helm", &["template", "caas-operator", &chart, "--values"], text).await?;
        return Ok(Shown::ToHelm);
    }
    ensure!(!keys.iter().any(|key| *key == "spec"), "a piece of a manifest: write all of it");
    Ok(Shown::Nobody)
}

pub(crate) async fn every_manifest_of_the_pages_is_accepted(world: &'static World) {
    prepared(world).await;
    emptied(world).await.unwrap();
    let client = world.plane.client().await.unwrap();
    let others = crds::in_folder(&server("gitops-crds")).unwrap();
    for file in [crds::ours().unwrap(), others].concat() {
        crds::install(&client, &file).await.unwrap();
    }
    for namespace in ["team-a", "monitoring", "caas-system", "argocd", "flux-system"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        world.plane.apply(&namespace.to_string()).await.unwrap();
    }
    let values = std::fs::read_to_string(crate::harness::helm::chart().join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    let (mut shown, mut refused) = (Vec::new(), Vec::new());
    for path in pages() {
        let blocks = blocks(&page(&path).unwrap()).unwrap();
        for block in blocks.iter().filter(|block| block.language == "yaml") {
            match show(world, &block.text, &values).await {
                Ok(whom) => shown.push(whom),
                Err(error) => refused.push(format!("{path}:{}: {error:#}\n{}", block.line, block.text)),
            }
        }
    }
    for whom in BTreeSet::from_iter(shown.clone()) {
        println!("{whom:?}: {}", shown.iter().filter(|it| **it == whom).count());
    }
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
    for whom in [Shown::ToTheApiServer, Shown::ToHelm, Shown::ToPromtool] {
        assert!(shown.contains(&whom), "none {whom:?}");
    }
}
