//! The program under attack and the bystander, as processes and manifests.

mod cgroup;
mod cloud;
mod damage;
mod raw;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::time::{sleep, timeout};

pub(crate) use cgroup::ControlGroup;
pub(crate) use cloud::{Answer, HostileCloud, gzip};
use damage::client;
pub(crate) use damage::{Damage, Watch, collected_at};
pub(crate) use raw::{RawCloud, Reply};

use crate::process::{Process, until};

/// What the process may use, in bytes.
pub(crate) const MEMORY: u64 = 512 << 20;
/// Names another build to attack: an optimized one.
const PROGRAM: &str = "CAAS_TEST_PROGRAM";
/// Says that nothing else runs on the machine, so that the bounds of a quiet one apply.
const ALONE: &str = "CAAS_TEST_ALONE";
/// How often the bystander is collected.
const INTERVAL: Duration = Duration::from_secs(5);

/// A program with a bystander in the namespace `bystander`, whose cloud is healthy, and attackers.
pub(crate) struct Target {
    process: Process,
    group: Option<ControlGroup>,
    base: String,
    health: String,
    _folder: tempfile::TempDir,
    _healthy: HostileCloud,
    watch: Watch,
}

impl Target {
    /// Starts the program with these manifests besides the bystander's.
    pub(crate) async fn start(manifests: &str) -> Self {
        Self::with_files(manifests, None).await
    }

    /// The same where the process may have so many files open.
    pub(crate) async fn with_files(manifests: &str, files: Option<u32>) -> Self {
        let healthy = HostileCloud::start(|_| Answer::None).await;
        let folder = tempfile::tempdir().unwrap();
        let bystander = account("bystander", "bystander", &healthy.endpoint(), "");
        write(folder.path(), "bystander.yaml", &[secret("bystander"), bystander].concat());
        write(folder.path(), "attack.yaml", manifests);

        let group = ControlGroup::with_memory(MEMORY);
        let mut process = Process::start(limited(program(folder.path(), group.as_ref()), files));
        let base = address(&mut process, "serving").await;
        let health = address(&mut process, "health").await;
        let metrics = format!("{base}/accounts/bystander/bystander/metrics");
        // The attack begins with the process; only what the bystander has from its first collection on counts.
        until("the bystander's first collection", async || collected_at(&metrics).await).await;
        let watch = Watch::start(format!("{health}/livez"), metrics);
        Self { process, group, base, health, _folder: folder, _healthy: healthy, watch }
    }

    /// The URL of a path at the main port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The URL of a path at the health port.
    pub(crate) fn health_url(&self, path: &str) -> String {
        format!("{}{path}", self.health)
    }

    /// The body of a path at the main port.
    pub(crate) async fn body(&self, path: &str) -> String {
        client().get(self.url(path)).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until the account has one of these reasons.
    pub(crate) async fn until_reason(&self, namespace: &str, name: &str, reasons: &[&str]) -> String {
        let url = self.url(&format!("/accounts/{namespace}/{name}"));
        until(&format!("{namespace}/{name} is one of {reasons:?}"), async || {
            let account: serde_json::Value = client().get(&url).send().await.ok()?.json().await.ok()?;
            let reason = account["account"]["reason"].as_str()?.to_owned();
            reasons.contains(&&*reason).then_some(reason)
        })
        .await
    }

    /// Lets the attack go on for so long, and returns what it did. Fails where the process has ended.
    pub(crate) async fn damage_after(mut self, time: Duration) -> Damage {
        sleep(time).await;
        assert!(
            self.process.has_ended().is_none(),
            "the process ended under the attack:\n{}",
            self.process.err()
        );
        let damage = self.watch.damage(self.process.peak_memory());
        self.process.signal("TERM");
        let ended = timeout(Duration::from_secs(60), self.process.ended()).await;
        assert!(ended.is_ok_and(|status| status.code() == Some(0)), "SIGTERM is heard under the attack");
        drop(self.group);
        damage
    }
}

/// Whether another build is attacked, which is taken for an optimized one.
pub(crate) fn is_optimized() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// Whether nothing else runs on the machine.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// So many with an optimized program, else a tenth: reading manifests and matching globs take a long time without.
pub(crate) fn scaled(number: usize) -> usize {
    if is_optimized() { number } else { number / 10 }
}

fn program(folder: &Path, group: Option<&ControlGroup>) -> Command {
    let path = std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_caas-operator").into());
    let mut command = match group {
        Some(group) => group.command(&path),
        None => Command::new(path),
    };
    command.env_clear().args(["standalone", "--allow-http", "--allow-cidr", "127.0.0.0/8"]);
    command.args(["--listen", "127.0.0.1:0", "--listen-health", "127.0.0.1:0"]);
    command.arg("--manifests").arg(folder);
    if group.is_none() {
        command.args(["--memory-limit", &MEMORY.to_string()]);
    }
    command
}

/// The command with so many open files at most.
fn limited(command: Command, files: Option<u32>) -> Command {
    let Some(files) = files else { return command };
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// The base URL in the first log line that contains this word.
async fn address(process: &mut Process, word: &str) -> String {
    let port = process.says(word, |_, err| {
        let (whole, _) = err.rsplit_once('\n')?;
        let line = whole.lines().find(|line| line.contains(word))?;
        let (_, address) = line.split_once("127.0.0.1:")?;
        Some(address.chars().take_while(char::is_ascii_digit).collect::<String>())
    });
    format!("http://127.0.0.1:{}", port.await)
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).unwrap();
}

/// The Secret `acme` of a namespace, with credentials for any cloud.
pub(crate) fn secret(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: acme, namespace: {namespace}}}\n\
         stringData: {{username: acme, password: secret, token: '0123456789abcdef'}}\n---\n"
    )
}

/// An account at an Alauda that uses it; `more` holds further lines of its spec, and perhaps another `collection`.
pub(crate) fn account(namespace: &str, name: &str, endpoint: &str, more: &str) -> String {
    account_of(namespace, name, &format!("alauda: {{endpoint: '{endpoint}'}}"), more)
}

/// The same at the cloud of this `provider`.
pub(crate) fn account_of(namespace: &str, name: &str, provider: &str, more: &str) -> String {
    let interval = if more.contains("collection:") {
        String::new()
    } else {
        format!("  collection: {{interval: {}s}}\n", INTERVAL.as_secs())
    };
    format!(
        "apiVersion: caas-operator.io/v1alpha1\nkind: CaasAccount\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  provider: {{{provider}}}\n  \
         credentials: {{secretRef: {{name: acme}}}}\n{interval}{more}\n---\n"
    )
}
