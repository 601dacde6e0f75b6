//! Points of a series as clouds send them, in any order, of which the newest one with a value counts.

/// The latest time of a point, in seconds since the epoch (the year 5138). Anything beyond is likely milliseconds.
pub const LATEST: f64 = 1e11;

/// A value, and when it was measured, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was measured, in seconds since the epoch.
    pub time: f64,
    /// The value, in the unit of its series.
    pub value: f64,
}

impl Point {
    /// The same in another unit.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { value: self.value * factor, ..self }
    }
}

/// The newest of the points that were offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Newest {
    oldest: f64,
    point: Option<Point>,
}

impl Newest {
    /// No point yet, and none that is older than `oldest`, in seconds since the epoch: what was not asked for is no data.
    pub fn since(oldest: f64) -> Self {
        Self { oldest, point: None }
    }

    /// Takes a point in, unless its time or its value cannot be used. Of two of one time the first one counts.
    pub fn offer(&mut self, time: Option<f64>, value: Option<f64>) {
        if let (Some(time), Some(value)) = (time, value)
            && (self.oldest..LATEST).contains(&time)
            && self.point.is_none_or(|newest| time > newest.time)
        {
            self.point = Some(Point { time, value });
        }
    }

    /// The newest point, if there is one.
    pub fn point(self) -> Option<Point> {
        self.point
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_usable_point_counts_in_whatever_order_they_come() {
        let mut newest = Newest::since(0.0);
        assert_eq!(newest.point(), None);
        for (time, value) in [
            (Some(2.0), Some(20.0)),
            (Some(1.0), Some(10.0)),
            (Some(3.0), None),
            (None, Some(40.0)),
            (Some(2.0), Some(21.0)),
        ] {
            newest.offer(time, value);
        }
        assert_eq!(newest.point(), Some(Point { time: 2.0, value: 20.0 }));
        assert_eq!(newest.point().unwrap().scaled(0.5), Point { time: 2.0, value: 10.0 });
    }

    #[test]
    fn what_is_older_than_asked_for_and_what_is_no_time_in_seconds_is_no_point() {
        let mut newest = Newest::since(100.0);
        for time in [99.0, -1.0, 1.4e12, f64::NAN] {
            newest.offer(Some(time), Some(1.0));
            assert_eq!(newest.point(), None, "{time}");
        }
        newest.offer(Some(100.0), Some(1.0));
        assert_eq!(newest.point(), Some(Point { time: 100.0, value: 1.0 }));
    }
}
