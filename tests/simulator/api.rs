//! Every documented request, compared with the samples of the documentation.

use caas_operator::simulator::{AccountSettings, Alauda, Settings};
use serde_json::{Value, json};

use super::{NOW, User, client, cloud};

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
            for (value, sample) in
                values.iter().filter_map(|value| samples.first().map(|sample| (value, sample)))
            {
                has_shape(value, sample, &format!("{at}[]"));
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(value),
            std::mem::discriminant(sample),
            "{at}: {value} is not like {sample}"
        ),
    }
}

fn sample_instance() -> Value {
    json!({"instance_name": "kibana.0", "uuid": "92d0", "started_at": "2015-04-14T09:47:26.895Z"})
}

fn sample_service() -> Value {
    json!({"service_name": "kibana", "namespace": "acme", "uuid": "1cd6", "unique_name": "1cd6",
        "image_name": "index.alauda.cn/acme/kibana", "image_tag": "4.1", "instance_size": "XS",
        "current_status": "Running", "target_state": "STARTED", "is_deploying": false,
        "target_num_instances": 2, "current_num_instances": 2, "started_num_instances": 2,
        "staged_num_instances": 0, "scaling_mode": "MANUAL", "autoscaling_config": "{}",
        "instance_envvars": "{}", "instance_ports": [], "run_command": "", "application": null,
        "region": {"IaaS": "AWS", "name": "BEIJING1"}, "created_at": "2015-04-14T09:46:39.457Z",
        "instances": [sample_instance()]})
}

#[tokio::test]
async fn a_login_is_a_form_or_json_with_or_without_a_slash_and_an_organization() {
    let cloud = cloud(Settings::default()).await;
    let login = cloud.credentials().remove(0);
    let fields = json!({"username": login.username, "password": login.password});
    let with_organization =
        json!({"username": login.username, "password": login.password, "organization": "acme"});
    for path in ["generate-api-token/", "generate-api-token"] {
        for fields in [&fields, &with_organization] {
            let request = client().post(cloud.url() + path);
            for request in [request.try_clone().expect("a copy").form(fields), request.json(fields)] {
                let response = request.send().await.expect("a response");
                assert_eq!(response.status(), 200);
                let body: Value = response.json().await.expect("JSON");
                let token = body["token"].as_str().expect("a token");
                assert!(token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_login_with_wrong_or_missing_credentials_is_refused() {
    let cloud = cloud(Settings::default()).await;
    let url = cloud.url() + "generate-api-token/";
    let status =
        async |fields: Value| client().post(&url).form(&fields).send().await.expect("a response").status();
    assert_eq!(status(json!({"username": "acme", "password": "wrong"})).await, 401);
    assert_eq!(status(json!({"username": "nobody", "password": "x"})).await, 401);
    assert_eq!(status(json!({"username": "acme"})).await, 400);
    assert_eq!(client().post(&url).body("{").send().await.expect("a response").status(), 400);
    assert_eq!(client().post(&url).body("x".repeat(100_000)).send().await.expect("a response").status(), 413);
    cloud.stop().await;
}

#[tokio::test]
async fn a_page_of_services_looks_like_the_documented_one() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let page = user.json("services/acme/?page=1").await;
    has_shape(
        &page,
        &json!({"count": 41, "previous": null, "next": null, "results": [sample_service()]}),
        "page",
    );
    assert_eq!((&page["count"], &page["previous"], &page["next"]), (&json!(20), &Value::Null, &Value::Null));
    let services = page["results"].as_array().expect("services");
    assert_eq!(services.len(), 20);
    assert_eq!(services[0]["service_name"], "kibana");
    assert_eq!((&services[0]["instance_size"], &services[0]["image_tag"]), (&json!("XS"), &json!("4.1")));
    for service in services {
        assert_eq!(service["instances"].as_array().map(Vec::len), Some(5));
        assert_eq!(service["uuid"], service["unique_name"]);
        serde_json::from_str::<Value>(service["instance_envvars"].as_str().expect("a text"))
            .expect("JSON in it");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn pages_link_to_the_next_and_the_previous_one() {
    for relative_next in [false, true] {
        let cloud = cloud(Alauda { page_size: 8, relative_next, ..Alauda::default() }.into()).await;
        let user = User::of(&cloud).await;
        let root = cloud.url().replace("/v1/", "");
        let (mut path, mut names, mut previous) =
            ("services/acme/?page=1".to_owned(), Vec::new(), Vec::new());
        loop {
            let page = user.json(&path).await;
            let results = page["results"].as_array().expect("services").clone();
            names.extend(results.into_iter().map(|service| service["service_name"].to_string()));
            previous.push(page["previous"].clone());
            let Some(next) = page["next"].as_str() else { break };
            let prefix = if relative_next { "/v1/".to_owned() } else { format!("{root}/v1/") };
            next.strip_prefix(&prefix).expect("at the host of the request").clone_into(&mut path);
        }
        assert_eq!(names.len(), 20);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 20);
        assert_eq!(previous[0], Value::Null);
        assert!(previous[2].as_str().expect("a link").ends_with("page=2"));
        assert_eq!(previous.len(), 3);
        for beyond in ["4", "0", "x", "-1"] {
            assert_eq!(user.status(&format!("services/acme/?page={beyond}")).await, 404);
        }
        cloud.stop().await;
    }
}

#[tokio::test]
async fn a_service_and_its_instances_equal_those_of_the_page() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let page = user.json("services/acme/").await;
    for slash in ["", "/"] {
        let service = user.json(&format!("services/acme/kibana{slash}")).await;
        assert_eq!(service, page["results"][0]);
        let instances = user.json(&format!("services/acme/kibana/instances{slash}")).await;
        assert_eq!(instances, service["instances"]);
        has_shape(&instances, &json!([sample_instance()]), "instances");
        let uuid = instances[2]["uuid"].as_str().expect("a uuid");
        let one = user.json(&format!("services/acme/kibana/instances/{uuid}{slash}")).await;
        assert_eq!(one, instances[2]);
    }
    cloud.stop().await;
}

#[tokio::test]
async fn metrics_have_the_documented_columns_newest_first_and_agree_with_the_world() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let path = user.metrics_path(NOW - 600.0, NOW).await;
    let metrics = user.json(&path).await;
    has_shape(
        &metrics,
        &json!({"name": "stats.1.2", "columns": ["time"], "points": [[1, 0, 1, 0.1]]}),
        "metrics",
    );
    assert_eq!(
        metrics["columns"],
        json!([
            "time",
            "sequence_number",
            "cpu_cumulative_usage",
            "cpu_utilization",
            "memory_usage",
            "memory_utilization",
            "rx_bytes",
            "rx_errors",
            "tx_bytes",
            "tx_errors"
        ])
    );
    let world = cloud.world("acme").expect("a world");
    let service = world.service(NOW, "kibana", None).expect("kibana");
    let instance = service.instances().next().expect("kibana.0");
    assert_eq!(metrics["name"], format!("stats.{}.{}", service.uuid, instance.uuid));
    let points = metrics["points"].as_array().expect("points");
    assert!(points.len() >= 9, "{points:?}");
    for (number, row) in points.iter().enumerate() {
        let truth = world.point(&instance, row[0].as_i64().expect("a time")).expect("a point");
        let expected = json!([
            truth.time,
            number,
            truth.cpu_nanoseconds,
            truth.cpu_percent,
            truth.memory_bytes,
            truth.memory_percent,
            truth.rx_bytes,
            truth.rx_errors,
            truth.tx_bytes,
            truth.tx_errors
        ]);
        assert_eq!(*row, expected);
    }
    let times: Vec<i64> = points.iter().filter_map(|row| row[0].as_i64()).collect();
    assert!(times.windows(2).all(|pair| pair[0] == pair[1] + 60), "{times:?}");
    assert!(times[0] as f64 <= NOW - 30.0);
    cloud.stop().await;
}

#[tokio::test]
async fn a_window_without_data_has_an_empty_body() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    for (start, end) in [(NOW - 20.0, NOW), (NOW + 60.0, NOW + 600.0), (0.0, 60.0), (NOW, NOW - 600.0)] {
        let response = user.get(&user.metrics_path(start, end).await).await.expect("a response");
        assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(0)));
    }
    cloud.stop().await;
}

#[tokio::test]
async fn metrics_take_the_documented_periods_only() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let path = user.metrics_path(NOW - 600.0, NOW).await;
    for period in ["1s", "1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "7d", "30d"] {
        assert_eq!(user.status(&path.replace("=1m", &format!("={period}"))).await, 200, "{period}");
    }
    for broken in [path.replace("=1m", "=2m"), path.replace("start_time", "start"), path.replace("=1m", "=")]
    {
        assert_eq!(user.status(&broken).await, 400, "{broken}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_service_of_an_application_is_found_only_with_its_application() {
    let account = AccountSettings { applications: 4, ..AccountSettings::new("acme") };
    let cloud = cloud(Settings { accounts: vec![account], ..Settings::default() }).await;
    let user = User::of(&cloud).await;
    let page = user.json("services/acme/").await;
    let redis = |service: &&Value| service["service_name"] == "redis";
    let all = page["results"].as_array().expect("services");
    let applications: Vec<_> =
        all.iter().filter(redis).map(|service| service["application"].clone()).collect();
    assert_eq!(applications, [Value::Null, json!("shop"), json!("analytics")]);

    let (alone, in_shop) =
        (user.json("services/acme/redis").await, user.json("services/acme/redis?application=shop").await);
    assert_eq!((&alone["application"], &in_shop["application"]), (&Value::Null, &json!("shop")));
    assert_ne!(alone["uuid"], in_shop["uuid"]);
    let uuid = in_shop["instances"][0]["uuid"].as_str().expect("a uuid");
    let metrics = format!("metrics?start_time={}&end_time={NOW}&point_per_period=1m", NOW - 300.0);
    for path in ["instances/".to_owned(), format!("instances/{uuid}"), format!("instances/{uuid}/{metrics}")]
    {
        let query = if path.contains('?') { "&application=shop" } else { "?application=shop" };
        assert_eq!(user.status(&format!("services/acme/redis/{path}{query}")).await, 200, "{path}");
        let expected = if path == "instances/" { 200 } else { 404 };
        assert_eq!(user.status(&format!("services/acme/redis/{path}")).await, expected, "{path}");
    }
    assert_eq!(user.status("services/acme/kibana?application=shop").await, 404);
    assert_eq!(user.json("services/acme/?page=1&application=shop").await["count"], 2);
    assert_eq!(user.json("services/acme/?page=1?application=shop").await["count"], 2);
    cloud.stop().await;
}

#[tokio::test]
async fn unknown_paths_are_404_other_methods_405_and_missing_tokens_401() {
    let cloud = cloud(Settings::default()).await;
    let mut user = User::of(&cloud).await;
    let unknown = [
        "services/acme/nothing",
        "services/acme/kibana/instances/00000000-0000-0000-0000-000000000000",
        "services/nobody/",
        "services/acme/kibana/nothing",
        "orgs/",
        "",
    ];
    for path in unknown {
        assert_eq!(user.status(path).await, 404, "{path}");
    }
    let post = user.client.post(cloud.url() + "services/acme/").bearer_auth("x");
    assert_eq!(post.send().await.expect("a response").status(), 401);
    let delete = user.client.delete(cloud.url() + "services/acme/kibana");
    let delete = delete.header("Authorization", format!("Token {}", user.token));
    let response = delete.send().await.expect("a response");
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD");
    assert_eq!(user.status("generate-api-token/").await, 405);

    let response = user.client.get(cloud.url() + "services/acme/").send().await.expect("a response");
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Token");
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["detail"], "Authentication credentials were not provided.");
    user.token = "0".repeat(40);
    assert_eq!(user.status("services/acme/").await, 401);
    cloud.stop().await;
}

#[tokio::test]
async fn each_account_has_its_own_world_and_cannot_read_anothers() {
    let accounts = vec![
        AccountSettings { services: 3, ..AccountSettings::new("acme") },
        AccountSettings { services: 4, namespace: Some("org".into()), ..AccountSettings::new("globex") },
    ];
    let cloud = cloud(Settings { accounts, ..Settings::default() }).await;
    let acme = User::of(&cloud).await;
    let login = cloud.credentials().remove(1);
    let form = json!({"username": login.username, "password": login.password});
    let response =
        client().post(cloud.url() + "generate-api-token/").form(&form).send().await.expect("a response");
    let token: Value = response.json().await.expect("JSON");
    let globex =
        User { token: token["token"].as_str().expect("a token").to_owned(), ..User::of(&cloud).await };

    let (first, second) = (acme.json("services/acme/").await, globex.json("services/org/").await);
    assert_eq!((&first["count"], &second["count"]), (&json!(3), &json!(4)));
    assert_ne!(first["results"][0]["uuid"], second["results"][0]["uuid"]);
    assert_eq!((acme.status("services/org/").await, globex.status("services/acme/").await), (403, 403));
    cloud.stop().await;
}

#[tokio::test]
async fn instances_outside_of_services_have_a_path_of_their_own() {
    let cloud = cloud(Alauda { no_inline_instances: true, ..Alauda::default() }.into()).await;
    let user = User::of(&cloud).await;
    let page = user.json("services/acme/").await;
    assert!(page["results"][0].get("instances").is_none());
    assert_eq!(user.json("services/acme/kibana/instances/").await.as_array().map(Vec::len), Some(5));
    cloud.stop().await;
}

#[tokio::test]
async fn one_page_of_100_000_instances_builds_one_page() {
    let account = AccountSettings { services: 20_000, ..AccountSettings::new("acme") };
    let cloud =
        cloud(Settings { accounts: vec![account], ..Alauda { page_size: 25, ..Alauda::default() }.into() })
            .await;
    let user = User::of(&cloud).await;
    let page = user.json("services/acme/?page=400").await;
    assert_eq!((&page["count"], page["results"].as_array().map(Vec::len)), (&json!(20_000), Some(25)));
    let world = cloud.world("acme").expect("a world");
    assert_eq!(world.built(), 25);
    cloud.stop().await;
}
