//! The simulated Render on the wire, compared with what its descriptions and Render's own clients say.

use std::collections::HashSet;

use caas_operator::simulator::{
    AccountSettings, Clock, Render, ResetTime, Running, Settings, Simulator, SumTime, UnknownResource,
};
use reqwest::Response;
use serde_json::{Value, json};

use super::{NOW, client, cloud};

/// A user of a cloud, with an API key.
struct User {
    url: String,
    key: String,
}

impl User {
    fn of(cloud: &Running) -> Self {
        Self { url: cloud.url(), key: cloud.credentials().remove(0).password }
    }

    async fn get(&self, path: &str) -> Response {
        let request = client().get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        request.send().await.expect("a response")
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        self.json(path).await.as_array().expect("a bare array").clone()
    }

    /// The services of this type.
    async fn services(&self, kind: &str) -> Vec<Value> {
        let list = self.list(&format!("services?limit=100&type={kind}")).await;
        list.into_iter().map(|entry| entry["service"].clone()).collect()
    }

    /// The status of a path, and its body.
    async fn refused(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }
}

async fn simulated(options: Render, churn: f64) -> Running {
    let account =
        AccountSettings { services: 60, instances: 2, applications: 8, ..AccountSettings::new("acme") };
    cloud(Settings { accounts: vec![account], churn, ..options.into() }).await
}

/// A cloud without a limit.
fn unlimited() -> Render {
    Render { rate_limit: 0, ..Render::default() }
}

fn label<'a>(series: &'a Value, field: &str) -> Option<&'a str> {
    let labels = series["labels"].as_array().expect("labels");
    labels.iter().find(|label| label["field"] == field)?["value"].as_str()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn at(seconds: f64) -> jiff::Timestamp {
    jiff::Timestamp::from_duration(jiff::SignedDuration::from_secs_f64(seconds)).expect("a time")
}

fn seconds(value: &Value) -> f64 {
    text(value).parse::<jiff::Timestamp>().expect("RFC 3339").as_second() as f64
}

#[tokio::test]
async fn a_service_has_what_the_official_client_needs() {
    let cloud = simulated(unlimited(), 0.0).await;
    let user = User::of(&cloud);
    let web = user.services("web_service").await;
    assert!(web.len() > 10);
    for service in &web {
        for field in [
            "id",
            "autoDeploy",
            "createdAt",
            "dashboardUrl",
            "name",
            "notifyOnFail",
            "ownerId",
            "rootDir",
            "slug",
            "suspended",
            "suspenders",
            "type",
            "updatedAt",
            "serviceDetails",
        ] {
            assert!(!service[field].is_null(), "{field}: {service}");
        }
        for field in [
            "env",
            "envSpecificDetails",
            "healthCheckPath",
            "numInstances",
            "openPorts",
            "plan",
            "region",
            "runtime",
            "url",
            "buildPlan",
        ] {
            assert!(!service["serviceDetails"][field].is_null(), "{field}: {service}");
        }
        assert!(text(&service["id"]).starts_with("srv-") && text(&service["ownerId"]).starts_with("tea-"));
        assert_eq!(service["suspended"], "not_suspended");
    }
    let images: Vec<&str> = web.iter().filter_map(|service| service["imagePath"].as_str()).collect();
    assert!(images.iter().all(|image| image.starts_with("docker.io/acme/")), "{images:?}");
    assert!(images.len() < web.len(), "some are built from a repository");
    let [site] = &user.services("static_site").await[..] else { panic!("one static site") };
    assert!(site["serviceDetails"]["numInstances"].is_null());
    for cron in user.services("cron_job").await {
        assert!(
            cron["serviceDetails"]["numInstances"].is_null() && !cron["serviceDetails"]["schedule"].is_null()
        );
    }
    let one = user.json(&format!("services/{}", text(&web[0]["id"]))).await;
    assert_eq!(one, web[0], "a service alone is no different");
    cloud.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_that_cursors_lead_through() {
    let cloud = simulated(unlimited(), 0.0).await;
    let user = User::of(&cloud);
    assert_eq!(user.list("services").await.len(), 20, "the default");
    let all = user.list("services?limit=100").await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = user.list(&format!("services?limit=7{cursor}")).await;
        ids.extend(page.iter().map(|entry| entry["service"]["id"].clone()));
        if page.len() < 7 {
            break;
        }
        cursor = format!("&cursor={}", text(&page[6]["cursor"]));
    }
    let expected: Vec<Value> = all.iter().map(|entry| entry["service"]["id"].clone()).collect();
    assert_eq!(ids, expected);
    for refused in ["services?limit=0", "services?limit=101", "services?limit=100&cursor=opaque"] {
        let (status, error) = user.refused(refused).await;
        assert_eq!((status, error["id"].is_string(), error["message"].is_string()), (400, true, true));
    }
    cloud.stop().await;
}

#[tokio::test]
async fn previews_come_along_unless_false_is_sent() {
    let cloud = simulated(unlimited(), 0.0).await;
    let user = User::of(&cloud);
    let previews = async |query: &str| {
        let list = user.list(&format!("services?limit=100{query}")).await;
        list.iter().filter(|one| one["service"]["serviceDetails"]["parentServer"].is_object()).count()
    };
    assert_eq!(
        [
            previews("").await,
            previews("&includePreviews=true").await,
            previews("&includePreviews=false").await
        ],
        [1, 1, 0]
    );
    cloud.stop().await;
}

#[tokio::test]
async fn services_refer_to_environments_and_those_to_projects_and_workspaces() {
    let cloud = simulated(unlimited(), 0.0).await;
    let user = User::of(&cloud);
    let projects = user.list("projects").await;
    let names: Vec<&str> = projects.iter().map(|one| text(&one["project"]["name"])).collect();
    assert_eq!(names, ["shop", "intranet", "wiki"]);
    assert_eq!(user.refused("environments").await.0, 400, "projectId is required");
    let ids: Vec<String> =
        projects.iter().map(|one| format!("projectId={}", text(&one["project"]["id"]))).collect();
    let environments = user.list(&format!("environments?{}", ids.join("&"))).await;
    let names: Vec<&str> = environments.iter().map(|one| text(&one["environment"]["name"])).collect();
    assert_eq!(names, ["production", "staging", "production", "production"]);
    let of_shop = user.list(&format!("environments?{}", ids[0])).await;
    assert_eq!(of_shop.len(), 2);

    let listed: HashSet<&str> = environments.iter().map(|one| text(&one["environment"]["id"])).collect();
    let services = user.list("services?limit=100").await;
    let referred: HashSet<&str> =
        services.iter().filter_map(|one| one["service"]["environmentId"].as_str()).collect();
    assert_eq!(listed, referred);
    let owners = user.list("owners").await;
    let mut counted = 0;
    for owner in &owners {
        let of_owner =
            user.list(&format!("services?limit=100&ownerId={}", text(&owner["owner"]["id"]))).await;
        assert!(of_owner.iter().all(|one| one["service"]["ownerId"] == owner["owner"]["id"]));
        counted += of_owner.len();
    }
    assert_eq!((owners.len(), counted), (2, services.len()));
    cloud.stop().await;
}

#[tokio::test]
async fn one_request_has_the_metric_of_many_services_with_a_series_for_each_instance() {
    let cloud = simulated(unlimited(), 0.0).await;
    let user = User::of(&cloud);
    let web = user.services("web_service").await;
    let ids: Vec<&str> = web.iter().take(3).map(|service| text(&service["id"])).collect();
    let resources = ids.iter().map(|id| format!("resource={id}")).collect::<Vec<_>>().join("&");
    for (metric, unit) in
        [("cpu", "cpu"), ("cpu-limit", "cpu"), ("memory", "bytes"), ("memory-limit", "bytes")]
    {
        let series = user.list(&format!("metrics/{metric}?{resources}")).await;
        assert_eq!(series.len(), 6, "{metric}: two instances each");
        for one in &series {
            let (resource, instance) = (label(one, "resource").expect("a resource"), label(one, "instance"));
            assert!(ids.contains(&resource) && instance.expect("an instance").starts_with(resource));
            assert_eq!(one["unit"], unit);
            let values = one["values"].as_array().expect("values");
            assert_eq!(values.len(), 59, "the last hour, a point a minute, the last one a minute late");
            let last = seconds(&values[58]["timestamp"]);
            assert!((60.0..120.0).contains(&(NOW - last)) && values[58]["value"].as_f64() > Some(0.0));
        }
    }
    let counts = user.list(&format!("metrics/instance-count?{resources}")).await;
    assert!(counts.len() == 3 && counts.iter().all(|one| one["values"][0]["value"] == 2.0));
    for lacking in ["disk-usage", "active-connections", "replication-lag", "cpu-target"] {
        assert_eq!(user.list(&format!("metrics/{lacking}?{resources}")).await, Vec::<Value>::new());
    }
    let listed = user.list(&format!("services/{}/instances", ids[0])).await;
    assert!(listed.len() == 2 && listed.iter().all(|one| seconds(&one["createdAt"]) < NOW));
    cloud.stop().await;
}

#[tokio::test]
async fn windows_are_rfc_3339_and_bounded_and_too_many_points_are_a_500() {
    let cloud = simulated(Render { most_points: 5_000, most_resources: 3, ..unlimited() }, 0.0).await;
    let user = User::of(&cloud);
    let web = user.services("web_service").await;
    let id = text(&web[0]["id"]);
    let (start, end) = (at(NOW - 180.0), at(NOW));
    let window = format!("metrics/cpu?resource={id}&startTime={start}&endTime={end}");
    let of = |series: &[Value]| series[0]["values"].as_array().map(Vec::len);
    assert_eq!(of(&user.list(&window).await), Some(2));
    assert_eq!(of(&user.list(&format!("{window}&resolutionSeconds=30")).await), Some(4));

    let refused = async |query: &str| user.refused(&format!("metrics/cpu?{query}")).await;
    let (status, error) = refused(&format!("resource={id}&startTime={}", NOW - 180.0)).await;
    assert_eq!((status, &error["message"]), (400, &json!("invalid filter parameter")), "epoch seconds");
    for query in [
        format!("resource={id}&resolutionSeconds=29"),
        format!("resource={id}&startTime={}", at(NOW - 31.0 * 86_400.0)),
        format!("startTime={start}"),
        format!("resource={id}&resource=a&resource=b&resource=c"),
    ] {
        assert_eq!(refused(&query).await.0, 400, "{query}");
    }
    let week = format!("resource={id}&startTime={}", at(NOW - 7.0 * 86_400.0));
    assert_eq!(refused(&week).await.0, 500, "10,080 points");
    assert_eq!(user.refused("metrics/entropy").await.0, 404);
    cloud.stop().await;
}

#[tokio::test]
async fn an_instance_that_has_ended_is_still_in_the_window() {
    let cloud = simulated(unlimited(), 1.0).await;
    let user = User::of(&cloud);
    let mut ended = 0;
    for service in user.services("web_service").await {
        let id = text(&service["id"]);
        let listed: HashSet<String> = user
            .list(&format!("services/{id}/instances"))
            .await
            .iter()
            .map(|one| text(&one["id"]).to_owned())
            .collect();
        let series = user.list(&format!("metrics/memory?resource={id}")).await;
        ended += series.iter().filter(|one| !listed.contains(label(one, "instance").expect("one"))).count();
        if service["suspended"] == "suspended" {
            assert!(listed.is_empty() && service["suspenders"] == json!(["user"]));
        }
    }
    assert!(ended > 0);
    cloud.stop().await;
}

#[tokio::test]
async fn requests_are_sums_of_a_step_by_code_and_latency_has_its_quantiles() {
    let cloud = simulated(unlimited(), 0.0).await;
    let user = User::of(&cloud);
    let id = text(&user.services("web_service").await[0]["id"]).to_owned();
    let codes = user.list(&format!("metrics/http-requests?resource={id}&aggregateBy=statusCode")).await;
    let names: Vec<_> = codes.iter().filter_map(|one| label(one, "statusCode")).collect();
    assert!(names.contains(&"200") && names.len() == codes.len(), "{names:?}");
    let minute = codes[0]["values"][5]["value"].as_f64().expect("a number");
    let path = format!("metrics/http-requests?resource={id}&aggregateBy=statusCode&resolutionSeconds=300");
    let five = user.list(&path).await[0]["values"][1]["value"].as_f64().expect("a number");
    assert!(five > 2.0 * minute, "{five} in five minutes, {minute} in one");
    let total = user.list(&format!("metrics/http-requests?resource={id}")).await;
    assert!(total.len() == 1 && label(&total[0], "statusCode").is_none());

    let quantiles =
        user.list(&format!("metrics/http-latency?resource={id}&quantile=0.5&quantile=0.95")).await;
    let names: Vec<_> = quantiles.iter().map(|one| (label(one, "quantile"), text(&one["unit"]))).collect();
    assert_eq!(names, [(Some("0.5"), "ms"), (Some("0.95"), "ms")]);
    let worker = text(&user.services("background_worker").await[0]["id"]).to_owned();
    assert!(user.list(&format!("metrics/http-requests?resource={worker}")).await.is_empty());
    cloud.stop().await;
}

#[tokio::test]
async fn bandwidth_is_hourly_and_the_hour_that_is_not_over_grows() {
    for (sum_time, shift) in [(SumTime::Start, 0.0), (SumTime::End, 3600.0)] {
        let cloud = simulated(Render { sum_time, ..unlimited() }, 0.0).await;
        let user = User::of(&cloud);
        let id = text(&user.services("web_service").await[0]["id"]).to_owned();
        let start = at(NOW - 4.0 * 3600.0);
        let series = user.list(&format!("metrics/bandwidth?resource={id}&startTime={start}")).await;
        let values = series[0]["values"].as_array().expect("values");
        assert_eq!((series.len(), values.len(), &series[0]["unit"]), (1, 4, &json!("MB")));
        let hour = (NOW / 3600.0).floor() * 3600.0;
        assert!((seconds(&values[3]["timestamp"]) - hour - shift).abs() < 1e-9);
        assert!(values.iter().all(|one| one["value"].as_f64() > Some(0.0)));
        cloud.stop().await;
    }
}

#[tokio::test]
async fn a_cron_job_has_instances_for_ten_minutes_of_an_hour() {
    let hour = (NOW / 3600.0).floor() * 3600.0;
    for (second, running) in [(300.0, true), (1800.0, false)] {
        let account = AccountSettings { services: 60, instances: 1, ..AccountSettings::new("acme") };
        let clock = Clock::fixed(hour + second);
        let settings = Settings { accounts: vec![account], clock, ..unlimited().into() };
        let cloud = Simulator::start(settings).await.expect("a cloud");
        let user = User::of(&cloud);
        let id = text(&user.services("cron_job").await[0]["id"]).to_owned();
        let listed = user.list(&format!("services/{id}/instances")).await;
        assert_eq!(!listed.is_empty(), running, "{second}");
        let series = user.list(&format!("metrics/cpu?resource={id}")).await;
        assert_eq!(series.len(), 1, "it ran within the last hour");
        cloud.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_left_out_or_not_found() {
    for (unknown_resource, status) in [(UnknownResource::Nothing, 200), (UnknownResource::NotFound, 404)] {
        let cloud = simulated(Render { unknown_resource, ..unlimited() }, 0.0).await;
        let user = User::of(&cloud);
        let id = text(&user.services("web_service").await[0]["id"]).to_owned();
        let (got, body) = user.refused(&format!("metrics/cpu?resource={id}&resource=srv-none")).await;
        assert_eq!((got, body.as_array().map(Vec::len)), (status, (status == 200).then_some(2)));
        cloud.stop().await;
    }
}

#[tokio::test]
async fn keys_and_methods_are_checked() {
    let cloud = simulated(unlimited(), 0.0).await;
    for key in ["", "rnd_other"] {
        let response =
            client().get(cloud.url() + "services").bearer_auth(key).send().await.expect("a response");
        assert_eq!(response.status(), 401);
        let error: Value = response.json().await.expect("JSON");
        assert!(error["message"].is_string() && error["id"].is_string());
    }
    let user = User::of(&cloud);
    let response =
        client().post(cloud.url() + "services").bearer_auth(&user.key).send().await.expect("a response");
    assert_eq!(response.status(), 405);
    for path in ["postgres", "services/srv-none", "services/srv-none/instances"] {
        assert_eq!(user.refused(path).await.0, 404, "{path}");
    }
    cloud.stop().await;

    let cloud = simulated(Render { deny_metrics: true, ..unlimited() }, 0.0).await;
    assert_eq!(User::of(&cloud).refused("metrics/cpu?resource=srv-a").await.0, 403);
    cloud.stop().await;
}

#[tokio::test]
async fn all_paths_share_the_limit_of_a_user_and_its_429_has_a_form_of_its_own() {
    for (reset, wait) in [(ResetTime::Seconds, 60.0), (ResetTime::Epoch, NOW + 60.0)] {
        let cloud =
            simulated(Render { rate_limit: 3, reset, retry_after: true, ..Render::default() }, 0.0).await;
        let user = User::of(&cloud);
        for (path, remaining) in [("services", "2"), ("projects", "1"), ("metrics/cpu?resource=srv-a", "0")] {
            let response = user.get(path).await;
            assert_eq!(response.status(), 200);
            let header = |name: &str| response.headers()[name].to_str().expect("a text").to_owned();
            assert_eq!((&*header("ratelimit-limit"), &*header("ratelimit-remaining")), ("3", remaining));
            assert_eq!(header("ratelimit-reset"), format!("{wait:.0}"));
            assert!(response.headers().get("retry-after").is_none());
        }
        let refused = user.get("services").await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &"60".parse().expect("a header"))
        );
        let body: Value = refused.json().await.expect("JSON");
        assert_eq!(body, json!({"error": "rate limit exceeded"}));
        cloud.stop().await;
    }
}
