//! The tests by environment, and how they run. Each environment is a process with a cluster of its own.

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
    alerts, dashboards, discovery, documented, lifecycle, manifests, namespaces, permissions, scrape_config,
    selection, series, top,
};

/// The release as most people install it; its tests run side by side.
const INSTALLED: &str = "installed";

/// Releases that are installed, changed and removed, one test after another.
const LIFECYCLE: &str = "lifecycle";

/// The pages, followed from an empty cluster.
const PAGES: &str = "pages";

/// Tests that run at once: they wait for scrapes most of the time.
const AT_ONCE: usize = 4;

/// No test takes as long as this.
const LONGEST: Duration = Duration::from_secs(1800);

/// Tests of this environment that have not finished.
static OPEN: AtomicUsize = AtomicUsize::new(0);

macro_rules! trials {
    ($($scenario:path),* $(,)?) => { vec![$(trial(stringify!($scenario), $scenario)),*] };
}

fn of_world(world: &str) -> Vec<Trial> {
    match world {
        INSTALLED => trials![
            series::an_account_has_series_with_exactly_the_documented_labels,
            series::values_equal_those_of_the_cloud,
            series::the_queries_of_2015_are_answered_under_modern_and_legacy_names,
            series::a_new_service_appears_and_a_removed_one_disappears,
            series::a_deleted_account_is_no_longer_scraped,
            selection::a_prometheus_selects_accounts_by_the_label_that_a_tenant_sets,
            selection::a_prometheus_in_two_shards_scrapes_each_account_once,
            selection::each_shard_scrapes_the_operator_and_none_alerts_that_it_is_down,
            discovery::a_plain_prometheus_has_the_same_series_through_http_sd,
            scrape_config::a_scrape_config_finds_each_account_in_one_shard_with_the_series_of_its_service_monitor,
            alerts::revoking_an_account_in_its_cloud_fires_the_alert_until_it_is_restored,
            dashboards::every_variable_and_every_query_of_every_dashboard_has_an_answer,
            manifests::every_way_to_install_the_chart_is_valid_to_the_api_server,
            top::top_asks_the_operator_through_the_api_server_as_far_as_rights_allow,
            permissions::editors_manage_the_accounts_of_their_namespace_and_viewers_only_read_them,
            // Last: it checks what all the others made the operator do.
            permissions::the_operator_uses_every_permission_and_requests_no_other,
        ],
        LIFECYCLE => trials![
            // First: it needs a cluster without Prometheus Operator.
            lifecycle::prometheus_operator_may_be_installed_after_the_operator,
            lifecycle::an_operator_of_some_namespaces_ignores_the_others,
            lifecycle::an_upgrade_keeps_accounts_and_series_with_at_most_one_scrape_missed,
            lifecycle::a_crd_that_kubectl_installed_is_adopted_and_upgraded,
            scrape_config::a_release_with_a_scrape_config_has_no_service_monitors_and_back,
            lifecycle::an_uninstalled_release_leaves_accounts_and_a_new_one_adopts_them,
            lifecycle::nothing_remains_if_the_crd_is_not_kept,
        ],
        PAGES => trials![
            documented::every_command_of_the_pages_succeeds_as_it_is_written,
            documented::every_manifest_of_the_pages_is_accepted,
        ],
        _ => trials![],
    }
}

/// The program: outside, it enters each environment; inside, it runs that environment's tests.
pub(crate) fn run() -> ExitCode {
    let mut args = Arguments::from_args();
    if let Some(world) = inside::world() {
        let at_once = if world == INSTALLED { AT_ONCE } else { 1 };
        args.test_threads.get_or_insert(at_once);
        return libtest_mimic::run(&args, of_world(&world)).exit_code();
    }
    let worlds = [INSTALLED, LIFECYCLE, PAGES];
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

/// A test that has not finished.
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

/// Waits until the calling test is the only one left, for the last one, which checks what all others did.
pub(crate) async fn others_are_over() {
    until(LONGEST, "the other tests to end", async || {
        let open = OPEN.load(Ordering::SeqCst);
        ensure!(open == 1, "{open} tests run");
        Ok(())
    })
    .await;
}

/// Needs the real servers, so it is ignored unless requested, as by `make test`.
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

/// One for the whole process: shared tasks outlive each test.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}
