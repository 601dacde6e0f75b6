//! What becomes of a CaasAccount and its Secrets, reason by reason.

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::account::{SecretData, admission};
use crate::api::{API_VERSION, ConditionType, KIND};
use crate::cloud::Credentials;
use crate::cloud::alauda::AlaudaAccount;
use crate::schema::address::is_segment;

fn account(spec: &Value) -> CaasAccount {
    let mut document = json!({
        "apiVersion": "caas-operator.io/v1alpha1",
        "kind": "CaasAccount",
        "metadata": {"namespace": "team-a", "name": "acme"},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1"}},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        document["spec"][field] = value.clone();
    }
    admission::of_all_providers().admit(document).unwrap()
}

fn secret(pairs: &[(&str, &[u8])]) -> SecretRead {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec()));
    SecretRead::Found(SecretData::new("team-a", pairs))
}

fn user() -> SecretRead {
    secret(&[("username", b"acme"), ("password", b"canary-password")])
}

fn resolved(spec: &Value, credentials: &SecretRead) -> Result<Account, Problem> {
    resolve(Providers::ALL, &account(spec), credentials, None, |_| Ok(()))
}

/// The problem of credentials that are no good.
fn problem(credentials: &SecretRead) -> Problem {
    resolved(&json!({}), credentials).unwrap_err()
}

/// What Alauda made of an account that this spec and Secret give.
fn alauda(spec: &Value, secret: &SecretRead) -> AlaudaAccount {
    let account = resolved(spec, secret).unwrap();
    AlaudaAccount::of(&*account.connection.provider).clone()
}

#[test]
fn an_account_holds_the_defaults_a_normal_endpoint_and_the_users_namespace() {
    let account = resolved(&json!({}), &user()).unwrap();

    assert_eq!(account.id.metrics_path(), "/accounts/team-a/acme/metrics");
    let alauda = alauda(&json!({}), &user()).settings;
    assert_eq!(
        (alauda.endpoint.as_str(), alauda.namespace.as_str()),
        ("https://caas.example.com/v1/", "acme")
    );
    assert_eq!(account.schedule.interval, Duration::from_secs(30));
    assert_eq!(account.schedule.stale_after, Duration::from_secs(90));
    assert_eq!(account.connection.limits.max_concurrent, 32);
    assert_eq!((account.exposition.max_series, account.exposition.names), (100_000, Names::Modern));
    assert!(!account.exposition.source_timestamps && account.selection.wants("anything"));
}

#[test]
fn values_stay_for_three_intervals_at_most_five_minutes_and_at_least_one_interval() {
    for (interval, stale_after) in [("10s", 30), ("2m", 300), ("10m", 600)] {
        let account = resolved(&json!({"collection": {"interval": interval}}), &user()).unwrap();
        assert_eq!(account.schedule.stale_after, Duration::from_secs(stale_after), "{interval}");
    }
}

#[test]
fn a_missing_secret_is_named() {
    let problem = problem(&SecretRead::NotFound);
    assert_eq!(
        (problem.condition, problem.reason),
        (ConditionType::CredentialsReady, Reason::SecretNotFound)
    );
    assert!(problem.message.starts_with("Secret team-a/acme-alauda does not exist: create it"), "{problem}");
}

#[test]
fn a_secret_that_may_not_be_read_is_named() {
    let problem = problem(&SecretRead::Forbidden);
    assert_eq!(problem.reason, Reason::SecretForbidden);
    assert!(problem.message.contains("Secret team-a/acme-alauda"), "{problem}");
}

#[test]
fn a_missing_key_is_named() {
    for (pairs, sentence) in [
        (vec![], "has none of the keys for Alauda: add token, or username and password."),
        (vec![("username", "acme")], "has no key password. Add the key."),
        (vec![("password", "canary")], "has no key username. Add the key."),
    ] {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        let problem = problem(&secret(&pairs));
        assert_eq!(problem.reason, Reason::SecretKeyMissing);
        assert_eq!(problem.message, format!("Secret team-a/acme-alauda {sentence}"));
    }
}

#[test]
fn an_empty_or_invalid_key_is_named_and_its_value_is_not_shown() {
    type Pairs<'a> = &'a [(&'a str, &'a [u8])];
    let (empty, invalid) = (Reason::SecretKeyEmpty, Reason::SecretKeyInvalid);
    let cases: [(Pairs<'_>, Reason, &str); 7] = [
        (&[("username", b"acme"), ("password", b"")], empty, "password is empty"),
        (&[("username", b"acme"), ("password", b"\r\n\n")], empty, "password is empty"),
        (&[("username", b"acme"), ("password", b"canary\xff")], invalid, "password is not UTF-8"),
        (&[("username", b"ca\nnary"), ("password", b"x")], invalid, "username contains control"),
        (&[("username", b"canary/.."), ("password", b"x")], invalid, "username cannot be part of"),
        (&[("token", b"two\ncanary lines")], invalid, "token is not one word"),
        (&[("token", b"")], empty, "token is empty"),
    ];
    for (pairs, reason, what) in cases {
        let problem = problem(&secret(pairs));
        assert_eq!(problem.reason, reason, "{problem}");
        let (key, what) = what.split_once(' ').unwrap();
        let beginning = format!("Key {key} of Secret team-a/acme-alauda {what}");
        assert!(problem.message.starts_with(&beginning), "{problem}");
        assert!(!problem.message.contains("canary") && problem.message.ends_with('.'), "{problem}");
    }
}

#[test]
fn a_value_that_is_longer_than_anything_of_its_kind_is_not_kept_and_named() {
    let long =
        |key: &str, length| secret(&[("username", b"acme"), ("password", b"x"), (key, &vec![b'a'; length])]);
    for key in ["username", "password", "token"] {
        let problem = problem(&long(key, 4 * 1024 + 1));
        assert_eq!(problem.reason, Reason::SecretKeyInvalid);
        assert!(
            problem.message.contains(&format!("Key {key} of Secret team-a/acme-alauda is longer than 4 KiB"))
        );
    }
    assert_eq!(problem(&long("endpoint", 4 * 1024 + 1)).reason, Reason::SecretKeyInvalid);
    assert!(resolved(&json!({}), &long("password", 4 * 1024)).is_ok());

    let spec = json!({"tls": {"caBundleSecretRef": {"name": "acme-ca"}}});
    let bundle = secret(&[("ca.crt", &vec![b'a'; 512 * 1024 + 1])]);
    let problem = resolve(Providers::ALL, &account(&spec), &user(), Some(&bundle), |_| Ok(())).unwrap_err();
    assert_eq!(problem.reason, Reason::SecretKeyInvalid);
    assert!(
        problem.message.contains("Key ca.crt of Secret team-a/acme-ca is longer than 512 KiB"),
        "{problem}"
    );
}

#[test]
fn newlines_at_the_end_of_a_value_are_no_part_of_it() {
    let secret = secret(&[("username", b"acme\n"), ("password", b" pass word\r\n\n")]);
    let Credentials::Password { username, password } = alauda(&json!({}), &secret).credentials else {
        panic!()
    };
    assert_eq!((username.as_str(), password.expose_secret()), ("acme", " pass word"));
}

#[test]
fn a_password_may_have_several_lines() {
    let secret = secret(&[("username", b"acme"), ("password", b"one\ntwo\n")]);
    let Credentials::Password { password, .. } = alauda(&json!({}), &secret).credentials else { panic!() };
    assert_eq!(password.expose_secret(), "one\ntwo");
}

#[test]
fn a_token_goes_before_a_password_and_the_username_beside_it_is_the_namespace() {
    let both = secret(&[("token", b"0123abcd\n"), ("username", b"acme"), ("password", b"x")]);
    let account = alauda(&json!({}), &both);
    assert_eq!(account.credentials, Credentials::Token("0123abcd".into()));
    assert_eq!(account.settings.namespace, "acme");
}

#[test]
fn a_token_without_a_namespace_asks_for_one() {
    let problem = problem(&secret(&[("token", b"0123abcd")]));
    assert_eq!(problem.reason, Reason::SecretKeyMissing);
    assert!(problem.message.contains("Set spec.provider.alauda.namespace"), "{problem}");
}

#[test]
fn credentials_bound_to_an_endpoint_go_nowhere_else() {
    let bound =
        |endpoint: &[u8]| secret(&[("username", b"acme"), ("password", b"x"), ("endpoint", endpoint)]);
    for same_or_above in [
        &b"https://caas.example.com/v1/\n"[..],
        b"https://CAAS.example.com:443/v1",
        b"https://caas.example.com",
        "\u{feff}https://caas.example.com/v1/".as_bytes(),
    ] {
        assert!(resolved(&json!({}), &bound(same_or_above)).is_ok(), "{}", same_or_above.escape_ascii());
    }
    for other in [
        &b"https://canary.example.com/v1/"[..],
        b"http://caas.example.com/v1/",
        b"http://caas.example.com/",
        b"https://caas.example.com/v",
        b"https://caas.example.com/v1/sub/",
        b"https://caas.example.com:8443/v1/",
        b"canary",
    ] {
        let problem = problem(&bound(other));
        assert_eq!(problem.reason, Reason::EndpointMismatch, "{problem}");
        assert!(problem.message.starts_with("Key endpoint of Secret team-a/acme-alauda"), "{problem}");
        assert!(!problem.message.contains("canary"), "{problem}");
    }
}

// No schema stands before a Secret, so this rule alone does.
#[test]
fn a_secret_that_names_a_path_which_servers_read_differently_is_refused_as_such() {
    for path in ["..;/admin/", ".;/", "/admin/", "%2e%2e%3b/", "..%2fadmin/", "%252e%252e/"] {
        let bound = format!("https://caas.example.com/v1/{path}");
        let keys = [("username", &b"acme"[..]), ("password", b"canary"), ("endpoint", bound.as_bytes())];
        let problem = resolved(&json!({}), &secret(&keys)).unwrap_err();
        assert_eq!(problem.reason, Reason::EndpointMismatch, "{path}");
        assert!(problem.message.contains("semicolon or empty path segment"), "{path}: {problem}");
    }
}

#[test]
fn a_cloud_of_alaudas_own_stands_for_its_endpoint() {
    let provider = json!({"provider": {"alauda": {"cloud": "cn"}}});
    let account = resolved(&provider, &user()).unwrap();
    assert_eq!(account.connection.provider.endpoint().as_str(), "https://api.alauda.cn/v1/");
    let elsewhere =
        secret(&[("username", b"a"), ("password", b"x"), ("endpoint", b"https://api.alauda.io/v1/")]);
    assert_eq!(resolved(&provider, &elsewhere).unwrap_err().reason, Reason::EndpointMismatch);
}

#[test]
fn credentials_that_are_bound_to_an_endpoint_do_not_go_to_a_login_server_outside_of_its_domain() {
    let with_login = |login: &str, bound: Option<&str>| {
        let endpoint = "https://api.sys.example.com/";
        let provider = json!({"provider": {"cloudfoundry": {"endpoint": endpoint, "loginEndpoint": login}}});
        let mut keys = vec![("username", &b"ops"[..]), ("password", b"canary")];
        keys.extend(bound.map(|bound| ("endpoint", bound.as_bytes())));
        resolved(&provider, &secret(&keys)).map_err(|problem| {
            assert!(problem.message.contains("login server"), "{problem}");
            problem.reason
        })
    };
    let bound = Some("https://api.sys.example.com/");
    assert!(with_login("https://login.sys.example.com/", bound).is_ok());
    assert_eq!(with_login("https://evil.example/", bound).unwrap_err(), Reason::EndpointMismatch);
    assert!(with_login("https://login.example.com/", None).is_ok(), "nothing is bound");
}

#[test]
fn an_endpoint_that_the_administrator_does_not_allow_is_refused_before_anything_is_sent() {
    let refuse = |endpoint: &Url| {
        assert_eq!(endpoint.as_str(), "https://caas.example.com/v1/");
        Err(Refusal::NotAllowed)
    };
    let problem = resolve(Providers::ALL, &account(&json!({})), &user(), None, refuse).unwrap_err();
    assert_eq!((problem.condition, problem.reason), (ConditionType::Collecting, Reason::EndpointRefused));
    assert!(
        problem.message.contains("CaasAccount team-a/acme") && problem.message.contains("--allow-endpoint")
    );
}

#[test]
fn an_endpoint_that_an_older_definition_let_through_is_refused() {
    for endpoint in [
        "ftp://caas.example.com/",
        "https://u:p@caas.example.com/",
        "https://h/?q",
        "https://h/v1/..;/admin/",
        "https://h/v1//admin/",
        "https://h/v1/%2e%2e%3b/admin/",
        "https://h/v1/..%2fadmin/",
        "",
        "https://",
    ] {
        let mut account = account(&json!({}));
        account.spec.provider.settings["endpoint"] = json!(endpoint);
        let problem = resolve(Providers::ALL, &account, &user(), None, |_| Ok(())).unwrap_err();
        assert_eq!(problem.reason, Reason::EndpointRefused, "{endpoint}");
    }
}

#[test]
fn a_provider_or_settings_of_another_version_are_named_and_not_collected() {
    let mut account = account(&json!({}));
    let known = format!("use one of {}, or upgrade the operator.", Providers::ALL.names());
    for (name, settings, says) in [
        ("other", json!({"token": "canary"}), &*known),
        ("alauda", json!({"endpoint": 7}), "spec.provider.alauda of CaasAccount team-a/acme cannot be read"),
        (
            "alauda",
            json!({"cloud": "mars"}),
            "spec.provider.alauda of CaasAccount team-a/acme cannot be read",
        ),
    ] {
        account.spec.provider = ProviderSpec { name: name.to_owned(), settings };
        let problem = resolve(Providers::ALL, &account, &user(), None, |_| Ok(())).unwrap_err();
        assert_eq!((problem.condition, problem.reason), (ConditionType::Collecting, Reason::EndpointRefused));
        assert!(problem.message.contains(says) && !problem.message.contains("canary"), "{problem}");
    }
}

#[test]
fn a_suspended_account_is_not_collected_whatever_its_secret_is() {
    let problem = resolved(&json!({"suspend": true}), &SecretRead::NotFound).unwrap_err();
    assert_eq!((problem.condition, problem.reason), (ConditionType::Collecting, Reason::Suspended));
}

#[test]
fn a_ca_bundle_is_taken_only_when_all_of_it_can_be_trusted() {
    let spec = json!({"tls": {"caBundleSecretRef": {"name": "acme-ca"}}});
    let with =
        |bundle: Option<&SecretRead>| resolve(Providers::ALL, &account(&spec), &user(), bundle, |_| Ok(()));
    let key = KeyPair::generate().unwrap();
    let pem = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();

    let account = with(Some(&secret(&[("ca.crt", pem.as_bytes())]))).unwrap();
    assert!(account.connection.ca_bundle.is_some());

    let broken = format!("{pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (bundle, reason) in [
        (None, Reason::SecretNotFound),
        (Some(SecretRead::Forbidden), Reason::SecretForbidden),
        (Some(secret(&[("other", b"x")])), Reason::SecretKeyMissing),
        (Some(secret(&[("ca.crt", b"")])), Reason::SecretKeyEmpty),
        (Some(secret(&[("ca.crt", b"canary")])), Reason::SecretKeyInvalid),
        (Some(secret(&[("ca.crt", key.serialize_pem().as_bytes())])), Reason::SecretKeyInvalid),
        (Some(secret(&[("ca.crt", broken.as_bytes())])), Reason::SecretKeyInvalid),
    ] {
        let problem = with(bundle.as_ref()).unwrap_err();
        assert_eq!(problem.reason, reason, "{problem}");
        assert!(problem.message.contains("Secret team-a/acme-ca"), "{problem}");
    }
}

#[test]
fn no_secret_is_printed() {
    let read = secret(&[("password", b"canary-password"), ("token", b"canary-token")]);
    let SecretRead::Found(data) = &read else { panic!() };
    let _: &SecretData = data;
    let account = resolved(&json!({}), &user()).unwrap();
    let printed = format!("{read:?} {account:?}");
    assert!(printed.contains("password") && !printed.contains("canary"), "{printed}");
}

proptest! {
    #[test]
    fn the_rule_on_namespaces_lets_nothing_through_that_resolving_refuses(text in "[a-z./?#%\\\\ \t\u{0}\u{a0}é-]{0,6}") {
        let provider = json!({"alauda": {"cloud": "cn", "namespace": text}});
        let document = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "acme"},
            "spec": {"provider": provider, "credentials": {"secretRef": {"name": "x"}}},
        });
        prop_assert_eq!(admission::of_all_providers().admit(document).is_ok(), is_segment(&text));
    }

    #[test]
    fn no_secret_makes_resolving_panic_or_shows_in_a_message(
        value in proptest::collection::vec(any::<u8>(), 0..64),
        key in prop::sample::select(vec!["username", "password", "token", "endpoint"]),
    ) {
        let mut value = value;
        value.splice(0..0, *b"canary");
        let mut pairs: Vec<(&str, &[u8])> = vec![("username", b"acme"), ("password", b"x")];
        pairs.push((key, &value));
        if let Err(problem) = resolved(&json!({}), &secret(&pairs)) {
            prop_assert!(!problem.message.contains("canary"));
        }
    }
}

#[test]
fn the_endpoint_of_a_spec_is_known_without_its_secret() {
    for provider in Providers::ALL.iter() {
        let settings = |endpoint: &str| json!({"endpoint": endpoint});
        let known = |endpoint: &str| provider.endpoint(&settings(endpoint)).map(String::from);
        let name = provider.name();
        assert_eq!(known("https://caas.example.com/x"), Some("https://caas.example.com/x/".into()), "{name}");
        assert_eq!(known("https://user:secret@caas.example.com/"), None, "{name}");
    }
    let alauda = Providers::ALL.get("alauda").unwrap();
    let cloud = alauda.endpoint(&json!({"cloud": "io"})).map(String::from);
    assert_eq!(cloud.as_deref(), Some("https://api.alauda.io/v1/"));
}
