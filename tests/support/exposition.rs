//! Strict readers of both exposition formats, written from the formats' specifications and not from the renderer.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a series.
pub(crate) type Labels = BTreeMap<String, String>;

/// One line of a body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    /// As written: milliseconds in the text format, seconds in OpenMetrics.
    pub(crate) timestamp: Option<f64>,
}

/// A family with its samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unit: Option<String>,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

/// A body of the text format 0.0.4, or why it is invalid.
pub(crate) fn parse_text(body: &str) -> Result<Vec<Family>, String> {
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    families(body, &|kind| if kind == "counter" || kind == "gauge" { Some("") } else { None })
}

/// A body of OpenMetrics 1.0, or why it is invalid.
pub(crate) fn parse_openmetrics(body: &str) -> Result<Vec<Family>, String> {
    let body = body.strip_suffix("# EOF\n").ok_or("no EOF at the end")?;
    let families = families(body, &|kind| match kind {
        "counter" => Some("_total"),
        "info" => Some("_info"),
        "gauge" => Some(""),
        _ => None,
    })?;
    for family in &families {
        if family.unit.as_ref().is_some_and(|unit| !family.name.ends_with(&format!("_{unit}"))) {
            return Err(format!("{} does not end in its unit", family.name));
        }
    }
    Ok(families)
}

/// All samples of the families, by name and labels; an error if a series is duplicated.
pub(crate) fn by_series(families: &[Family]) -> Result<BTreeMap<(String, Labels), Sample>, String> {
    let mut all = BTreeMap::new();
    for sample in families.iter().flat_map(|family| &family.samples) {
        let key = (sample.name.clone(), sample.labels.clone());
        if all.insert(key, sample.clone()).is_some() {
            return Err(format!("{sample:?} is duplicated"));
        }
    }
    Ok(all)
}

/// Groups lines into families; `suffix` says what samples of a kind append to the family's name.
fn families(body: &str, suffix: &dyn Fn(&str) -> Option<&'static str>) -> Result<Vec<Family>, String> {
    let mut all: Vec<Family> = Vec::new();
    let mut names = BTreeSet::new();
    for line in body.split_terminator('\n') {
        if let Some(meta) = line.strip_prefix("# ") {
            let [word, name, rest] = meta.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                return Err(format!("{line:?}"));
            };
            if all.last().is_none_or(|family| family.name != name || !family.samples.is_empty()) {
                if !names.insert(name.to_owned()) {
                    return Err(format!("{name} is in two places"));
                }
                all.push(Family { name: name.into(), ..Family::default() });
            }
            let family = all.last_mut().ok_or("no family")?;
            match word {
                "TYPE" if family.kind.is_empty() => family.kind = rest.into(),
                "HELP" if family.help.is_empty() => family.help = rest.into(),
                "UNIT" if family.unit.is_none() => family.unit = Some(rest.into()),
                _ => return Err(format!("{line:?}")),
            }
        } else {
            let sample = sample(line).ok_or_else(|| format!("no sample: {line:?}"))?;
            let family = all.last_mut().ok_or("a sample without a family")?;
            let suffix = suffix(&family.kind).ok_or_else(|| format!("kind {:?}", family.kind))?;
            if sample.name != format!("{}{suffix}", family.name) {
                return Err(format!("{} is below {}", sample.name, family.name));
            }
            family.samples.push(sample);
        }
    }
    Ok(all)
}

fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = line.split_once('{')?;
    let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !text.is_empty();
    if !word(name) {
        return None;
    }
    let (mut labels, mut rest) = (Labels::new(), rest);
    loop {
        let (label, value) = rest.split_once("=\"")?;
        let (value, after) = quoted(value)?;
        if !word(label) || labels.insert(label.into(), value).is_some() {
            return None;
        }
        match after.split_at_checked(1)? {
            (",", more) => rest = more,
            ("}", values) => {
                rest = values.strip_prefix(' ')?;
                break;
            }
            _ => return None,
        }
    }
    let mut numbers = rest.split(' ').map(|number| number.parse().ok());
    let value = numbers.next()??;
    let timestamp = match numbers.next() {
        None => None,
        Some(number) => Some(number?),
    };
    numbers.next().is_none().then(|| Sample { name: name.into(), labels, value, timestamp })
}

/// The text up to the closing quote, unescaped, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                '"' => '"',
                '\\' => '\\',
                _ => return None,
            }),
            (_, other) => value.push(other),
        }
    }
}
