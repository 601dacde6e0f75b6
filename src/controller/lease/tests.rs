//! A replica that may not use Leases, on an API server of a few lines.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

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
async fn the_lease_of_one_that_leaves_is_deleted_as_soon_as_the_api_server_lets_it() {
    let deletions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deletions);
    let other = json!({
        "metadata": {
            "name": "caas-operator-b", "uid": "b", "resourceVersion": "1", "annotations": {ADDRESS_ANNOTATION: "127.0.0.1:2"},
        },
        "spec": {"holderIdentity": "b"},
    });
    let api_server = tower::service_fn(move |request: Request<Body>| {
        let fails = request.method() == "DELETE" && counted.fetch_add(1, Ordering::SeqCst) < 2;
        let (code, body) = if fails {
            (503, json!({"status": "Failure", "message": "busy", "reason": "", "code": 503}))
        } else {
            (200, json!({"metadata": {"resourceVersion": "1"}, "items": [other], "status": "Success"}))
        };
        let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
        async move { Ok::<_, Infallible>(answer.unwrap()) }
    });
    let me = Member { name: "a".into(), address: "127.0.0.1:1".into() };
    let membership = Membership::joining(me.clone(), Metrics::new());
    let client = Client::new(api_server, "default");
    let (sender, _) = watch::channel(None);
    let lease = ReplicaLease::new(client, "caas-system", "caas-operator", me, membership.clone(), sender);
    lease.round().await.unwrap();
    lease.follow(Instant::now() + FAREWELL).await;
    assert_eq!(deletions.load(Ordering::SeqCst), 3, "two that failed, and no more than one that did not");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_may_not_use_leases_says_which_rights_it_lacks_and_where() {
    let sentence = refused(403).await.unwrap();
    assert!(sentence.contains("namespace caas-system") && sentence.contains("leases of coordination.k8s.io"));
    assert!(refused(401).await.is_some());
    assert_eq!(refused(503).await, None, "that may pass by itself");
}
