//! Whose a ServiceMonitor of an account's name is, by its metadata alone: what is in it may be beyond reading. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::core::ObjectMeta;

use crate::api::{CaasAccount, GROUP, KIND};

/// Who controls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// This account.
    Account,
    /// An account that had this name before. It is no more, since two cannot have it at once, and what it left only
    /// waits for the garbage collector.
    Former,
    /// Somebody else, or nobody.
    Foreign,
}

/// Whose it is, seen from an account.
pub(super) fn of(meta: &ObjectMeta, account: &CaasAccount) -> Owner {
    match controller(meta) {
        Some(owner) if account.metadata.uid.as_ref() == Some(&owner.uid) => Owner::Account,
        Some(owner) if is_account(owner) && owner.name == account.name_any() => Owner::Former,
        _ => Owner::Foreign,
    }
}

/// The one that controls an object.
pub(super) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether it is a CaasAccount, of whatever version.
fn is_account(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split_once('/').map(|(group, _)| group);
    owner.kind == KIND && group == Some(GROUP)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The account `acme` whose UID is `new`.
    fn account() -> CaasAccount {
        let spec = json!({
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
        });
        serde_json::from_value(json!({"metadata": {"name": "acme", "uid": "new"}, "spec": spec})).unwrap()
    }

    /// Whose it is to that account where this controls it, or owns it only.
    fn seen(version: &str, kind: &str, name: &str, uid: &str, controls: bool) -> Owner {
        let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "acme", "uid": "other"});
        let owner =
            json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": controls});
        of(&serde_json::from_value(json!({"ownerReferences": [other, owner]})).unwrap(), &account())
    }

    #[test]
    fn it_is_the_accounts_where_the_account_itself_controls_it() {
        let version = "caas-operator.io/v1alpha1";
        assert_eq!(seen(version, "CaasAccount", "acme", "new", true), Owner::Account);
        assert_eq!(seen(version, "CaasAccount", "acme", "new", false), Owner::Foreign);
    }

    #[test]
    fn it_is_a_former_accounts_where_one_of_that_name_controls_it_that_is_no_more() {
        for version in ["caas-operator.io/v1alpha1", "caas-operator.io/v1"] {
            assert_eq!(seen(version, "CaasAccount", "acme", "old", true), Owner::Former);
        }
    }

    #[test]
    fn whatever_else_controls_it_is_somebody_else() {
        for (version, kind, name, controls) in [
            ("caas-operator.io/v1alpha1", "CaasAccount", "acme", false),
            ("caas-operator.io/v1alpha1", "CaasAccount", "globex", true),
            ("caas-operator.io/v1alpha1", "CaasFleet", "acme", true),
            ("example.com/v1alpha1", "CaasAccount", "acme", true),
            ("caas-operator.io", "CaasAccount", "acme", true),
            ("v1", "ConfigMap", "acme", true),
        ] {
            assert_eq!(seen(version, kind, name, "old", controls), Owner::Foreign, "{version} {kind} {name}");
        }
    }

    #[test]
    fn what_nobody_controls_is_somebody_elses() {
        assert_eq!(of(&ObjectMeta::default(), &account()), Owner::Foreign);
        let nobody = CaasAccount { metadata: ObjectMeta { uid: None, ..account().metadata }, ..account() };
        assert_eq!(of(&ObjectMeta::default(), &nobody), Owner::Foreign);
    }
}
