//! `standalone` for a single account from the variables of a cloud's own tools, for every provider that has them.

use std::process::Command;

use caas_operator::cloud::{Part, Provider, Providers};
use caas_operator::simulator::{AccountSettings, Running, Settings, Simulator, providers};

use crate::process::{Process, finished, program, until};
use crate::support::{ask, served};

/// A cloud of this provider and `standalone` with its switch, with all that the cloud says about itself in the variables of
/// its own tools.
fn switched(provider: &dyn Provider, cloud: &Running) -> Command {
    let name = format!("--{}", provider.name());
    let mut command = program(&["standalone", &name, "--listen", "127.0.0.1:0"]);
    let (url, told) = (cloud.url(), cloud.instructions().concat());
    for variable in provider.variables() {
        let value = match variable.part {
            Part::Key(key) => told.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: "))),
            Part::Setting("endpoint") => Some(url.as_str()),
            Part::Setting(_) => None,
        };
        // Each of several names is as good as the first.
        if let (Some(value), Some(last)) = (value, variable.names.last()) {
            command.env(last, value);
        }
    }
    command
}

#[tokio::test]
async fn an_account_in_the_variables_of_its_clouds_tools_is_collected_without_a_manifest() {
    let mut tried = 0;
    for simulated in providers() {
        let provider = Providers::ALL.get(simulated.name()).unwrap();
        if provider.variables().is_empty() {
            continue;
        }
        let account = AccountSettings { services: 2, instances: 2, ..AccountSettings::new("acme") };
        let settings = Settings { accounts: vec![account], ..Settings::of(simulated) };
        let cloud = Simulator::start(settings).await.unwrap();
        let mut process = Process::start(switched(provider, &cloud));
        let base = served(&mut process).await;
        let body = until("the first collection", async || {
            let (_, body) = ask(&format!("{base}/metrics")).await?;
            body.contains("\ncaas_instance_memory_usage_bytes{").then_some(body)
        })
        .await;
        assert!(body.contains("\ncaas_operator_build_info{"), "own metrics");
        let name = provider.name();
        let info = format!(
            r#"caas_account_info{{account_namespace="default",account="{name}",provider="{name}"}} 1"#
        );
        assert!(body.contains(&info), "{body}");
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0));
        assert!(!process.err().contains(&cloud.credentials()[0].password), "{name}");
        cloud.stop().await;
        tried += 1;
    }
    assert!(tried >= 2);
}

#[tokio::test]
async fn a_switch_without_credentials_is_one_line_that_names_the_variables() {
    let output = finished(program(&["standalone", "--digitalocean", "--listen", "127.0.0.1:0"])).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.ends_with("set DIGITALOCEAN_TOKEN (or DIGITALOCEAN_ACCESS_TOKEN)\n"), "{error}");
}
