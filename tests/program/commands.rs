//! `simulate`, `crd`, and what all commands share: help, environment variables, exit codes.

use serde_json::Value;

use crate::process::{Process, finished, program};
use crate::support::{account, client, get_json, secret};

/// Every command.
const COMMANDS: [&[&str]; 7] =
    [&["run"], &["standalone"], &["demo"], &["simulate", "alauda"], &["check"], &["top"], &["crd"]];

#[tokio::test]
async fn a_simulated_cloud_accepts_the_credentials_that_it_prints_and_stops_on_sigterm() {
    let mut process =
        Process::start(program(&["simulate", "alauda", "--listen", "127.0.0.1:0", "--services", "3"]));
    let greeting =
        process.says("the greeting", |out, _| out.contains("Ctrl-C").then(|| out.to_owned())).await;
    let after = |word: &str| {
        let rest = greeting.split_once(word).unwrap_or_else(|| panic!("{word}: {greeting}")).1;
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (url, username, password) = (after("listens on "), after("username: "), after("password: "));

    let form = [("username", &username), ("password", &password)];
    let answer = client().post(format!("{url}generate-api-token/")).form(&form).send().await.unwrap();
    let token: Value = answer.json().await.unwrap();
    let token = format!("Token {}", token["token"].as_str().unwrap());
    let page = client().get(format!("{url}services/{username}/?page=1")).header("Authorization", token);
    let page: Value = page.send().await.unwrap().json().await.unwrap();
    assert_eq!(page["count"], 3);
    assert_eq!(get_json(&url.replace("/v1/", "/_sim/counts")).await["total"], 2);

    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(client().get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_busy_port_of_a_simulated_cloud_is_one_line_that_names_the_option() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let output = finished(program(&["simulate", "alauda", "--listen", &address])).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(
        error.starts_with("error: ") && error.contains("--listen") && error.contains(&address),
        "{error}"
    );
}

#[tokio::test]
async fn the_crd_is_printed_as_in_the_repository() {
    let output = finished(program(&["crd"])).await;
    let kept = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/crds/caasaccounts.yaml")).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == kept, "run `make generate`");
}

#[tokio::test]
async fn the_help_of_each_command_has_examples_and_names_each_options_variable() {
    for command in COMMANDS {
        let output = finished(program(&[command, &["--help"]].concat())).await;
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        let examples =
            help.split_once("Examples:").unwrap_or_else(|| panic!("{command:?} has no examples")).1;
        assert!(examples.contains(&format!("caas-operator {}", command.join(" "))), "{examples}");

        // An option begins where a line begins with it; its variable is named in the lines up to the next.
        let mut options: Vec<(String, bool)> = Vec::new();
        for line in help.lines() {
            let text = line.trim_start();
            if let Some(name) = text.split([' ', ',']).find(|word| word.starts_with("--"))
                && text.starts_with('-')
                && line.len() - text.len() <= 6
            {
                options.push((name.to_owned(), false));
            }
            if let Some(option) = options.last_mut() {
                option.1 |= line.contains("[env: CAAS_OPERATOR_")
                    || line.contains("[env: ALAUDA_")
                    || line.contains("[env: OTEL_");
            }
        }
        assert!(options.len() > 2, "{help}");
        for (option, has_variable) in options {
            let universal = ["--help", "--version"].contains(&&*option);
            assert!(has_variable || universal, "{command:?} {option}: {help}");
        }
    }
    let output = finished(program(&["--help"])).await;
    let help = String::from_utf8(output.stdout).unwrap();
    for command in COMMANDS {
        assert!(help.contains(command[0]), "{help}");
    }
    assert!(help.contains("Examples:"), "{help}");
}

#[tokio::test]
async fn an_unknown_option_or_command_exits_with_code_2_and_a_hint() {
    for arguments in
        [&["frobnicate"][..], &["demo", "--frobnicate"], &["check"], &["simulate", "alauda", "--churn", "7"]]
    {
        let output = finished(program(arguments)).await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("error: ") && error.contains("--help"), "{error}");
    }
}

#[tokio::test]
async fn an_option_may_come_from_the_environment() {
    let mut command = program(&["simulate", "alauda"]);
    command.env("CAAS_OPERATOR_LISTEN", "127.0.0.1:0").env("CAAS_OPERATOR_USERNAME", "umbrella");
    let mut process = Process::start(command);
    process.says("the user", |out, _| out.contains("username: umbrella").then_some(())).await;
}

#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let mut command = program(&["run"]);
    for name in [
        "NAMESPACE",
        "CONTEXT",
        "SERVICE_NAMESPACE",
        "SERVICE_NAME",
        "ALLOW_ENDPOINT",
        "LISTEN",
        "LOG_FORMAT",
    ] {
        command.env(format!("CAAS_OPERATOR_{name}"), "");
    }
    let output = finished(command).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("no API server configured: set KUBECONFIG"), "{error}");
}

#[tokio::test]
async fn a_switch_in_the_environment_is_a_word_or_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, secret("acme", "secret") + &account("acme", "acme", "http://127.0.0.1:9/v1/", ""))
        .unwrap();
    for (value, allows) in [
        ("1", true),
        ("yes", true),
        (" True\n", true),
        ("0", false),
        (" no ", false),
        ("", false),
        (" ", false),
    ] {
        let mut command = program(&["check", file.to_str().unwrap()]);
        command.env("CAAS_OPERATOR_ALLOW_HTTP", value);
        let words = String::from_utf8(finished(command).await.stdout).unwrap();
        // With HTTP allowed, the address is still rejected.
        let refusal = if allows { "--allow-cidr" } else { "--allow-http" };
        assert!(words.contains("EndpointRefused") && words.contains(refusal), "{value:?}: {words}");
    }
}

#[tokio::test]
async fn an_invalid_namespace_name_is_rejected_before_any_request() {
    for (variable, value) in [
        ("CAAS_OPERATOR_NAMESPACE", "a b"),
        ("CAAS_OPERATOR_NAMESPACE", "team-a, Team-B"),
        ("CAAS_OPERATOR_NAMESPACE", "../kube-system"),
        ("CAAS_OPERATOR_SERVICE_NAMESPACE", "Team-A"),
        ("CAAS_OPERATOR_SERVICE_NAME", "caas.operator"),
    ] {
        let mut command = program(&["run"]);
        command.env(variable, value);
        let output = finished(command).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {error}");
        assert!(error.contains("lowercase letters, digits and -"), "{error}");
    }
}

/// The variables of a command's options that are true or false, from its help.
async fn switches(command: &[&str]) -> Vec<String> {
    let help = finished(program(&[command, &["--help"]].concat())).await;
    let (mut found, mut is_switch) = (Vec::new(), false);
    for line in String::from_utf8(help.stdout).unwrap().lines().map(str::trim) {
        if line.starts_with('-') && line.contains("--") {
            is_switch = !line.contains('<') || line.contains("<BOOL>");
        }
        let variable = line.strip_prefix("[env: ").and_then(|rest| rest.split(['=', ']']).next());
        found.extend(variable.filter(|_| is_switch).map(str::to_owned));
    }
    found
}

#[tokio::test]
async fn every_switch_in_the_environment_is_refused_with_what_to_write_if_it_is_none() {
    for (command, least) in
        [(&["run"][..], 5), (&["standalone"], 2), (&["check"], 2), (&["simulate", "alauda"], 2)]
    {
        let switches = switches(command).await;
        assert!(switches.len() >= least, "{command:?}: {switches:?}");
        for variable in &switches {
            let mut process = program(command);
            process.envs(switches.iter().map(|name| (name, " Off "))).env(variable, "maybe");
            let output = finished(process).await;
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{variable}: {error}");
            // Of all switches, this one alone is refused.
            let first = error.lines().next().unwrap();
            assert!(first.contains("invalid value 'maybe'"), "{variable}: {error}");
            assert!(first.contains("use true or false, yes or no, on or off, 1 or 0"), "{variable}: {error}");
        }
    }
}

#[tokio::test]
async fn a_list_in_the_environment_may_have_blanks_and_a_comma_at_the_end() {
    for (variable, value) in [
        ("CAAS_OPERATOR_NAMESPACE", "team-a, team-b,"),
        ("CAAS_OPERATOR_ALLOW_CIDR", "10.0.0.0/8, 172.16.0.0/12,\n"),
        ("CAAS_OPERATOR_ALLOW_ENDPOINT", " https://caas.example.com/ , https://caas.example.org/"),
        ("CAAS_OPERATOR_ALLOW_HOST", "caas.example.com,caas,"),
    ] {
        let mut command = program(&["run"]);
        command.env(variable, value);
        let error = String::from_utf8(finished(command).await.stderr).unwrap();
        assert!(error.contains("no API server configured"), "{variable}={value:?}: {error}");
    }
}

#[tokio::test]
async fn an_element_of_a_list_that_cannot_be_read_is_told_with_what_to_write() {
    for (variable, value, says) in [
        (
            "CAAS_OPERATOR_ALLOW_CIDR",
            "10.0.0.0/8, 10.20.3.4",
            "10.20.3.4: use an address with a prefix length",
        ),
        ("CAAS_OPERATOR_ALLOW_CIDR", " , ", "it is empty"),
        ("CAAS_OPERATOR_ALLOW_HOST", "https://caas.example.com", "use a name such as"),
        ("CAAS_OPERATOR_ALLOW_ENDPOINT", "https://caas.example.com, caas", "caas: "),
    ] {
        let mut command = program(&["run"]);
        command.env(variable, value);
        let output = finished(command).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable}={value:?}: {error}");
        assert!(error.contains(says), "{variable}={value:?}: {error}");
    }
}
