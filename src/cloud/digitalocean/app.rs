//! An app as far as a cycle knows it, and what came of its instances' metrics. Pure.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tokio::time::Instant;

use super::facts::Phases;
use super::points::{Metric, Points};
use super::wire::AppHealth;
use crate::cloud::kit::Arrivals;
use crate::cloud::kit::point::Point;
use crate::cloud::model::{InstanceFacts, MeasurementSet, Reading, Sample};

/// An app as far as it is known.
pub(super) struct PartialApp {
    pub(super) id: String,
    pub(super) phases: Phases,
    /// Its components among the services of the cycle.
    pub(super) services: Range<usize>,
    pub(super) health: Option<(Instant, Arc<AppHealth>)>,
    /// The answers to the requests for metrics, in the order of [`Metric::ALL`].
    pub(super) points: [Option<Points>; 3],
    /// When the next points of each metric can be there, in the same order.
    pub(super) arrivals: [Arrivals; 3],
    /// What is not asked for, since the last values are the newest.
    pub(super) current: MeasurementSet,
    /// The restarts that an earlier cycle read, where this one does not ask.
    pub(super) restarts: Option<Arc<HashMap<String, Option<Point>>>>,
    /// Requests without a response.
    pub(super) pending: usize,
}

impl PartialApp {
    /// What came of an instance's metrics. Its restarts are added to those that the next cycle knows.
    pub(super) fn reading(
        &self,
        component: &str,
        instance: &InstanceFacts,
        alias_is_its_own: bool,
        restarts: &mut HashMap<String, Option<Point>>,
    ) -> Reading {
        let (mut sample, mut unread) = (Sample::builder(), MeasurementSet::NONE);
        for (metric, points) in Metric::ALL.into_iter().zip(&self.points) {
            let (measurement, scale) = metric.measurement();
            let earlier = self.restarts.as_ref().filter(|_| metric == Metric::Restarts);
            let point = match (points, earlier) {
                (Some(points), _) => points.get(component, &instance.name).filter(|_| alias_is_its_own),
                (None, Some(earlier)) => earlier.get(&instance.id).copied().flatten(),
                (None, None) if self.current.contains(measurement) => continue,
                (None, None) => {
                    unread = unread.union(MeasurementSet::of(&[measurement]));
                    continue;
                }
            };
            if metric == Metric::Restarts {
                restarts.insert(instance.id.clone(), point);
            }
            if let Some(Point { time, value }) = point {
                sample.add(measurement, scale, value, time);
            }
        }
        let sample = sample.build();
        let sample = (!sample.is_empty()).then_some(sample);
        Reading { sample, unread, current: self.current, error: None }
    }
}
