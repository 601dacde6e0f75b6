//! Errors, limits, and the headers that tell of them.

use caas_operator::simulator::{Railway, ResetFormat, TokenRefusal};
use reqwest::Response;
use serde_json::json;

use super::super::{NOW, client};
use super::{body_of, environment, nodes, options, post, post_as, refusal, start};

#[tokio::test]
async fn errors_stand_inside_an_answer_of_200_and_bad_queries_get_400() {
    let cloud = start(options()).await;
    let projects = "{ projects { edges { node { id } } } }";
    let environment = "query($id: String!) { environment(id: $id) { id } }";
    for (token, query, expected) in [
        (("Authorization", "Bearer wrong"), projects, "Not Authorized"),
        (("Authorization", "nonsense"), projects, "Not Authorized"),
        (("Project-Access-Token", "wrong"), "{ projectToken { projectId } }", "Project Token not found"),
    ] {
        let refused = refusal(post_as(&cloud, token, query, json!({})).await).await;
        assert_eq!(refused, (200, expected.to_owned()), "{token:?}");
    }
    for (query, variables, status, expected) in [
        (environment, json!({"id": "none"}), 200, "Environment not found"),
        (
            "query($w: String) { projects(workspaceId: $w) { edges { node { id } } } }",
            json!({"w": "x"}),
            200,
            "Not Authorized",
        ),
        (environment, json!({}), 400, "required"),
        ("{ projects { edges { node { colour } } } }", json!({}), 400, "colour"),
        ("{ projects }", json!({}), 400, "subfields"),
        ("{ services { id } }", json!({}), 400, "services"),
        ("mutation { environmentDelete(id: \"x\") }", json!({}), 400, "queries"),
        ("{ projects { ", json!({}), 400, "Syntax Error"),
    ] {
        let (code, message) = refusal(post(&cloud, query, variables).await).await;
        assert!(code == status && message.contains(expected), "{query}: {code} {message}");
    }
    let get = client().get(cloud.url() + "graphql/v2").send().await.expect("a response");
    assert_eq!(get.status(), 404);

    let strict = start(Railway { refusal: TokenRefusal::Status, ..options() }).await;
    let refused =
        refusal(post_as(&strict, ("Authorization", "Bearer wrong"), projects, json!({})).await).await;
    assert_eq!(refused, (401, "Not Authorized".to_owned()));
    let two_factor = start(Railway { two_factor: true, ..options() }).await;
    let refused = refusal(post(&two_factor, projects, json!({})).await).await;
    assert_eq!(refused, (200, "Two Factor Authentication Required".to_owned()));
}

#[tokio::test]
async fn an_answer_may_have_data_and_an_error_beside_it() {
    let cloud = start(Railway { partial: true, ..options() }).await;
    let id = environment(&cloud, "shop", "production").await;
    let query = "query($id: String!) { environment(id: $id) { serviceInstances { edges { node { serviceName latestDeployment { status } } } } } }";
    let response = post(&cloud, query, json!({ "id": id })).await;
    assert_eq!(response.status(), 200);
    let answer = body_of(response).await;
    let services = &answer["data"]["environment"]["serviceInstances"];
    assert!(
        nodes(services).all(|node| node["serviceName"].is_string() && node["latestDeployment"].is_null())
    );
    let error = &answer["errors"][0];
    assert_eq!(
        error["path"],
        json!(["environment", "serviceInstances", "edges", 0, "node", "latestDeployment"])
    );
    cloud.stop().await;
}

#[tokio::test]
async fn each_answer_names_the_limit_and_each_429_the_wait() {
    for (reset, expected) in [(ResetFormat::Epoch, NOW + 3600.0), (ResetFormat::Seconds, 3600.0)] {
        let cloud = start(Railway { hourly_limit: 5, second_limit: 0, reset, ..options() }).await;
        let ask = async || post(&cloud, "{ projects { edges { node { id } } } }", json!({})).await;
        let header = |response: &Response, name: &str| -> Option<f64> {
            response.headers().get(name)?.to_str().ok()?.parse().ok()
        };
        for sent in 1..=5 {
            let response = ask().await;
            assert_eq!(response.status(), 200);
            assert_eq!(header(&response, "x-ratelimit-limit"), Some(5.0));
            assert_eq!(header(&response, "x-ratelimit-remaining"), Some(f64::from(5 - sent)));
            assert_eq!(header(&response, "x-ratelimit-reset"), Some(expected));
            assert_eq!(header(&response, "retry-after"), None);
        }
        let refused = ask().await;
        assert_eq!(refused.status(), 429);
        assert_eq!(header(&refused, "retry-after"), Some(3600.0));
        cloud.stop().await;
    }
    let cloud = start(Railway { hourly_limit: 0, second_limit: 3, ..options() }).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses
            .push(post(&cloud, "{ projects { edges { node { id } } } }", json!({})).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429], "the clock stands still");
}
