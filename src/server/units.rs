//! Numbers as people read them, on the page and in a terminal: short, in steps that do not make the text jump.

/// Bytes in binary units, such as `12.3 MiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes.max(0.0), 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit = UNITS[unit];
    if value >= 100.0 || unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Bytes a second.
pub(crate) fn rate(rate: f64) -> String {
    format!("{}/s", bytes(rate))
}

/// CPU in cores, such as `0.25`.
pub(crate) fn cores(cores: f64) -> String {
    match cores.max(0.0) {
        cores if cores >= 100.0 => format!("{cores:.0}"),
        cores if cores >= 10.0 => format!("{cores:.1}"),
        cores if cores > 0.0 && cores < 0.001 => "<0.001".into(),
        cores if cores > 0.0 && cores < 0.1 => format!("{cores:.3}"),
        cores => format!("{cores:.2}"),
    }
}

/// A share, such as `93 %`.
pub(crate) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio.max(0.0) * 100.0)
}

/// How long ago, in minutes at the finest: `<1m`, `12m`, `3h5m`, `2d4h`, `400d`. The script refines it.
pub(crate) fn ago(seconds: f64) -> String {
    const DAY: u64 = 86_400;
    // As a cast does: what is no number or below 0 is 0.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / DAY, seconds % DAY / 3600, seconds % 3600 / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => "<1m".into(),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (1..10, hours, _) => format!("{days}d{hours}h"),
        (days, ..) => format!("{days}d"),
    }
}

/// A number with its word, which is in the plural by an `s`.
pub(crate) fn count(number: usize, word: &str) -> String {
    format!("{} {word}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with commas, such as `10,000`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        let seen = [0.0, 999.0, 1024.0, 104_857_600.0, 1.5e9, 5e13, f64::NAN].map(bytes);
        assert_eq!(seen, ["0 B", "999 B", "1.0 KiB", "100 MiB", "1.4 GiB", "45.5 TiB", "0 B"]);
        assert_eq!(
            [0.0, 0.000_1, 0.05, 0.25, 3.0, 12.34, 400.4].map(cores),
            ["0.00", "<0.001", "0.050", "0.25", "3.00", "12.3", "400"]
        );
        assert_eq!(percent(0.934), "93 %");
        assert_eq!(rate(2048.0), "2.0 KiB/s");
        assert_eq!([1, 999, 1000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
        assert_eq!((count(1, "service"), count(0, "service")), ("1 service".into(), "0 services".into()));
    }

    #[test]
    fn ages_are_as_kubectl_writes_them() {
        let ages = [-5.0, 59.0, 60.0, 3599.0, 3600.0, 86_399.0, 90_000.0, 864_000.0, f64::NAN].map(ago);
        assert_eq!(ages, ["<1m", "<1m", "1m", "59m", "1h0m", "23h59m", "1d1h", "10d", "<1m"]);
    }
}
