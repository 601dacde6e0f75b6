//! The image's file system, tested as such: the static binary in an empty root with CA certificates only, read-only,
//! as user 65532, with a name server of its own. Needs Linux, util-linux and `target/static` (`make static`).
//!
//! The test starts itself once more in namespaces of its own, where it may mount, and where port 53 is free.

// Helpers of tests, outside test functions: what cannot be set up fails the test, as it should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/authority.rs"]
mod authority;
#[path = "../support/namespaces.rs"]
mod namespaces;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator};
use tokio::net::UdpSocket;

use authority::Authority;
use namespaces::{is_root, unshare};

const INSIDE: &str = "CAAS_TEST_INSIDE";
const DEADLINE: Duration = Duration::from_secs(60);

/// A name that only the test's own name server knows.
const NAME: &str = "cloud.caas.test";

fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static/caas-operator");
    assert!(path.exists(), "{} is missing: build it with `make static`", path.display());
    path
}

/// The program header that names a dynamic loader (ELF, 64 bits, little endian).
const PT_INTERP: u32 = 3;

#[test]
#[ignore = "needs the static binary: run make test"]
fn the_binary_asks_for_no_dynamic_loader() {
    let elf = fs::read(binary()).unwrap();
    assert_eq!(&elf[..4], b"\x7fELF");
    let number = |at: usize, bytes: usize| {
        elf[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(count > 0);
    for header in 0..count {
        assert_ne!(number(start + header * size, 4), PT_INTERP as usize, "the binary is linked dynamically");
    }
}

#[test]
#[ignore = "needs the static binary: run make test"]
fn the_program_runs_in_a_read_only_root_with_ca_certificates_only() {
    if std::env::var_os(INSIDE).is_some() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        tokio::runtime::Runtime::new().unwrap().block_on(in_an_empty_root());
        return;
    }
    let name = "the_program_runs_in_a_read_only_root_with_ca_certificates_only";
    let output = unshare()
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env(INSIDE, if is_root() { "root" } else { "user" })
        .output()
        .expect("setpriv and unshare (util-linux) are installed");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn in_an_empty_root() {
    let up =
        Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip (iproute2) is installed");
    assert!(up.success());
    let authority = Authority::new().unwrap();
    let cloud = cloud(&authority).await;
    let names = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    tokio::spawn(answer_names(names));
    let root = empty_root(&authority);
    assert_eq!(files(root.path()), ["caas-operator", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"]);

    let port = cloud.addr.port();
    let mut program = start(root.path(), &format!("https://{NAME}:{port}/v1/"));
    let body = until_collected(&mut program).await;

    assert!(body.contains("caas_account_up{account_namespace=\"default\",account=\"alauda\"} 1"), "{body}");
    assert!(body.contains("memory_usage{service=\"kibana\""), "{body}");
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let uid = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    if std::env::var(INSIDE).as_deref() == Ok("root") {
        assert_eq!(uid, "Uid:\t65532\t65532\t65532\t65532");
    }
    assert_eq!(files(root.path()).len(), 3, "nothing was written");

    let terminated = Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(terminated.success());
    assert!(program.wait().unwrap().success(), "SIGTERM ends it with 0");
}

async fn cloud(authority: &Authority) -> Running {
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        accounts: vec![AccountSettings { password: Some("secret".into()), ..AccountSettings::new("acme") }],
        tls: Some(authority.server(NAME).unwrap()),
        ..Settings::default()
    };
    Simulator::start(settings).await.unwrap()
}

/// Answers each question for an IPv4 address with 127.0.0.1, and every other with nothing (RFC 1035).
async fn answer_names(socket: UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
        let question_end = 12 + packet[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
        let for_ipv4 = packet[question_end - 4..question_end - 2] == [0, 1];
        let mut answer = packet[..question_end].to_vec();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(for_ipv4), 0, 0, 0, 0]);
        if for_ipv4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        socket.send_to(&answer, peer).await.unwrap();
    }
}

/// What the image holds, and the `resolv.conf` that every container runtime puts into one.
fn empty_root(authority: &Authority) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(root.path().join("etc/ssl/certs")).unwrap();
    fs::write(root.path().join("etc/ssl/certs/ca-certificates.crt"), &authority.pem).unwrap();
    fs::write(root.path().join("etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    fs::copy(binary(), root.path().join("caas-operator")).unwrap();
    root
}

fn files(root: &Path) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

/// The program with this root, which it cannot write to, and nothing in its environment but what it needs.
fn start(root: &Path, endpoint: &str) -> Child {
    let change =
        if std::env::var(INSIDE).as_deref() == Ok("root") { "--userspec=65532:65532 --groups=" } else { "" };
    let script = format!(
        "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && ! touch \"$0/written\" 2>/dev/null && \
         exec chroot {change} \"$0\" /caas-operator standalone --listen 127.0.0.1:9104 --alauda-endpoint {endpoint}"
    );
    Command::new("sh")
        .args(["-c", &script])
        .arg(root)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("ALAUDA_USERNAME", "acme")
        .env("ALAUDA_PASSWORD", "secret")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The body of /metrics once the account was collected; the program's log where that never comes.
async fn until_collected(program: &mut Child) -> String {
    let started = Instant::now();
    loop {
        let body = match get("http://127.0.0.1:9104/metrics").await {
            Some(body) if body.contains("caas_instance_memory_usage_bytes{") => return body,
            other => other,
        };
        if started.elapsed() > DEADLINE || program.try_wait().unwrap().is_some() {
            let _ = program.kill();
            let log = BufReader::new(program.stderr.take().unwrap());
            let lines: Vec<String> = log.lines().map_while(Result::ok).collect();
            panic!("not collected; /metrics: {body:?}; log:\n{}", lines.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn get(url: &str) -> Option<String> {
    reqwest::get(url).await.ok()?.text().await.ok()
}
