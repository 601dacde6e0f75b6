//! The table that is printed.

/// One measure: the peer's value, ours, and the ratio to reach.
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) peer: String,
    pub(crate) ours: String,
    /// How many times better ours is; `None` without a peer.
    pub(crate) ratio: Option<f64>,
    /// The target as printed, and whether it is met.
    pub(crate) target: String,
    pub(crate) met: Option<bool>,
}

impl Row {
    /// A row whose target is this ratio.
    pub(crate) fn at_least(measure: &str, peer: String, ours: String, ratio: f64, target: f64) -> Self {
        Self {
            measure: measure.to_owned(),
            peer,
            ours,
            ratio: Some(ratio),
            target: format!(">= {target}x"),
            met: Some(ratio >= target),
        }
    }

    /// A row without a target.
    pub(crate) fn plain(measure: &str, peer: String, ours: String, ratio: f64) -> Self {
        let (measure, target) = (measure.to_owned(), "-".to_owned());
        Self { measure, peer, ours, ratio: Some(ratio), target, met: None }
    }

    /// A row whose peer is not installed.
    pub(crate) fn without_peer(measure: &str, missing: &str, ours: String, target: &str) -> Self {
        Self {
            measure: measure.to_owned(),
            peer: format!("{missing} is not on PATH"),
            ours,
            ratio: None,
            target: target.to_owned(),
            met: None,
        }
    }
}

/// The rows as a Markdown table with aligned columns.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![["measure", "peer", "ours", "ratio", "target", ""].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        let met = row.met.map_or("", |met| if met { "met" } else { "missed" });
        [
            row.measure.clone(),
            row.peer.clone(),
            row.ours.clone(),
            row.ratio.map_or_else(|| "-".to_owned(), ratio),
            row.target.clone(),
            met.to_owned(),
        ]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let shown = |line: &[String; 6]| {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let above = [shown(&lines[0]), format!("|{}|\n", rule.join("|"))];
    above.into_iter().chain(lines[1..].iter().map(shown)).collect()
}

fn ratio(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.0}x") } else { format!("{ratio:.2}x") }
}

/// A time with three significant digits.
pub(crate) fn time(seconds: f64) -> String {
    let shown = |value: f64, unit: &str| {
        let digits = if value >= 100.0 { 0 } else { usize::from(value < 10.0) + 1 };
        format!("{value:.digits$} {unit}")
    };
    match seconds {
        s if s >= 1.0 => shown(s, "s"),
        s if s >= 1e-3 => shown(s * 1e3, "ms"),
        s => shown(s * 1e6, "us"),
    }
}

/// Bytes with a unit.
pub(crate) fn bytes(bytes: f64) -> String {
    match bytes {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.1} KB", b / 1e3),
    }
}

/// The least of several times: other load on the machine only adds to them.
pub(crate) fn best(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}
