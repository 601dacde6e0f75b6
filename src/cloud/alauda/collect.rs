//! One cycle: pages of services, instances where the pages do not tell them, the newest sample of each instance.
//!
//! Everything is a job in one queue, of which as many run at once as the account may have in flight. A page's samples
//! are asked for while the next page is under way.

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::cycle::{Answer, Ask, Cycle};
use super::{Alauda, PAGES, points, wire};
use crate::cloud::{CloudError, Collection, ServiceFilter};

/// The most bytes of a page of services.
pub(super) const MOST_PAGE_BYTES: usize = 16 << 20;
/// The most bytes of a service's list of instances.
const MOST_LIST_BYTES: usize = 4 << 20;
/// The most bytes of an instance's points.
const MOST_POINTS_BYTES: usize = 1 << 20;

/// Runs one cycle. Dropping the future drops the requests under way.
pub(super) async fn collect(cloud: &Alauda, filter: &ServiceFilter) -> Result<Collection, CloudError> {
    let settings = &cloud.settings;
    cloud.client.policy().check_endpoint(&settings.endpoint)?;
    let first = wire::services_url(&settings.endpoint, &settings.namespace)?;
    let at_once = cloud.client.limits().max_concurrent.max(1);

    let mut cycle = Cycle::new(settings, first, at_once);
    let mut running = FuturesUnordered::new();
    let stopped = loop {
        while running.len() < at_once
            && let Some(ask) = cycle.next()
        {
            running.push(run(cloud, filter, ask));
        }
        let Some(answer) = running.next().await else { break None };
        if let Err(error) = cycle.take(answer) {
            break Some(error);
        }
    };
    // Where the cycle stopped early, requests may still be under way: they end here.
    drop(running);
    cycle.finish(stopped)
}

async fn run(cloud: &Alauda, filter: &ServiceFilter, ask: Ask) -> Answer {
    match ask {
        Ask::Page(url, room) => {
            let read = |body: &[u8]| wire::services(body, |name| filter.wants(name), room);
            let page = cloud.ask(PAGES, url.clone(), MOST_PAGE_BYTES, read).await;
            Answer::Page(url, page)
        }
        Ask::Instances(service, url, room) => {
            let read = |body: &[u8]| wire::instances(body, room);
            let list = cloud.ask("instances", url, MOST_LIST_BYTES, read).await;
            Answer::Instances(service, list)
        }
        Ask::Sample(service, instance, url) => {
            let reading = cloud.ask("metrics", url, MOST_POINTS_BYTES, points::newest).await;
            Answer::Sample(service, instance, reading)
        }
    }
}
