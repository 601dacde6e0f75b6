//! `top` against a program that runs: its table is what the JSON says, in the wanted order and with the wanted rows only.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, finished, program};
use crate::support::{account, account_is, get_json, secret, served, standalone};

/// Collected once while a test runs, so that what is asked for twice is the same; and quickly.
const ONCE: &str = "collection: {interval: 30m, requestsPerSecond: 1000, maxConcurrentRequests: 64}";

/// A standalone that has collected two accounts: `acme` with four services of two instances, `huge` with 1,100 of one.
struct Collected {
    base: String,
    process: Process,
    _clouds: Vec<Running>,
    _folder: TempDir,
}

impl Collected {
    async fn started() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut clouds = Vec::new();
        for (name, services, instances) in [("acme", 4, 2), ("huge", 1_100, 1)] {
            let user = AccountSettings {
                password: Some("p".into()),
                services,
                instances,
                ..AccountSettings::new("acme")
            };
            let settings = Settings { accounts: vec![user], ..Settings::default() };
            let cloud = Simulator::start(settings).await.unwrap();
            let manifest = secret(name, "p") + &account(name, name, &cloud.url(), ONCE);
            std::fs::write(folder.path().join(format!("{name}.yaml")), manifest).unwrap();
            clouds.push(cloud);
        }
        let mut process = Process::start(program(&standalone(folder.path())));
        let base = served(&mut process).await;
        for name in ["acme", "huge"] {
            account_is(&base, name, |one| one["reason"] == "Collected").await;
        }
        Self { base, process, _clouds: clouds, _folder: folder }
    }

    /// `top` with these arguments, asking this program.
    fn top(&self, arguments: &[&str]) -> Command {
        program(&[&["top", "--server", &self.base], arguments].concat())
    }

    /// What it prints, which has to succeed.
    async fn prints(&self, arguments: &[&str]) -> String {
        let output = finished(self.top(arguments)).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The cells of a column, without its header. Columns are as wide as their widest cell.
fn column(table: &str, header: &str) -> Vec<String> {
    let mut lines = table.lines();
    let headers = lines.next().unwrap();
    // Of two headers one may begin as the other.
    let begin = headers.find(&format!("{header}   ")).unwrap_or_else(|| headers.find(header).unwrap());
    let cell =
        |line: &str| line.chars().skip(begin).collect::<String>().split("   ").next().unwrap().to_owned();
    lines.map(cell).collect()
}

/// The names of rows of the JSON.
fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_table_and_the_json_are_the_lists_that_the_program_serves() {
    let collected = Collected::started().await;
    let base = &collected.base;

    let table = collected.prints(&["services", "account:acme", "--sort", "memory"]).await;
    let list = get_json(&format!("{base}/services?q=account:acme&sort=-memory")).await;
    assert_eq!(column(&table, "SERVICE"), names(&list["services"]));
    assert_eq!(column(&table, "INSTANCES"), ["2/2"; 4]);
    let turned = collected.prints(&["services", "account:acme", "--sort", "memory", "--reverse"]).await;
    assert_eq!(column(&turned, "SERVICE"), names(&list["services"]).into_iter().rev().collect::<Vec<_>>());

    let name = names(&list["services"]).remove(0);
    let instances = collected.prints(&["instances", &format!("service:{name}"), "-n", "team-a,x"]).await;
    let list = get_json(&format!("{base}/instances?q=service:{name}")).await;
    assert!(list["total"].as_u64().unwrap() >= 2);
    assert_eq!(column(&instances, "INSTANCE"), names(&list["instances"]));
    assert!(column(&instances, "MEMORY").iter().all(|memory| memory.ends_with('B')), "{instances}");

    let accounts = collected.prints(&["accounts", "--sort", "instances"]).await;
    assert_eq!(column(&accounts, "ACCOUNT"), ["team-a/huge", "team-a/acme"]);
    assert_eq!(column(&accounts, "INSTANCES"), ["1100", "8"]);
    assert_eq!(column(&accounts, "STATE"), ["Collected"; 2]);

    // Each kind of list as JSON, over the end of a page.
    for (what, total) in [("services", 1_104), ("instances", 1_108), ("accounts", 2)] {
        let json: Value = serde_json::from_str(&collected.prints(&[what, "-o", "json"]).await).unwrap();
        assert_eq!((&json["total"], names(&json[what]).len()), (&total.into(), total), "{what}");
        let page = get_json(&format!("{base}/{what}?sort=state&limit=1000")).await;
        assert_eq!(names(&json[what])[..total.min(1_000)], names(&page[what]), "{what}");
    }
}

#[tokio::test]
async fn words_limits_and_headers_are_as_asked_for() {
    let collected = Collected::started().await;
    for (arguments, lines) in [
        (&["--limit", "3"][..], 4),
        (&["--limit", "3", "--no-headers"], 3),
        (&["--limit", "1003", "--no-headers"], 1_003),
        (&["services", "-n", "team-b"], 0),
        (&["services", "-q", "-account:huge", "--no-headers"], 4),
        (&["services", "account:acme", "-q", "-state:running,deploying", "--no-headers"], 0),
        (&["instances", "account:acme", "--no-headers"], 8),
    ] {
        assert_eq!(collected.prints(arguments).await.lines().count(), lines, "{arguments:?}");
    }
    let nothing = finished(collected.top(&["instances", "nobody"])).await;
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(0), 0));
    assert_eq!(String::from_utf8(nothing.stderr).unwrap(), "no instances match the filter\n");
    let json = collected.prints(&["instances", "nobody", "-o", "json"]).await;
    assert_eq!(json, "{\"total\":0,\"instances\":[]}\n");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it_quietly() {
    let collected = Collected::started().await;
    for watch in [&[][..], &["--watch", "--interval", "1"]] {
        let mut child = collected.top(watch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    }
}

#[tokio::test]
async fn a_watch_prints_again_survives_an_outage_and_ends_with_ctrl_c() {
    let mut collected = Collected::started().await;
    let mut watch = Process::start(collected.top(&["accounts", "--watch", "--interval", "1"]));
    let blocks = |out: &str| out.matches("2 of 2 accounts\nACCOUNT ").count();
    watch.says("two blocks", |out, _| (blocks(out) >= 2).then_some(())).await;
    assert!(!watch.out().contains('\x1b'), "no terminal reads this");

    collected.process.signal("TERM");
    collected.process.ended().await;
    watch.says("that it is away", |out, _| out.contains("does not respond").then_some(())).await;
    let out = watch.out();
    let (_, since) = out.split_once("does not respond").unwrap();
    assert!(since.contains("team-a/huge"), "what was known stays: {since}");
    watch.signal("INT");
    assert_eq!((watch.ended().await.code(), watch.err().as_str()), (Some(0), ""));
}

#[tokio::test]
async fn on_a_terminal_each_draw_clears_it_and_fits() {
    let collected = Collected::started().await;
    let top = format!(
        "stty rows 10 cols 40; exec {} top --server {} --watch --interval 1",
        env!("CARGO_BIN_EXE_caas-operator"),
        collected.base
    );
    // It runs a command on a terminal of its own.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &top, "/dev/null"]).stdin(Stdio::null());
    let mut watch = Process::start(script);
    let clear = "\x1b[H\x1b[2J";
    watch.says("two draws", |out, _| (out.matches(clear).count() >= 3).then_some(())).await;
    let out = watch.out();
    let drawn = out.split(clear).nth(1).unwrap();
    // The rest of the ten is the line of the cursor.
    assert_eq!(drawn.lines().count(), 9, "{drawn:?}");
    assert!(drawn.lines().all(|line| line.trim_end().chars().count() <= 40), "{drawn:?}");
    assert!(drawn.contains("7 of 1104 services"), "{drawn:?}");
}

#[tokio::test]
async fn as_a_plugin_of_kubectl_it_asks_the_cluster_unless_a_server_is_named() {
    let collected = Collected::started().await;
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-caas_top");
    symlink(env!("CARGO_BIN_EXE_caas-operator"), &plugin).unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(&plugin);
        command.args(arguments).env_clear();
        let output = finished(command).await;
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), texts)
    };
    let (code, [out, err]) = run(&["accounts", "--server", &collected.base]).await;
    assert_eq!((code, column(&out, "ACCOUNT").len(), err.as_str()), (Some(0), 2, ""));
    let (code, [out, err]) = run(&["accounts"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("no API server configured: set KUBECONFIG"), "{err}");
    let (code, [help, _]) = run(&["--help"]).await;
    assert_eq!(code, Some(0));
    assert!(help.contains("Usage: kubectl caas-top") && !help.contains("caas-operator top"), "{help}");
}

#[tokio::test]
async fn who_cannot_be_asked_is_told_in_a_line_with_what_to_do() {
    let collected = Collected::started().await;
    let unbound = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (server, says) in [
        (
            format!("http://{unbound}/"),
            &["does not respond", "Connection refused", "caas-operator demo", "--server"][..],
        ),
        // A path below which there is none, as an operator of before has it.
        (format!("{}/accounts", collected.base), &["has no /services", "older"]),
    ] {
        let output = finished(program(&["top", "--server", &server])).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(says.iter().all(|word| error.contains(word)), "{error}");
    }
    for (arguments, says) in [
        (&["nothing"][..], "services, instances, accounts"),
        (&["--sort", "colour"], "one of state, name"),
        (&["--limit", "0"], "a number of at least 1"),
        (&["--server", "http://ann:secret@localhost/"], "without user"),
    ] {
        let output = finished(program(&[&["top"], arguments].concat())).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
    }
}
