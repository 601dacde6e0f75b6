//! Projects, environments, services and instances, and who may see them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{body_of, data, environment, nodes, options, post_as, refusal, start};

#[tokio::test]
async fn projects_have_environments_and_pull_requests_are_left_out_where_the_query_says_so() {
    let cloud = start(options()).await;
    let query = "query($isEphemeral: Boolean) { projects { edges { node { id name
        environments(isEphemeral: $isEphemeral) { edges { node { id name isEphemeral } } } } } pageInfo { hasNextPage endCursor } } }";
    let all = data(&cloud, query, json!({})).await;
    let without = data(&cloud, query, json!({"isEphemeral": false})).await;
    let names: Vec<_> = nodes(&all["projects"]).map(|node| node["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["acme", "shop", "analytics", "intranet", "wiki"]);
    let environments = |data: &Value| {
        nodes(&data["projects"]).map(|node| nodes(&node["environments"]).count()).sum::<usize>()
    };
    assert_eq!(environments(&without), 10);
    assert!(environments(&all) > 10, "some projects have one of a pull request");
    for project in nodes(&without["projects"]) {
        assert!(nodes(&project["environments"]).all(|node| node["isEphemeral"] == false));
    }
    assert_eq!(all["projects"]["pageInfo"]["hasNextPage"], false);

    let project = nodes(&all["projects"]).next().expect("a project")["id"].clone();
    let query = "query($projectId: String!) { environments(projectId: $projectId, first: 1) {
        edges { node { name } } pageInfo { hasNextPage endCursor } } }";
    let page = data(&cloud, query, json!({ "projectId": project })).await;
    assert_eq!(page["environments"]["edges"][0]["node"]["name"], "production");
    assert_eq!(page["environments"]["pageInfo"]["hasNextPage"], true);
    cloud.stop().await;
}

#[tokio::test]
async fn pages_follow_each_other_by_their_cursors() {
    let cloud = start(options()).await;
    let query = "query($after: String) { projects(first: 2, after: $after) { edges { node { id } }
        pageInfo { hasNextPage endCursor } } }";
    let (mut seen, mut after, mut pages) = (HashSet::new(), Value::Null, 0);
    loop {
        let page = data(&cloud, query, json!({ "after": after })).await;
        for node in nodes(&page["projects"]) {
            assert!(seen.insert(node["id"].to_string()), "each project once");
        }
        pages += 1;
        after = page["projects"]["pageInfo"]["endCursor"].clone();
        if page["projects"]["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (5, 3));
    cloud.stop().await;
}

#[tokio::test]
async fn a_service_has_the_documented_fields_and_lives_in_several_environments() {
    let cloud = start(options()).await;
    let query = "query($id: String!) { environment(id: $id) { id name serviceInstances { edges { node {
        serviceId serviceName numReplicas region sleepApplication cronSchedule source { image repo }
        latestDeployment { id status createdAt deploymentStopped instances { id status } }
        activeDeployments { id status createdAt deploymentStopped instances { id status } } } } pageInfo { hasNextPage endCursor } } } }";
    let mut ids = Vec::new();
    for name in ["production", "staging"] {
        let id = environment(&cloud, "shop", name).await;
        let data = data(&cloud, query, json!({ "id": id })).await;
        assert_eq!((&data["environment"]["id"], &data["environment"]["name"]), (&json!(id), &json!(name)));
        for node in nodes(&data["environment"]["serviceInstances"]) {
            let (image, repo) = (&node["source"]["image"], &node["source"]["repo"]);
            assert!(image.is_string() != repo.is_string(), "{node}");
            assert!(node["numReplicas"].is_u64() || node["numReplicas"].is_null());
            for deployment in node["activeDeployments"].as_array().expect("deployments") {
                let created = deployment["createdAt"].as_str().expect("a time");
                assert!(created.parse::<jiff::Timestamp>().is_ok(), "{created}");
                let running = |one: &&Value| one["status"] == "RUNNING" && one["id"].is_string();
                let running =
                    deployment["instances"].as_array().expect("instances").iter().filter(running).count();
                let expected = if name == "production" { 3..=4 } else { 1..=1 };
                assert!(expected.contains(&running), "{name}: {node}");
            }
            ids.push((node["serviceName"].to_string(), node["serviceId"].to_string()));
        }
    }
    let (production, staging) = ids.split_at(2);
    assert_eq!(production, staging, "one name and one id in two environments");
    cloud.stop().await;
}

#[tokio::test]
async fn a_project_token_sees_one_environment_and_no_list_of_projects() {
    let cloud = start(options()).await;
    let printed = cloud.instructions().remove(0);
    let token =
        printed.split_once("projectToken: ").and_then(|(_, rest)| rest.lines().next()).expect("a token");
    let header = ("Project-Access-Token", token);
    let query = "{ projectToken { projectId environmentId project { name } environment { name } } }";
    let answer = body_of(post_as(&cloud, header, query, json!({})).await).await;
    let told = &answer["data"]["projectToken"];
    assert_eq!(
        (&told["project"]["name"], &told["environment"]["name"]),
        (&json!("acme"), &json!("production"))
    );

    let refused =
        refusal(post_as(&cloud, header, "{ projects { edges { node { id } } } }", json!({})).await).await;
    assert_eq!(refused.1, "Not Authorized");
    let query = "query($id: String!) { environment(id: $id) { name } }";
    let own = body_of(post_as(&cloud, header, query, json!({"id": told["environmentId"]})).await).await;
    assert_eq!(own["data"]["environment"]["name"], "production");
    let other = environment(&cloud, "shop", "production").await;
    let refused = refusal(post_as(&cloud, header, query, json!({ "id": other })).await).await;
    assert_eq!(refused.1, "Not Authorized");
    cloud.revoke_tokens();
    assert_eq!(
        refusal(post_as(&cloud, header, query, json!({"id": "x"})).await).await.1,
        "Project Token not found"
    );
}
