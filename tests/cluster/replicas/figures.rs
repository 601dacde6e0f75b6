//! What a fault costs in figures: of one run in one line, and of several runs the worst and the median.

use std::fmt;
use std::time::Duration;

/// So often a row's test runs its fault; unset: once. Set, the bounds are those of a machine that does little else.
const RUNS: &str = "CAAS_TEST_RUNS";

/// By how much a time may exceed its bound where it is measured: the clouds are looked at 20 times a second.
const MEASURED: f64 = 0.5;

/// By how much it may where the program is not optimized and the machine does much else.
const BUSY: f64 = 4.0;

/// One value of a run.
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    most: Option<f64>,
}

/// The values of one run, in the order of the line.
#[derive(Default)]
pub(super) struct Figures(Vec<Figure>);

/// Whether the program is optimized and the machine does little else, so that bounds are exact.
fn is_measured() -> bool {
    std::env::var_os(RUNS).is_some()
}

impl Figures {
    /// A time, and the longest that it may be.
    pub(super) fn time(&mut self, name: &'static str, value: Duration, most: Duration) {
        self.push(name, value.as_secs_f64(), " s", Some(most.as_secs_f64()));
    }

    /// A number, and the largest that it may be.
    pub(super) fn count(&mut self, name: &'static str, value: u64, most: u64) {
        self.push(name, value as f64, "", Some(most as f64));
    }

    /// A number that has a bound where it is measured: on a busy machine a replica may not answer in time.
    pub(super) fn measured(&mut self, name: &'static str, value: u64, most: Option<u64>) {
        let most = most.filter(|_| is_measured());
        self.push(name, value as f64, "", most.map(|most| most as f64));
    }

    /// A value without a bound: the price of a fault, or how much there was to see.
    pub(super) fn note(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.push(name, value, unit, None);
    }

    fn push(&mut self, name: &'static str, value: f64, unit: &'static str, most: Option<f64>) {
        self.0.push(Figure { name, value, unit, most });
    }

    /// What exceeds its bound.
    fn exceeded(&self) -> Vec<String> {
        let slack = if is_measured() { MEASURED } else { BUSY };
        let limit =
            |figure: &Figure| figure.most.map(|most| most + if figure.unit == " s" { slack } else { 0.0 });
        let over = self.0.iter().filter(|figure| limit(figure).is_some_and(|limit| figure.value > limit));
        over.map(|figure| format!("{figure}, at most {}", figure.most.unwrap_or_default())).collect()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.name, short(self.value), self.unit)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

/// A whole number as such, another one with two digits.
fn short(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

/// The worst and the median of each figure of several runs.
fn summary(runs: &[Figures]) -> String {
    let of = |(index, figure): (usize, &Figure)| {
        let mut values: Vec<f64> = runs.iter().map(|run| run.0[index].value).collect();
        values.sort_by(f64::total_cmp);
        let (worst, median) = (values[values.len() - 1], values[values.len() / 2]);
        format!("{} {}{unit} (median {}{unit})", figure.name, short(worst), short(median), unit = figure.unit)
    };
    let all: Vec<String> = runs.first().iter().flat_map(|run| run.0.iter().enumerate().map(of)).collect();
    all.join("; ")
}

/// Runs the fault of a row as often as asked for, prints each run's figures and at last the worst and the median, and fails
/// where a run did or where a figure exceeds its bound.
pub(super) async fn row(
    row: &str,
    mut run: impl AsyncFnMut() -> anyhow::Result<Figures>,
) -> anyhow::Result<()> {
    let times = std::env::var(RUNS).map_or(1, |runs| runs.parse::<usize>().expect("a number"));
    let (mut runs, mut failed) = (Vec::new(), Vec::new());
    for _ in 0..times {
        match run().await {
            Ok(figures) => {
                println!("row {row}: {figures}");
                failed.extend(figures.exceeded());
                runs.push(figures);
            }
            Err(error) => {
                println!("row {row}: failed: {error:#}");
                failed.push(format!("{error:#}"));
            }
        }
    }
    if times > 1 {
        println!("worst of {} runs of row {row}: {}", runs.len(), summary(&runs));
    }
    anyhow::ensure!(failed.is_empty(), "row {row}: {}", failed.join("; "));
    Ok(())
}

#[test]
fn figures_are_a_line_and_the_worst_and_the_median_of_several_runs_another() {
    let run = |gap: u64, moves| {
        let mut figures = Figures::default();
        figures.time("gap", Duration::from_millis(gap), Duration::from_secs(20));
        figures.count("moves", moves, 1);
        figures.note("requests", 1.5, "x");
        figures
    };
    let runs = [run(17_300, 0), run(29_000, 1), run(16_000, 2)];
    assert_eq!(runs[0].to_string(), "gap 17.30 s; moves 0; requests 1.50x");
    assert_eq!(
        summary(&runs),
        "gap 29 s (median 17.30 s); moves 2 (median 1); requests 1.50x (median 1.50x)"
    );
    assert_eq!(runs.each_ref().map(|run| run.exceeded().len()), [0, 1, 1]);
}
