//! Objects as watches deliver and keep them: what is used of them and no more, and nothing of a large one.
//!
//! Tenants write as many labels and annotations into an object as etcd takes, 1.5 MiB, and the API server adds who wrote
//! them. Such an object becomes a name here before the next one of its page is parsed. The sum of what is kept is bounded in
//! [`super::charged`].

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::value::RawValue;

use super::owner;
use crate::api::{CaasAccount, ConditionType, Reason};
use crate::limits::{Charge, OverBudget};

/// How much is kept of the error of an object that cannot be read. It may quote the object.
const LONGEST_ERROR: usize = 300;

/// A controller that is described in more bytes is none of ours, and is not kept: the API server bounds only the object.
const LONGEST_OWNER: usize = 1024;

/// A kind of objects, by what is kept of one.
pub(super) trait Kept: Resource + Sized {
    /// The object as the API server sends it.
    type Object: DeserializeOwned;

    /// Larger objects are not parsed and not kept, in bytes of their JSON.
    const LARGEST: usize;

    /// Keeps what is used.
    fn keep(object: Self::Object) -> Self;
}

/// What a watch keeps of an object, or of one that cannot be used.
///
/// Copies share the object and what it is charged with.
#[derive(Debug, Clone)]
pub(super) struct Watched<K> {
    /// The object.
    pub(super) object: Result<Arc<K>, Unusable>,
    /// The memory of all versions of it that are kept. `None` where it is charged to nobody.
    pub(super) charge: Option<Arc<Mutex<Charge>>>,
}

/// An object that is not kept.
#[derive(Debug, Clone)]
pub(super) struct Unusable {
    /// Name, namespace, UID, generation, version, time of deletion, and who controls it.
    pub(super) metadata: ObjectMeta,
    /// Why it is not kept.
    pub(super) problem: ObjectProblem,
}

/// Why an object is not kept.
#[derive(Debug, Clone)]
pub(super) enum ObjectProblem {
    /// It has more than [`Kept::LARGEST`] bytes, or does not fit into the memory.
    TooLarge {
        /// What it needs, where that does not fit.
        over: Option<OverBudget>,
        /// Its status says so.
        is_reported: bool,
    },
    /// It is not of the kind's type.
    Unreadable(String),
}

impl<'de, K: Kept> Deserialize<'de> for Watched<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text alone, of one object at a time. It is skipped through and not parsed yet.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let problem = if text.get().len() > K::LARGEST {
            None
        } else {
            match serde_json::from_str(text.get()) {
                Ok(object) => return Ok(Self::new(Ok(Arc::new(K::keep(object))))),
                Err(error) => Some(ObjectProblem::Unreadable(cut(&error.to_string()))),
            }
        };
        let head: Head<'_> = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let problem = problem
            .unwrap_or_else(|| ObjectProblem::TooLarge { over: None, is_reported: head.is_reported() });
        Ok(Self::new(Err(Unusable { metadata: head.metadata.into(), problem })))
    }
}

impl<K> Watched<K> {
    /// Charged to nobody.
    fn new(object: Result<Arc<K>, Unusable>) -> Self {
        Self { object, charge: None }
    }

    /// Whether it is not kept since it does not fit into the memory.
    pub(super) fn lacks_memory(&self) -> bool {
        matches!(&self.object, Err(Unusable { problem: ObjectProblem::TooLarge { over: Some(_), .. }, .. }))
    }

    /// Whether what it is charged with counts as free.
    pub(super) fn is_cut(&self) -> bool {
        self.charge.as_ref().is_some_and(|charge| lock(charge).is_cut())
    }
}

/// What an object's versions share.
pub(super) fn lock(charge: &Mutex<Charge>) -> MutexGuard<'_, Charge> {
    charge.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of an error's text.
fn cut(error: &str) -> String {
    error.chars().take(LONGEST_ERROR).collect()
}

/// What is parsed of an object that is not kept.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    metadata: UsedMetadata,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

impl Head<'_> {
    fn is_reported(&self) -> bool {
        let status = self.status.and_then(|status| serde_json::from_str::<StatusHead>(status.get()).ok());
        let conditions = status.into_iter().flat_map(|status| status.conditions);
        conditions.into_iter().any(|condition| {
            condition.type_ == ConditionType::Collecting.as_str()
                && condition.reason == Reason::ObjectTooLarge.as_str()
        })
    }
}

#[derive(Deserialize)]
struct StatusHead {
    conditions: Vec<ConditionHead>,
}

#[derive(Deserialize)]
struct ConditionHead {
    #[serde(rename = "type")]
    type_: String,
    reason: String,
}

/// The metadata that is used. All other fields are skipped.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UsedMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    generation: Option<i64>,
    resource_version: Option<String>,
    deletion_timestamp: Option<Time>,
    owner_references: Vec<OwnerReference>,
}

impl From<UsedMetadata> for ObjectMeta {
    fn from(used: UsedMetadata) -> Self {
        used_metadata(Self {
            name: used.name,
            namespace: used.namespace,
            uid: used.uid,
            generation: used.generation,
            resource_version: used.resource_version,
            deletion_timestamp: used.deletion_timestamp,
            owner_references: Some(used.owner_references),
            ..Self::default()
        })
    }
}

/// The metadata that is used.
pub(super) fn used_metadata(metadata: ObjectMeta) -> ObjectMeta {
    let is_short = |owner: &&OwnerReference| {
        let OwnerReference { api_version, kind, name, uid, .. } = owner;
        [api_version, kind, name, uid].iter().map(|text| text.len()).sum::<usize>() <= LONGEST_OWNER
    };
    let controller = owner::controller(&metadata).filter(is_short).cloned();
    ObjectMeta {
        owner_references: controller.map(|controller| vec![controller]),
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        generation: metadata.generation,
        resource_version: metadata.resource_version,
        deletion_timestamp: metadata.deletion_timestamp,
        ..ObjectMeta::default()
    }
}

impl Kept for CaasAccount {
    type Object = Self;

    const LARGEST: usize = 64 << 10;

    fn keep(object: Self) -> Self {
        Self { metadata: used_metadata(object.metadata), ..object }
    }
}

impl<K: Resource + Clone> Resource for Watched<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.as_ref().map_or_else(|unusable| &unusable.metadata, |object| object.meta())
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.object {
            Ok(object) => Arc::make_mut(object).meta_mut(),
            Err(unusable) => &mut unusable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::{Value, json};

    use super::*;

    type Account = Watched<CaasAccount>;

    fn object() -> Value {
        json!({
            "apiVersion": "caas-operator.io/v1alpha1",
            "kind": "CaasAccount",
            "metadata": {
                "name": "acme", "namespace": "team-a", "uid": "u", "generation": 3, "resourceVersion": "17",
                "labels": {"a": "b"}, "annotations": {"a": "b"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
            },
            "spec": {
                "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
                "credentials": {"secretRef": {"name": "acme-alauda"}},
            },
            "status": {"services": 7},
        })
    }

    fn large() -> Value {
        let mut large = object();
        let labels = (0..10_000).map(|number| (format!("label-{number}"), json!("x")));
        large["metadata"]["labels"] = Value::Object(labels.collect());
        large
    }

    fn read(object: &Value) -> Account {
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn labels_annotations_and_who_wrote_them_are_not_kept_and_what_is_used_is() {
        let account = read(&object()).object.unwrap();
        let kept = json!({
            "name": "acme", "namespace": "team-a", "uid": "u", "generation": 3, "resourceVersion": "17",
        });
        assert_eq!(serde_json::to_value(&account.metadata).unwrap(), kept);
        assert_eq!(account.status.as_ref().unwrap().services, Some(7));
        assert_eq!(account.spec.credentials.secret_ref.name, "acme-alauda");
    }

    #[test]
    fn of_an_object_above_the_limit_only_its_name_stays_and_whether_it_was_told() {
        let mut large = large();
        for is_told in [false, true] {
            let unusable = read(&large).object.unwrap_err();
            let ObjectProblem::TooLarge { over: None, is_reported } = unusable.problem else {
                panic!("{unusable:?}")
            };
            assert_eq!(is_reported, is_told);
            assert_eq!(unusable.metadata, read(&object()).meta().clone());
            large["status"] = json!({"conditions": [{"type": "Collecting", "reason": "ObjectTooLarge"}]});
        }
        large["status"] = json!("of another version");
        assert!(matches!(
            read(&large).object.unwrap_err().problem,
            ObjectProblem::TooLarge { is_reported: false, .. }
        ));
    }

    #[test]
    fn an_owner_of_many_bytes_is_not_kept_either() {
        let mut object = large();
        for (length, is_kept) in [(100, true), (100_000, false)] {
            let reference = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "x".repeat(length), "uid": "u", "controller": true,
            });
            object["metadata"]["ownerReferences"] = json!([reference]);
            assert_eq!(read(&object).meta().owner_references.is_some(), is_kept, "{length}");
        }
    }

    #[test]
    fn an_object_that_cannot_be_read_costs_itself_only_whether_it_is_listed_or_watched() {
        let mut broken = object();
        broken["spec"] = json!({"provider": "x".repeat(10_000)});
        let list = json!({
            "apiVersion": "caas-operator.io/v1alpha1", "kind": "CaasAccountList",
            "metadata": {"resourceVersion": "1"}, "items": [broken, object(), large()],
        });
        let list: ObjectList<Account> = serde_json::from_str(&list.to_string()).unwrap();
        let ObjectProblem::Unreadable(error) = &list.items[0].object.as_ref().unwrap_err().problem else {
            panic!("{list:?}")
        };
        assert!(error.len() <= LONGEST_ERROR, "{error}");
        assert!(list.items[1].object.is_ok());
        assert!(list.items.iter().all(|item| item.meta().name.as_deref() == Some("acme")));

        // As the API server writes it: the type comes first.
        let event = format!(r#"{{"type": "MODIFIED", "object": {}}}"#, large());
        let WatchEvent::Modified(watched) = serde_json::from_str::<WatchEvent<Account>>(&event).unwrap()
        else {
            panic!("{event}")
        };
        assert_eq!(watched.meta().resource_version.as_deref(), Some("17"));
    }
}
