//! What is kept of an account from one cycle to the next, because it is not asked for in each: containers, details of
//! services, and plans.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cost::{CYCLES_PER_CONTAINERS, PLANS_EVERY};
use super::wire::{Details, ListedService, Plans};
use crate::cloud::kit::{KeptBytes, entry_bytes, instance_bytes};
use crate::cloud::model::{InstanceFacts, Limits};

/// What earlier cycles found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// How many cycles came before.
    pub(super) cycles: u64,
    /// The plans, and when they were read.
    pub(super) plans: Option<(Instant, Arc<Plans>)>,
    /// By the ids of project and service.
    pub(super) services: HashMap<ServiceKey, KeptService>,
}

/// A service's project and its own id.
pub(super) type ServiceKey = (String, String);

/// What is kept of a service.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptService {
    /// The deployment that the list named when its details were asked for.
    pub(super) deployment: Deployment,
    /// Its details, and when they were read.
    pub(super) details: Option<(Instant, Arc<Details>)>,
    /// Its containers that have not ended, and when they were listed.
    pub(super) containers: Option<(Instant, Containers)>,
    /// The number of that cycle.
    pub(super) listed_in: u64,
    /// Whether its newest metrics had CPU as a share of a whole that is not known.
    pub(super) cpu_is_share: bool,
    /// The containers that its newest metrics were of.
    pub(super) measured: HashSet<String>,
}

/// The containers of a service that have not ended.
pub(super) type Containers = Vec<Arc<InstanceFacts>>;

/// A deployment as lists tell one from another: its word, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Deployment(Option<String>, Option<String>);

impl Deployment {
    /// The last deployment of a service.
    pub(super) fn of(service: &ListedService) -> Self {
        Self(service.deployment.clone(), service.since.clone())
    }
}

impl KeptBytes for Kept {
    fn kept_bytes(&self) -> usize {
        let plans = self.plans.iter().flat_map(|(_, plans)| plans.keys());
        let plans: usize = plans.map(|id| entry_bytes::<Limits>(id.len())).sum();
        let services = self.services.iter();
        services.map(|((project, id), service)| project.len() + id.len() + service.bytes()).sum::<usize>()
            + plans
    }
}

impl Kept {
    /// Whether the plans are asked for.
    pub(super) fn plans_are_due(&self, now: Instant) -> bool {
        self.plans.as_ref().is_none_or(|(at, _)| now.duration_since(*at) >= PLANS_EVERY)
    }

    /// Whether it is a service's turn to be asked for its containers. Each has its own, so that no cycle asks for those of
    /// all services.
    pub(super) fn is_turn_of(&self, service: &ServiceKey) -> bool {
        let mut hasher = DefaultHasher::new();
        service.hash(&mut hasher);
        self.cycles.wrapping_add(hasher.finish()).is_multiple_of(u64::from(CYCLES_PER_CONTAINERS))
    }
}

impl KeptService {
    /// What it takes without its key's texts.
    fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let Deployment(word, since) = &self.deployment;
        let details = self.details.as_ref().map_or(0, |(_, details)| {
            let Details { plan, region, image, image_tag, .. } = &**details;
            size_of::<Details>() + [plan, region, image, image_tag].map(length).iter().sum::<usize>()
        });
        let containers = self.containers.iter().flat_map(|(_, containers)| containers);
        let containers: usize = containers.map(|container| instance_bytes(container)).sum();
        let measured: usize = self.measured.iter().map(|name| entry_bytes::<()>(name.len())).sum();
        entry_bytes::<(String, Self)>(length(word) + length(since)) + details + containers + measured
    }

    /// Whether containers came or went since the last cycle, as far as the containers of the newest metrics tell.
    ///
    /// One that was measured before without being listed has ended, and one that is listed without being measured has not
    /// been measured yet: neither is a change.
    pub(super) fn has_changed(&self, measured: &HashSet<&str>) -> bool {
        let Some((_, listed)) = &self.containers else { return true };
        let listed: HashSet<&str> = listed.iter().map(|container| container.name.as_str()).collect();
        let came = measured.iter().any(|name| !listed.contains(name) && !self.measured.contains(*name));
        let went = listed.iter().any(|name| self.measured.contains(*name) && !measured.contains(name));
        came || went
    }

    /// Its containers, unless they were listed too long ago. In a cycle between two turns, which has this number, they are taken as
    /// they are, however long the interval is.
    pub(super) fn containers(
        &self,
        now: Instant,
        max_age: Duration,
        between_turns: Option<u64>,
    ) -> Option<&Containers> {
        let (at, containers) = self.containers.as_ref()?;
        let has_missed_none =
            |cycle: u64| cycle.wrapping_sub(self.listed_in) < u64::from(CYCLES_PER_CONTAINERS);
        let is_recent = between_turns.is_some_and(has_missed_none);
        (is_recent || now.duration_since(*at) < max_age).then_some(containers)
    }

    /// Whether any of it was read within that time.
    pub(super) fn was_read_within(&self, now: Instant, time: Duration) -> bool {
        let details = self.details.as_ref().map(|(at, _)| *at);
        let containers = self.containers.as_ref().map(|(at, _)| *at);
        details.max(containers).is_some_and(|at| now.duration_since(at) < time)
    }

    /// Whether its details are asked for, and how urgently: the greater, the more. Those of a service that has none or another deployment
    /// are due before those that are old.
    pub(super) fn details_due(
        &self,
        deployment: &Deployment,
        now: Instant,
        every: Duration,
    ) -> Option<Duration> {
        match &self.details {
            None => Some(Duration::MAX),
            Some(_) if self.deployment != *deployment => Some(Duration::MAX),
            Some((at, _)) => Some(now.duration_since(*at)).filter(|age| *age >= every),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(900);

    fn key(number: usize) -> ServiceKey {
        ("shop".to_owned(), format!("web-{number}"))
    }

    fn kept(listed: &[&str], measured: &[&str]) -> KeptService {
        let container =
            |name: &&str| Arc::new(InstanceFacts { name: (*name).to_owned(), ..InstanceFacts::default() });
        KeptService {
            containers: Some((Instant::now(), listed.iter().map(container).collect())),
            measured: measured.iter().map(|name| (*name).to_owned()).collect(),
            ..KeptService::default()
        }
    }

    #[test]
    fn names_that_only_metrics_have_count_with_all_else_that_is_kept() {
        let bytes = |service| Kept { services: [(key(1), service)].into(), ..Kept::default() }.kept_bytes();
        let name = |number: usize| format!("{number:0>100}");
        let measured = (0..10_000).map(name).collect();
        let of_names =
            bytes(KeptService { measured, ..KeptService::default() }) - bytes(KeptService::default());
        assert!((10_000 * 150..10_000 * 250).contains(&of_names), "{of_names} bytes of 10,000 names");
        assert!(bytes(kept(&["a", "b"], &[])) > bytes(kept(&["a"], &[])));
    }

    #[test]
    fn each_service_is_asked_for_its_containers_in_every_second_cycle_and_about_half_of_them_in_each() {
        let asked = |cycles| -> Vec<usize> {
            let kept = Kept { cycles, ..Kept::default() };
            (0..100).filter(|number| kept.is_turn_of(&key(*number))).collect()
        };
        let (even, odd) = (asked(0), asked(1));
        assert!((30..70).contains(&even.len()), "{}", even.len());
        assert_eq!(even.len() + odd.len(), 100);
        assert!(even.iter().all(|number| !odd.contains(number)));
        assert_eq!(asked(2), even);
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_comes_or_goes_is_news_and_what_was_known_before_is_none() {
        for (listed, before, now, is_news) in [
            (&["a", "b"][..], &["a", "b"][..], &["a", "b"][..], false),
            (&["a", "b"], &["a", "b"], &["a", "b", "c"], true),
            (&["a", "b"], &["a", "b"], &["a"], true),
            // b starts, and has no metrics yet; then it has some.
            (&["a", "b"], &["a"], &["a"], false),
            (&["a", "b"], &["a"], &["a", "b"], false),
            // c has ended, and is in the metrics for a while; then it is not.
            (&["a"], &["a", "c"], &["a", "c"], false),
            (&["a"], &["a", "c"], &["a"], false),
        ] {
            let measured = now.iter().copied().collect();
            assert_eq!(kept(listed, before).has_changed(&measured), is_news, "{listed:?} {before:?} {now:?}");
        }
        assert!(KeptService::default().has_changed(&HashSet::new()), "nothing is listed yet");
    }

    #[tokio::test(start_paused = true)]
    async fn details_are_due_at_first_after_a_deployment_and_after_a_while() {
        let start = Instant::now();
        let deployment = |since: &str| Deployment(Some("COMPLETED".to_owned()), Some(since.to_owned()));
        let mut service = KeptService { deployment: deployment("1"), ..KeptService::default() };
        let due = |service: &KeptService, since, seconds| {
            service.details_due(&deployment(since), start + Duration::from_secs(seconds), EVERY)
        };
        assert_eq!(due(&service, "1", 0), Some(Duration::MAX));
        service.details = Some((start, Arc::default()));
        assert_eq!((due(&service, "1", 899), due(&service, "1", 900)), (None, Some(EVERY)));
        assert_eq!(due(&service, "2", 1), Some(Duration::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn plans_are_asked_for_once_a_day_and_containers_are_kept_for_a_while() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut all = Kept::default();
        assert!(all.plans_are_due(start));
        all.plans = Some((start, Arc::default()));
        assert!(!all.plans_are_due(later(86_399)) && all.plans_are_due(later(86_400)));
        let service = kept(&["a"], &[]);
        assert!(
            service.containers(later(899), EVERY, None).is_some()
                && service.containers(later(900), EVERY, None).is_none()
        );
        let service = KeptService { listed_in: 7, ..service };
        let cycles = u64::from(CYCLES_PER_CONTAINERS);
        let in_cycle = |cycle| service.containers(later(9_000), EVERY, Some(cycle));
        assert!(in_cycle(7 + cycles - 1).is_some(), "the interval is longer");
        // However few of these cycles had the service in their lists.
        assert!(in_cycle(7 + cycles).is_none(), "a turn was missed");
    }
}
