//! What a folder's files define, and what broken ones cost.

use super::*;
use crate::account::admission::of_all_providers as admission;
use crate::api::Reason;
use crate::cloud::Providers;
use crate::cloud::alauda::AlaudaAccount;

const ACCOUNT: &str = r"
apiVersion: caas-operator.io/v1alpha1
kind: CaasAccount
metadata: {name: acme, namespace: team-a}
spec:
  provider: {alauda: {endpoint: https://caas.example.com/v1/}}
  credentials: {secretRef: {name: acme-alauda}}
";

const SECRET: &str = r"
apiVersion: v1
kind: Secret
metadata: {name: acme-alauda, namespace: team-a}
data: {username: YWNtZQ==, password: eA==}
stringData: {password: canary-password}
";

fn desired(files: &[(&str, &str)]) -> Desired {
    let files: Vec<File> = files.iter().map(|(name, text)| parse(admission(), name, text)).collect();
    super::desired(Providers::ALL, &files, |_| Ok(()))
}

fn names(desired: &Desired) -> Vec<String> {
    desired.accounts.iter().map(|account| account.id.to_string()).collect()
}

fn faults(desired: &Desired) -> Vec<String> {
    desired.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn accounts_and_secrets_of_all_files_meet() {
    let desired = desired(&[("a.yaml", ACCOUNT), ("b.yml", SECRET)]);
    assert_eq!((names(&desired), faults(&desired)), (vec!["team-a/acme".to_owned()], vec![]));
    let expected =
        crate::cloud::Credentials::Password { username: "acme".into(), password: "canary-password".into() };
    let account = AlaudaAccount::of(&*desired.accounts[0].connection.provider);
    assert_eq!(account.credentials, expected, "stringData goes before data");
}

#[test]
fn a_secret_of_another_namespace_is_not_used() {
    let elsewhere = SECRET.replace("team-a", "team-b");
    let desired = desired(&[("a.yaml", ACCOUNT), ("b.yaml", &elsewhere)]);
    assert_eq!(desired.problems[0].problem.reason, Reason::SecretNotFound);
    assert_eq!(desired.problems[0].id.to_string(), "team-a/acme");
}

#[test]
fn lists_and_json_are_taken_and_other_kinds_left_alone() {
    let list = format!(
        r#"{{"apiVersion": "v1", "kind": "List", "items": [
            {{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "x"}}}},
            {}, {}]}}"#,
        serde_json::to_string(&serde_saphyr::from_str::<Value>(ACCOUNT).unwrap()).unwrap(),
        serde_json::to_string(&serde_saphyr::from_str::<Value>(SECRET).unwrap()).unwrap(),
    );
    for name in ["list.json", "list.yaml"] {
        let desired = desired(&[(name, &list)]);
        assert_eq!((names(&desired).len(), faults(&desired)), (1, vec![]), "{name}");
    }
}

#[test]
fn a_broken_document_costs_itself_only_and_is_found_by_file_document_and_line() {
    let text = format!("# first\n---{ACCOUNT}---\nkind: [canary\n---{SECRET}---\n# nothing\n");
    let desired = desired(&[("all.yaml", &text)]);
    assert_eq!(names(&desired), ["team-a/acme"]);
    let faults = faults(&desired);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("all.yaml, document 2, line 1"), "{faults:?}");
    assert!(faults[0].contains("is not valid YAML") && !faults[0].contains("canary"), "{faults:?}");
}

#[test]
fn a_refused_account_is_reported_with_the_sentences_of_admission() {
    let text = ACCOUNT.replace("name: acme-alauda", "nme: acme-alauda");
    let faults = faults(&desired(&[("a.yaml", &text)]));
    assert_eq!(
        faults,
        [
            "a.yaml, document 1, line 1: CaasAccount is invalid: spec.credentials.secretRef.nme: is an unknown field: remove it, or correct its name or indentation; spec.credentials.secretRef.name: is required: set it"
        ]
    );
}

#[test]
fn of_two_objects_of_one_name_the_first_counts_and_the_second_is_reported() {
    let other = ACCOUNT.replace("https://caas", "https://other");
    let desired = desired(&[("a.yaml", ACCOUNT), ("b.yaml", &other), ("s.yaml", SECRET)]);
    assert_eq!(desired.accounts[0].connection.provider.endpoint().host_str(), Some("caas.example.com"));
    assert_eq!(
        faults(&desired),
        [
            "b.yaml, document 1, line 1: team-a/acme is also defined in a.yaml, document 1, line 1, and that one is used: remove one of them"
        ]
    );
}

#[test]
fn a_broken_secret_is_reported_without_its_values() {
    for (broken, sentence) in [
        ("data: {password: canary!}", "data.password: is not base64: encode it, or use stringData"),
        ("stringData: {password: 123456789}", "stringData.password: is not text: put it in quotes"),
        ("data: canary", "data: must contain keys with values"),
        (
            "type: kubernetes.io/tls",
            "data.tls.crt: is required for the type kubernetes.io/tls: add it; data.tls.key: is required for the type kubernetes.io/tls: add it",
        ),
    ] {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{broken}\n");
        assert_eq!(
            faults(&desired(&[("s.yaml", &text)])),
            [format!("s.yaml, document 1, line 1: Secret default/s is invalid: {sentence}")]
        );
    }
}

#[test]
fn an_account_whose_secret_is_refused_is_told_where_to_correct_it() {
    let broken = SECRET.replace("eA==", "canary!");
    let desired = desired(&[("a.yaml", ACCOUNT), ("s.yaml", &broken)]);
    let problem = &desired.problems[0].problem;
    assert_eq!(problem.reason, Reason::SecretNotFound);
    assert_eq!(
        problem.message,
        "Secret team-a/acme-alauda is invalid: correct it in s.yaml, document 1, line 1; see the message for that location."
    );
}

#[test]
fn a_secret_has_a_name_that_an_api_server_takes() {
    for (metadata, sentence) in [
        ("{namespace: team-a}", "metadata.name"),
        ("{name: 7}", "metadata.name"),
        (r#"{name: "s\ns.yaml: all is well"}"#, "metadata.name"),
        (r#"{name: s, namespace: "\e[2J"}"#, "metadata.namespace"),
        ("{name: s, namespace: 7}", "metadata.namespace"),
    ] {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {metadata}\n");
        let faults = faults(&desired(&[("s.yaml", &text)]));
        assert!(faults[0].starts_with("s.yaml, document 1, line 1: Secret is invalid: "), "{faults:?}");
        assert!(faults[0].contains(sentence), "{faults:?}");
        assert!(!faults[0].contains(char::is_control), "{faults:?}");
    }
}

#[test]
fn a_secrets_key_is_printed_escaped_and_cut() {
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{\"\\e{}\": 1}}\n",
        "k".repeat(900)
    );
    let faults = faults(&desired(&[("s.yaml", &text)]));
    assert!(faults[0].contains(r"stringData.\u{1b}kkk") && faults[0].len() < 400, "{faults:?}");
}

#[test]
fn texts_that_are_no_manifests_are_reported_and_harmless() {
    let bomb = format!(
        "a: &a [x,x,x,x,x,x,x,x]\nb: &b {0}\nc: &c {1}\nd: &d {2}\ne: &e {3}\nf: &f {4}\ng: &g {5}\nh: {6}\n",
        "[*a,*a,*a,*a,*a,*a,*a,*a]",
        "[*b,*b,*b,*b,*b,*b,*b,*b]",
        "[*c,*c,*c,*c,*c,*c,*c,*c]",
        "[*d,*d,*d,*d,*d,*d,*d,*d]",
        "[*e,*e,*e,*e,*e,*e,*e,*e]",
        "[*f,*f,*f,*f,*f,*f,*f,*f]",
        "[*g,*g,*g,*g,*g,*g,*g,*g]"
    );
    let deep = "[".repeat(100_000);
    for (name, text) in [
        ("a.yaml", "just text"),
        ("b.yaml", "- a\n- b\n"),
        ("c.yaml", "kind: List\n"),
        ("d.json", "{\"kind\": "),
        ("e.yaml", bomb.as_str()),
        ("f.yaml", deep.as_str()),
        ("g.json", deep.as_str()),
    ] {
        assert_eq!(faults(&desired(&[(name, text)])).len(), 1, "{name}");
    }
    assert_eq!(
        desired(&[("a.yaml", ""), ("b.yaml", "---\n---\n"), ("c.yaml", "# nothing\n")]),
        Desired::default()
    );
}
