//! Pseudo-random numbers as pure functions of a seed, so that a world of one seed is the same in every version.
//!
//! A generator with state, such as `fastrand`, would have to replay all numbers before the one that is wanted.

use std::fmt::Write as _;

/// Mixes all bits of a number into all bits of the result (the finaliser of splitmix64).
pub(super) fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One number derived from several; their order matters.
pub(super) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |so_far, part| mix(so_far ^ mix(*part)))
}

/// One number derived from a text (FNV-1a, mixed).
pub(super) fn hash_text(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |so_far, byte| {
        (so_far ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    mix(fnv)
}

/// A hash as a fraction in `0.0..1.0`.
pub(super) fn fraction(hash: u64) -> f64 {
    // An f64 has a mantissa of 53 bits.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// A hash as a number in `low..high`.
pub(super) fn between(hash: u64, low: f64, high: f64) -> f64 {
    low + fraction(hash) * (high - low)
}

/// A hash as an index below `count`; 0 if `count` is 0.
pub(super) fn below(hash: u64, count: usize) -> usize {
    usize::try_from(hash % (count as u64).max(1)).unwrap_or(0)
}

/// The whole part of a number that is not negative.
pub(super) fn whole(value: f64) -> u64 {
    // Counters and sizes: not negative by construction, and far below 2^53 within any uptime.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = value as u64;
    whole
}

/// The greatest whole number that is not above `value`.
pub(super) fn floor(value: f64) -> i64 {
    // Seconds since the epoch and their multiples; `as` saturates beyond them.
    #[allow(clippy::cast_possible_truncation)]
    let floor = value.floor() as i64;
    floor
}

/// A text of this many hexadecimal digits.
pub(super) fn hex(seed: u64, digits: usize) -> String {
    let mut text = String::with_capacity(digits + 16);
    let mut word = seed;
    while text.len() < digits {
        word = mix(word);
        // Writing to a String never fails.
        let _ = write!(text, "{word:016x}");
    }
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_spread_evenly_and_stay_the_same() {
        let mean = (0..10_000).map(|n| fraction(hash(&[7, n]))).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(hash(&[1, 2]), hash(&[1, 2]));
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
    }

    #[test]
    fn a_text_of_hex_digits_has_the_requested_length() {
        for digits in [0, 1, 16, 40, 41] {
            assert_eq!(hex(3, digits).len(), digits);
        }
    }
}
