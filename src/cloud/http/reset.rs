//! The wait that a cloud requests and the limit it names, in every header that clouds use for them. Pure.
//!
//! `Retry-After` as seconds or as a date (RFC 9110); `RateLimit: limit=…, reset=30` and `RateLimit: "name";r=0;t=30`
//! (IETF drafts); `ratelimit-reset` and `x-ratelimit-reset` as seconds from now (Render, Northflank) or as seconds
//! since the epoch (DigitalOcean), told apart by their size.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, RETRY_AFTER};

/// Seconds from here on are a point in time, not a wait: as a wait it would be 31 years.
const EPOCH_FROM: f64 = 1e9;

/// Headers with the seconds until the limit is lifted, or the second at which it is.
const RESETS: [&str; 3] = ["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"];

/// Headers with the number of requests that a window allows, and with how many of them are left.
const LIMITS: [(&str, &str); 3] = [
    ("x-ratelimit-limit", "x-ratelimit-remaining"),
    ("ratelimit-limit", "ratelimit-remaining"),
    ("x-rate-limit-limit", "x-rate-limit-remaining"),
];

/// What an answer's headers say of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedLimit {
    /// How many requests a window allows.
    pub(super) requests: u32,
    /// How many of them are left; 0 where the answer does not say it.
    pub(super) remaining: u32,
}

/// The limit that an answer's headers name.
pub(super) fn limit(headers: &HeaderMap) -> Option<NamedLimit> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    let named = |(limit, remaining): &(&str, &str)| {
        let requests = number(limit).filter(|limit| *limit > 0)?;
        Some(NamedLimit { requests, remaining: number(remaining).unwrap_or(0).min(requests) })
    };
    LIMITS.iter().find_map(named)
}

/// The wait that an answer with these headers requests, where it has a header that we know.
///
/// Unless the answer is a 429, only `Retry-After` counts: many clouds send the state of the limit with every answer.
pub(super) fn requested_wait(is_limited: bool, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let retry_after =
        text(RETRY_AFTER.as_str()).and_then(|value| seconds(value, now).or_else(|| date(value, now)));
    if !is_limited {
        return retry_after;
    }
    retry_after
        .or_else(|| text("ratelimit").and_then(|value| parameter(value, now)))
        .or_else(|| RESETS.iter().find_map(|name| text(name).and_then(|value| seconds(value, now))))
}

/// The wait that `Retry-After` requests.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    requested_wait(false, headers, now)
}

/// Seconds from now, or since the epoch where the number is that large. A time in the past is no wait.
fn seconds(text: &str, now: SystemTime) -> Option<Duration> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)?;
    let since_epoch = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    let wait = if number < EPOCH_FROM { number } else { (number - since_epoch).max(0.0) };
    Duration::try_from_secs_f64(wait).ok()
}

/// An HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str, now: SystemTime) -> Option<Duration> {
    let when = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(SystemTime::from(when).duration_since(now).unwrap_or_default())
}

/// The `reset` or `t` among the parameters of a `RateLimit` header.
fn parameter(text: &str, now: SystemTime) -> Option<Duration> {
    text.split([',', ';'])
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| matches!(name.trim(), "reset" | "t"))
        .and_then(|(_, value)| seconds(value.trim(), now))
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn wait(headers: &[(&'static str, &str)]) -> Option<u64> {
        wait_after(true, headers)
    }

    fn wait_after(is_limited: bool, headers: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        requested_wait(is_limited, &headers, UNIX_EPOCH + Duration::from_secs(NOW)).map(|wait| wait.as_secs())
    }

    #[test]
    fn every_dialect_of_reset_is_understood() {
        assert_eq!(wait(&[("retry-after", "7")]), Some(7));
        assert_eq!(wait(&[("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT")]), Some(30));
        assert_eq!(wait(&[("ratelimit-reset", "1700000042")]), Some(42), "DigitalOcean: epoch seconds");
        assert_eq!(wait(&[("ratelimit-reset", "12")]), Some(12), "Render: delta seconds");
        assert_eq!(wait(&[("x-ratelimit-reset", "9")]), Some(9), "Northflank: delta seconds");
        assert_eq!(wait(&[("x-rate-limit-reset", "1700000001.5")]), Some(1));
        assert_eq!(wait(&[("ratelimit", "limit=100, remaining=0, reset=5")]), Some(5));
        assert_eq!(wait(&[("ratelimit", r#""default";r=0;t=6"#)]), Some(6));
        assert_eq!(wait(&[]), None, "no header");
    }

    #[test]
    fn the_limit_of_a_window_is_read_where_it_is_a_positive_whole_number() {
        let limit = |name, value: &str| {
            let headers = [(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())];
            limit(&HeaderMap::from_iter(headers)).map(|limit| limit.requests)
        };
        assert_eq!(limit("x-ratelimit-limit", "20000"), Some(20_000));
        assert_eq!(limit("ratelimit-limit", " 400 "), Some(400));
        assert_eq!(limit("x-rate-limit-limit", "7"), Some(7));
        for nonsense in ["0", "-1", "many", "1e3", "99999999999"] {
            assert_eq!(limit("ratelimit-limit", nonsense), None, "{nonsense}");
        }
        assert_eq!(limit("retry-after", "7"), None);
    }

    #[test]
    fn what_is_left_of_a_limit_is_read_beside_it_and_nothing_where_it_is_not_said() {
        for (name, value, remaining) in [
            ("x-ratelimit-remaining", "1800", 1_800),
            ("x-ratelimit-remaining", "3000", 2_000),
            ("x-ratelimit-remaining", "soon", 0),
            ("ratelimit-remaining", "1800", 0),
        ] {
            let headers = [("x-ratelimit-limit", "2000"), (name, value)]
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            let named = limit(&HeaderMap::from_iter(headers));
            assert_eq!(named, Some(NamedLimit { requests: 2_000, remaining }), "{name}: {value}");
        }
    }

    #[test]
    fn retry_after_takes_precedence_unless_it_cannot_be_parsed() {
        assert_eq!(wait(&[("retry-after", "3"), ("ratelimit-reset", "9")]), Some(3));
        assert_eq!(wait(&[("retry-after", "soon"), ("ratelimit-reset", "9")]), Some(9));
    }

    #[test]
    fn the_state_of_a_limit_is_no_wait_unless_the_limit_was_reached() {
        assert_eq!(wait_after(false, &[("ratelimit-reset", "60"), ("ratelimit", "reset=60")]), None);
        assert_eq!(wait_after(false, &[("retry-after", "7"), ("ratelimit-reset", "60")]), Some(7));
    }

    #[test]
    fn a_reset_in_the_past_is_no_wait_and_an_invalid_one_is_ignored() {
        assert_eq!(wait(&[("ratelimit-reset", "1600000000")]), Some(0));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(0));
        for nonsense in ["-1", "NaN", "inf", "1e400", "", "1 2", "99:99"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn no_header_value_causes_a_panic(
            value in proptest::collection::vec(any::<u8>(), 0..64),
            name in proptest::sample::select(vec!["retry-after", "ratelimit", "ratelimit-reset"]),
        ) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
                let _ = requested_wait(true, &headers, UNIX_EPOCH + Duration::from_secs(NOW));
            }
        }

        #[test]
        fn any_number_of_seconds_below_the_epoch_bound_is_that_wait(seconds in 0_u64..1_000_000_000) {
            prop_assert_eq!(wait(&[("retry-after", &seconds.to_string())]), Some(seconds));
        }
    }
}
