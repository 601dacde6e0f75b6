//! The operator pushes what it collects to an OTLP endpoint.

use anyhow::ensure;

use crate::harness::until;
use crate::operator_fixture::{DEADLINE, OperatorFixture};
use crate::otlp_endpoint::{Endpoint, Series};

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn accounts_are_pushed_with_the_labels_of_their_targets() -> anyhow::Result<()> {
    let (endpoint, url) = Endpoint::start(&[]).await;
    let fixture = OperatorFixture::with("otlp", &["--otlp-endpoint", &url, "--otlp-interval", "1s"]).await?;
    fixture.account("acme").await?;
    let instance = format!("{}/acme", fixture.namespace.name());

    until(DEADLINE, "the account's series and the operator's own", async || {
        let pushed = endpoint.series();
        let of_account = pushed.keys().filter(|(name, labels)| {
            let is_target = labels["job"] == "caas" && labels["instance"] == instance;
            name == "caas_instance_memory_usage_bytes" && is_target
        });
        ensure!(of_account.count() == 4, "{:?}", pushed.keys().next());
        let own =
            |(name, labels): &&Series| name == "caas_operator_build_info" && labels["job"] == "caas-operator";
        ensure!(pushed.keys().filter(own).count() == 1);
        Ok(())
    })
    .await;
    Ok(())
}
