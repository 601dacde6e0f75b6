//! The parts of admission that JSON Schema does not cover: unknown fields, defaults.

use serde_json::{Map, Value, json};

use super::error::{FieldError, join};

/// Names each field that the schema does not know, as `kubectl` does: it is misspelt more often than meant.
pub(super) fn find_unknown_fields(schema: &Value, document: &Value, errors: &mut Vec<FieldError>) {
    let Some(root) = document.as_object() else { return };
    for (field, value) in root {
        if let Some(property) = schema["properties"].get(field) {
            unknown_below(property, value, field, errors);
        } else if !matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
            errors.push(FieldError::new(
                field,
                "is an unknown field of a CaasAccount: remove it, or correct its name",
            ));
        }
    }
}

fn unknown_below(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = join(path, field);
                match (schema["properties"].get(field), schema.get("additionalProperties")) {
                    (Some(property), _) | (None, Some(property)) => {
                        unknown_below(property, value, &path, errors);
                    }
                    (None, None) if schema.get("properties").is_some() => {
                        let message = "is an unknown field: remove it, or correct its name or indentation";
                        errors.push(FieldError::new(&path, message));
                    }
                    (None, None) => {}
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                unknown_below(&schema["items"], item, &format!("{path}[{index}]"), errors);
            }
        }
        _ => {}
    }
}

/// Fills in defaults and takes nulls for fields that are left out, as an API server does where nothing is nullable.
pub(super) fn fill_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            if let Some(properties) = schema["properties"].as_object() {
                fill_missing(properties, fields);
            }
            for (field, value) in fields {
                let below = schema["properties"].get(field).or_else(|| schema.get("additionalProperties"));
                if let Some(below) = below {
                    fill_defaults(below, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_defaults(&schema["items"], item)),
        Value::Number(number) if schema["type"] == "integer" => {
            // `2.0` is an integer to an API server, and stored as `2`.
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15);
            if let (None, Some(float)) = (number.as_i64(), whole) {
                #[allow(clippy::cast_possible_truncation)] // Whole and small enough, as filtered.
                let integer = float as i64;
                *value = json!(integer);
            }
        }
        _ => {}
    }
}

fn fill_missing(properties: &Map<String, Value>, fields: &mut Map<String, Value>) {
    for (field, schema) in properties {
        if let Some(default) = schema.get("default") {
            fields.entry(field).or_insert_with(|| default.clone());
        }
    }
}
