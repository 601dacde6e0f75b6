//! What the operator's JSON says of a service, an instance or an account, as far as the table shows it, and the columns of each
//! list. Texts of a cloud are written out here: nothing in them moves a cursor or begins a line.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde::Deserialize;

use super::table::cut;
use crate::cloud::model::unprintable::written_out;
use crate::server::units;

/// The longest text of a cell, in characters.
const LONGEST: usize = 60;
/// The longest message, which is the last cell of its row.
const LONGEST_MESSAGE: usize = 200;

/// A list of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum List {
    /// Services of all accounts
    #[value(alias = "service")]
    Services,
    /// Instances of all services
    #[value(alias = "instance")]
    Instances,
    /// Accounts, with the total usage of their instances
    #[value(alias = "account")]
    Accounts,
}

impl List {
    /// Its path at the operator, and its name in the answer.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Instances => "instances",
            Self::Accounts => "accounts",
        }
    }

    /// The cells of a table of these rows now, its headers first where they are wanted.
    pub(super) fn cells(self, rows: &[Row], headers: bool) -> Vec<Vec<String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let columns = self.columns();
        let header = headers.then(|| columns.iter().map(|(name, _)| (*name).to_owned()).collect());
        let cells = rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row, now)).collect());
        header.into_iter().chain(cells).collect()
    }

    fn columns(self) -> Vec<Column> {
        let usage: [Column; 6] = [
            ("CPU", |row, _| shown(row.cpu_usage_cores, units::cores)),
            ("CPU%", |row, _| shown(row.cpu_limit_utilization_ratio, percent)),
            ("MEMORY", |row, _| shown(row.memory_usage_bytes, bytes)),
            ("MEMORY%", |row, _| shown(row.memory_utilization_ratio, percent)),
            ("RECEIVED", |row, _| shown(row.network_receive_bytes_per_second, rate)),
            ("SENT", |row, _| shown(row.network_transmit_bytes_per_second, rate)),
        ];
        let restarts: Column = ("RESTARTS", |row, _| {
            shown(row.restarts_last_hour.or(row.restarts), |restarts| format!("{restarts:.0}"))
        });
        let age: Column = ("AGE", |row, now| shown(row.start_time_seconds, |at| units::ago(now - at)));
        let account: Column = ("ACCOUNT", |row, _| text(&format!("{}/{}", row.namespace, row.account)));
        match self {
            Self::Services => {
                let of_service: [Column; 5] = [
                    account,
                    ("APPLICATION", |row, _| optional(row.application.as_deref())),
                    ("SERVICE", |row, _| text(&row.name)),
                    ("STATE", |row, _| row.state.as_deref().map_or("unknown".into(), text)),
                    ("INSTANCES", Row::running),
                ];
                let problem: Column = ("PROBLEM", |row, _| message(&row.problems.join(", ")));
                [&of_service[..], &usage, &[restarts, age, problem]].concat()
            }
            Self::Instances => {
                let of_instance: [Column; 4] = [
                    account,
                    ("SERVICE", |row, _| optional(row.service.as_deref())),
                    ("INSTANCE", |row, _| text(&row.name)),
                    // An instance of which the cloud only says that it is there, runs.
                    ("STATE", |row, _| row.state.as_deref().map_or("running".into(), text)),
                ];
                [&of_instance[..], &usage, &[restarts, age]].concat()
            }
            Self::Accounts => {
                let of_account: [Column; 5] = [
                    ("ACCOUNT", |row, _| text(&format!("{}/{}", row.namespace, row.name))),
                    ("PROVIDER", |row, _| text(&row.provider)),
                    ("STATE", |row, _| optional(row.reason.as_deref())),
                    ("SERVICES", |row, _| count(row.services)),
                    ("INSTANCES", |row, _| count(row.instances)),
                ];
                let data: Column = ("DATA", |row, _| shown(row.age_seconds, units::ago));
                let says: Column = ("MESSAGE", |row, _| message(row.message.as_deref().unwrap_or_default()));
                let [cpu, _, memory, ..] = usage;
                [&of_account[..], &[cpu, memory, restarts, data, says]].concat()
            }
        }
    }
}

/// A column's header, and the cell of a row at `now` in seconds since the epoch.
type Column = (&'static str, fn(&Row, f64) -> String);

/// A row of any list. What a list does not have, or the operator does not know, is absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Row {
    namespace: String,
    account: String,
    provider: String,
    application: Option<String>,
    service: Option<String>,
    name: String,
    state: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    services: Option<u64>,
    instances: Option<u64>,
    instance_count: Option<u64>,
    desired_instances: Option<i64>,
    running_instances: Option<i64>,
    ready_instances: Option<i64>,
    cpu_usage_cores: Option<f64>,
    cpu_limit_utilization_ratio: Option<f64>,
    memory_usage_bytes: Option<f64>,
    memory_utilization_ratio: Option<f64>,
    network_receive_bytes_per_second: Option<f64>,
    network_transmit_bytes_per_second: Option<f64>,
    restarts: Option<f64>,
    restarts_last_hour: Option<f64>,
    start_time_seconds: Option<f64>,
    age_seconds: Option<f64>,
    problems: Vec<String>,
}

impl Row {
    /// Instances that run, of those that should.
    fn running(&self, _: f64) -> String {
        let running = self.running_instances.or(self.ready_instances);
        let running = running.map_or_else(|| count(self.instance_count), |running| running.to_string());
        match self.desired_instances {
            Some(desired) => format!("{running}/{desired}"),
            None => running,
        }
    }
}

fn text(text: &str) -> String {
    cut(&written_out(text), LONGEST)
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(nothing, text)
}

fn message(text: &str) -> String {
    if text.is_empty() { nothing() } else { cut(&written_out(text), LONGEST_MESSAGE) }
}

fn count(number: Option<u64>) -> String {
    number.map_or_else(nothing, |number| number.to_string())
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(nothing, show)
}

/// What is not known.
fn nothing() -> String {
    "-".to_owned()
}

/// Without blanks, which would be more columns for `awk`.
fn bytes(value: f64) -> String {
    units::bytes(value).replace(' ', "")
}

fn rate(value: f64) -> String {
    units::rate(value).replace(' ', "")
}

fn percent(value: f64) -> String {
    units::percent(value).replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(list: List, json: &str) -> Vec<(&'static str, String)> {
        let row: Row = serde_json::from_str(json).unwrap();
        list.columns().into_iter().map(|(name, cell)| (name, cell(&row, 10_000.0))).collect()
    }

    fn cell(list: List, json: &str, name: &str) -> String {
        cells(list, json).into_iter().find(|(column, _)| *column == name).unwrap().1
    }

    #[test]
    fn what_is_not_known_is_a_dash_in_every_list() {
        for list in [List::Services, List::Instances, List::Accounts] {
            let empty = cells(list, r#"{"namespace": "a", "account": "b", "name": "c", "provider": "d"}"#);
            assert!(empty.iter().all(|(_, cell)| !cell.is_empty()), "{empty:?}");
            assert!(empty.iter().filter(|(_, cell)| cell == "-").count() >= 5, "{empty:?}");
        }
    }

    #[test]
    fn numbers_have_their_unit_and_no_blank() {
        let json = r#"{"cpuUsageCores": 0.25, "cpuLimitUtilizationRatio": 0.31, "memoryUsageBytes": 536870912,
            "memoryUtilizationRatio": 0.934, "networkReceiveBytesPerSecond": 2048, "restarts": 7, "restartsLastHour": 3,
            "startTimeSeconds": 2800, "runningInstances": 2, "desiredInstances": 3, "problems": ["2 of 3 run", "x"]}"#;
        for (column, expected) in [
            ("CPU", "0.25"),
            ("CPU%", "31%"),
            ("MEMORY", "512MiB"),
            ("MEMORY%", "93%"),
            ("RECEIVED", "2.0KiB/s"),
            ("SENT", "-"),
            ("RESTARTS", "3"),
            ("AGE", "2h0m"),
            ("INSTANCES", "2/3"),
            ("PROBLEM", "2 of 3 run, x"),
        ] {
            assert_eq!(cell(List::Services, json, column), expected, "{column}");
        }
    }

    #[test]
    fn a_clouds_text_is_written_out_and_cut() {
        let json = r#"{"name": "a\u001b[2J\nb\u202e", "message": "\u0007"}"#;
        assert_eq!(cell(List::Services, json, "SERVICE"), r"a\u{1b}[2J\u{a}b\u{202e}");
        assert_eq!(cell(List::Accounts, json, "MESSAGE"), r"\u{7}");
        let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(1 << 16));
        assert_eq!(cell(List::Instances, &long, "INSTANCE").chars().count(), LONGEST);
    }
}
