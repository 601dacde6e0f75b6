//! What is ill is seen at once, and leads on.

use serde_json::json;

use crate::browser::Browser;
use crate::clouds::Clouds;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn problems_come_first_and_worst_first_and_lead_to_the_pages_of_what_is_ill() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/")).await;

    let shown = tab.eval("[...document.querySelectorAll('.problems li')].map(one => one.innerText)").await;
    let shown: Vec<&str> = shown.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let expected = [
        ("critical", "team-c/hooli", "SecretNotFound", "CaasAccountNotCollected"),
        ("critical", "team-c/initech", "LoginRejected", "CaasCredentialsRejected"),
        ("critical", "reports", "has failed: Error", "CaasServiceInstancesMissing"),
        ("warning", "cache", "memory at 97 %", "CaasInstanceMemoryHigh"),
        ("warning", "orders", "2 of 4 instances running", "CaasServiceInstancesMissing"),
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (severity, of, what, alert) in expected {
        let is_it = |text: &&&str| text.contains(of) && text.contains(severity);
        let text = shown.iter().find(is_it).unwrap_or_else(|| panic!("{of}: {shown:#?}"));
        assert!(text.contains(what) && text.contains(alert), "{text}");
    }
    let severities: Vec<_> = shown.iter().map(|text| text.contains("critical")).collect();
    assert!(severities.is_sorted_by(|one, other| one >= other), "{shown:#?}");
    // In the window, without scrolling.
    assert_eq!(
        tab.eval(
            "document.querySelector('.problems li:last-child').getBoundingClientRect().bottom < innerHeight"
        )
        .await,
        true
    );

    tab.click(".problems a[href*='services/orders']").await;
    tab.until("document.title.startsWith('orders')").await;
    assert!(tab.text("main").await.contains("2 of 4 instances running"));
    tab.click("main a[href$='accounts/team-b/globex']").await;
    tab.until("document.title.startsWith('team-b/globex')").await;
    assert_eq!(
        tab.text("#c-Ready").await.split('\t').take(4).collect::<Vec<_>>(),
        ["Ready", "False", "CRDNotInstalled", "1h0m"]
    );
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn without_problems_the_page_says_so() {
    let (clouds, browser) = (Clouds::large(2, 10, 2).await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/")).await;
    assert!(tab.text("main").await.contains("No problems in 20 services of 2 accounts."));
    assert_eq!(tab.eval("document.querySelectorAll('.problems').length").await, json!(0));
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn the_last_hour_of_each_service_is_a_line_that_says_what_it_shows() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/services?q=ns:team-a")).await;
    let labels =
        tab.eval("[...document.querySelectorAll('tbody svg[role=img]')].map(one => one.ariaLabel)").await;
    let labels = labels.as_array().unwrap();
    assert_eq!(labels.len(), 12, "CPU and memory of six services: {labels:?}");
    assert!(labels[0].as_str().unwrap().starts_with("CPU in the last hour: now "), "{labels:?}");
    let drawn =
        "(box => [box.width, box.height])(document.querySelector('tbody polyline').getBoundingClientRect())";
    let drawn = tab.eval(drawn).await;
    assert!(drawn[0].as_f64().unwrap() > 40.0 && drawn[1].as_f64().unwrap() > 4.0, "{drawn}");

    tab.click("tbody .row").await;
    tab.until("document.querySelectorAll('.chart polyline').length === 2").await;
    tab.close().await;
}
