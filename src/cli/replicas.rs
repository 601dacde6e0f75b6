//! How this process shares the accounts with other replicas: the options, and its Lease from the start to the end.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::options::Label;
use crate::controller::ReplicaLease;
use crate::replicas::{Member, Membership};
use crate::server::Condition;
use crate::telemetry::Metrics;

/// Options for several replicas.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Several replicas")]
pub(super) struct ReplicaOptions {
    /// Share the accounts with other replicas through Leases in this namespace. Default: collect all accounts
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "CAAS_OPERATOR_REPLICAS_LEASE_NAMESPACE",
        requires_all = ["replica_name", "replica_address"]
    )]
    replicas_lease_namespace: Option<Label>,
    /// Unique name of this replica: the pod's name
    #[arg(long, value_name = "NAME", env = "CAAS_OPERATOR_REPLICA_NAME")]
    replica_name: Option<Label>,
    /// IP address where other replicas reach this one: the pod's IP address. Default port: the port of --listen
    #[arg(long, value_name = "ADDRESS", env = "CAAS_OPERATOR_REPLICA_ADDRESS")]
    replica_address: Option<ReplicaAddress>,
}

/// An IP address, with a port or without.
#[derive(Debug, Clone, Copy)]
enum ReplicaAddress {
    Host(IpAddr),
    Socket(SocketAddr),
}

impl FromStr for ReplicaAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse().map(Self::Host).or_else(|_| text.parse().map(Self::Socket));
        address
            .map_err(|_| "use an IP address with or without a port, such as 10.1.2.3:8080 or [fd00::1]:8080")
    }
}

impl ReplicaAddress {
    /// With the port, or this one.
    fn socket(self, port: u16) -> SocketAddr {
        match self {
            Self::Host(host) => SocketAddr::new(host, port),
            Self::Socket(address) => address,
        }
    }
}

/// This process among the replicas.
pub(super) struct Replica {
    membership: Membership,
    refused: watch::Receiver<Option<String>>,
    /// Where it holds a Lease.
    lease: Option<HeldLease>,
}

/// The task that holds this replica's Lease.
struct HeldLease {
    leave: CancellationToken,
    /// Cancelled when the task has ended, whether by a value or without.
    ended: CancellationToken,
}

impl HeldLease {
    /// Spawns the future that `hold` returns; cancelling the token ends it.
    fn spawn<F: Future<Output = ()> + Send + 'static>(hold: impl FnOnce(CancellationToken) -> F) -> Self {
        let (leave, ended) = (CancellationToken::new(), CancellationToken::new());
        let guard = ended.clone().drop_guard();
        let holding = hold(leave.clone());
        tokio::spawn(async move {
            holding.await;
            drop(guard);
        });
        Self { leave, ended }
    }
}

impl ReplicaOptions {
    /// Begins to share the accounts with the replicas of this group. The main port is `port`.
    pub(super) fn share(&self, client: &Client, group: &str, port: u16, metrics: &Arc<Metrics>) -> Replica {
        let (Some(Label(namespace)), Some(Label(name)), Some(address)) =
            (&self.replicas_lease_namespace, &self.replica_name, self.replica_address)
        else {
            return Replica { membership: Membership::alone(), refused: watch::channel(None).1, lease: None };
        };
        let address = address.socket(port).to_string();
        let me = Member { name: name.as_str().into(), address: address.into() };
        let membership = Membership::joining(me.clone(), Arc::clone(metrics));
        let (sender, refused) = watch::channel(None);
        let lease = ReplicaLease::new(client.clone(), namespace, group, me, membership.clone(), sender);
        let lease = HeldLease::spawn(|leave| lease.hold(leave));
        Replica { membership, refused, lease: Some(lease) }
    }
}

impl Replica {
    /// What this process knows of the others.
    pub(super) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Meets this condition when this replica is a member; until then it says why it may never be, where that is so.
    pub(super) fn joining(&self, condition: Condition) -> impl Future<Output = ()> + use<> {
        let (membership, mut refused) = (self.membership.clone(), self.refused.clone());
        async move {
            let explain = async {
                loop {
                    condition.explain(refused.borrow_and_update().clone());
                    if refused.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                () = membership.joined() => {}
                () = explain => {}
            }
            condition.set(true);
        }
    }

    /// Waits until nothing holds its Lease any more: then others take its accounts over, and it would not notice.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + use<> {
        let ended = self.lease.as_ref().map(|lease| lease.ended.clone());
        async move {
            match ended {
                Some(ended) => ended.cancelled().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Leaves the others, and goes on answering for a while: they are asked for this one's accounts until their endpoints
    /// are known everywhere.
    pub(super) async fn leave(self) {
        let Some(HeldLease { leave, ended }) = self.lease else { return };
        leave.cancel();
        ended.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nothing_holds_any_more_is_noticed_and_one_that_is_held_is_not() {
        let of = |lease| Replica {
            membership: Membership::alone(),
            refused: watch::channel(None).1,
            lease: Some(lease),
        };
        let held = of(HeldLease::spawn(|leave| async move { leave.cancelled().await }));
        let lost = held.lost();
        tokio::task::yield_now().await;
        assert_eq!(held.lost().now_or_never(), None);
        held.leave().await;
        assert!(timeout(SOON, lost).await.is_ok());
        // As a bug would end it.
        let panics = of(HeldLease::spawn(|_| async { panic!("the task ends") }));
        assert!(timeout(SOON, panics.lost()).await.is_ok());
    }

    #[test]
    fn an_address_without_a_port_has_that_of_the_main_port() {
        let of = |text: &str| text.parse::<ReplicaAddress>().map(|address| address.socket(8080).to_string());
        assert_eq!(of("10.1.2.3"), Ok("10.1.2.3:8080".to_owned()));
        assert_eq!(of("10.1.2.3:9090"), Ok("10.1.2.3:9090".to_owned()));
        assert_eq!(of("fd00::1"), Ok("[fd00::1]:8080".to_owned()));
        assert!(of("caas-operator").is_err());
    }
}
