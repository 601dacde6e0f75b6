//! Running the operator.

use crate::harness::{ControlPlane, Operator, OperatorOptions};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_operator_that_ends_before_it_is_ready_is_reported_with_its_log() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let args = vec!["--no-such-option".to_owned()];

    let started = Operator::start(plane, OperatorOptions { args, ..OperatorOptions::default() }).await;

    let error = started.err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.contains("before it was ready"), "{error}");
    assert!(error.contains("the end of operator-"), "{error}");
    Ok(())
}
