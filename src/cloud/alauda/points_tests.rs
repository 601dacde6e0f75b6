use proptest::prelude::*;

use super::*;

fn sample(json: &str) -> Sample {
    match newest(json.as_bytes()) {
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
        let read = sample(&format!(r#"{{"columns": ["time", "memory_usage", "x"], "points": [{row}]}}"#));
        assert_eq!((read.timestamp(), read.value(Measurement::MemoryUsage)), (9.0, expected), "{row}");
    }
}

#[test]
fn rows_without_a_time_are_passed_over() {
    let read = sample(
        r#"{"columns": ["time", "rx_bytes"], "points": [null, [], [null, 1], [0, 1], [1433753089000, 2], [7, 3]]}"#,
    );
    assert_eq!((read.timestamp(), read.value(Measurement::ReceiveBytes)), (7.0, Some(3.0)));
    assert_eq!(
        newest(br#"{"columns": ["time", "rx_bytes"], "points": [[null, 1]]}"#),
        Err(AnswerProblem::Shape)
    );
    assert_eq!(newest(br#"{"columns": ["rx_bytes"], "points": [[1]]}"#), Err(AnswerProblem::Shape));
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
    ] {
        assert_eq!(newest(body.as_bytes()), Ok(Reading::no_data()), "{body}");
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
        assert_eq!(newest(shape.as_bytes()), Err(AnswerProblem::Shape), "{shape}");
    }
    for no_json in ["<html>", r#"{"columns": ["time"], "points": [[1"#, "{} {}"] {
        assert_eq!(newest(no_json.as_bytes()), Err(AnswerProblem::NotJson), "{no_json}");
    }
    assert_eq!(newest("[".repeat(100_000).as_bytes()), Err(AnswerProblem::TooDeep));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = newest(&body);
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
