//! The requests of the official client of 2015 and what it reads of the responses: it would work with the simulated cloud.

use std::collections::HashSet;

use caas_operator::simulator::{AccountSettings, Alauda, Settings};
use serde_json::Value;

use super::{NOW, User, cloud};

#[tokio::test]
async fn each_request_of_the_official_client_returns_all_that_it_reads() {
    let account = AccountSettings { applications: 2, ..AccountSettings::new("acme") };
    let cloud = cloud(Settings { accounts: vec![account], ..Settings::default() }).await;
    let user = User::of(&cloud).await;
    let authorization = format!("Token {}", user.token);
    // It sends this with every request, even without a body.
    let get = async |path: &str| {
        let request = user.client.get(format!("{}{path}", user.url));
        let request = request.header("Content-type", "application/json");
        let response = request.header("Authorization", &authorization).send().await.expect("a response");
        assert_eq!(response.status(), 200, "{path}");
        response.json::<Value>().await.expect("JSON")
    };
    let has = |value: &Value, names: &[&str]| {
        for name in names {
            assert!(value.get(name).is_some(), "{name} of {value}");
        }
    };

    // `service ps`: a page, then each of its services; those of an application, as it writes the query.
    for query in ["?page=1", "?page=1?application=shop"] {
        let page = get(&format!("services/acme/{query}")).await;
        let services = page["results"].as_array().expect("services");
        assert!(!services.is_empty(), "{query}");
        for service in services {
            let application = service["application"].as_str();
            let of = application.map(|name| format!("?application={name}")).unwrap_or_default();
            let service =
                get(&format!("services/acme/{}{of}", service["service_name"].as_str().expect("a name")))
                    .await;
            has(
                &service,
                &[
                    "service_name",
                    "image_name",
                    "image_tag",
                    "target_num_instances",
                    "instance_size",
                    "namespace",
                ],
            );
            has(&service, &["run_command", "current_status", "linked_to_apps", "instances"]);
            has(&service["region"], &["IaaS", "name"]);
            let ports = service["instance_ports"].as_array().expect("ports");
            if !ports.is_empty() {
                let variables = service["instance_envvars"].as_str().expect("a text");
                let variables: Value = serde_json::from_str(variables).expect("JSON in it");
                has(&variables, &["__DEFAULT_DOMAIN_NAME__"]);
            }
            for port in ports {
                has(
                    port,
                    &[
                        "service_port",
                        "container_port",
                        "protocol",
                        "endpoint_type",
                        "ipaddress",
                        "default_domain",
                    ],
                );
            }
        }
    }

    // `service instances`, `instance inspect` and `instance metrics`.
    let instances = get("services/acme/kibana/instances/").await;
    let instances = instances.as_array().expect("instances");
    for instance in instances {
        let uuid = instance["uuid"].as_str().expect("a uuid");
        let one = get(&format!("services/acme/kibana/instances/{uuid}")).await;
        assert_eq!(&one, instance);
        has(&one, &["instance_name", "uuid", "started_at", "instance_ports"]);
        let window = format!("start_time={}&end_time={}&point_per_period=1m", NOW - 900.0, NOW);
        let metrics = get(&format!("services/acme/kibana/instances/{uuid}/metrics?{window}")).await;
        has(&metrics, &["name", "columns", "points"]);
    }
    assert_eq!(instances.len(), 5);
    cloud.stop().await;
}

/// The sizes that the official client of 2015 knows; it fails on a service of any other size.
const SIZES: [&str; 20] = [
    "XXS",
    "XS",
    "S",
    "M",
    "L",
    "XL",
    "AWS-XXS",
    "AWS-XS",
    "AWS-S",
    "AWS-S+",
    "AWS-M",
    "AWS-L",
    "AWS-XL",
    "AZURE-XXS",
    "AZURE-XS",
    "AZURE-S",
    "AZURE-S+",
    "AZURE-M",
    "AZURE-L",
    "AZURE-XL",
];

#[tokio::test]
async fn every_instance_size_is_one_that_the_official_client_knows() {
    let account = AccountSettings { services: 500, instances: 0, ..AccountSettings::new("acme") };
    let api = Alauda { page_size: 500, drift: true, ..Alauda::default() };
    let cloud = cloud(Settings { accounts: vec![account], ..api.into() }).await;
    let page = User::of(&cloud).await.json("services/acme/").await;
    let services = page["results"].as_array().expect("services");
    let sizes: HashSet<_> = services.iter().filter_map(|service| service["instance_size"].as_str()).collect();
    assert!(sizes.iter().all(|size| SIZES.contains(size)), "{sizes:?}");
    for kind in ["AWS-", "AZURE-", "X"] {
        assert!(sizes.iter().any(|size| size.starts_with(kind)), "{sizes:?}");
    }
    cloud.stop().await;
}
