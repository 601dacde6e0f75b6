use proptest::prelude::*;

use super::*;

fn sample(json: &str) -> Sample {
    match newest(json.as_bytes(), 0.0) {
        Ok(Reading { sample: Some(sample), .. }) => sample,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_response_is_read_by_its_column_names() {
    let read = sample(
        r#"{"name": "stats.s.i", "columns": ["time", "sequence_number", "cpu_cumulative_usage", "cpu_utilization",
            "memory_usage", "memory_utilization", "rx_bytes", "rx_errors", "tx_bytes", "tx_errors"],
            "points": [[1433753089, 0, 310527696, 0.0127143, 16072704, 2.9937744140625, 84560, 0, 45786, 1]]}"#,
    );
    assert_eq!(
        read,
        Sample::at(
            1_433_753_089.0,
            &[
                (Measurement::CpuUsageSeconds, Scale::Nano, 310_527_696.0),
                (Measurement::CpuUtilization, Scale::Percent, 0.012_714_3),
                (Measurement::MemoryUsage, Scale::Base, 16_072_704.0),
                (Measurement::MemoryUtilization, Scale::Percent, 2.993_774_414_062_5),
                (Measurement::ReceiveBytes, Scale::Base, 84_560.0),
                (Measurement::ReceiveErrors, Scale::Base, 0.0),
                (Measurement::TransmitBytes, Scale::Base, 45_786.0),
                (Measurement::TransmitErrors, Scale::Base, 1.0),
            ],
        )
    );
}

#[test]
fn the_newest_row_wins_in_any_order() {
    for points in ["[3, 30], [2, 20], [1, 10]", "[1, 10], [2, 20], [3, 30]", "[2, 20], [3, 30], [1, 10]"] {
        let read = sample(&format!(r#"{{"columns": ["time", "memory_usage"], "points": [{points}]}}"#));
        assert_eq!((read.timestamp(), read.value(Measurement::MemoryUsage)), (3.0, Some(30.0)), "{points}");
    }
}

#[test]
fn the_newest_value_of_each_column_counts_and_the_time_is_that_of_a_value() {
    let read = |points: &str| {
        let body = format!(r#"{{"columns": ["time", "memory_usage", "rx_bytes"], "points": [{points}]}}"#);
        let values = |sample: Sample| -> Vec<_> {
            sample.values().map(|value| (value.measurement, value.number, value.time)).collect()
        };
        let reading = newest(body.as_bytes(), 0.0).unwrap();
        let timestamp = reading.sample.as_ref().map(Sample::timestamp);
        (timestamp, reading.sample.map(values).unwrap_or_default())
    };
    let (memory, received) = (Measurement::MemoryUsage, Measurement::ReceiveBytes);
    assert_eq!(
        read("[90, null, null], [60, 6, 7], [30, 3, 4]"),
        (Some(60.0), vec![(memory, 6.0, 60.0), (received, 7.0, 60.0)]),
        "a row of nulls is not newer than the values before it"
    );
    assert_eq!(
        read("[90, 9, null], [60, null, 7], [30, 3, 4]"),
        (Some(90.0), vec![(memory, 9.0, 90.0), (received, 7.0, 60.0)])
    );
    assert_eq!(read("[90, null], [60]"), (None, Vec::new()));
}

#[test]
fn rows_from_before_the_window_are_no_data() {
    let read = |points: &str| {
        let body = format!(r#"{{"columns": ["time", "memory_usage"], "points": [{points}]}}"#);
        newest(body.as_bytes(), 100.0).unwrap()
    };
    assert_eq!(read("[99, 5], [40, 5]"), Reading::no_data());
    assert_eq!(read("[101, null], [99, 5]"), Reading::no_data());
    assert_eq!(read("[100, 5], [99, 6]").sample.unwrap().value(Measurement::MemoryUsage), Some(5.0));
}

#[test]
fn columns_may_come_in_any_order_and_after_the_points() {
    let read = sample(r#"{"points": [[16, "x", 9]], "columns": ["memory_usage", "new_thing", "time"]}"#);
    assert_eq!(
        (read.timestamp(), read.value(Measurement::MemoryUsage), read.value(Measurement::CpuUsageSeconds)),
        (9.0, Some(16.0), None)
    );
}

#[test]
fn what_is_missing_odd_or_absurd_in_a_row_is_absent_and_the_rest_stays() {
    for (row, expected) in [
        ("[9]", None),
        ("[9, null, 1]", None),
        ("[9, -1, 1]", None),
        ("[9, \"NaN\", 1]", None),
        ("[9, 1e300, 1]", None),
        ("[9, {\"a\": [1]}, 1]", None),
        ("[9, \"5\", 1, 2, 3, 4]", Some(5.0)),
        ("[\"9\", 5.5, 1]", Some(5.5)),
    ] {
        let body = format!(r#"{{"columns": ["time", "memory_usage", "x"], "points": [{row}]}}"#);
        let read = newest(body.as_bytes(), 0.0).unwrap().sample;
        let value = read.map(|read| (read.timestamp(), read.value(Measurement::MemoryUsage).unwrap()));
        assert_eq!(value, expected.map(|value| (9.0, value)), "{row}");
    }
}

#[test]
fn rows_without_a_time_are_passed_over() {
    let read = sample(
        r#"{"columns": ["time", "rx_bytes"], "points": [null, [], [null, 1], [0, 1], [1433753089000, 2], [7, 3]]}"#,
    );
    assert_eq!((read.timestamp(), read.value(Measurement::ReceiveBytes)), (7.0, Some(3.0)));
    assert_eq!(
        newest(br#"{"columns": ["time", "rx_bytes"], "points": [[null, 1]]}"#, 0.0),
        Err(AnswerProblem::Shape)
    );
    assert_eq!(newest(br#"{"columns": ["rx_bytes"], "points": [[1]]}"#, 0.0), Err(AnswerProblem::Shape));
}

#[test]
fn every_response_without_points_is_no_data() {
    for body in [
        "",
        " \n",
        "null",
        "{}",
        r#"{"columns": ["time"], "points": []}"#,
        r#"{"columns": [], "points": null}"#,
        r#"{"points": []}"#,
        r#"{"columns": null, "points": []}"#,
        r#"{"columns": ["time", "memory_usage"], "points": [[9, null], [8]]}"#,
    ] {
        assert_eq!(newest(body.as_bytes(), 0.0), Ok(Reading::no_data()), "{body}");
    }
}

#[test]
fn another_shape_and_no_json_are_different_problems() {
    for shape in [
        "[]",
        "7",
        r#"{"columns": 7, "points": []}"#,
        r#"{"columns": ["time"], "points": [7]}"#,
        r#"{"points": [[1]]}"#,
        r#"{"columns": null, "points": [[1]]}"#,
    ] {
        assert_eq!(newest(shape.as_bytes(), 0.0), Err(AnswerProblem::Shape), "{shape}");
    }
    for no_json in ["<html>", r#"{"columns": ["time"], "points": [[1"#, "{} {}"] {
        assert_eq!(newest(no_json.as_bytes(), 0.0), Err(AnswerProblem::NotJson), "{no_json}");
    }
    assert_eq!(newest("[".repeat(100_000).as_bytes(), 0.0), Err(AnswerProblem::TooDeep));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = newest(&body, 0.0);
    }

    #[test]
    fn any_rows_of_numbers_give_their_newest(
        rows in proptest::collection::vec((1_u32..2_000_000_000, any::<u32>()), 1..30),
    ) {
        let points: Vec<_> = rows.iter().map(|(time, value)| format!("[{value}, {time}]")).collect();
        let read = sample(&format!(r#"{{"columns": ["tx_bytes", "time"], "points": [{}]}}"#, points.join(",")));
        let newest = rows.iter().map(|(time, _)| *time).max().unwrap();
        prop_assert!((read.timestamp() - f64::from(newest)).abs() < 0.5);
    }
}
