//! No key and nothing of an answer appears in a log, at any level.

use caas_operator::cloud::CloudError;

use super::{Account, options, services, settings, start};
use crate::support::{Fake, Reply, assert_hidden, json, logged};

const SERVICES: &str = r#"[{"cursor": "1", "service": {"id": "srv-a", "name": "web", "type": "web_service",
    "suspended": "not_suspended", "serviceDetails": {}}}]"#;

#[test]
fn no_key_or_answer_appears_in_a_log_at_trace_level() {
    let (log, errors) = logged(async {
        let cloud = start(options(), services(3)).await;
        let mut settings = settings(&cloud);
        let mut errors = Vec::new();
        for refused in [false, true] {
            let fake = Fake::with(move |seen| {
                assert_eq!(seen.authorization.as_deref(), Some("Bearer rnd_canary"));
                let error = br#"{"id": "canary-answer", "message": "canary-answer"}"#.to_vec();
                Some(match seen.path.split('?').next().unwrap() {
                    _ if refused => Reply::Http(401, Vec::new(), error),
                    "/v1/services" => json(SERVICES),
                    "/v1/metrics/cpu" => json(r#"{"message": "canary-answer"}"#),
                    "/v1/metrics/memory" => json("canary-answer {"),
                    _ => Reply::Http(418, Vec::new(), error),
                })
            })
            .await;
            settings.endpoint = fake.endpoint().parse().unwrap();
            let collected = Account::with(settings.clone(), "rnd_canary").collect().await;
            assert!(fake.count("/v1/services") > 0);
            assert_eq!(refused, collected == Err(CloudError::LoginRejected), "{collected:?}");
            assert!(refused || collected.as_ref().unwrap().failures().0 > 2, "{collected:?}");
            errors.push(format!("{collected:?}"));
        }
        errors.concat()
    });
    assert_hidden(&["canary"], &[("log", &log), ("collections", &errors)]);
}
