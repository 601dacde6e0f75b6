//! What the statuses of accounts show now: read where the watches keep the objects, so that nothing is
//! kept twice.

use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::{ObjectRef, Store};

use super::scope::WatchedAccount;
use crate::account::AccountId;

/// The accounts of all scopes, as the watches have them.
#[derive(Clone, Default)]
pub struct Statuses(Arc<RwLock<Vec<Store<WatchedAccount>>>>);

impl Statuses {
    /// The conditions of an account, of other writers too, as the API server has them; empty where it has none, and for an
    /// object that is not kept.
    pub fn conditions(&self, id: &AccountId) -> Vec<Condition> {
        let Self(scopes) = self;
        let name = ObjectRef::new(&id.name).within(&id.namespace);
        let scopes = scopes.read().unwrap_or_else(PoisonError::into_inner);
        let object = scopes.iter().find_map(|accounts| accounts.get(&name));
        let status = object.and_then(|object| object.object.as_ref().ok()?.status.clone());
        status.map(|status| status.conditions).unwrap_or_default()
    }

    /// Adds the accounts of a scope.
    pub(super) fn add(&self, accounts: Store<WatchedAccount>) {
        let Self(scopes) = self;
        scopes.write().unwrap_or_else(PoisonError::into_inner).push(accounts);
    }
}
