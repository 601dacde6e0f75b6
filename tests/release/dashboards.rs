//! Every dashboard as Grafana would show it: each variable has values, and each query returns data.

use anyhow::{Context, ensure};
use caas_operator::simulator::world::{Service, Status};
use caas_operator::simulator::{Clock, Settings};
use serde_json::{Value, json};

use crate::control::until;
use crate::grafana::{self, asked, filled, listed, query, targets};
use crate::harness::PATIENCE;
use crate::harness::cloud::{Cloud, user};
use crate::harness::hosts::Hosts;
use crate::harness::prometheus::Prometheus;
use crate::harness::tenant::Tenant;
use crate::harness::world::{NAMESPACE, World};

pub(crate) async fn every_variable_and_every_query_of_every_dashboard_has_an_answer(world: &'static World) {
    let (prometheus, team) = (world.released().await, Tenant::new(world, "dashboards").await);
    team.apply_and_wait("acme", &world.cloud, "acme", json!({})).await;
    // A service that lacks instances, as long as it is deployed, which never ends here.
    let deploying = deploying(&world.hosts).await;
    team.apply("unfinished", &deploying, "acme", json!({})).await;
    // So that there is an alert to show.
    team.apply("stranger", &world.cloud, "nobody", json!({})).await;

    let maps = ["--namespace", NAMESPACE, "get", "configmaps", "-l", "grafana_dashboard=1", "-o", "json"];
    let maps: Value = serde_json::from_str(&world.plane.kubectl(&maps).await.unwrap().expect_ok()).unwrap();
    let files = maps["items"].as_array().unwrap().iter().flat_map(|map| map["data"].as_object().unwrap());
    let (mut dashboards, mut queries) = (0, 0);
    for (name, text) in files {
        let dashboard: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        for chosen in [Chosen::All, Chosen::One] {
            let variables = variables(prometheus, &dashboard, &team.namespace, chosen).await;
            for (panel, target) in targets(&dashboard) {
                let query = filled(query(target), pairs(&variables));
                until(PATIENCE, &format!("{name}: {panel}: {query}"), async || {
                    let series = prometheus.query(&query).await?;
                    ensure!(series.iter().any(|series| !series.value.is_nan()), "{series:?}");
                    Ok(())
                })
                .await;
                queries += 1;
            }
        }
        dashboards += 1;
    }
    println!("{dashboards} dashboards, {queries} queries");
    assert_eq!(dashboards, 3);
    assert!(queries > 160);
}

/// A cloud whose clock is fixed at a time when a service has fewer instances than desired.
async fn deploying(hosts: &Hosts) -> Cloud {
    let settings = Settings { accounts: vec![user("acme", 20)], churn: 1.0, ..Settings::default() };
    let cloud = Cloud::start_as(hosts, "deploying", 13, settings.clone()).await.unwrap();
    let (world, now) = (cloud.running.world("acme").unwrap(), cloud.running.now().floor());
    let lacks = |service: Service| service.status == Status::Deploying && service.started < service.target;
    let mut moments = (0..3600).map(|second| now + f64::from(second));
    let moment = moments.find(|moment| world.services(*moment).any(lacks)).unwrap();
    cloud.restart_as(Settings { clock: Clock::fixed(moment), ..settings }).await.unwrap()
}

/// The value of a variable that matches everything.
#[derive(Clone, Copy, PartialEq)]
enum Chosen {
    All,
    One,
}

/// The variables with the values that Grafana would offer; ours if it is among them.
async fn variables(
    prometheus: &Prometheus,
    dashboard: &Value,
    namespace: &str,
    chosen: Chosen,
) -> Vec<(String, String)> {
    let mut known: Vec<(String, String)> = Vec::new();
    for variable in grafana::variables(dashboard) {
        let name = variable["name"].as_str().unwrap();
        if let Some(value) = listed(variable) {
            known.push((name.to_owned(), value.to_owned()));
        }
        let Some((selector, label)) = asked(variable) else { continue };
        let name = name.to_owned();
        let selector = filled(selector, pairs(&known));
        let ours = match name.as_str() {
            "namespace" => Some(namespace),
            "account" => Some("acme"),
            _ => None,
        };
        let stands_for_all = variable["allValue"].as_str().filter(|_| variable["includeAll"] == true);
        if let ("cluster", Some(all)) = (name.as_str(), stands_for_all) {
            // No series here has that label: Grafana offers nothing but all.
            known.push((name, all.to_owned()));
            continue;
        }
        let one = until(PATIENCE, &format!("{label} of {selector}"), async || {
            let path = format!("label/{label}/values");
            let values: Vec<String> = prometheus.get(&path, &[("match[]", &selector)]).await?;
            let one = values.iter().find(|value| ours.is_none_or(|ours| *value == ours));
            one.cloned().with_context(|| format!("{values:?}"))
        })
        .await;
        let value = match (chosen, stands_for_all) {
            (Chosen::All, Some(all)) => all.to_owned(),
            _ => one,
        };
        known.push((name, value));
    }
    known
}

fn pairs(variables: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}
