//! `docs/resource.md`: every field of a CaasAccount, from the definition that an API server gets, and all conditions.

use anyhow::{Context, Result};
use caas_operator::api::{self, ConditionType, Reason};
use caas_operator::cloud::Providers;
use caas_operator::schema;
use serde_json::Value;

use super::table::{MADE, code, prose, table};

/// The page.
pub(crate) fn page(providers: Providers) -> Result<String> {
    let crd = serde_json::to_value(api::crd(providers))?;
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = schema.pointer("/properties/spec").context("the definition has no spec")?;
    let status = schema.pointer("/properties/status").context("the definition has no status")?;
    let mut text = vec![format!(
        "# CaasAccount
{MADE}
`{}`, kind `{}`, namespaced, short `caas`. `kubectl explain caas.spec --recursive` shows the same on a cluster. A manifest with
every field is [examples/alauda.yaml](../examples/alauda.yaml). A manifest that breaks a rule is rejected with the
rule's text: by the API server when it is applied, or by `caas-operator check FILE` without a cluster. Durations are whole numbers with units, such as
`30s`, `1m30s` or `500ms`.
",
        api::API_VERSION,
        api::KIND,
    )];
    let metadata = sentences(schema);
    if !metadata.is_empty() {
        text.push(format!("\nRules for the whole object: {}.\n", metadata.join("; ")));
    }
    object(&mut text, "spec", spec);
    object(&mut text, "status", status);
    text.push("\n## Conditions\n".to_owned());
    for condition in ConditionType::PARTS {
        text.push(format!("\n### {condition}\n\n{}", reasons(condition)));
    }
    text.push(format!(
        "\n### {}\n\nTrue if all conditions above are True (reason `{}`) or the account is suspended (reason `{}`). \
         Otherwise it has the reason and message of the first condition above that is not True.\n",
        ConditionType::Ready,
        Reason::Collected,
        Reason::Suspended,
    ));
    Ok(text.concat())
}

fn reasons(condition: ConditionType) -> String {
    let of_condition = Reason::ALL.iter().filter(|reason| reason.condition() == condition);
    table(
        ["reason", "status", "meaning"],
        of_condition.map(|reason| {
            let status = if reason.holds() { "True" } else { "False" };
            [code(reason.as_str()), status.to_owned(), reason.meaning().to_owned()]
        }),
    )
}

/// The fields of an object as a table, its rules, and then the objects inside.
fn object(text: &mut Vec<String>, path: &str, schema: &Value) {
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    let needed = |name: &str| {
        schema["required"].as_array().into_iter().flatten().any(|required| required.as_str() == Some(name))
    };
    text.push(format!("\n## `{path}`\n\n{}\n\n", description(schema)));
    let rows = fields.iter().map(|(name, field)| {
        let presence = match &field["default"] {
            _ if needed(name) => "required".to_owned(),
            Value::Null | Value::Object(_) if is_object(field) => String::new(),
            Value::Null => String::new(),
            default => code(&shown(default)),
        };
        [code(name), kind(field), presence, description(field)]
    });
    text.push(table(["field", "type", "default", "description"], rows));
    let rules = rules(schema, &fields);
    if !rules.is_empty() {
        text.push("\nRules:\n\n".to_owned());
        text.extend(rules.iter().map(|rule| format!("- {rule}\n")));
    }
    for (name, field) in fields.into_iter().filter(|(_, field)| is_object(field)) {
        object(text, &format!("{path}.{name}"), field);
    }
}

/// What admission checks of an object and of its own fields.
fn rules(schema: &Value, fields: &[(&String, &Value)]) -> Vec<String> {
    let of_object = sentences(schema).into_iter();
    let of_fields = fields.iter().flat_map(|(name, field)| {
        let inside = if is_object(field) { Vec::new() } else { sentences(field) };
        let items = sentences(&field["items"]).into_iter().chain(sentences(&field["additionalProperties"]));
        let bounds =
            bounds(field).into_iter().chain(bounds(&field["items"]).map(|text| format!("each {text}")));
        let all = inside.into_iter().chain(items).chain(bounds);
        all.map(move |rule| format!("{}: {rule}", code(name))).collect::<Vec<_>>()
    });
    of_object.chain(of_fields).collect()
}

/// The messages of the rules. The format of durations is explained once, above all tables.
fn sentences(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let sentences = rules.filter_map(|rule| rule["message"].as_str());
    sentences.filter(|sentence| !sentence.starts_with("use whole numbers")).map(prose).collect()
}

/// Bounds that the schema itself holds.
fn bounds(field: &Value) -> Option<String> {
    let number = |key: &str| field[key].as_f64();
    let most = number("maxLength").map(|most| match number("minLength") {
        Some(least) => format!("{least} to {most} characters"),
        None => format!("at most {most} characters"),
    });
    let range = number("minimum").zip(number("maximum")).map(|(least, most)| format!("{least} to {most}"));
    let items = number("maxItems").map(|most| format!("at most {most} entries"));
    let values = field["additionalProperties"]["maxLength"].as_f64();
    let pairs = number("maxProperties").map(|most| match values {
        Some(length) => format!("at most {most} pairs, values of at most {length} characters"),
        None => format!("at most {most} pairs"),
    });
    let own = if is_duration(field) { None } else { most };
    own.or(range).or(items).or(pairs)
}

fn is_object(field: &Value) -> bool {
    field["properties"].is_object()
}

fn is_duration(field: &Value) -> bool {
    field["pattern"].as_str() == Some(schema::duration::PATTERN)
}

fn kind(field: &Value) -> String {
    if is_duration(field) {
        return "duration".to_owned();
    }
    if let Some(words) = field["enum"].as_array() {
        return words.iter().map(|word| code(&shown(word))).collect::<Vec<_>>().join(" or ");
    }
    match field["type"].as_str() {
        Some("object") if field["additionalProperties"].is_object() => "map of strings".to_owned(),
        Some("array") if is_object(&field["items"]) => "list".to_owned(),
        Some("array") => "list of strings".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    }
}

fn description(field: &Value) -> String {
    prose(field["description"].as_str().unwrap_or_default())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
