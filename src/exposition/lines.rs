//! One sample a line, as both formats write it: `name{labels} value [timestamp]`.
//!
//! Only copying and number formatting: most of the time that rendering takes is spent here.

/// The unit of a line's timestamp: the only difference between the lines of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// None is written: Prometheus takes the time of its scrape.
    None,
    /// Whole milliseconds, as in the text format.
    Milliseconds,
    /// Seconds with a fraction, as in OpenMetrics.
    Seconds,
}

/// Appends a line. `name` is the family's sample name; `extra` are labels with their leading comma, or empty.
pub(super) fn push(buffer: &mut Vec<u8>, name: &str, labels: &str, extra: &str, value: f64) {
    open(buffer, name, labels, extra);
    push_number(buffer, value);
    buffer.push(b'\n');
}

/// Appends a line that carries the time of its measurement, in seconds since the epoch.
pub(super) fn push_stamped(
    buffer: &mut Vec<u8>,
    name: &str,
    labels: &str,
    extra: &str,
    value: f64,
    stamp: Stamp,
    timestamp: f64,
) {
    open(buffer, name, labels, extra);
    push_number(buffer, value);
    match stamp {
        Stamp::None => {}
        Stamp::Milliseconds => {
            buffer.push(b' ');
            // A float's cast to an integer saturates, so even a senseless time is a valid one.
            #[allow(clippy::cast_possible_truncation)]
            let milliseconds = (timestamp * 1000.0).round() as i64;
            buffer.extend_from_slice(itoa::Buffer::new().format(milliseconds).as_bytes());
        }
        Stamp::Seconds => {
            buffer.push(b' ');
            push_number(buffer, timestamp);
        }
    }
    buffer.push(b'\n');
}

fn open(buffer: &mut Vec<u8>, name: &str, labels: &str, extra: &str) {
    // One growth at most a line; 64 is more than braces, two numbers and a newline need.
    buffer.reserve(name.len() + labels.len() + extra.len() + 64);
    buffer.extend_from_slice(name.as_bytes());
    buffer.push(b'{');
    buffer.extend_from_slice(labels.as_bytes());
    buffer.extend_from_slice(extra.as_bytes());
    buffer.extend_from_slice(b"} ");
}

/// Whole numbers up to this size are exact in an f64.
const EXACT: u64 = 1 << 53;

fn push_number(buffer: &mut Vec<u8>, value: f64) {
    // A cast saturates and turns NaN to 0; the comparison of bits then sends such values, fractions and
    // the negative zero on to the float's own format.
    #[allow(clippy::cast_possible_truncation)]
    let whole = value as i64;
    if whole.unsigned_abs() < EXACT && (whole as f64).to_bits() == value.to_bits() {
        buffer.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else if value.is_finite() {
        buffer.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        buffer.extend_from_slice(b"NaN");
    } else {
        buffer.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> String {
        let mut buffer = Vec::new();
        push_number(&mut buffer, value);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn numbers_are_whole_where_they_can_be_and_shortest_otherwise() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(-3.0), "-3");
        assert_eq!(number(1_480_000_000.0), "1480000000");
        assert_eq!(number(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(number(12.5), "12.5");
    }

    #[test]
    fn what_cannot_occur_is_still_valid() {
        assert_eq!(number(f64::NAN), "NaN");
        assert_eq!(number(f64::INFINITY), "+Inf");
        assert_eq!(number(f64::NEG_INFINITY), "-Inf");
        for value in [1e300, -1e-300, -0.0, 9.3e18, f64::MIN_POSITIVE] {
            assert_eq!(number(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{}", number(value));
        }
    }

    #[test]
    fn a_timestamp_is_milliseconds_or_seconds() {
        let line = |stamp| {
            let mut buffer = Vec::new();
            push_stamped(&mut buffer, "m", "a=\"1\"", "", 2.0, stamp, 1_480_000_000.25);
            String::from_utf8(buffer).unwrap()
        };
        assert_eq!(line(Stamp::None), "m{a=\"1\"} 2\n");
        assert_eq!(line(Stamp::Milliseconds), "m{a=\"1\"} 2 1480000000250\n");
        assert_eq!(line(Stamp::Seconds), "m{a=\"1\"} 2 1480000000.25\n");
    }
}
