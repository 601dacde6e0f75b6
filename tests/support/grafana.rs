//! A dashboard as Grafana reads it, without a Prometheus.

use serde_json::Value;

/// The panels, those of collapsed rows included, without the rows.
pub(crate) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let inside = dashboard["panels"].as_array().unwrap().iter().filter_map(|row| row["panels"].as_array());
    let outside = dashboard["panels"].as_array().unwrap().iter();
    outside.chain(inside.flatten()).filter(|panel| panel["type"] != "row")
}

/// The targets of the panels, each with its panel's title.
pub(crate) fn targets(dashboard: &Value) -> impl Iterator<Item = (&str, &Value)> {
    panels(dashboard).flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        panel["targets"].as_array().unwrap().iter().map(move |target| (title, target))
    })
}

/// A target's query.
pub(crate) fn query(target: &Value) -> &str {
    target["expr"].as_str().unwrap()
}

/// All variables.
pub(crate) fn variables(dashboard: &Value) -> &Vec<Value> {
    dashboard["templating"]["list"].as_array().unwrap()
}

/// The series and the label that a query variable takes its values from.
pub(crate) fn asked(variable: &Value) -> Option<(&str, &str)> {
    let query = variable["query"]["query"].as_str().filter(|_| variable["type"] == "query")?;
    let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
    inside.rsplit_once(", ")
}

/// The value with which a dashboard opens of a variable that has a list of its own.
pub(crate) fn listed(variable: &Value) -> Option<&str> {
    variable["current"]["value"].as_str().filter(|_| variable["type"] == "custom")
}

/// A query as Grafana sends it, its variables filled in. The minimal step of our rates makes four minutes of it.
pub(crate) fn filled<'a>(query: &str, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = query.replace("$__rate_interval", "4m");
    values.into_iter().fold(query, |query, (name, value)| query.replace(&format!("${name}"), value))
}
