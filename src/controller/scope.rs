//! Which namespaces the operator reconciles: all, or a list; and what it watches there.

use kube::{Api, Client, Resource};

use super::watched::Watched;
use crate::api::CaasAccount;

/// What a watch of accounts delivers: an object, or one that cannot be used.
pub(super) type WatchedAccount = Watched<CaasAccount>;

/// What one watch covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The whole cluster.
    Cluster,
    /// One namespace.
    Namespace(String),
}

impl Scope {
    /// The scopes of a list of namespaces; an empty list is the whole cluster.
    pub fn of(namespaces: &[String]) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self::Cluster];
        }
        let mut scopes: Vec<Self> = namespaces.iter().cloned().map(Self::Namespace).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// The API of a namespaced kind in this scope.
    pub fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::Cluster => Api::all(client),
            Self::Namespace(namespace) => Api::namespaced(client, namespace),
        }
    }

    /// Whether it includes the objects of this namespace.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(own) => own == namespace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespaces_are_the_whole_cluster_and_a_list_is_each_once() {
        assert_eq!(Scope::of(&[]), [Scope::Cluster]);
        let listed = Scope::of(&["b".into(), "a".into(), "b".into()]);
        assert_eq!(listed, [Scope::Namespace("a".into()), Scope::Namespace("b".into())]);
        assert!(listed[0].covers("a") && !listed[0].covers("b") && Scope::Cluster.covers("b"));
    }
}
