//! The last hour as a line: drawn by the server, so that it needs no script. What it shows is said in words too.

use std::fmt::Write as _;

use maud::{Markup, html};

/// The height of the line; a minute is one unit wide.
const HEIGHT: f32 = 40.0;

/// A line of these points, the oldest first. Nothing where there are fewer than two.
pub(super) fn sparkline(
    class: &str,
    name: &str,
    points: impl Iterator<Item = Option<f32>>,
    show: fn(f64) -> String,
) -> Markup {
    let points: Vec<Option<f32>> = points.collect();
    let known = || points.iter().flatten().copied();
    let (least, most) = (known().fold(f32::INFINITY, f32::min), known().fold(0.0, f32::max));
    let Some(now) = known().last().filter(|_| known().count() > 1) else { return html! {} };
    let shown = [now, least, most].map(|value| show(f64::from(value)));
    let label = format!("{name} in the last hour: now {}, least {}, most {}", shown[0], shown[1], shown[2]);
    html! {
        svg class={ "spark " (class) } viewBox=(format_args!("0 0 {} {HEIGHT}", points.len() - 1))
            preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            @for line in lines(&points, most) { polyline points=(line) {} }
        }
    }
}

/// The points of each stretch without a gap. The largest value is at the top, and 0 at the bottom.
fn lines(points: &[Option<f32>], most: f32) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for (minute, point) in points.iter().enumerate() {
        match point {
            Some(value) => {
                let height = if most > 0.0 { HEIGHT - value / most * (HEIGHT - 1.0) } else { HEIGHT };
                let separator = if line.is_empty() { "" } else { " " };
                // Writing into a String does not fail.
                let _ = write!(line, "{separator}{minute},{height:.0}");
            }
            None if line.is_empty() => {}
            None => lines.push(std::mem::take(&mut line)),
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_gaps_and_the_largest_value_is_at_the_top() {
        let points = [None, Some(0.0), Some(2.0), None, None, Some(4.0)];
        assert_eq!(lines(&points, 4.0), ["1,40 2,20", "5,1"]);
        assert_eq!(lines(&[Some(0.0), Some(0.0)], 0.0), ["0,40 1,40"]);
    }

    #[test]
    fn a_line_says_in_words_what_it_shows_and_one_point_is_none() {
        let show = |value: f64| format!("{value:.1}");
        let points = [Some(1.0), None, Some(3.0), Some(2.0)];
        let line = sparkline("", "CPU", points.into_iter(), show).into_string();
        assert!(line.contains("CPU in the last hour: now 2.0, least 1.0, most 3.0"), "{line}");
        assert_eq!(sparkline("", "CPU", [None, Some(1.0)].into_iter(), show).into_string(), "");
    }
}
