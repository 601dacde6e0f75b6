//! A replica that may not use Leases, on an API server of a few lines.

use std::convert::Infallible;

use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;
use crate::telemetry::Metrics;

/// What a replica says of its Lease where the API server answers every request like this.
async fn refused(code: u16) -> Option<String> {
    let api_server = tower::service_fn(move |_: Request<Body>| async move {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "", "message": "leases",
        });
        let answer = Response::builder().status(code).body(Body::from(status.to_string().into_bytes()));
        Ok::<_, Infallible>(answer.unwrap())
    });
    let me = Member { name: "a".into(), address: "127.0.0.1:1".into() };
    let membership = Membership::joining(me.clone(), Metrics::new());
    let (sender, refused) = watch::channel(None);
    let client = Client::new(api_server, "default");
    let lease = ReplicaLease::new(client, "caas-system", "caas-operator", me, membership, sender);
    // It never ends by itself.
    let _ = tokio::time::timeout(Duration::from_secs(10), lease.rounds()).await;
    refused.borrow().clone()
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_may_not_use_leases_says_which_rights_it_lacks_and_where() {
    let sentence = refused(403).await.unwrap();
    assert!(sentence.contains("namespace caas-system") && sentence.contains("leases of coordination.k8s.io"));
    assert!(refused(401).await.is_some());
    assert_eq!(refused(503).await, None, "that may pass by itself");
}
