//! The simulated Northflank on the wire, compared with the API's pages.

use std::collections::HashSet;
use std::time::Duration;

use caas_operator::simulator::{
    AccountSettings, Clock, CpuUnit, HttpSeries, NoValues, Northflank, Reset, Running, Settings, Simulator,
};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::{NOW, client, cloud};

/// A user of a cloud, with a token.
struct User {
    client: Client,
    url: String,
    token: String,
}

impl User {
    fn of(cloud: &Running) -> Self {
        Self { client: client(), url: cloud.url(), token: cloud.credentials().remove(0).password }
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.url));
        request.bearer_auth(&self.token).send().await.expect("a response")
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    async fn refused(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// All entries of a list, followed from cursor to cursor.
    async fn all(&self, path: &str, name: &str, per_page: usize) -> Vec<Value> {
        let (mut entries, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.json(&format!("{path}?per_page={per_page}{cursor}")).await;
            let list = page["data"][name].as_array().expect("a list");
            assert_eq!(page["pagination"]["count"], list.len());
            entries.extend(list.iter().cloned());
            match (page["pagination"]["hasNextPage"].as_bool(), page["pagination"]["cursor"].as_str()) {
                (Some(true), Some(next)) => cursor = format!("&cursor={next}"),
                (Some(false), None) => return entries,
                odd => panic!("{odd:?}"),
            }
        }
    }
}

fn account(services: usize) -> AccountSettings {
    AccountSettings { services, instances: 2, applications: 8, ..AccountSettings::new("acme") }
}

async fn start(options: Northflank, account: AccountSettings) -> Running {
    cloud(Settings { accounts: vec![account], ..options.into() }).await
}

/// Whether a value has all that a sample has, in the same types.
fn is_like(value: &Value, sample: &Value) -> bool {
    match (value, sample) {
        (Value::Object(value), Value::Object(sample)) => {
            sample.iter().all(|(name, sample)| value.get(name).is_some_and(|value| is_like(value, sample)))
        }
        (Value::Array(value), Value::Array(sample)) => {
            sample.first().is_none_or(|sample| value.iter().all(|value| is_like(value, sample)))
        }
        (value, sample) => std::mem::discriminant(value) == std::mem::discriminant(sample),
    }
}

const METRICS: &str = "v1/projects/default-project/services/kibana/metrics";

#[tokio::test]
async fn projects_services_and_containers_are_as_documented() {
    let cloud = start(Northflank::default(), account(20)).await;
    let user = User::of(&cloud);
    let projects = user.json("v1/projects").await;
    let page = json!({"hasNextPage": false, "count": 1});
    let project = json!({"id": "", "name": "", "description": ""});
    assert!(is_like(&projects, &json!({"data": {"projects": [project]}, "pagination": page})), "{projects}");

    let services = user.json("v1/projects/default-project/services").await;
    let service = json!({
        "id": "", "appId": "", "projectId": "", "name": "", "serviceType": "", "disabledCI": false, "disabledCD": false,
        "status": {},
    });
    assert!(is_like(&services, &json!({"data": {"services": [service]}, "pagination": page})), "{services}");
    let list = services["data"]["services"].as_array().expect("a list");
    let types: HashSet<_> = list.iter().filter_map(|service| service["serviceType"].as_str()).collect();
    assert_eq!(types, HashSet::from(["combined", "deployment", "build"]));
    let deployment = json!({"deployment": {"status": "", "reason": "", "lastTransitionTime": ""}});
    for service in list {
        let is_build = service["serviceType"] == "build";
        assert_eq!(is_like(&service["status"], &deployment), !is_build, "{service}");
        let (id, project) = (service["id"].as_str().unwrap_or_default(), "default-project");
        assert_eq!(
            (&service["appId"], &service["projectId"]),
            (&json!(format!("/acme/{project}/{id}")), &json!(project))
        );
        assert!(
            id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{id}"
        );
    }

    let containers = user.json("v1/projects/default-project/services/kibana/containers").await;
    let container = json!({"name": "", "status": "", "createdAt": 1, "updatedAt": 1});
    assert!(
        is_like(&containers, &json!({"data": {"containers": [container]}, "pagination": page})),
        "{containers}"
    );
    assert_eq!(containers["data"]["containers"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_service_has_its_plan_region_and_image_and_the_list_does_not() {
    let cloud = start(Northflank::default(), account(60)).await;
    let user = User::of(&cloud);
    let plans: Value =
        client().get(cloud.url() + "v1/plans").send().await.expect("a response").json().await.expect("JSON");
    let plan = json!({"id": "", "name": "", "currency": "", "amountPerMonth": 1.5, "amountPerHour": 1.5, "cpuResource": 1.5, "ramResource": 1});
    assert!(is_like(&plans, &json!({"data": {"plans": [plan]}})), "without a token: {plans}");
    let listed: HashSet<_> =
        plans["data"]["plans"].as_array().expect("a list").iter().map(|plan| plan["id"].clone()).collect();

    let mut kinds = HashSet::new();
    let mut not_listed = 0;
    for service in user.all("v1/projects/default-project/services", "services", 100).await {
        assert!(service.get("deployment").is_none() && service.get("billing").is_none());
        let id = service["id"].as_str().expect("an id");
        let one = user.json(&format!("v1/projects/default-project/services/{id}")).await;
        let one = &one["data"];
        assert_eq!(
            (&one["id"], &one["name"], &one["status"]),
            (&service["id"], &service["name"], &service["status"])
        );
        if service["serviceType"] == "build" {
            assert!(one.get("deployment").is_none());
            continue;
        }
        let sample = json!({
            "uid": "", "cluster": {"id": "", "name": ""}, "billing": {"deploymentPlan": ""},
            "deployment": {"region": "", "instances": 1}, "servicePaused": false,
        });
        assert!(is_like(one, &sample), "{one}");
        not_listed += usize::from(!listed.contains(&one["billing"]["deploymentPlan"]));
        let deployment = &one["deployment"];
        kinds.insert((deployment.get("external").is_some(), deployment.get("internal").is_some()));
    }
    assert_eq!(
        kinds,
        HashSet::from([(true, false), (false, true), (false, false)]),
        "an image, or built here"
    );
    assert!((1..20).contains(&not_listed), "{not_listed} have a plan of their own");
}

#[tokio::test]
async fn lists_come_in_pages_by_cursor_or_number_of_at_most_a_hundred() {
    let settings =
        AccountSettings { services: 120, instances: 120, applications: 100, ..AccountSettings::new("acme") };
    let cloud = start(Northflank { hourly_limit: 0, ..Northflank::default() }, settings).await;
    let user = User::of(&cloud);
    let path = "v1/projects";
    let whole = user.all(path, "projects", 100).await;
    assert_eq!(whole.len(), 51);
    assert_eq!(user.all(path, "projects", 7).await, whole);
    assert_eq!(user.json(path).await["data"]["projects"].as_array().map(Vec::len), Some(50), "by default");
    let third = user.json("v1/projects?per_page=20&page=3").await;
    assert_eq!(third["data"]["projects"].as_array().map(Vec::as_slice), Some(&whole[40..]));
    let containers = user.all("v1/projects/shop/services/redis/containers", "containers", 100).await;
    assert_eq!(containers.len(), 120);
    for query in ["per_page=101", "per_page=0", "page=0", "cursor=nowhere", "per_page=x"] {
        assert_eq!(user.refused(&format!("{path}?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn several_metrics_of_all_containers_come_in_one_answer_with_their_units() {
    let cloud = start(Northflank::default(), account(20)).await;
    let user = User::of(&cloud);
    let types =
        ["cpu", "memory", "networkIngress", "networkEgress", "tcpConnectionsOpen", "requests", "bandwidth"];
    let query: Vec<_> = types.iter().map(|one| format!("metricTypes={one}")).collect();
    let answer = user.json(&format!("{METRICS}?queryType=single&{}", query.join("&"))).await;
    let data = answer["data"].as_object().expect("an object");
    assert_eq!(data.keys().map(String::as_str).collect::<HashSet<_>>(), HashSet::from(types));
    let containers = user.json("v1/projects/default-project/services/kibana/containers").await;
    let names: HashSet<_> = containers["data"]["containers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    for (kind, metric) in data {
        let point = json!([{"value": 0.5, "ts": ""}]);
        let info = json!({"metricId": "", "metricUnit": "", "metricResolution": 1});
        let sample =
            json!({"metricInfo": info, "values": [{"metadata": {"containerId": ""}, "data": point}]});
        assert!(is_like(metric, &sample), "{kind}: {metric}");
        let values = metric["values"].as_array().expect("a list");
        let of: HashSet<_> = values.iter().map(|series| series["metadata"]["containerId"].clone()).collect();
        assert_eq!(of, names, "{kind}");
        assert!(
            values.iter().all(|series| series["data"].as_array().is_some_and(|points| points.len() == 1))
        );
    }
    let units: Vec<_> =
        types.iter().map(|kind| data[*kind]["metricInfo"]["metricUnit"].as_str().expect("a unit")).collect();
    assert_eq!(units, ["vCPU", "mb", "kbps", "kbps", "count", "rps", "kbps"]);

    let one = names.iter().next().and_then(Value::as_str).expect("a name");
    let answer = user.json(&format!("{METRICS}?containerName={one}")).await;
    assert_eq!(answer["data"].as_object().map(serde_json::Map::len), Some(1), "only cpu by default");
    assert_eq!(answer["data"]["cpu"]["values"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_range_has_its_points_and_a_single_query_the_one_of_its_time() {
    let cloud = start(Northflank::default(), account(20)).await;
    let user = User::of(&cloud);
    let points = async |query: &str| {
        let answer = user.json(&format!("{METRICS}?metricTypes=cpu&{query}")).await;
        answer["data"]["cpu"]["values"][0]["data"].as_array().expect("points").clone()
    };
    assert_eq!(
        points("queryType=range&duration=600").await.len(),
        39,
        "every 15 s, and the newest comes late"
    );
    assert_eq!(points("queryType=range").await.len(), 79, "the last 20 minutes");
    // NOW is 2026-02-25T06:13:20Z.
    let window = "queryType=range&startTime=2026-02-25T06:00:00Z&endTime=2026-02-25T06:05:00Z";
    let between = points(window).await;
    assert!((19..=21).contains(&between.len()), "{}", between.len());
    assert!(
        between.iter().all(|point| point["ts"].as_str().is_some_and(|ts| ts.starts_with("2026-02-25T06:0")))
    );
    assert_eq!(points("queryType=range&startTime=2026-02-25T06:00:00Z&duration=300").await, between);
    let then = points("queryType=single&time=2026-02-25T06:05:00Z").await;
    assert_eq!(then.len(), 1);
    assert_eq!(then[0], between[between.len() - 1]);
    for query in [
        "queryType=both",
        "metricTypes=disk",
        "queryType=single&time=now",
        "queryType=range&duration=x",
        "queryType=range&duration=60&startTime=2026-02-25T06:00:00Z&endTime=2026-02-25T06:05:00Z",
    ] {
        assert_eq!(user.refused(&format!("{METRICS}?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn what_the_pages_leave_open_is_an_option() {
    let of = async |options: Northflank, query: &str| {
        let cloud = start(options, account(20)).await;
        User::of(&cloud).json(&format!("{METRICS}?{query}")).await["data"].clone()
    };
    let percent = of(Northflank { cpu_unit: CpuUnit::Pct, ..Northflank::default() }, "").await;
    assert_eq!(percent["cpu"]["metricInfo"]["metricUnit"], "pct");
    let bare = of(Northflank { no_metric_info: true, ..Northflank::default() }, "").await;
    assert!(bare["cpu"].get("metricInfo").is_none() && bare["cpu"]["values"].is_array());
    let late = Duration::from_secs(1_000_000_000);
    let empty = of(Northflank { metrics_delay: late, ..Northflank::default() }, "").await;
    assert_eq!(empty["cpu"]["values"], json!([]));
    let options = Northflank { metrics_delay: late, no_values: NoValues::Absent, ..Northflank::default() };
    assert_eq!(of(options, "").await, json!({}));
    let requests = |data: &Value| data["requests"]["values"].as_array().map(Vec::len);
    let each = of(Northflank::default(), "metricTypes=requests").await;
    let one =
        of(Northflank { http_series: HttpSeries::Service, ..Northflank::default() }, "metricTypes=requests")
            .await;
    assert_eq!((requests(&each), requests(&one)), (Some(2), Some(1)));
}

#[tokio::test]
async fn volumes_are_series_of_their_own() {
    let cloud = start(Northflank { hourly_limit: 0, ..Northflank::default() }, account(40)).await;
    let user = User::of(&cloud);
    let mut numbers = HashSet::new();
    for service in user.all("v1/projects/default-project/services", "services", 100).await {
        let path = format!(
            "v1/projects/default-project/services/{}/metrics",
            service["id"].as_str().expect("an id")
        );
        let answer = user.json(&format!("{path}?metricTypes=diskUsage")).await;
        let values = answer["data"]["diskUsage"]["values"].as_array().expect("a list").clone();
        assert!(values.iter().all(|series| series["metadata"]["volumeId"].is_string()));
        numbers.insert(values.len());
    }
    assert_eq!(numbers, HashSet::from([0, 2, 4]), "none, one or two of each of two containers");
}

#[tokio::test]
async fn refusals_have_the_form_that_the_clients_read() {
    let cloud = start(Northflank::default(), account(20)).await;
    let user = User::of(&cloud);
    for (path, status) in [
        ("v1/projects/nowhere/services", 404),
        ("v1/projects/shop/services/nothing", 404),
        ("v1/projects/shop/services/nothing/metrics", 404),
        ("v1/teams/others/projects", 404),
        ("v1/addons", 404),
        ("v1/projects?per_page=1000", 400),
    ] {
        let (refused, body) = user.refused(path).await;
        assert_eq!((refused, &body["error"]["status"]), (status, &json!(status)), "{path}");
        assert!(body["error"]["message"].is_string() && body["error"]["id"].is_string(), "{body}");
    }
    let stranger = User { token: "nf-stranger".to_owned(), ..User::of(&cloud) };
    assert_eq!(stranger.refused("v1/projects").await.0, 401);
    assert_eq!(user.json("v1/teams/acme/projects").await, user.json("v1/projects").await);
}

#[tokio::test]
async fn an_hour_has_a_thousand_requests_and_headers_say_how_many_are_left() {
    for (reset, retry_after) in [(Reset::Delta, false), (Reset::Epoch, true)] {
        let cloud =
            start(Northflank { hourly_limit: 3, reset, retry_after, ..Northflank::default() }, account(4))
                .await;
        let user = User::of(&cloud);
        for left in ["2", "1", "0", "0"] {
            let response = user.get("v1/projects").await;
            let header = |name: &str| {
                response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
            };
            assert_eq!(header("x-ratelimit-limit").as_deref(), Some("3"));
            assert_eq!(header("x-ratelimit-remaining").as_deref(), Some(left));
            let expected = if reset == Reset::Delta { 3600.0 } else { NOW + 3600.0 };
            assert_eq!(header("x-ratelimit-reset"), Some(format!("{expected:.0}")));
            let refused = response.status() == 429;
            assert_eq!(header("retry-after"), (refused && retry_after).then(|| "3600".to_owned()));
        }
        assert_eq!(user.refused("v1/projects").await.0, 429);
        let plans = client().get(cloud.url() + "v1/plans").send().await.expect("a response");
        assert_eq!(plans.status(), 200, "without a token there is no limit");
    }
    assert_eq!(Northflank::default().hourly_limit, 1000);
}

#[tokio::test]
async fn containers_end_with_their_deployment_and_are_listed_as_long_as_the_option_says() {
    let settings = |ended| {
        let account = AccountSettings { services: 40, instances: 3, ..AccountSettings::new("acme") };
        let options = Northflank { ended_containers: ended, hourly_limit: 0, ..Northflank::default() };
        Settings { accounts: vec![account], churn: 1.0, clock: Clock::fixed(NOW), ..options.into() }
    };
    let words = async |ended| {
        let cloud = Simulator::start(settings(ended)).await.expect("a cloud");
        let user = User::of(&cloud);
        let mut words = HashSet::new();
        for service in user.all("v1/projects/default-project/services", "services", 100).await {
            let id = service["id"].as_str().expect("an id").to_owned();
            let path = format!("v1/projects/default-project/services/{id}/containers");
            let list = user.all(&path, "containers", 100).await;
            let names: HashSet<_> = list.iter().map(|one| one["name"].clone()).collect();
            assert_eq!(names.len(), list.len(), "each once");
            words.extend(list.iter().map(|one| one["status"].as_str().expect("a word").to_owned()));
        }
        words
    };
    let ended = ["TASK_KILLED", "TASK_FINISHED"];
    let none = words(Duration::ZERO).await;
    assert!(none.contains("TASK_RUNNING") && !ended.iter().any(|word| none.contains(*word)), "{none:?}");
    let some = words(Duration::from_secs(1200)).await;
    assert!(ended.iter().all(|word| some.contains(*word)), "{some:?}");
}
