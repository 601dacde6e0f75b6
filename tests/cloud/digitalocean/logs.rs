//! No token and nothing of an answer appears in a log, at any level.

use caas_operator::cloud::CloudError;

use super::{Account, options, services, settings, start};
use crate::support::{Fake, Reply, assert_hidden, json, logged};

/// A page of one app with one instance, and answers to all that is asked of it.
fn app(path: &str) -> Reply {
    json(match path.split('?').next().unwrap() {
        "/v2/apps" => {
            r#"{"apps": [{"id": "a1", "spec": {"name": "shop", "services": [{"name": "api", "instance_count": 1}]}}]}"#
        }
        "/v2/apps/a1/instances" => {
            r#"{"instances": [{"component_name": "api", "instance_name": "api-x", "instance_alias": "api-0"}]}"#
        }
        // All others: an error inside a 200, in words of the cloud.
        _ => r#"{"status": "error", "error": "canary-answer"}"#,
    })
}

#[test]
fn no_token_or_answer_appears_in_a_log_at_trace_level() {
    let (log, errors) = logged(async {
        let cloud = start(options(), services(3)).await;
        let mut settings = settings(&cloud);
        let mut errors = Vec::new();
        for refused in [false, true] {
            let fake = Fake::with(move |seen| {
                assert_eq!(seen.authorization.as_deref(), Some("Bearer dop_v1_canary"));
                let denied = br#"{"id": "unauthorized", "message": "canary-answer"}"#.to_vec();
                Some(if refused { Reply::Http(401, vec![], denied) } else { app(&seen.path) })
            })
            .await;
            settings.endpoint = format!("http://{}/", fake.address).parse().unwrap();
            let collected = Account::with(settings.clone(), "dop_v1_canary").collect().await;
            assert!(fake.count("/v2/apps") > 0);
            assert_eq!(refused, collected == Err(CloudError::LoginRejected), "{collected:?}");
            assert!(refused || collected.as_ref().unwrap().failures().0 > 0, "{collected:?}");
            errors.push(format!("{collected:?}"));
        }
        errors.concat()
    });
    assert_hidden(&["canary"], &[("log", &log), ("collections", &errors)]);
}
