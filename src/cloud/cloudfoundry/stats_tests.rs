use super::*;

const PROCESS: Process<'static> = Process {
    guid: "p",
    service: "shop/worker",
    limits: Limits { memory_bytes: Some(268_435_456.0), disk_bytes: Some(1_073_741_824.0), cpu_cores: None },
};

/// The sample of the API's documentation.
const RUNNING: &str = r#"{"type": "web", "index": 0, "instance_guid": "e49f448e", "state": "RUNNING", "routable": true,
    "usage": {"time": "2016-03-23T23:17:30.476Z", "cpu": 0.00038711, "cpu_entitlement": 0.0111, "mem": 19177472,
        "disk": 69705728, "log_rate": 0},
    "host": "10.244.16.10", "uptime": 9042, "mem_quota": 268435456, "disk_quota": 1073741824, "log_rate_limit": -1,
    "fds_quota": 16384, "isolation_segment": null, "details": null}"#;

fn read(entries: &[&str]) -> Result<Stats, AnswerProblem> {
    let body = format!(r#"{{"resources": [{}]}}"#, entries.join(","));
    stats(body.as_bytes(), &PROCESS, InventoryBudget::PER_CYCLE)
}

/// The one instance of a process.
fn one(entry: &str) -> Instance {
    read(&[entry]).unwrap().instances.remove(0)
}

fn values(instance: &Instance) -> Vec<(Measurement, f64)> {
    let sample = instance.reading.sample.iter();
    sample.flat_map(Sample::values).map(|value| (value.measurement, value.base())).collect()
}

#[test]
fn the_documented_instance_has_all_its_values_with_the_time_of_the_answer() {
    let instance = one(RUNNING);
    assert_eq!((&*instance.facts.name, &*instance.facts.id), ("shop/worker-0", "e49f448e"));
    assert_eq!(instance.facts.state, Some(State::Running));
    let now = 1_458_775_050.476;
    assert!((instance.facts.started_at.unwrap() - (now - 9_042.0)).abs() < 1e-3);
    assert_eq!(instance.facts.overrides, None, "its quotas are those of its process");
    assert_eq!(
        values(&instance),
        [
            (Measurement::CpuUsageCores, 0.000_387_11),
            (Measurement::CpuEntitlementUtilization, 0.0111),
            (Measurement::MemoryUsage, 19_177_472.0),
            (Measurement::DiskUsage, 69_705_728.0),
        ]
    );
    assert!((instance.reading.sample.unwrap().timestamp() - now).abs() < 1e-3);
}

#[test]
fn zeros_before_the_first_measurement_are_no_data_and_a_measured_zero_is_a_value() {
    let zeros = |quota: &str, memory: u32| {
        one(&format!(
            r#"{{"index": 1, "instance_guid": "g", "state": "RUNNING", "uptime": 3, "mem_quota": {quota},
                "disk_quota": null, "usage": {{"time": "2016-03-23T23:17:30Z", "cpu": 0, "cpu_entitlement": 0,
                "mem": {memory}, "disk": 0, "log_rate": 0}}}}"#
        ))
    };
    assert_eq!(zeros("null", 0).reading, Reading::no_data());
    assert!(zeros("null", 0).facts.started_at.is_some(), "its start is known all the same");
    let idle = values(&zeros("1024", 0));
    assert!(idle.contains(&(Measurement::CpuUsageCores, 0.0)), "{idle:?}");
    assert!(values(&zeros("null", 4096)).contains(&(Measurement::MemoryUsage, 4096.0)), "a redacted quota");
}

#[test]
fn values_that_are_null_or_nonsense_are_absent() {
    let entry = RUNNING.replace("0.0111", "null").replace("69705728", "-1").replace("0.00038711", "\"fast\"");
    assert_eq!(values(&one(&entry)), [(Measurement::MemoryUsage, 19_177_472.0)]);
    let without_time = RUNNING.replace("2016-03-23T23:17:30.476Z", "yesterday");
    assert_eq!(one(&without_time).reading, Reading::no_data());
}

#[test]
fn more_than_one_core_is_a_value() {
    let entry = RUNNING.replace("0.00038711", "2.75");
    assert_eq!(values(&one(&entry))[0], (Measurement::CpuUsageCores, 2.75));
}

#[test]
fn an_instance_that_no_cell_runs_has_a_state_and_nothing_else() {
    let down =
        r#"{"type": "web", "index": 2, "state": "DOWN", "uptime": 0, "details": "insufficient resources"}"#;
    let instance = one(down);
    assert_eq!((&*instance.facts.name, &*instance.facts.id), ("shop/worker-2", "p/2"));
    assert_eq!((instance.facts.state, instance.facts.started_at), (Some(State::Failed), None));
    assert_eq!(instance.reading, Reading::not_running());
}

#[test]
fn uptime_is_a_start_time_only_of_what_runs() {
    for word in ["CRASHED", "STARTING", "STOPPING", "UNKNOWN"] {
        let instance = one(&RUNNING.replace("RUNNING", word));
        assert_eq!(instance.facts.started_at, None, "{word}");
        assert!(instance.reading.sample.is_some(), "values that the cloud gives are kept: {word}");
    }
}

#[test]
fn an_empty_usage_says_that_measurements_cannot_be_read() {
    let empty = r#"{"index": 0, "instance_guid": "g", "state": "RUNNING", "usage": {}, "mem_quota": null}"#;
    let stats = read(&[empty, RUNNING]).unwrap();
    assert!(stats.lacks_measurements);
    assert_eq!(stats.instances[0].reading, Reading::no_data());
    assert!(stats.instances[1].reading.sample.is_some());
    assert!(!read(&[RUNNING]).unwrap().lacks_measurements);
    let stopped = empty.replace("RUNNING", "CRASHED");
    assert!(!read(&[&stopped]).unwrap().lacks_measurements, "nothing is expected of what does not run");
}

#[test]
fn an_instances_own_quota_wins_where_it_differs() {
    let entry = RUNNING.replace(r#""mem_quota": 268435456"#, r#""mem_quota": 536870912"#);
    let own = one(&entry).facts.overrides.clone().unwrap();
    assert_eq!(own.limits.memory_bytes, Some(536_870_912.0));
}

#[test]
fn routable_instances_are_counted_where_the_api_says_it() {
    let other =
        RUNNING.replace("\"index\": 0", "\"index\": 1").replace("\"routable\": true", "\"routable\": false");
    assert_eq!(read(&[RUNNING, &other]).unwrap().routable, Some(1));
    let unknown = RUNNING.replace("\"routable\": true", "\"routable\": null");
    assert_eq!(read(&[&unknown]).unwrap().routable, None);
}

#[test]
fn an_entry_without_an_index_makes_the_list_unusable() {
    for entry in [r#"{"state": "RUNNING"}"#, "7", "[0]", "null", r#"{"index": -1}"#] {
        assert_eq!(read(&[RUNNING, entry]), Err(AnswerProblem::Shape), "{entry}");
    }
    assert_eq!(read(&[]).unwrap().instances, []);
    assert_eq!(stats(b"{}", &PROCESS, InventoryBudget::PER_CYCLE), Err(AnswerProblem::Shape));
}
