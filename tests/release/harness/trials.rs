//! The tests by world, and how they run: outside every world once, inside in the world's own way. Each world is a
//! process with a cluster of its own.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use super::inside;
use super::world::World;
use crate::control::until;
use crate::{
    alerts, dashboards, discovery, lifecycle, manifests, namespaces, permissions, selection, series,
};

/// The release as most people install it; its tests look at it side by side.
const INSTALLED: &str = "installed";

/// Releases that come, change and go, one test after another.
const LIFECYCLE: &str = "lifecycle";

/// Tests that run at once: they wait for scrapes most of the time.
const AT_ONCE: usize = 4;

/// No test of a world takes as long as this.
const LONGEST: Duration = Duration::from_secs(1800);

/// Tests of this world that have not ended.
static OPEN: AtomicUsize = AtomicUsize::new(0);

macro_rules! trials {
    ($($scenario:path),* $(,)?) => { vec![$(trial(stringify!($scenario), $scenario)),*] };
}

fn of_world(world: &str) -> Vec<Trial> {
    match world {
        INSTALLED => trials![
            series::an_account_becomes_series_with_exactly_the_documented_labels,
            series::values_are_those_of_the_cloud,
            series::the_articles_questions_are_answered_by_names_of_both_times,
            series::a_service_new_in_the_cloud_appears_and_one_that_is_gone_goes,
            series::a_deleted_account_is_scraped_no_more,
            selection::a_tenants_release_label_is_what_a_prometheus_selects_by,
            selection::a_prometheus_in_two_shards_scrapes_each_account_once,
            selection::each_shard_knows_the_operator_so_that_none_takes_it_for_down,
            discovery::a_plain_prometheus_has_the_same_series_through_http_sd,
            alerts::revoking_an_account_in_its_cloud_fires_the_alert_until_it_is_restored,
            dashboards::every_variable_and_every_query_of_every_dashboard_has_an_answer,
            manifests::every_way_to_install_the_chart_is_valid_to_the_api_server,
            permissions::teams_look_after_their_own_accounts_and_viewers_only_look,
            // Last: it looks back at what the others made the operator do.
            permissions::the_operator_uses_what_it_is_granted_and_asks_for_nothing_more,
        ],
        LIFECYCLE => trials![
            // First: it is the one before Prometheus Operator is there.
            lifecycle::prometheus_operator_may_come_after_the_operator,
            lifecycle::an_operator_of_some_namespaces_leaves_the_others_alone,
            lifecycle::an_upgrade_keeps_accounts_and_series_with_at_most_one_scrape_missed,
            lifecycle::a_definition_that_kubectl_installed_is_taken_over_and_upgraded,
            lifecycle::an_uninstalled_release_leaves_accounts_and_a_new_one_picks_them_up,
            lifecycle::nothing_stays_where_definitions_are_not_kept,
        ],
        _ => trials![],
    }
}

/// The program: outside it enters each world, inside it runs that world's tests.
pub(crate) fn run() -> ExitCode {
    let mut args = Arguments::from_args();
    if let Some(world) = inside::world() {
        let at_once = if world == INSTALLED { AT_ONCE } else { 1 };
        args.test_threads.get_or_insert(at_once);
        return libtest_mimic::run(&args, of_world(&world)).exit_code();
    }
    let worlds = [INSTALLED, LIFECYCLE];
    let runs_any = args.include_ignored || args.ignored;
    if args.list || !runs_any {
        let all = worlds.into_iter().flat_map(of_world).collect();
        return libtest_mimic::run(&args, all).exit_code();
    }
    if let Err(missing) = namespaces::possible() {
        eprintln!("the tests of a release did not run, since they need namespaces of their own: {missing}");
        return ExitCode::FAILURE;
    }
    let mut code = ExitCode::SUCCESS;
    for world in worlds {
        match inside::enter(world) {
            Ok(ended) if ended == ExitCode::SUCCESS => {}
            Ok(ended) => code = ended,
            Err(error) => {
                eprintln!("the tests of the world {world} did not run: {error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// A test that has not ended.
struct Open;

impl Open {
    fn begin() -> Self {
        OPEN.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until the test that asks is the only one left: for the last of a world, which looks back at all of them.
pub(crate) async fn others_are_over() {
    until(LONGEST, "the other tests to end", async || {
        let open = OPEN.load(Ordering::SeqCst);
        ensure!(open == 1, "{open} tests run");
        Ok(())
    })
    .await;
}

/// Needs the real servers, so it is left out unless asked for, as by `make test`.
fn trial<F>(name: &'static str, scenario: F) -> Trial
where
    F: AsyncFn(&'static World) + Send + 'static,
{
    let run = move || {
        let _open = Open::begin();
        let world = runtime().block_on(World::here());
        let started = Instant::now();
        runtime().block_on(scenario(world));
        println!("{name}: {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(true)
}

/// One for the whole process: the world's tasks outlive each test.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}
