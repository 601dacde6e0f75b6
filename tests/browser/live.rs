//! A page follows what is collected, without losing what its reader does, and says when nobody answers.

use caas_operator::cloud::model::State;
use caas_operator::collector::health::Health;
use serde_json::json;

use crate::browser::Browser;
use crate::clouds::{Clouds, service};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_change_is_shown_and_focus_scroll_and_open_details_stay() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 300).await;
    tab.open(&clouds.url("/accounts/team-a/acme?sort=name")).await;
    tab.click(".promql summary").await;
    for _ in 0..4 {
        tab.press("j").await;
    }
    let before = tab.eval("[document.activeElement.textContent, scrollY]").await;
    assert_eq!(before[0], "mailer");
    assert!(before[1].as_f64().unwrap() > 0.0, "{before}");
    tab.eval("void (document.activeElement.mark = true)").await;

    let mut services: Vec<_> =
        ["billing", "checkout", "mailer", "search", "web"].map(|name| service(name, 3)).into();
    services[1].0.state = Some(State::Stopped);
    services.push(service("brand-new", 1));
    clouds.publish("team-a", "acme", services, Health::Collected);
    tab.until("document.querySelector('main').innerText.includes('brand-new')").await;

    let names = "[...document.querySelectorAll('tbody .row')].map(one => one.textContent).join(' ')";
    assert_eq!(tab.eval(names).await, "billing brand-new checkout mailer search web");
    assert!(tab.text("tr[id*='services/checkout']").await.contains("stopped"));
    let after = "[document.activeElement.textContent, document.activeElement.mark, document.querySelector('.promql').open]";
    assert_eq!(tab.eval(after).await, json!(["mailer", true, true]), "the very element stays");
    assert_eq!(tab.eval("scrollY").await, before[1]);
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn without_an_answer_the_page_says_so_and_recovers_by_itself() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/")).await;
    tab.call("Network.enable", json!({})).await;
    let network = async |offline: bool| {
        let conditions =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        tab.call("Network.emulateNetworkConditions", conditions).await;
    };
    network(true).await;
    tab.until("!document.getElementById('away').hidden").await;
    assert!(tab.text("#away").await.starts_with("No response for 1"));
    assert!(tab.text("main").await.contains("Problems"), "what was there stays");
    network(false).await;
    tab.until("document.getElementById('away').hidden").await;
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_problem_appears_by_itself() {
    let (clouds, browser) = (Clouds::large(1, 2, 2).await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/")).await;
    assert!(tab.text("main").await.contains("No problems in 2 services"));
    let mut services: Vec<_> = ["service-0000", "service-0001"].map(|name| service(name, 2)).into();
    services[1].0.running_instances = Some(1);
    clouds.publish("team-a", "account-00", services, Health::Collected);
    tab.until("document.querySelector('.problems')?.innerText.includes('1 of 2 instances running')").await;
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_service_that_goes_is_said_to_be_gone() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/accounts/team-a/acme/services/web?application=shop")).await;
    clouds.publish("team-a", "acme", vec![], Health::Collected);
    tab.until("document.getElementById('away').innerText.includes('no longer exists')").await;
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn an_unchanged_page_costs_a_request_without_a_body() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/services")).await;
    let requests = "performance.getEntriesByType('resource').filter(one => one.initiatorType === 'fetch')";
    // The first one has no tag yet.
    tab.until(&format!("{requests}.length >= 2")).await;
    let last = tab
        .eval(&format!(
            "(({{responseStatus, encodedBodySize}}) => [responseStatus, encodedBodySize])({requests}[1])"
        ))
        .await;
    assert_eq!(last, json!([304, 0]));
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_page_that_nobody_sees_asks_for_nothing_until_it_is_seen_again() {
    let (clouds, browser) = (Clouds::large(1, 2, 2).await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/")).await;
    let asked =
        "performance.getEntriesByType('resource').filter(one => one.initiatorType === 'fetch').length";
    tab.until(&format!("{asked} >= 1")).await;
    tab.minimize(true).await;
    let before = tab.eval(asked).await;
    let mut services: Vec<_> = ["service-0000", "service-0001"].map(|name| service(name, 2)).into();
    services[1].0.running_instances = Some(1);
    clouds.publish("team-a", "account-00", services, Health::Collected);
    // Two periods and more, after which a page that is seen would also complain.
    tab.until("Number(document.getElementById('live').textContent.match(/\\d+/)[0]) >= 13").await;
    assert_eq!(tab.eval(asked).await, before, "it has asked");
    assert_eq!(tab.eval("document.getElementById('away').hidden").await, true);
    assert!(tab.text("main").await.contains("No problems"), "nothing new");

    tab.minimize(false).await;
    tab.until("document.querySelector('.problems')?.innerText.includes('1 of 2 instances running')").await;
    tab.close().await;
}
