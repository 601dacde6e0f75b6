//! What is kept of an account from one cycle to the next, because it is not asked for in each: restarts, the health that
//! was last read, and the sizes of instances.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cost::{CYCLES_PER_RESTARTS, SIZES_EVERY};
use super::points::{Metric, RESOLUTION};
use super::wire::{AppHealth, ComponentHealth, Sizes};
use crate::cloud::kit::point::Point;
use crate::cloud::kit::{Arrivals, KeptBytes, Moment, entry_bytes};
use crate::cloud::model::Limits;

/// What earlier cycles found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// How many cycles came before.
    pub(super) cycles: u64,
    /// The sizes, and when they were read.
    pub(super) sizes: Option<(Instant, Arc<Sizes>)>,
    /// By the app's id.
    pub(super) apps: HashMap<String, KeptApp>,
}

/// What is kept of an app.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptApp {
    /// The restarts of each instance by its name, which is unique for the instance's life; `None` where the cloud had
    /// none. Aliases would not do: the next instance takes them over. `None` where they could not be read.
    pub(super) restarts: Option<Arc<HashMap<String, Option<Point>>>>,
    /// The health that was last read, and when.
    pub(super) health: Option<(Instant, Arc<AppHealth>)>,
    /// When the next points of each metric can be there, in the order of [`Metric::ALL`](super::points::Metric::ALL).
    pub(super) arrivals: [Arrivals; 3],
}

impl KeptBytes for Kept {
    fn kept_bytes(&self) -> usize {
        let sizes = self.sizes.iter().flat_map(|(_, sizes)| sizes.keys());
        let sizes: usize = sizes.map(|size| entry_bytes::<Limits>(size.len())).sum();
        let app = |(id, app): (&String, &KeptApp)| {
            let restarts = app.restarts.iter().flat_map(|restarts| restarts.keys());
            let restarts: usize = restarts.map(|name| entry_bytes::<Option<Point>>(name.len())).sum();
            let health = app.health.iter().flat_map(|(_, health)| health.keys());
            let health: usize = health.map(|name| entry_bytes::<ComponentHealth>(name.len())).sum();
            entry_bytes::<KeptApp>(id.len()) + restarts + health
        };
        self.apps.iter().map(app).sum::<usize>() + sizes
    }
}

impl Kept {
    /// Whether the sizes are asked for.
    pub(super) fn sizes_are_due(&self, now: Instant) -> bool {
        self.sizes.as_ref().is_none_or(|(at, _)| now.duration_since(*at) >= SIZES_EVERY)
    }

    /// The restarts of an app's instances, unless they are asked for in this cycle: every so many cycles if newer ones can be
    /// there, and at once where an instance is new. Each app has its own turn, so that no cycle asks for those of all apps.
    pub(super) fn restarts<'a>(
        &self,
        app: &str,
        now: Moment,
        mut instances: impl Iterator<Item = &'a str>,
    ) -> Option<Arc<HashMap<String, Option<Point>>>> {
        let mut hasher = DefaultHasher::new();
        app.hash(&mut hasher);
        let is_its_turn =
            (self.cycles.wrapping_add(hasher.finish())).is_multiple_of(u64::from(CYCLES_PER_RESTARTS));
        let KeptApp { restarts, arrivals, .. } = self.apps.get(app)?;
        let kept = restarts.as_ref()?;
        let knows_all = instances.all(|instance| kept.contains_key(instance));
        let is_due = is_its_turn && arrivals[Metric::Restarts as usize].is_due(now, RESOLUTION);
        (!is_due && knows_all).then(|| Arc::clone(kept))
    }

    /// The health that was last read of an app, unless it is older than this.
    pub(super) fn health(
        &self,
        app: &str,
        now: Instant,
        max_age: Duration,
    ) -> Option<&(Instant, Arc<AppHealth>)> {
        self.apps.get(app)?.health.as_ref().filter(|(at, _)| now.duration_since(*at) < max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cycles: u64) -> Kept {
        let restarts = HashMap::from([("api-1".to_owned(), None)]);
        let app = KeptApp { restarts: Some(Arc::new(restarts)), ..KeptApp::default() };
        let apps = (0..100).map(|number| (format!("app-{number}"), app.clone())).collect();
        Kept { cycles, apps, ..Kept::default() }
    }

    fn asked(kept: &Kept, instances: &[&str]) -> Vec<String> {
        let is_asked = |app: &&String| kept.restarts(app, Moment::now(), instances.iter().copied()).is_none();
        let mut asked: Vec<String> = kept.apps.keys().filter(is_asked).cloned().collect();
        asked.sort();
        asked
    }

    #[test]
    fn the_restarts_of_all_instances_count_with_all_else_that_is_kept() {
        let bytes = |instances: usize| {
            let restarts = (0..instances).map(|number| (format!("{number:0>100}"), None)).collect();
            let app = KeptApp { restarts: Some(Arc::new(restarts)), ..KeptApp::default() };
            Kept { apps: [("app".to_owned(), app)].into(), ..Kept::default() }.kept_bytes()
        };
        let of_restarts = bytes(10_000) - bytes(0);
        assert!(
            (10_000 * 170..10_000 * 300).contains(&of_restarts),
            "{of_restarts} bytes of 10,000 restarts"
        );
    }

    #[test]
    fn each_app_is_asked_for_its_restarts_once_in_five_cycles_and_about_a_fifth_of_them_in_each() {
        let cycles: Vec<_> = (0..5).map(|cycle| asked(&kept(cycle), &["api-1"])).collect();
        assert!(cycles.iter().all(|asked| (5..40).contains(&asked.len())), "{cycles:?}");
        let mut all = cycles.concat();
        all.sort();
        assert_eq!(all.len(), 100);
        all.dedup();
        assert_eq!(all.len(), 100, "each app once");
        assert_eq!(asked(&kept(5), &["api-1"]), cycles[0]);
    }

    #[test]
    fn restarts_are_not_asked_for_before_newer_ones_can_be_there() {
        let mut kept = kept(0);
        let turn = asked(&kept, &["api-1"]);
        for app in kept.apps.values_mut() {
            let now = Moment::now();
            app.arrivals[Metric::Restarts as usize].answered(now, RESOLUTION, Some(now.wall));
        }
        assert!(!turn.is_empty() && asked(&kept, &["api-1"]).is_empty());
        assert_eq!(asked(&kept, &["api-2"]).len(), 100, "but of a new instance");
    }

    #[test]
    fn restarts_of_a_new_instance_are_asked_for_at_once() {
        assert_eq!(asked(&kept(1), &["api-1", "api-2"]).len(), 100);
        assert!(
            Kept::default().restarts("app-1", Moment::now(), std::iter::empty()).is_none(),
            "of a new app too"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn sizes_are_asked_for_once_a_day_and_health_is_kept_for_a_while() {
        let mut kept = Kept::default();
        let start = Instant::now();
        assert!(kept.sizes_are_due(start));
        kept.sizes = Some((start, Arc::default()));
        let app = KeptApp { health: Some((start, Arc::default())), ..KeptApp::default() };
        kept.apps.insert("shop".to_owned(), app);
        let max_age = Duration::from_secs(600);
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(!kept.sizes_are_due(later(86_399)) && kept.sizes_are_due(later(86_400)));
        assert!(kept.health("shop", later(599), max_age).is_some());
        assert!(kept.health("shop", later(600), max_age).is_none());
    }
}
