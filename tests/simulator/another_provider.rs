//! A cloud of another provider, made of this file alone: API tokens without a login, one path for all operations. It has
//! the command line, the counts, the faults and the paths below `/_sim/` of every simulated cloud.

use std::sync::Arc;

use caas_operator::simulator::{
    AccountSettings, Accounts, ApiRequest, ApiResponse, ContentFaults, Login, Operation, Role, Running,
    SimulatedCloud, SimulatedProvider, Simulator, Target, command_line,
};
use clap::{Arg, ArgMatches, Command};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::client;

const APPS: Operation = Operation { name: "apps", counted_as: "apps", role: Role::Inventory };
const USAGE: Operation = Operation { name: "usage", counted_as: "usage", role: Role::Other };

/// The provider.
struct Toy;

impl SimulatedProvider for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn title(&self) -> &'static str {
        "Toy"
    }

    fn about(&self) -> &'static str {
        "A simulated toy cloud"
    }

    fn examples(&self) -> &'static str {
        "  caas-operator simulate toy"
    }

    fn base_path(&self) -> &'static str {
        "/graphql/"
    }

    fn operations(&self) -> &'static [Operation] {
        &[APPS, USAGE]
    }

    fn add_options(&self, command: Command) -> Command {
        command.arg(Arg::new("token").long("token").help("The API token"))
    }

    fn with_options(
        &self,
        matches: &ArgMatches,
        account: &mut AccountSettings,
    ) -> Result<Arc<dyn SimulatedProvider>, clap::Error> {
        account.password = matches.get_one::<String>("token").cloned();
        Ok(Arc::new(Toy))
    }

    fn instructions(&self, login: &Login, _url: &str) -> String {
        format!("  token: {}\n", login.password)
    }

    fn start(&self, accounts: Arc<Accounts>, _scheme: &'static str) -> Box<dyn SimulatedCloud> {
        Box::new(ToyCloud(accounts))
    }
}

/// A toy cloud that runs.
struct ToyCloud(Arc<Accounts>);

impl SimulatedCloud for ToyCloud {
    fn target(&self, request: &ApiRequest<'_>) -> Target {
        let query = String::from_utf8_lossy(request.body);
        let operation = [APPS, USAGE].into_iter().find(|operation| query.contains(operation.name));
        Target { operation, service: None }
    }

    fn respond(&self, request: &ApiRequest<'_>, now: f64, _faults: ContentFaults) -> ApiResponse {
        let token = request.headers.get("authorization").and_then(|header| header.to_str().ok());
        let token = token.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
        let account = self.0.sessions.by_api_token(token).and_then(|index| self.0.get(index));
        let Some(account) = account else { return self.refuse(StatusCode::OK, "Not Authorized") };
        let names: Vec<String> = account.world.services(now).map(|service| service.name).collect();
        ApiResponse::json(StatusCode::OK, &json!({ "data": { "apps": names } }))
    }

    fn refuse(&self, status: StatusCode, message: &str) -> ApiResponse {
        ApiResponse::json(status, &json!({ "errors": [{ "message": message }], "data": null }))
    }

    fn wrong_json(&self, operation: &Operation) -> Value {
        json!({ "data": operation.name })
    }

    fn deep_json(&self, _operation: &Operation, nested: &str) -> String {
        format!(r#"{{"data":{nested}}}"#)
    }
}

/// A toy cloud started as the command line would.
async fn toy(arguments: &[&str]) -> Result<Running, String> {
    let provider: Arc<dyn SimulatedProvider> = Arc::new(Toy);
    let arguments = ["toy", "--listen", "127.0.0.1:0"].iter().chain(arguments);
    let matches = command_line::command(&provider).try_get_matches_from(arguments);
    let matches = matches.map_err(|error| error.to_string())?;
    let settings = command_line::settings(&provider, &matches).map_err(|error| error.to_string())?;
    Simulator::start(settings).await.map_err(|error| error.to_string())
}

async fn post(cloud: &Running, query: &str) -> Response {
    let token = cloud.credentials().remove(0).password;
    let request = client().post(cloud.url()).bearer_auth(token).body(query.to_owned());
    request.send().await.expect("a response")
}

async fn json_of(response: Response) -> Value {
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn a_provider_of_one_file_has_a_command_line_credentials_and_a_world() {
    let cloud = toy(&["--token", "sesame", "--services", "3"]).await.expect("a cloud");
    assert_eq!((cloud.title(), cloud.instructions()), ("Toy", vec!["  token: sesame\n".to_owned()]));
    let apps = json_of(post(&cloud, "{ apps }").await).await;
    assert_eq!(apps["data"]["apps"].as_array().map(Vec::len), Some(3));
    let truth = client().get(cloud.url().replace("/graphql/", "/_sim/truth")).send().await;
    let truth = json_of(truth.expect("a response")).await;
    assert_eq!(truth["accounts"]["acme"][0]["name"], apps["data"]["apps"][0]);
    cloud.stop().await;
}

#[tokio::test]
async fn its_requests_are_counted_by_its_own_operations() {
    let cloud = toy(&[]).await.expect("a cloud");
    for query in ["{ apps }", "{ usage }", "{ usage }", "{ nothing }"] {
        post(&cloud, query).await;
    }
    let counts = cloud.counts();
    assert_eq!((counts["apps"], counts["usage"], counts["other"], counts.total), (1, 2, 1, 4));
    cloud.stop().await;
}

#[tokio::test]
async fn its_faults_are_those_that_fit_its_operations_in_its_form_of_errors() {
    let cloud = toy(&["--fault", "usage:429=7"]).await.expect("a cloud");
    assert_eq!(post(&cloud, "{ apps }").await.status(), 200);
    let throttled = post(&cloud, "{ usage }").await;
    assert_eq!(
        (throttled.status().as_u16(), &throttled.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(json_of(throttled).await["errors"][0]["message"], "Request was throttled.");

    for (fault, says) in [("metrics:html", "write apps, usage or all"), ("reject-login", "fits no request")] {
        let error = toy(&["--fault", fault]).await.err().expect("an error");
        assert!(error.contains(says), "{error}");
        let error = cloud.set_fault(fault.parse().expect("a fault")).expect_err(fault).to_string();
        assert!(error.contains(says), "{error}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn its_revoked_token_is_refused_until_there_is_another() {
    let cloud = toy(&[]).await.expect("a cloud");
    cloud.revoke_tokens();
    let refused = json_of(post(&cloud, "{ apps }").await).await;
    assert_eq!(refused["errors"][0]["message"], "Not Authorized");
    cloud.set_credentials("acme", "another");
    assert!(json_of(post(&cloud, "{ apps }").await).await["data"]["apps"].is_array());
    cloud.stop().await;
}
