//! The CRD.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::cloud::Providers;

fn schema() -> Value {
    let version = &crd(Providers::ALL).spec.versions[0];
    serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()).unwrap()
}

/// Calls `see` with each field of the spec and its schema.
fn each_field(path: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
    see(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each_field(&format!("{path}.{name}"), property, see);
    }
    if schema["items"].is_object() {
        each_field(&format!("{path}[]"), &schema["items"], see);
    }
    if schema["additionalProperties"].is_object() {
        each_field(&format!("{path}.*"), &schema["additionalProperties"], see);
    }
}

#[test]
fn each_field_that_people_write_is_explained_in_a_sentence_and_bounded() {
    each_field("spec", &schema()["properties"]["spec"], &mut |path, field| {
        if !path.ends_with("[]") && !path.ends_with(".*") {
            let text = field["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{path}: {text:?} is no sentence");
        }
        let bounded = match field["type"].as_str() {
            Some("string") => field["maxLength"].is_number() || field["enum"].is_array(),
            Some("array") => field["maxItems"].is_number(),
            Some("integer") => field["maximum"].is_number() && field["minimum"].is_number(),
            Some("object") => field["properties"].is_object() || field["maxProperties"].is_number(),
            _ => true,
        };
        assert!(bounded, "{path} has no bounds");
        assert!(field.get("nullable").is_none(), "{path} may be null");
    });
}

#[test]
fn each_optional_field_names_its_default() {
    let spec = &schema()["properties"]["spec"];
    let mut required = HashSet::new();
    each_field("spec", spec, &mut |path, field| {
        // An object comes before its fields.
        let names = field["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        required.extend(names.map(|name| format!("{path}.{name}")));
        let is_leaf = field["properties"].is_null() && !path.ends_with("[]") && !path.ends_with(".*");
        let is_needed = required.contains(path);
        let is_either_or = path.ends_with("alauda.endpoint") || path.ends_with("alauda.cloud");
        if is_leaf && !is_needed && !is_either_or {
            let text = field["description"].as_str().unwrap_or_default();
            assert!(text.contains("Default:"), "{path}: {text}");
        }
    });
}

#[test]
fn what_is_wrong_is_said_by_the_rules_and_by_no_combination_of_schemas() {
    // The API server would add its own sentence, such as "must validate one and only one schema (oneOf)".
    let schema = schema().to_string();
    assert!(schema.contains("set exactly one provider"));
    for combination in ["oneOf", "anyOf", "allOf", "not"] {
        assert!(!schema.contains(&format!("\"{combination}\":")), "{combination}");
    }
}

/// Settings whose words a cloud has chosen: Alauda's client for its two clouds, the two APIs for what they run.
const WORDS_OF_CLOUDS: [&str; 3] =
    ["spec.provider.alauda.cloud", "spec.provider.digitalocean.kinds[]", "spec.provider.render.kinds[]"];

#[test]
fn words_to_choose_from_are_in_pascal_case_unless_they_are_a_clouds_own() {
    let is_pascal_case = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let mut of_clouds = Vec::new();
    for part in ["spec", "status"] {
        each_field(part, &schema()["properties"][part], &mut |path, field| {
            let words = field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(word) = words.into_iter().find(|word| !is_pascal_case(word)) {
                of_clouds.push(path.to_owned());
                assert!(WORDS_OF_CLOUDS.contains(&path), "{path}: {word:?}");
            }
        });
    }
    assert_eq!(of_clouds, WORDS_OF_CLOUDS);
}

#[test]
fn conditions_have_the_limits_of_kubernetes() {
    let condition = &schema()["properties"]["status"]["properties"]["conditions"]["items"]["properties"];
    assert_eq!(condition["message"]["maxLength"], 32_768);
    assert_eq!(
        (&condition["reason"]["maxLength"], &condition["reason"]["minLength"]),
        (&json!(1024), &json!(1))
    );
    assert_eq!(condition["type"]["maxLength"], 316);
    assert_eq!(condition["status"]["enum"], json!(["True", "False", "Unknown"]));
    assert_eq!(condition["observedGeneration"]["minimum"], 0.0);
    for (field, good, bad) in [("reason", "CRDNotInstalled", "not a word"), ("type", "Ready", "Ready!")] {
        let schema = jsonschema::validator_for(&condition[field]).unwrap();
        assert!(schema.is_valid(&json!(good)) && !schema.is_valid(&json!(bad)), "{field}");
    }
}

#[test]
fn an_account_that_no_operator_has_seen_is_of_no_generation() {
    assert_eq!(schema()["properties"]["status"]["default"], json!({"observedGeneration": -1}));
}

#[test]
fn words_of_objects_stored_before_are_read() {
    let metrics = |words: Value| serde_json::from_value::<spec::Metrics>(words).unwrap();
    for (former, now) in [
        (json!({"names": "modern", "timestamps": "none"}), json!({"names": "Modern", "timestamps": "None"})),
        (
            json!({"names": "legacy", "timestamps": "source"}),
            json!({"names": "Legacy", "timestamps": "Source"}),
        ),
        (json!({"names": "both"}), json!({"names": "Both"})),
    ] {
        assert_eq!(metrics(former), metrics(now));
    }
}

#[test]
fn only_number_formats_that_kubernetes_knows_are_used() {
    let text = serde_json::to_string(&crd(Providers::ALL)).unwrap();
    assert!(!text.contains("uint"), "a format that an API server does not know");
}
