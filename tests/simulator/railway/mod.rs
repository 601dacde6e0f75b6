//! The simulated Railway on the wire, compared with the API's schema and documentation.

mod errors;
mod inventory;
mod measurements;

use caas_operator::simulator::{AccountSettings, Railway, Running, Settings};
use reqwest::Response;
use serde_json::{Value, json};

use super::{client, cloud};

/// A cloud without limits of 20 services, eight of them in four projects.
async fn start(options: Railway) -> Running {
    let account = AccountSettings { applications: 8, ..AccountSettings::new("acme") };
    cloud(Settings { accounts: vec![account], ..options.into() }).await
}

fn options() -> Railway {
    Railway { hourly_limit: 0, second_limit: 0, ..Railway::default() }
}

/// The response to a query with the account's token.
async fn post(cloud: &Running, query: &str, variables: Value) -> Response {
    let token = cloud.credentials().remove(0).password;
    post_as(cloud, ("Authorization", &format!("Bearer {token}")), query, variables).await
}

async fn post_as(cloud: &Running, (name, token): (&str, &str), query: &str, variables: Value) -> Response {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = client().post(cloud.url() + "graphql/v2").header(name, token);
    request.header("Content-Type", "application/json").body(body).send().await.expect("a response")
}

async fn body_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.expect("a text")).expect("JSON")
}

/// The data of the answer to a query, which has no error.
async fn data(cloud: &Running, query: &str, variables: Value) -> Value {
    let response = post(cloud, query, variables).await;
    assert_eq!(response.status(), 200);
    let mut answer = body_of(response).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    answer["data"].take()
}

/// The message of the one error of an answer without data.
async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer = body_of(response).await;
    assert_eq!(answer["data"], Value::Null);
    (status, answer["errors"][0]["message"].as_str().expect("a message").to_owned())
}

/// The nodes of a connection.
fn nodes(connection: &Value) -> impl Iterator<Item = &Value> {
    connection["edges"].as_array().expect("edges").iter().map(|edge| &edge["node"])
}

/// The id of an environment by the name of its project and its own.
async fn environment(cloud: &Running, project: &str, name: &str) -> String {
    let query = "{ projects { edges { node { name environments { edges { node { id name } } } } } } }";
    let data = data(cloud, query, json!({})).await;
    let project = nodes(&data["projects"]).find(|node| node["name"] == project).expect("the project").clone();
    let id = nodes(&project["environments"]).find(|node| node["name"] == name).map(|node| node["id"].clone());
    id.and_then(|id| id.as_str().map(str::to_owned)).expect("the environment")
}
