//! What is kept of an account from one cycle to the next, because it is not asked for in each: limits, bandwidth, when
//! instances were created, and the instances themselves while their metrics cannot be read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use tokio::time::Instant;

use super::cost::SLOW_FACTS_EVERY;
use super::instances::InstanceList;
use crate::cloud::kit::point::Point;
use crate::cloud::kit::{Arrivals, KeptBytes, entry_bytes, instance_bytes};
use crate::cloud::model::{InstanceFacts, Limits};

/// What earlier cycles found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// The time of the newest point of an instance, in seconds since the epoch.
    pub(super) newest: Option<f64>,
    /// By the service's id.
    pub(super) services: HashMap<String, KeptService>,
}

impl KeptBytes for Kept {
    fn kept_bytes(&self) -> usize {
        self.services.iter().map(|(id, service)| id.len() + service.bytes()).sum()
    }
}

impl Kept {
    /// What is kept of the service of this id; nothing where it is new.
    pub(super) fn service(&self, id: &str) -> &KeptService {
        static NOTHING: LazyLock<KeptService> = LazyLock::new(KeptService::default);
        self.services.get(id).unwrap_or(&NOTHING)
    }
}

/// What is kept of a service.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptService {
    /// The instances that were present last, and when.
    pub(super) instances: Option<(Instant, Vec<Arc<InstanceFacts>>)>,
    /// What its instances may use, by their ids, and when that was read. Empty limits are those that the cloud has not.
    pub(super) limits: Option<(Instant, Arc<HashMap<String, Limits>>)>,
    /// When its instances were created.
    pub(super) list: Option<Arc<InstanceList>>,
    /// The instances that a list was asked for, and when: one that no list has is not asked for in each cycle.
    pub(super) asked: Option<(Instant, Arc<HashSet<String>>)>,
    /// Its bandwidth, once that was read.
    pub(super) bandwidth: Option<KnownBandwidth>,
    /// When the next points of its instances can be there.
    pub(super) usage: Arrivals,
    /// The same of its requests and latency.
    pub(super) http: Arrivals,
}

/// The bandwidth of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct KnownBandwidth {
    /// When it was read.
    pub(super) read_at: Instant,
    /// The bytes a second of the newest hour that is over, if there are any.
    pub(super) point: Option<Point>,
}

impl KeptService {
    /// What it takes without its key's text.
    fn bytes(&self) -> usize {
        let instances = self.instances.iter().flat_map(|(_, instances)| instances);
        let instances: usize = instances.map(|instance| instance_bytes(instance)).sum();
        let limits = self.limits.iter().flat_map(|(_, limits)| limits.keys());
        let limits: usize = limits.map(|id| entry_bytes::<Limits>(id.len())).sum();
        let created = self.list.iter().flat_map(|list| list.created.keys());
        let created: usize = created.map(|id| entry_bytes::<Option<f64>>(id.len())).sum();
        let asked = self.asked.iter().flat_map(|(_, ids)| ids.iter());
        let asked: usize = asked.map(|id| entry_bytes::<()>(id.len())).sum();
        entry_bytes::<Self>(0) + instances + limits + created + asked
    }

    /// Whether limits are to be asked for: in a while again, and at once for an instance whose limits were not.
    pub(super) fn limits_are_due<'a>(
        &self,
        now: Instant,
        mut instances: impl Iterator<Item = &'a str>,
    ) -> bool {
        match &self.limits {
            Some((at, limits)) if !is_old(*at, now) => instances.any(|id| !limits.contains_key(id)),
            Some(_) | None => instances.next().is_some(),
        }
    }

    /// Whether the instances are to be listed: one of them is not in the last list, and was not asked for lately.
    pub(super) fn list_is_due<'a>(&self, now: Instant, mut instances: impl Iterator<Item = &'a str>) -> bool {
        let asked = self.asked.as_ref().filter(|(at, _)| !is_old(*at, now)).map(|(_, ids)| ids);
        instances.any(|id| {
            !self.list.as_ref().is_some_and(|list| list.created.contains_key(id))
                && !asked.is_some_and(|asked| asked.contains(id))
        })
    }

    /// Whether the bandwidth is to be asked for.
    pub(super) fn bandwidth_is_due(&self, now: Instant) -> bool {
        self.bandwidth.is_none_or(|bandwidth| is_old(bandwidth.read_at, now))
    }
}

fn is_old(at: Instant, now: Instant) -> bool {
    now.duration_since(at) >= SLOW_FACTS_EVERY
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ids<'a>(ids: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        ids.iter().copied()
    }

    #[tokio::test(start_paused = true)]
    async fn the_instances_that_were_asked_for_count_with_all_else_that_is_kept() {
        let bytes = |asked: usize| {
            let ids = (0..asked).map(|number| format!("{number:0>100}")).collect();
            let service =
                KeptService { asked: Some((Instant::now(), Arc::new(ids))), ..KeptService::default() };
            Kept { services: [("web".to_owned(), service)].into(), ..Kept::default() }.kept_bytes()
        };
        let of_ids = bytes(10_000) - bytes(0);
        assert!((10_000 * 150..10_000 * 250).contains(&of_ids), "{of_ids} bytes of 10,000 ids");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_facts_are_asked_for_every_ten_minutes_and_limits_at_once_for_a_new_instance() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut kept = KeptService::default();
        assert!(kept.limits_are_due(start, ids(&["a"])) && kept.bandwidth_is_due(start));
        assert!(!kept.limits_are_due(start, ids(&[])), "without an instance there is nothing to limit");

        // Also where the cloud had none.
        kept.limits = Some((start, Arc::new([("a".to_owned(), Limits::default())].into())));
        kept.bandwidth = Some(KnownBandwidth { read_at: start, point: None });
        assert!(!kept.limits_are_due(later(599), ids(&["a"])) && !kept.bandwidth_is_due(later(599)));
        assert!(kept.limits_are_due(later(1), ids(&["a", "b"])));
        assert!(kept.limits_are_due(later(600), ids(&["a"])) && kept.bandwidth_is_due(later(600)));
    }

    #[tokio::test(start_paused = true)]
    async fn instances_are_listed_again_when_one_is_new_and_seldom_for_one_that_no_list_has() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut kept = KeptService::default();
        assert!(kept.list_is_due(start, ids(&["a"])) && !kept.list_is_due(start, ids(&[])));
        let created = [("a".to_owned(), None), ("b".to_owned(), None)].into();
        kept.list = Some(Arc::new(InstanceList { at: 1.0, created, is_complete: true }));
        assert!(!kept.list_is_due(start, ids(&["a"])), "that one is gone is no reason");
        assert!(kept.list_is_due(start, ids(&["a", "c"])));
        kept.asked = Some((start, Arc::new(["c".to_owned()].into())));
        assert!(!kept.list_is_due(later(599), ids(&["a", "c"])) && kept.list_is_due(later(1), ids(&["d"])));
        assert!(kept.list_is_due(later(600), ids(&["a", "c"])));
    }
}
