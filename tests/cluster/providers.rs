//! Every provider's settings on a real API server: its example is taken, and each of its rules refuses with its sentence.
//!
//! Nothing here names a provider. For each rule of the schema a value is looked for that breaks it, among some that are wrong
//! for one reason or another, put into the provider's example.

use std::path::Path;

use anyhow::{Context, ensure};
use caas_operator::cloud::{Provider, Providers};
use caas_operator::schema::rule::RULES;
use serde_json::{Value, json};

use crate::admission::server;
use crate::harness::kubectl::Ran;
use crate::harness::{ControlPlane, Namespace};

/// Texts that some rule on a text forbids.
const TEXTS: [&str; 10] = [
    "https://api.render.com",
    "ftp://caas.example.com/",
    "a/b",
    "a,b",
    "a\nb",
    "a b",
    "..",
    "30",
    "0s",
    "25h",
];
/// What the base URL of an API must not end in where its version is not a part of it.
const SUFFIXES: [&str; 4] = ["/v1", "/v2", "/v3", "/graphql/v2"];

/// A rule of a schema, and where it holds.
struct Rule {
    /// JSON pointer below the provider's settings, to the first element of a list.
    pointer: String,
    schema: Value,
    sentence: String,
}

/// The rules of a schema and all below it.
fn rules(schema: &Value, pointer: &str, found: &mut Vec<Rule>) {
    for rule in schema[RULES].as_array().into_iter().flatten() {
        found.push(Rule {
            pointer: pointer.to_owned(),
            schema: schema.clone(),
            sentence: rule["message"].as_str().unwrap().to_owned(),
        });
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        rules(property, &format!("{pointer}/{name}"), found);
    }
    if schema["items"].is_object() {
        rules(&schema["items"], &format!("{pointer}/0"), found);
    }
}

/// Values that may break a rule, made of the one that the example has.
fn candidates(schema: &Value, example: Option<&Value>) -> Vec<Value> {
    let text = example.and_then(Value::as_str).unwrap_or_default().trim_end_matches('/');
    match schema["type"].as_str() {
        Some("string") => {
            let longer = SUFFIXES.iter().map(|suffix| format!("{text}{suffix}"));
            TEXTS.iter().map(|text| (*text).to_owned()).chain(longer).map(Value::from).collect()
        }
        Some("integer" | "number") => [-1, 0, 1_000_000_000].map(Value::from).into(),
        Some("array") => {
            let items = example.and_then(Value::as_array).cloned().unwrap_or_default();
            vec![json!([]), [items.clone(), items].concat().into()]
        }
        Some("object") => objects(schema, example),
        _ => Vec::new(),
    }
}

/// The example's object with nothing in it, with one field less, with one field alone, and with one field more.
fn objects(schema: &Value, example: Option<&Value>) -> Vec<Value> {
    let fields = example.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut all = vec![json!({})];
    for (name, value) in &fields {
        let mut less = fields.clone();
        less.remove(name);
        all.extend([less.into(), json!({name: value})]);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let value = match property["type"].as_str() {
            Some("string") => property["enum"].get(0).cloned().unwrap_or_else(|| "x".into()),
            Some("array") => json!(["x"]),
            Some("boolean") => (!fields.get(name).is_some_and(|value| value == true)).into(),
            _ => continue,
        };
        let mut more = fields.clone();
        more.insert(name.clone(), value);
        all.push(more.into());
    }
    all
}

/// The manifests of a provider's example.
fn example(provider: &dyn Provider) -> String {
    let file = format!("examples/{}.yaml", provider.name());
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file));
    text.unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The CaasAccount of an example, in no namespace.
fn account(provider: &dyn Provider) -> anyhow::Result<Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(&example(provider))?;
    let account = objects.into_iter().find(|object| object["kind"] == "CaasAccount");
    let mut account = account.with_context(|| format!("{} has no account", provider.name()))?;
    account["metadata"].as_object_mut().context("metadata")?.remove("namespace");
    Ok(account)
}

/// Puts a value at a JSON pointer of a document, whose last steps may be new.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for step in pointer.split('/').skip(1) {
        if let Ok(index) = step.parse::<usize>() {
            if place.as_array().is_none_or(Vec::is_empty) {
                *place = json!([null]);
            }
            place = &mut place[index];
        } else {
            place = &mut place[step];
        }
    }
    *place = value;
}

/// A manifest that breaks a rule: the API server's refusal has its sentence.
async fn breaking(
    namespace: &Namespace,
    provider: &dyn Provider,
    rule: &Rule,
) -> anyhow::Result<Option<Value>> {
    let at = format!("/spec/provider/{}{}", provider.name(), rule.pointer);
    let good = account(provider)?;
    for value in candidates(&rule.schema, good.pointer(&at)) {
        let mut bad = good.clone();
        put(&mut bad, &at, value);
        if server(namespace, &bad).await.is_err_and(|refusal| refusal.contains(&rule.sentence)) {
            return Ok(Some(bad));
        }
    }
    Ok(None)
}

/// `kubectl create --dry-run=server`, as the administrator.
async fn create(namespace: &Namespace, manifests: &str) -> anyhow::Result<Ran> {
    let who = namespace.cluster().admin()?;
    namespace.kubectl_as(&who, &["create", "--dry-run=server", "-f", "-"], manifests).await
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_example_of_each_provider_is_taken() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("examples").await?;
    for provider in Providers::ALL.iter() {
        let here = format!("namespace: {}", namespace.name());
        let printed =
            create(&namespace, &example(provider).replace("namespace: team-a", &here)).await?.expect_ok();
        for kind in ["secret/", "caasaccount.caas-operator.io/"] {
            let line = printed.lines().find(|line| line.starts_with(kind));
            let line = line.with_context(|| format!("{}: no {kind} in {printed}", provider.name()))?;
            ensure!(line.ends_with("created (server dry run)"), "{line}");
        }
        print!("{printed}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn each_rule_of_each_provider_refuses_with_its_sentence() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("rules").await?;
    for provider in Providers::ALL.iter() {
        let mut found = Vec::new();
        rules(&serde_json::to_value(provider.settings())?, "", &mut found);
        for rule in &found {
            let what = format!("{}{}: {}", provider.name(), rule.pointer, rule.sentence);
            let bad = breaking(&namespace, provider, rule).await?;
            let bad = bad.with_context(|| format!("{what}: no candidate breaks it, so add one"))?;
            let refused = create(&namespace, &bad.to_string()).await?;
            ensure!(!refused.ok && refused.stderr.contains(&rule.sentence), "{what}: {}", refused.stderr);
            println!("{what}");
        }
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_has_exactly_one_provider_whichever_two_are_named() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("two-providers").await?;
    let all: Vec<&dyn Provider> = Providers::ALL.iter().collect();
    for (one, other) in all.iter().zip(all.iter().cycle().skip(1)) {
        let mut both = account(*one)?;
        let second = account(*other)?["spec"]["provider"][other.name()].clone();
        put(&mut both, &format!("/spec/provider/{}", other.name()), second);
        let refusal = server(&namespace, &both).await.expect_err("two providers");
        let sentence = format!("set exactly one provider: {}", Providers::ALL.names());
        ensure!(refusal.contains(&sentence), "{} and {}: {refusal}", one.name(), other.name());
    }
    Ok(())
}
