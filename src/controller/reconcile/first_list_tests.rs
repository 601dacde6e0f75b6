//! What the queue does with a first list that takes long, on an API server of a few lines.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::controller::{Config, applier};
use serde_json::json;

use super::secret_tests::{Operator, account};
use super::*;
use crate::controller::initial::Startup;
use crate::controller::scope::Scope;
use crate::controller::triggers;
use crate::controller::watch::Lists;
use crate::limits::MemoryBudget;
use crate::replicas::Membership;

/// A client of an API server whose list has one account on its first page and never sends the second.
fn half_a_list() -> Client {
    let api_server = tower::service_fn(async |request: Request<Body>| {
        if request.uri().query().is_some_and(|query| query.contains("continue=")) {
            std::future::pending::<()>().await;
        }
        let list = json!({
            "apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccountList",
            "metadata": {"resourceVersion": "1", "continue": "next"}, "items": [account("acme", "30s", 1)],
        });
        Ok::<_, Infallible>(Response::new(Body::from(list.to_string().into_bytes())))
    });
    Client::new(api_server, "default")
}

#[tokio::test(start_paused = true)]
async fn accounts_of_a_first_page_are_collected_while_the_second_one_is_awaited() {
    let Operator { scoped, writer, startup, .. } = Operator::among(Membership::alone());
    let (reconciler, store) = (Arc::clone(&scoped.reconciler), scoped.accounts.clone());
    let lists = Lists::every(Duration::from_secs(300));
    let memory = MemoryBudget::default();
    let requests =
        triggers::accounts(Arc::clone(&reconciler), half_a_list(), Scope::Cluster, writer, lists, memory);
    let queue = applier(
        |object, scoped| Box::pin(reconcile(object, scoped)),
        |object, error, scoped: Arc<ScopedReconciler>| after_error(&object, error, &scoped),
        scoped,
        store,
        requests,
        Config::default(),
    );
    let mut queue = queue.boxed();
    let first = tokio::time::timeout(Duration::from_secs(1), queue.next()).await;
    first.expect("a reconcile").expect("an open queue").expect("a reconcile that succeeds");
    let acme = AccountId::new("team-a", "acme");
    assert!(reconciler.collection.registry.get(&acme).is_some(), "it is collected");
    assert_eq!(*startup.borrow(), Startup::Listing, "others may follow");
    reconciler.initial.listed(&Scope::Cluster, [acme]);
    assert_eq!(*startup.borrow(), Startup::HandedOver, "it was handed over before");
}
