//! No token and no byte of an answer appears in a log, at any level, nor in errors and metrics.

use caas_operator::cloud::railway::{Settings, TokenKind};

use super::Account;
use crate::support::{Fake, assert_hidden, json, limits, logged};

#[test]
fn no_token_and_no_message_of_the_api_appears_in_a_log_at_trace_level() {
    for kind in [TokenKind::Account, TokenKind::Project] {
        let (log, (error, metrics)) = logged(async {
            let fake = Fake::with(|_| {
                let errors = r#"[{"message": "canary: Problem", "extensions": {"x": "canary"}}]"#;
                Some(json(format!(r#"{{"errors": {errors}, "data": null}}"#)))
            })
            .await;
            let settings = Settings {
                endpoint: format!("http://{}/", fake.address).parse().unwrap(),
                workspace: None,
                projects: Vec::new(),
                environments: Vec::new(),
                preview_environments: false,
                http: false,
                metrics_max_age: std::time::Duration::from_secs(600),
            };
            let account = Account::limited(settings, kind, "canary-token", limits());
            let collected = account.collect().await;
            assert_eq!(fake.seen().len(), 1);
            (format!("{collected:?}"), account.metrics.render())
        });
        assert_hidden(&["canary"], &[("log", &log), ("error", &error), ("metrics", &metrics)]);
    }
}
