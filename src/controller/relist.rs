//! What a new list of a watch changes. Watches list anew every few minutes, and what has the version that the store has
//! needs no reconcile.

use std::collections::HashMap;
use std::hash::Hash;

use kube::Resource;
use kube::core::ObjectMeta;
use kube::runtime::reflector::Store;

/// Namespace and name.
type Key = (Option<String>, Option<String>);

/// A list that is being received, compared with what was in the store before it.
#[derive(Default)]
pub(super) struct Relist {
    /// The versions of the objects before, without those that the list has had so far.
    before: HashMap<Key, Option<String>>,
    changed: Vec<ObjectMeta>,
}

impl Relist {
    /// Begins a list, while the store holds what was there before.
    pub(super) fn begin<K>(store: &Store<K>) -> Self
    where
        K: Resource + Clone + 'static,
        K::DynamicType: Eq + Hash + Clone,
    {
        let version = |object: &K| (key(object.meta()), object.meta().resource_version.clone());
        Self { before: store.state().iter().map(|object| version(object)).collect(), changed: Vec::new() }
    }

    /// Takes in an object of the list.
    pub(super) fn listed(&mut self, object: &ObjectMeta) {
        let before = self.before.remove(&key(object));
        if object.resource_version.is_none() || before != Some(object.resource_version.clone()) {
            self.changed(object);
        }
    }

    /// Takes in an object of the list that has changed although its version may be the same.
    pub(super) fn changed(&mut self, object: &ObjectMeta) {
        self.before.remove(&key(object));
        self.changed.push(named(key(object)));
    }

    /// Ends the list. The names of the objects that are new or have another version, and then of those that are gone.
    pub(super) fn end(self) -> impl Iterator<Item = ObjectMeta> {
        self.changed.into_iter().chain(self.before.into_keys().map(named))
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone(), metadata.name.clone())
}

fn named((namespace, name): Key) -> ObjectMeta {
    ObjectMeta { namespace, name, ..ObjectMeta::default() }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("team-a".to_owned());
        object.metadata.name = Some(name.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    #[test]
    fn only_objects_that_are_new_gone_or_of_another_version_are_named() {
        let (store, mut writer) = reflector::store();
        for unchanged in [object("same", "1"), object("changed", "1"), object("gone", "1")] {
            writer.apply_watcher_event(&Event::Apply(unchanged));
        }
        let mut relist = Relist::begin(&store);
        for listed in [object("same", "1"), object("changed", "2"), object("new", "1")] {
            relist.listed(listed.meta());
        }
        let named: Vec<String> = relist.end().filter_map(|metadata| metadata.name).collect();
        assert_eq!(named, ["changed", "new", "gone"]);
    }
}
