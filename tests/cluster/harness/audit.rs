//! The API server's audit log: who requested what, with which result. For the permissions that the operator uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::request::{Request, resource_name};

/// Each call once, `Metadata` of all users but the control plane's own.
pub(crate) const POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
"rules": [{"level": "None", "users": ["system:apiserver", "system:kube-controller-manager"]}, {"level": "Metadata"}]}"#;

/// The log as read at one moment. The API server writes a call's line before it answers, a watch's when it begins.
pub(crate) struct AuditLog {
    entries: Vec<Entry>,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Such as `system:serviceaccount:team-a:caas-operator`.
    pub(crate) user: String,
    /// What was requested.
    pub(crate) request: Request,
    /// The answer's code.
    pub(crate) code: u16,
    /// When it arrived, and when this stage of it was over: the answer, or the begin of a watch.
    pub(crate) time: (Timestamp, Timestamp),
}

/// What a user did with one resource by one verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// How often.
    pub(crate) calls: usize,
    /// In which namespaces; an empty name means the cluster or all namespaces.
    pub(crate) namespaces: BTreeSet<String>,
    /// Which codes came back.
    pub(crate) codes: BTreeSet<u16>,
}

impl AuditLog {
    /// Reads the log. A last line that is still being written is left out.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let mut answered = BTreeSet::new();
        let mut entries = Vec::new();
        for line in whole.lines() {
            let event: Event =
                serde_json::from_str(line).with_context(|| format!("an audit line: {line}"))?;
            // A watch has a line when it begins and one when it ends.
            if answered.insert(event.audit_id.clone()) {
                entries.push(event.into());
            }
        }
        Ok(Self { entries })
    }

    /// All calls, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// All calls of one user, in order.
    pub(crate) fn of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.user == user)
    }

    /// What a user used, by resource and verb.
    pub(crate) fn used_by(&self, user: &str) -> BTreeMap<(String, String), Usage> {
        let mut table: BTreeMap<_, Usage> = BTreeMap::new();
        for entry in self.of(user) {
            let key = (entry.request.resource.clone(), entry.request.verb.clone());
            let usage = table.entry(key).or_default();
            let namespace = entry.request.object.split('/').next().unwrap_or_default();
            usage.calls += 1;
            usage.namespaces.insert(namespace.to_owned());
            usage.codes.insert(entry.code);
        }
        table
    }

    /// The most of a user's calls of one verb about one resource that were under way at the same time.
    pub(crate) fn most_at_once(&self, user: &str, resource: &str, verb: &str) -> i32 {
        let calls = self.of(user).filter(|it| it.request.resource == resource && it.request.verb == verb);
        // If a call ends at the moment another begins, the end counts first.
        let mut changes: Vec<_> = calls.flat_map(|it| [(it.time.0, 1), (it.time.1, -1)]).collect();
        changes.sort_unstable();
        let running = changes.iter().scan(0, |now, (_, change)| {
            *now += change;
            Some(*now)
        });
        running.max().unwrap_or(0)
    }

    /// The same as a Markdown table, for people. Counts are left out: they differ from run to run.
    pub(crate) fn table(&self, user: &str) -> String {
        let mut table = String::from("| resource | verb | answers |\n|---|---|---|\n");
        for ((resource, verb), usage) in self.used_by(user) {
            let codes: Vec<String> = usage.codes.iter().map(u16::to_string).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(table, "| `{resource}` | `{verb}` | {} |", codes.join(", "));
        }
        table
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    impersonated_user: Option<User>,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    api_group: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        let path = event.request_uri.split('?').next().unwrap_or_default().to_owned();
        let (resource, object) = match event.object_ref {
            None => (path, "/".to_owned()),
            Some(it) => {
                let resource = resource_name(&it.resource, &it.api_group, &it.subresource);
                // A call about a namespace has it both as namespace and as name.
                let namespace = if it.resource == "namespaces" { "" } else { &it.namespace };
                (resource, format!("{namespace}/{}", it.name))
            }
        };
        Self {
            user: event.impersonated_user.unwrap_or(event.user).username,
            request: Request { verb: event.verb, resource, object },
            code: event.response_status.map_or(0, |status| status.code),
            time: (event.request_received_timestamp, event.stage_timestamp),
        }
    }
}

#[test]
fn a_log_becomes_a_table_of_what_was_used() {
    let secret = r#"{"kind":"Event","stage":"ResponseComplete","requestReceivedTimestamp":"2026-03-01T12:00:00.000001Z","stageTimestamp":"2026-03-01T12:00:00.500001Z","auditID":"1","requestURI":"/api/v1/namespaces/a/secrets/s","verb":"get","user":{"username":"op"},"objectRef":{"resource":"secrets","namespace":"a","name":"s","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":403}}"#;
    let watch = r#"{"kind":"Event","stage":"ResponseStarted","requestReceivedTimestamp":"2026-03-01T12:00:00.000001Z","stageTimestamp":"2026-03-01T12:00:00.500001Z","auditID":"2","requestURI":"/apis/g.io/v1/things?watch=true","verb":"watch","user":{"username":"op"},"objectRef":{"resource":"things","apiGroup":"g.io","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200}}"#;
    let ended = watch.replace("ResponseStarted", "ResponseComplete");
    let path = r#"{"kind":"Event","stage":"ResponseComplete","requestReceivedTimestamp":"2026-03-01T12:00:00.000001Z","stageTimestamp":"2026-03-01T12:00:00.500001Z","auditID":"3","requestURI":"/apis?x=1","verb":"get","user":{"username":"op"},"responseStatus":{"metadata":{},"code":200}}"#;
    let half = r#"{"kind":"Event","#;

    let log = AuditLog::parse(&[secret, watch, &ended, path, half].join("\n")).unwrap();

    assert_eq!(
        log.table("op"),
        "| resource | verb | answers |\n|---|---|---|\n| `/apis` | `get` | 200 |\n| `secrets` | `get` | 403 |\n\
         | `things.g.io` | `watch` | 200 |\n"
    );
    assert_eq!(log.used_by("op")[&("things.g.io".to_owned(), "watch".to_owned())].calls, 1);
    assert!(log.used_by("somebody else").is_empty());

    let at = |id: &str, begin: &str, end: &str| {
        let times = secret.replace("00.000001Z", begin).replace("00.500001Z", end);
        times.replace(r#""auditID":"1""#, &format!(r#""auditID":"{id}""#))
    };
    let calls =
        [("1", "00.1Z", "00.3Z"), ("2", "00.2Z", "00.4Z"), ("3", "00.3Z", "00.5Z"), ("4", "00.5Z", "00.6Z")];
    let log = AuditLog::parse(&(calls.map(|(id, begin, end)| at(id, begin, end)).join("\n") + "\n")).unwrap();
    assert_eq!(log.most_at_once("op", "secrets", "get"), 2);
}
