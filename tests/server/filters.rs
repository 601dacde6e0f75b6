//! Lists that are filtered, sorted and given page by page, as JSON.

use serde_json::Value;

use crate::http_support::Served;
use crate::{get, started};

async fn json(served: &Served, path: &str) -> Value {
    get(served, path).await.json().await.unwrap()
}

fn names(list: &Value, of: &str) -> Vec<String> {
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    list[of].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn accounts_are_filtered_by_namespace_expression_and_label_and_given_page_by_page() {
    let (served, _) = started(None).await;
    for (query, expected) in [
        ("", vec!["acme", "modern", "new", "broken", "resting"]),
        ("?namespace=team-d", vec!["broken", "resting"]),
        ("?namespace=team-a,team-b", vec!["acme", "modern"]),
        ("?q=state:LoginRejected", vec!["modern"]),
        ("?q=-state:Suspended+namespace:team-d", vec!["broken"]),
        ("?q=label.team:checkout+MOD", vec!["modern"]),
        ("?q=label.team:other", vec![]),
        ("?limit=2", vec!["acme", "modern"]),
        ("?limit=2&page=3", vec!["resting"]),
        ("?limit=2&page=4", vec![]),
    ] {
        let found = json(&served, &format!("/accounts{query}")).await;
        assert_eq!(names(&found, "accounts"), expected, "{query}");
    }
}

#[tokio::test]
async fn the_services_of_one_account_are_filtered_too() {
    let (served, _) = started(None).await;
    for (query, expected) in [
        ("", vec!["kibana", "odd \"name\"\\\n"]),
        ("?q=app:logging", vec!["kibana"]),
        ("?q=-kibana", vec!["odd \"name\"\\\n"]),
        ("?limit=1", vec!["kibana"]),
        ("?limit=1&page=2", vec!["odd \"name\"\\\n"]),
        ("?q=namespace:other", vec![]),
    ] {
        let found = json(&served, &format!("/accounts/team-a/acme{query}")).await;
        assert_eq!(names(&found, "services"), expected, "{query}");
        assert_eq!(found["account"]["services"], 2, "the account is the same");
    }
}

#[tokio::test]
async fn the_services_of_all_accounts_are_listed_sorted_and_counted() {
    let (served, _) = started(None).await;
    let all = json(&served, "/services?sort=name").await;
    assert_eq!(all["total"], 4);
    assert_eq!(names(&all, "services")[..2], ["kibana", "kibana"]);
    let first = &all["services"][0];
    assert_eq!((&first["namespace"], &first["account"]), (&"team-a".into(), &"acme".into()));
    assert_eq!(first["instanceCount"], 2);
    assert_eq!(first["memoryUsageBytes"], 104_857_600.0);
    assert_eq!(first["memoryUtilizationRatio"], 0.4);
    assert_eq!(first.get("instances"), None, "they stand in the account");

    let page = json(&served, "/services?sort=-memory&limit=3").await;
    assert_eq!((page["total"].clone(), page["nextPage"].clone()), (4.into(), 2.into()));
    let last = json(&served, "/services?sort=-memory&limit=3&page=2").await;
    assert_eq!((last["services"].as_array().unwrap().len(), last.get("nextPage")), (1, None));
    assert_eq!(json(&served, "/services?q=image:kibana+tag:5.*+state:running").await["total"], 2);
}

#[tokio::test]
async fn the_instances_of_all_accounts_are_listed_filtered_sorted_and_counted() {
    let (served, _) = started(None).await;
    let all = json(&served, "/instances?sort=name").await;
    assert_eq!(all["total"], 6);
    assert_eq!(names(&all, "instances"), ["kibana.0", "kibana.0", "kibana.1", "kibana.1", "odd.0", "odd.0"]);
    let first = &all["instances"][0];
    assert_eq!((&first["namespace"], &first["account"]), (&"team-a".into(), &"acme".into()));
    assert_eq!((&first["service"], &first["application"]), (&"kibana".into(), &"logging".into()));
    assert_eq!((&first["id"], &first["memoryUtilizationRatio"]), (&"0f7c".into(), &0.4.into()));

    let by_cpu = json(&served, "/instances?sort=-cpu&limit=4").await;
    assert_eq!(names(&by_cpu, "instances"), ["kibana.0", "kibana.0", "kibana.1", "kibana.1"]);
    assert_eq!((&by_cpu["total"], &by_cpu["nextPage"]), (&6.into(), &2.into()));
    let last = json(&served, "/instances?sort=-cpu&limit=4&page=2").await;
    assert_eq!((names(&last, "instances").len(), last.get("nextPage")), (2, None));
    for (query, expected) in [
        ("q=kibana.1+account:acme", vec!["kibana.1"]),
        ("q=service:kibana+-instance:*.0+namespace:team-b", vec!["kibana.1"]),
        ("namespace=team-d", vec![]),
    ] {
        let found = json(&served, &format!("/instances?{query}")).await;
        assert_eq!(names(&found, "instances"), expected, "{query}");
    }
}

#[tokio::test]
async fn accounts_in_an_order_are_judged_counted_and_given_page_by_page() {
    let (served, _) = started(None).await;
    for (query, expected) in [
        // The worst first: not collected, then old data.
        ("sort=state", vec!["modern", "broken", "acme", "new", "resting"]),
        ("sort=-instances", vec!["acme", "modern", "new", "broken", "resting"]),
        ("sort=name", vec!["acme", "broken", "modern", "new", "resting"]),
        ("sort=-name&limit=2", vec!["resting", "new"]),
        ("sort=-name&limit=2&page=3", vec!["acme"]),
        ("sort=memory&q=modern", vec!["modern"]),
    ] {
        let found = json(&served, &format!("/accounts?{query}")).await;
        assert_eq!(names(&found, "accounts"), expected, "{query}");
        assert_eq!(found["total"], if query.contains("q=") { 1 } else { 5 }, "{query}");
    }
    let first = &json(&served, "/accounts?sort=name&limit=1").await;
    assert_eq!(first["nextPage"], 2);
    // What its instances use together, of shares the most.
    let account = &first["accounts"][0];
    assert_eq!(
        (&account["memoryUsageBytes"], &account["cpuUsageCores"]),
        (&104_857_600.0.into(), &0.125.into())
    );
    assert_eq!(account["memoryUtilizationRatio"], 0.4);
}
