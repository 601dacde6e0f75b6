//! A running cloud: its admin paths, its counts, its end, TLS.

use std::sync::Arc;
use std::time::Duration;

use caas_operator::simulator::{Alauda, Settings, Simulator, StartError};
use serde_json::{Value, json};

use super::{NOW, User, client, cloud};

#[tokio::test]
async fn requests_are_counted_by_kind_and_logged() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let _ = user.status("services/acme/?page=1").await;
    let path = user.metrics_path(NOW - 100.0, NOW).await;
    let _ = (user.status(&path).await, user.status("services/acme/kibana/instances/").await);
    let _ = user.status("nothing").await;
    let counts = cloud.counts();
    let kinds = [
        counts["login"],
        counts["services_page"],
        counts["service"],
        counts["instances"],
        counts["metrics"],
        counts["other"],
    ];
    assert_eq!((kinds, counts.total), ([1; 6], 6));
    assert_eq!(cloud.requests()[1], "GET /v1/services/acme/?page=1");
    cloud.reset_counts();
    assert_eq!((cloud.counts().total, cloud.requests().len()), (0, 0));
    cloud.stop().await;
}

#[tokio::test]
async fn the_most_requests_in_flight_are_remembered() {
    let cloud = cloud(Settings { latency: Duration::from_millis(200), ..Settings::default() }).await;
    let user = User::of(&cloud).await;
    cloud.reset_counts();
    let statuses = futures::future::join_all((0..10).map(|_| user.status("services/acme/"))).await;
    assert!(statuses.iter().all(|status| *status == 200));
    let counts = cloud.counts();
    assert!((2..=10).contains(&counts.max_in_flight), "{counts:?}");
    assert_eq!(counts.in_flight, 0);
    cloud.stop().await;
}

#[tokio::test]
async fn other_processes_drive_it_by_its_admin_paths() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let sim = |path: &str| cloud.url().replace("/v1/", "/_sim/") + path;
    let get = async |path: &str| -> Value {
        client().get(sim(path)).send().await.expect("a response").json().await.expect("JSON")
    };
    let post = async |path: &str| client().post(sim(path)).send().await.expect("a response");
    let delete = async |path: &str| client().delete(sim(path)).send().await.expect("a response").status();

    assert_eq!(post("fault?name=services%3A503%40x9").await.status(), 204);
    assert_eq!(user.status("services/acme/").await, 503);
    assert_eq!(get("fault").await, json!(["services:503=none@x9"]));
    assert_eq!(delete("fault").await, 204);
    assert_eq!(user.status("services/acme/").await, 200);
    let refused = post("fault?name=nonsense").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.expect("a text").contains("slow-body"));

    assert_eq!(post("revoke").await.status(), 204);
    assert_eq!(user.status("services/acme/").await, 401);
    assert_eq!(get("counts").await["services_page"], 3);
    assert_eq!(get("requests").await.as_array().map(Vec::len), Some(4));
    assert_eq!(delete("counts").await, 204);
    assert_eq!(get("counts").await["total"], 0);
    assert_eq!((delete("truth").await.as_u16(), post("nothing").await.status().as_u16()), (405, 404));

    let truth = get(&format!("truth?time={NOW}&service=kibana")).await;
    let services = truth["accounts"]["acme"].as_array().expect("services");
    assert_eq!((services.len(), &services[0]["name"]), (1, &json!("kibana")));
    let world = cloud.world("acme").expect("a world");
    let instance =
        world.service(NOW, "kibana", None).and_then(|service| service.instances().next()).expect("one");
    let point = &services[0]["instances"][0]["point"];
    assert_eq!(
        point["cpu_nanoseconds"],
        world.point(&instance, 1_772_000_000).expect("a point").cpu_nanoseconds
    );
    cloud.stop().await;
}

#[tokio::test]
async fn changed_credentials_apply_to_the_next_login() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    let before = cloud.credentials().remove(0);
    cloud.set_credentials("acme", "changed");
    assert_eq!(user.status("services/acme/").await, 200);
    let form = json!({"username": before.username, "password": before.password});
    let response = client().post(cloud.url() + "generate-api-token/").form(&form).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(User::of(&cloud).await.status("services/acme/").await, 200);
    cloud.revoke_tokens();
    assert_eq!(user.status("services/acme/").await, 401);
    cloud.stop().await;
}

#[tokio::test]
async fn a_stopped_cloud_accepts_no_connection() {
    let cloud = cloud(Settings::default()).await;
    let url = cloud.url();
    cloud.stop().await;
    assert!(client().get(url).send().await.expect_err("no cloud").is_connect());
}

#[tokio::test]
async fn a_request_in_flight_gets_its_response_while_the_cloud_stops() {
    let cloud = cloud(Settings::default()).await;
    let user = User::of(&cloud).await;
    cloud.set_fault("latency=1h".parse().expect("a fault")).expect("a fault of this cloud");
    let request = tokio::spawn(async move { user.status("services/acme/").await });
    while cloud.counts().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    cloud.stop().await;
    assert_eq!(request.await.expect("a response"), 200);
}

#[tokio::test]
async fn a_busy_port_is_an_error_that_names_the_option() {
    let cloud = cloud(Settings::default()).await;
    let error = Simulator::start(Settings { listen: cloud.addr, ..Settings::default() }).await.err();
    let error = error.expect("an error");
    assert!(matches!(error, StartError::InUse(address) if address == cloud.addr));
    assert!(error.to_string().contains("--listen"), "{error}");
    cloud.stop().await;
}

#[tokio::test]
async fn over_tls_it_shows_its_certificate_and_links_are_https() {
    let client = client();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a TLS configuration");
    let cloud =
        cloud(Settings { tls: Some(Arc::new(tls)), ..Alauda { page_size: 5, ..Alauda::default() }.into() })
            .await;
    assert!(cloud.url().starts_with("https://"));
    assert!(client.get(cloud.url()).send().await.is_err(), "its certificate is signed by nobody");

    let root = reqwest::Certificate::from_der(certified.cert.der()).expect("a root");
    let trusting = reqwest::Client::builder().tls_certs_only([root]).no_proxy().build().expect("a client");
    let login = cloud.credentials().remove(0);
    let form = [("username", login.username), ("password", login.password)];
    let response =
        trusting.post(cloud.url() + "generate-api-token/").form(&form).send().await.expect("a response");
    let body: Value = response.json().await.expect("JSON");
    let token = body["token"].as_str().expect("a token").to_owned();
    let user = User { client: trusting, url: cloud.url(), token };
    let next = user.json("services/acme/").await["next"].as_str().expect("a link").to_owned();
    assert!(next.starts_with(&cloud.url()), "{next}");
    cloud.stop().await;
}
