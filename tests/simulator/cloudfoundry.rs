//! The simulated Cloud Foundry on the wire, compared with the API's documentation.

use std::collections::HashSet;

use caas_operator::simulator::{AccountSettings, Clock, CloudFoundry, Running, Settings, Simulator};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{NOW, client, cloud};

/// A user of an installation, logged in.
struct User {
    client: Client,
    url: String,
    token: String,
}

impl User {
    async fn of(cloud: &Running) -> Self {
        let client = client();
        let answer = log_in(cloud, &password(cloud)).await;
        let answer: Value = answer.json().await.expect("JSON");
        Self { client, url: cloud.url(), token: answer["access_token"].as_str().expect("a token").to_owned() }
    }

    fn request(&self, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) };
        self.client.get(url).header("Authorization", format!("bearer {}", self.token))
    }

    async fn get(&self, path: &str) -> Response {
        self.request(path).send().await.expect("a response")
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    /// The guid of the web process of an application.
    async fn process(&self, name: &str) -> String {
        let apps = self.json(&format!("v3/apps?names={name}")).await;
        let guid = apps["resources"][0]["guid"].as_str().expect("a guid").to_owned();
        let processes = self.json(&format!("v3/processes?app_guids={guid}&types=web")).await;
        processes["resources"][0]["guid"].as_str().expect("a guid").to_owned()
    }
}

fn password(cloud: &Running) -> Vec<(&'static str, String)> {
    let login = cloud.credentials().remove(0);
    vec![("grant_type", "password".to_owned()), ("username", login.username), ("password", login.password)]
}

async fn log_in(cloud: &Running, form: &[(&str, String)]) -> Response {
    let request = client().post(cloud.url() + "oauth/token").form(form);
    request.basic_auth("cf", Some("")).send().await.expect("a response")
}

/// Whether a value has all that a sample has, in the same types. `null` in a sample matches anything.
fn has_shape(value: &Value, sample: &Value, at: &str) {
    match (value, sample) {
        (_, Value::Null) => {}
        (Value::Object(value), Value::Object(sample)) => {
            for (key, sample) in sample {
                let value = value.get(key).unwrap_or_else(|| panic!("{at}.{key} is missing"));
                has_shape(value, sample, &format!("{at}.{key}"));
            }
        }
        (Value::Array(values), Value::Array(samples)) => {
            for (value, sample) in values.iter().filter_map(|value| Some((value, samples.first()?))) {
                has_shape(value, sample, &format!("{at}[]"));
            }
        }
        _ => assert_eq!(std::mem::discriminant(value), std::mem::discriminant(sample), "{at}: {value}"),
    }
}

#[tokio::test]
async fn the_root_names_the_login_server_and_needs_no_token() {
    let cloud = cloud(CloudFoundry::default().into()).await;
    let root: Value = client().get(cloud.url()).send().await.expect("a response").json().await.expect("JSON");
    let href = json!({"href": "https://x"});
    has_shape(
        &root,
        &json!({"links": {"self": href, "login": href, "uaa": href,
            "cloud_controller_v3": {"href": "x", "meta": {"version": "3"}}, "log_cache": null, "app_ssh": null}}),
        "root",
    );
    assert_eq!(root["links"]["login"]["href"], cloud.url().trim_end_matches('/'));
    cloud.stop().await;

    let named =
        CloudFoundry { login_url: Some("https://login.example.com".to_owned()), ..CloudFoundry::default() };
    let cloud = self::cloud(named.into()).await;
    let root: Value = client().get(cloud.url()).send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(root["links"]["login"]["href"], "https://login.example.com");
    cloud.stop().await;
}

#[tokio::test]
async fn each_grant_gives_a_token_and_wrong_credentials_the_login_servers_error() {
    let cloud = cloud(CloudFoundry::default().into()).await;
    let answer: Value = log_in(&cloud, &password(&cloud)).await.json().await.expect("JSON");
    has_shape(
        &answer,
        &json!({"access_token": "x", "token_type": "bearer", "expires_in": 599, "refresh_token": "x"}),
        "token",
    );
    let refresh = answer["refresh_token"].as_str().expect("a token").to_owned();
    let refresh = [("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh)];
    assert_eq!(log_in(&cloud, &refresh).await.status(), 200);

    let login = cloud.credentials().remove(0);
    let machine = client().post(cloud.url() + "oauth/token").form(&[("grant_type", "client_credentials")]);
    let answer = machine.basic_auth(&login.username, Some(&login.password)).send().await.expect("a response");
    let answer: Value = answer.json().await.expect("JSON");
    assert!(answer["refresh_token"].is_null(), "a client gets none");
    let in_form = [
        ("grant_type", "client_credentials"),
        ("client_id", &*login.username),
        ("client_secret", &*login.password),
    ];
    let answer = client().post(cloud.url() + "oauth/token").form(&in_form).send().await.expect("a response");
    assert_eq!(answer.status(), 200);

    let mut wrong = password(&cloud);
    wrong[2].1 = "wrong".to_owned();
    for (form, status) in [(wrong, 401), (password(&cloud)[..2].to_vec(), 400), (vec![], 400)] {
        let answer = log_in(&cloud, &form).await;
        assert_eq!(answer.status(), status);
        let answer: Value = answer.json().await.expect("JSON");
        has_shape(&answer, &json!({"error": "x", "error_description": "x"}), "error");
    }
    let without_client = client().post(cloud.url() + "oauth/token").form(&password(&cloud));
    assert_eq!(without_client.send().await.expect("a response").status(), 401);
    cloud.revoke_tokens();
    assert_eq!(log_in(&cloud, &refresh).await.status(), 401);
    cloud.stop().await;
}

#[tokio::test]
async fn a_token_ends_when_its_life_is_over() {
    let now = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1_772_000_000));
    let clock = std::sync::Arc::clone(&now);
    let clock = Clock::new(move || clock.load(std::sync::atomic::Ordering::Relaxed) as f64);
    let cloud =
        Simulator::start(Settings { clock, ..CloudFoundry::default().into() }).await.expect("a cloud");
    let user = User::of(&cloud).await;
    assert_eq!(user.get("v3/apps").await.status(), 200);
    now.fetch_add(599, std::sync::atomic::Ordering::Relaxed);
    let refused = user.get("v3/apps").await;
    assert_eq!(refused.status(), 401);
    let refused: Value = refused.json().await.expect("JSON");
    assert_eq!(
        (&refused["errors"][0]["code"], &refused["errors"][0]["title"]),
        (&json!(1000), &json!("CF-InvalidAuthToken"))
    );
    let without = client().get(cloud.url() + "v3/apps").send().await.expect("a response");
    let without: Value = without.json().await.expect("JSON");
    assert_eq!(without["errors"][0]["code"], 10002);
    cloud.stop().await;
}

#[tokio::test]
async fn applications_and_processes_look_like_the_documented_ones() {
    let account =
        AccountSettings { applications: 4, namespace: Some("corp".into()), ..AccountSettings::new("acme") };
    let cloud = cloud(Settings { accounts: vec![account], ..CloudFoundry::default().into() }).await;
    let user = User::of(&cloud).await;
    let page = user.json("v3/apps?per_page=5000&include=space,space.organization").await;
    let related = |name: &str| json!({name: {"data": {"guid": "x"}}});
    has_shape(
        &page,
        &json!({
            "pagination": {"total_results": 3, "total_pages": 2, "first": {"href": "x"}, "last": {"href": "x"}, "next": null, "previous": null},
            "resources": [{"guid": "x", "name": "x", "state": "STARTED", "created_at": "x", "relationships": related("space"),
                "lifecycle": {"type": "x", "data": {}}, "metadata": {"labels": {}, "annotations": {}}, "links": {"self": {"href": "x"}}}],
            "included": {
                "spaces": [{"guid": "x", "name": "x", "relationships": related("organization")}],
                "organizations": [{"guid": "x", "name": "x"}]}}),
        "apps",
    );
    assert_eq!(page["resources"].as_array().map(Vec::len), Some(20));
    assert_eq!(page["included"]["organizations"][0]["name"], "corp");
    let spaces = page["included"]["spaces"].as_array().expect("spaces");
    let names: Vec<&str> = spaces.iter().filter_map(|space| space["name"].as_str()).collect();
    assert_eq!(names, ["production", "shop", "analytics"]);

    let included = &user.json("v3/apps?include=space.organization").await["included"];
    assert!(
        included["spaces"].is_array() && included["organizations"].is_array(),
        "the one comes with the other"
    );
    assert!(user.json("v3/apps").await.get("included").is_none());

    // Clients follow the links of an entry.
    let app = &page["resources"][0];
    for link in ["self", "space", "processes"] {
        let linked = user.json(app["links"][link]["href"].as_str().expect("a link")).await;
        assert!(
            linked["links"]["self"]["href"].is_string() || linked["resources"].is_array(),
            "{link}: {linked}"
        );
    }
    let space = user.json(app["links"]["space"]["href"].as_str().expect("a link")).await;
    let organization = user.json(space["links"]["organization"]["href"].as_str().expect("a link")).await;
    assert_eq!((&space["name"], &organization["name"]), (&json!("production"), &json!("corp")));
    assert_eq!(user.get("v3/spaces/2f35").await.status(), 404);
    assert_eq!(user.get("v3/organizations/2f35").await.status(), 404);

    let page = user.json("v3/processes?per_page=5000").await;
    has_shape(
        &page,
        &json!({"resources": [{"guid": "x", "type": "x", "instances": 1, "memory_in_mb": 1, "disk_in_mb": 1,
            "log_rate_limit_in_bytes_per_second": -1, "version": "x", "relationships": related("app")}]}),
        "processes",
    );
    let processes = page["resources"].as_array().expect("processes");
    let sum = |kind: &str| -> i64 {
        let of_kind = processes.iter().filter(|process| process["type"] == kind);
        of_kind.filter_map(|process| process["instances"].as_i64()).sum()
    };
    assert_eq!((processes.len(), sum("web") + sum("worker")), (40, 100));
    assert!(sum("worker") > 0);
    cloud.stop().await;
}

#[tokio::test]
async fn pages_have_50_entries_unless_a_client_requests_up_to_5000_and_keep_the_query() {
    let account = AccountSettings { services: 120, instances: 1, ..AccountSettings::new("acme") };
    let cloud = cloud(Settings { accounts: vec![account], ..CloudFoundry::default().into() }).await;
    let user = User::of(&cloud).await;
    let (mut path, mut guids, mut pages) =
        ("v3/apps?label_selector=tier%3Dfront".to_owned(), HashSet::new(), 0);
    let total = loop {
        let page = user.json(&path).await;
        pages += 1;
        for app in page["resources"].as_array().expect("apps") {
            assert_eq!(app["metadata"]["labels"]["tier"], "front");
            guids.insert(app["guid"].as_str().expect("a guid").to_owned());
        }
        match page["pagination"]["next"]["href"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break page["pagination"]["total_results"].as_u64().expect("a number"),
        }
    };
    assert!((40..80).contains(&total) && guids.len() as u64 == total, "{total}");
    assert_eq!(pages, total.div_ceil(50));
    for per_page in ["0", "5001", "x"] {
        let refused = user.get(&format!("v3/apps?per_page={per_page}")).await;
        assert_eq!(refused.status(), 400);
        assert_eq!(refused.json::<Value>().await.expect("JSON")["errors"][0]["code"], 10005);
    }
    let beyond = user.json("v3/apps?page=99").await;
    assert_eq!(beyond["resources"], json!([]));
    cloud.stop().await;
}

#[tokio::test]
async fn the_instances_of_a_process_look_like_the_documented_ones() {
    let cloud = cloud(CloudFoundry::default().into()).await;
    let user = User::of(&cloud).await;
    let process = user.process("kibana").await;
    let stats = user.json(&format!("v3/processes/{process}/stats")).await;
    has_shape(
        &stats,
        &json!({"resources": [{"type": "web", "index": 0, "instance_guid": "x", "state": "RUNNING", "routable": true,
            "usage": {"time": "x", "cpu": 0.1, "cpu_entitlement": 0.1, "mem": 1, "disk": 1, "log_rate": 0},
            "host": "x", "uptime": 1, "mem_quota": 1, "disk_quota": 1, "log_rate_limit": -1, "fds_quota": 1,
            "isolation_segment": null, "details": null}]}),
        "stats",
    );
    let world = cloud.world("acme").expect("a world");
    let kibana = world.service(NOW, "kibana", None).expect("kibana");
    let listed = stats["resources"].as_array().expect("instances");
    for (index, (shown, instance)) in listed.iter().zip(kibana.instances()).enumerate() {
        assert_eq!(shown["index"], index);
        assert_eq!(shown["usage"]["time"], "2026-02-25T06:13:20.000Z");
        let uptime = NOW - instance.started_at(NOW);
        assert!((shown["uptime"].as_f64().expect("a number") - uptime).abs() < 1.0);
        assert_eq!(shown["mem_quota"].as_u64(), Some(u64::from(kibana.size.mebibytes) << 20));
        let cores = shown["usage"]["cpu"].as_f64().expect("a number");
        assert!(cores > 0.0 && cores <= kibana.size.cores);
    }
    let missing = user.get("v3/processes/2f35/stats").await;
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.json::<Value>().await.expect("JSON")["errors"][0]["title"], "CF-ResourceNotFound");
    cloud.stop().await;
}

#[tokio::test]
async fn a_store_of_measurements_that_fails_leaves_usage_empty_and_says_so_in_a_header() {
    let cloud = cloud(CloudFoundry { log_cache_down: true, ..CloudFoundry::default() }.into()).await;
    let user = User::of(&cloud).await;
    let process = user.process("kibana").await;
    let answer = user.get(&format!("v3/processes/{process}/stats")).await;
    assert!(answer.headers().contains_key("x-cf-warnings"));
    let stats: Value = answer.json().await.expect("JSON");
    let instance = &stats["resources"][0];
    assert_eq!((&instance["usage"], &instance["mem_quota"]), (&json!({}), &Value::Null));
    assert_eq!(instance["state"], "RUNNING");
    cloud.stop().await;
}

#[tokio::test]
async fn what_an_instance_shows_follows_its_age_and_a_missing_one_is_down() {
    let account = AccountSettings { services: 60, ..AccountSettings::new("acme") };
    let settings = Settings { accounts: vec![account], churn: 1.0, ..CloudFoundry::default().into() };
    let cloud = cloud(settings).await;
    let user = User::of(&cloud).await;
    let processes = user.json("v3/processes?per_page=5000&types=web").await;
    let mut seen = HashSet::new();
    for process in processes["resources"].as_array().expect("processes") {
        let path = format!("v3/processes/{}/stats", process["guid"].as_str().expect("a guid"));
        for instance in user.json(&path).await["resources"].as_array().expect("instances") {
            let uptime = instance["uptime"].as_u64().expect("a number");
            let state = instance["state"].as_str().expect("a word").to_owned();
            match &*state {
                "DOWN" => assert!(instance.get("instance_guid").is_none() && instance.get("usage").is_none()),
                "STARTING" => assert!(uptime < 10, "{uptime}"),
                "RUNNING" if uptime < 30 => {
                    assert_eq!(
                        (&instance["usage"]["mem"], &instance["mem_quota"]),
                        (&json!(0), &Value::Null)
                    );
                }
                _ => assert!(instance["usage"]["mem"].as_u64() > Some(0)),
            }
            seen.insert(state);
        }
    }
    assert!(seen.contains("RUNNING") && seen.contains("DOWN"), "{seen:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn a_limit_is_told_in_headers_and_ends_in_json_that_is_declared_as_text() {
    let cloud = cloud(CloudFoundry { rate_limit: Some(20), ..CloudFoundry::default() }.into()).await;
    let user = User::of(&cloud).await;
    let header = |response: &Response, name: &str| -> Option<f64> {
        response.headers().get(name)?.to_str().ok()?.parse().ok()
    };
    for sent in 1..=20 {
        let response = user.get("v3/organizations").await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-ratelimit-limit"), Some(20.0));
        let left = f64::from((20 - sent) / 2 * 2);
        assert_eq!(header(&response, "x-ratelimit-remaining"), Some(left), "{sent}");
        assert_eq!(header(&response, "x-ratelimit-reset"), Some(NOW + 3600.0));
    }
    let refused = user.get("v3/organizations").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(
        (header(&refused, "retry-after"), header(&refused, "x-ratelimit-remaining")),
        (Some(3600.0), Some(0.0))
    );
    assert!(refused.headers()["content-type"].to_str().expect("text").starts_with("text/plain"));
    let body = refused.json::<Value>().await.expect("JSON");
    assert_eq!(body["errors"][0]["title"], "CF-RateLimitExceeded");
    cloud.stop().await;
}
