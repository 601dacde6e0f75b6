//! Metadata and Secrets that somebody wrote by hand: the program's own admission takes and refuses the same as
//! `kubectl create --dry-run=server`.

use caas_operator::account::admission::Admission;
use caas_operator::cloud::Providers;
use serde_json::{Map, Value, json};

use crate::admission::{server, server_secret, with};
use crate::harness::{ControlPlane, Namespace};

/// Values of each field of metadata, valid and invalid ones.
fn metadata() -> Vec<(&'static str, Vec<Value>)> {
    let pairs = || {
        let some = [
            json!({"a": "b"}),
            json!({"a": null}),
            json!({"a": ""}),
            json!({"a": 7}),
            json!({"a": true}),
            json!({"a": {}}),
            json!({"a": "b c"}),
            json!({"a": "-"}),
            json!({"a": "ü"}),
            json!({"a": "b\nc"}),
            json!({"a": "x".repeat(63)}),
            json!({"a": "x".repeat(64)}),
        ];
        let keys = [
            "",
            "a b",
            "-a",
            "a-",
            "a/b",
            "a/b/c",
            "/b",
            "a/",
            "A.com/x",
            "A/B",
            "a_b/c",
            "a.b/c_d.e-f",
            "ü",
        ];
        let long = [
            "a".repeat(63),
            "a".repeat(64),
            format!("{}/a", "a".repeat(64)),
            format!("{}a/a", "a.".repeat(127)),
        ];
        let keys = keys.map(str::to_owned).into_iter().chain(long).map(|key| json!({key: "x"}));
        some.into_iter().chain(keys).chain(types()).collect::<Vec<_>>()
    };
    let names = || {
        let some = ["acme", "a.b", "A", "-a", "a-", "a..b", "a_b", "a/b", "ü", "a b", "1", "a\nb"]
            .map(str::to_owned);
        let long = ["a".repeat(63), "a".repeat(64), "a".repeat(248), "a".repeat(254)];
        some.into_iter().chain(long).map(Value::from).chain(types()).collect::<Vec<_>>()
    };
    let times = || {
        let texts = ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00", "2026-01-31", "now"];
        texts.map(Value::from).into_iter().chain(types()).collect::<Vec<_>>()
    };
    let owner = |more: Value| {
        let mut owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"});
        owner.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        owner
    };
    let owners = [
        json!([owner(json!({}))]),
        json!([owner(json!({"controller": true, "blockOwnerDeletion": true}))]),
        json!([owner(json!({"controller": true})), owner(json!({"controller": true, "uid": "v"}))]),
        json!([owner(json!({"apiVersion": ""}))]),
        json!([owner(json!({"apiVersion": "a/b/c"}))]),
        json!([owner(json!({"apiVersion": "apps/v1"}))]),
        json!([owner(json!({"kind": ""}))]),
        json!([owner(json!({"kind": "Event"}))]),
        json!([owner(json!({"name": ""}))]),
        json!([owner(json!({"uid": ""}))]),
        json!([owner(json!({"uid": 7}))]),
        json!([owner(json!({"unknown": 7}))]),
        json!([{}]),
    ];
    let finalizers = [
        json!(["example.com/a"]),
        json!(["a"]),
        json!(["a b"]),
        json!([""]),
        json!(["orphan"]),
        json!(["orphan", "foregroundDeletion"]),
        json!(["kubernetes"]),
        json!([7]),
    ];
    vec![
        ("labels", pairs()),
        ("annotations", pairs().into_iter().chain(sized(&[262_000, 262_143, 262_144], "a")).collect()),
        ("name", names()),
        ("generateName", ["acme-", "a.", "A", "a b"].map(Value::from).into_iter().chain(types()).collect()),
        // Another namespace than the request's would be refused for that alone.
        ("namespace", types().into_iter().filter(|value| value != "x").collect()),
        ("ownerReferences", owners.into_iter().chain(types()).collect()),
        ("finalizers", finalizers.into_iter().chain(types()).collect()),
        ("creationTimestamp", times()),
        ("selfLink", types()),
        ("generation", types()),
        ("unknown", types()),
    ]
}

/// Values of the fields of a Secret.
fn secrets() -> Vec<(&'static str, Vec<Value>)> {
    let keys = ["a", "A", "a.b", ".a", "..a", "..", ".", "", "a b", "a/b", "ü", "a_b-c"].map(str::to_owned);
    let long = ["a".repeat(253), "a".repeat(254)];
    let named = || keys.iter().chain(&long).map(|key| json!({key: "eA=="}));
    let encoded =
        ["", "eA==", "eA", "eA=", "e\nA==", "e A==", "%%", "eB==", "-_8="].map(|text| json!({"a": text}));
    let texts = [
        json!({"a": null}),
        json!({"a": 7}),
        json!({"a": true}),
        json!({"a": []}),
        json!({"a": [7, 255]}),
        json!({"a": [256]}),
        json!({"a": "ü\n"}),
    ];
    vec![
        ("data", named().chain(encoded).chain(texts.clone()).chain(types()).collect()),
        (
            "stringData",
            named().chain(texts).chain(types()).chain(sized(&[1 << 20, (1 << 20) - 1], "a")).collect(),
        ),
        ("immutable", types()),
        ("type", types()),
        ("unknown", types()),
        ("metadata", vec![json!(null), json!({}), json!([]), json!("x")]),
        // An empty one is refused by kubectl before it asks.
        ("apiVersion", [json!("v1"), json!("v2"), json!(7), json!({})].to_vec()),
    ]
}

/// Secrets of the types of Kubernetes' own.
fn typed() -> Vec<Value> {
    let kinds = [
        ("Opaque", vec![json!({})]),
        ("example.com/own", vec![json!({})]),
        ("a b", vec![json!({})]),
        (
            "kubernetes.io/basic-auth",
            vec![json!({}), json!({"username": "a"}), json!({"password": "a"}), json!({"user": "a"})],
        ),
        (
            "kubernetes.io/ssh-auth",
            vec![json!({}), json!({"ssh-privatekey": "a"}), json!({"ssh-privatekey": ""})],
        ),
        (
            "kubernetes.io/tls",
            vec![
                json!({}),
                json!({"tls.crt": "a"}),
                json!({"tls.crt": "a", "tls.key": "b"}),
                json!({"tls.crt": "", "tls.key": ""}),
            ],
        ),
        (
            "kubernetes.io/dockerconfigjson",
            [json!(null), json!("{}"), json!("[]"), json!("null"), json!(""), json!("{")]
                .map(|text| json!({".dockerconfigjson": text}))
                .into_iter()
                .chain([json!({})])
                .collect(),
        ),
        ("kubernetes.io/dockercfg", vec![json!({}), json!({".dockercfg": "{}"}), json!({".dockercfg": "7"})]),
        ("kubernetes.io/service-account-token", vec![json!({})]),
        ("bootstrap.kubernetes.io/token", vec![json!({})]),
    ];
    let secrets = kinds.into_iter().flat_map(|(kind, all)| all.into_iter().map(move |data| (kind, data)));
    let mut secrets: Vec<Value> =
        secrets.map(|(kind, data)| secret(&[("type", json!(kind)), ("stringData", data)])).collect();
    for account in ["builder", ""] {
        let metadata =
            json!({"name": "acme", "annotations": {"kubernetes.io/service-account.name": account}});
        let kind = json!("kubernetes.io/service-account-token");
        secrets.push(secret(&[("metadata", metadata), ("type", kind)]));
    }
    secrets
}

/// One value of each type.
fn types() -> Vec<Value> {
    [json!(null), json!({}), json!([]), json!(""), json!(7), json!(true), json!("x")].to_vec()
}

/// One key with a value of each of these sizes.
fn sized<'a>(sizes: &'a [usize], key: &'a str) -> impl Iterator<Item = Value> + 'a {
    sizes.iter().map(move |size| json!({key: "x".repeat(*size)}))
}

/// A Secret with these fields set.
fn secret(fields: &[(&str, Value)]) -> Value {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme"}});
    secret.as_object_mut().unwrap().extend(
        fields.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect::<Map<_, _>>(),
    );
    secret
}

/// What both say of a document: whether they take it, and why not.
struct Answers {
    offline: Result<(), String>,
    online: Result<(), String>,
}

async fn ask(admission: &Admission, namespace: &Namespace, document: &Value) -> Answers {
    if document["kind"] == "Secret" {
        let offline = admission.admit_secret(document.clone());
        let online = server_secret(namespace, document).await;
        return Answers {
            offline: offline.map(drop).map_err(|refused| refused.refused.to_string()),
            online: online.map(drop),
        };
    }
    let offline = admission.admit(document.clone());
    let online = server(namespace, document).await;
    Answers { offline: offline.map(drop).map_err(|refused| refused.to_string()), online: online.map(drop) }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn metadata_and_secrets_are_judged_without_a_cluster_as_an_api_server_judges_them() -> anyhow::Result<()>
{
    let namespace = ControlPlane::shared().await.namespace("by-hand").await?;
    let admission = Admission::new(Providers::ALL);
    let mut documents = typed();
    documents.extend(
        secrets()
            .into_iter()
            .flat_map(|(field, values)| values.into_iter().map(move |value| secret(&[(field, value)]))),
    );
    for (field, values) in metadata() {
        for value in values {
            documents.push(with(&format!("/metadata/{field}"), value.clone()));
            let mut metadata = json!({"name": "acme"});
            metadata[field] = value;
            documents.push(secret(&[("metadata", metadata)]));
        }
    }
    let (mut taken, mut refused, mut differ) = (0, 0, Vec::new());
    for document in &documents {
        match ask(&admission, &namespace, document).await {
            Answers { offline: Ok(()), online: Ok(()) } => taken += 1,
            Answers { offline: Err(_), online: Err(_) } => refused += 1,
            Answers { offline, online } => {
                let shown: String = document.to_string().chars().take(300).collect();
                differ.push(format!("{shown}\n  offline: {offline:?}\n  online: {online:?}"));
            }
        }
    }
    println!("{} manifests: {taken} taken by both, {refused} refused by both", documents.len());
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(taken > 100 && refused > 100, "the table has enough of both: {taken} {refused}");
    Ok(())
}
