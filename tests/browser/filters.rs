//! Filters, orders and pages: typed and clicked, and kept in the address.

use crate::browser::Browser;
use crate::clouds::Clouds;

const NAMES: &str = "[...document.querySelectorAll('tbody .row')].map(one => one.textContent).join(' ')";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_typed_filter_is_kept_in_the_address_which_is_a_bookmark() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/services")).await;
    tab.click("#q").await;
    tab.write("namespace:team-b -state:stopped label.team:checkout").await;
    tab.press("Enter").await;
    tab.until("location.search.includes('team-b')").await;
    tab.until("document.readyState === 'complete'").await;
    assert_eq!(tab.eval(NAMES).await, "reports cache orders");

    let bookmark = tab.eval("location.href").await;
    tab.open(&clouds.url("/")).await;
    tab.open(bookmark.as_str().unwrap()).await;
    assert_eq!(tab.eval(NAMES).await, "reports cache orders");
    assert_eq!(
        tab.eval("document.getElementById('q').value").await,
        "namespace:team-b -state:stopped label.team:checkout"
    );

    tab.open(&clouds.url("/services?q=nothing-has-this-name")).await;
    tab.click("main a[href='services']").await;
    tab.until("location.search === ''").await;
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_click_on_a_header_sorts_and_another_turns_the_order() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/services?q=ns:team-a")).await;
    for (expected, sorted) in [("-memory", "descending"), ("memory", "ascending")] {
        tab.click("thead a[href*='memory']").await;
        tab.until(&format!("location.search.endsWith('sort={expected}')")).await;
        tab.until("document.readyState === 'complete'").await;
        let order =
            "[...document.querySelectorAll('th[aria-sort]')].map(th => th.innerText + th.ariaSort).join()";
        assert_eq!(tab.eval(order).await.as_str().unwrap(), format!("Memory{sorted}"));
        let values =
            "[...document.querySelectorAll('td[data-label=Memory] .v')].map(v => parseFloat(v.textContent))";
        let values = tab.eval(values).await;
        let values: Vec<f64> = values.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
        let is_sorted =
            if sorted == "ascending" { values.is_sorted() } else { values.iter().rev().is_sorted() };
        assert!(values.len() == 6 && is_sorted, "{sorted}: {values:?}");
    }
    assert!(
        tab.eval("location.search").await.as_str().unwrap().contains("q=ns%3Ateam-a"),
        "the filter stays"
    );
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn long_lists_have_pages() {
    let (clouds, browser) = (Clouds::large(1, 450, 1).await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/services?sort=name")).await;
    for (rows, first) in [(200, "service-0000"), (200, "service-0200"), (50, "service-0400")] {
        let shown = tab.eval("[document.querySelectorAll('tbody tr').length, document.querySelector('tbody .row').textContent]");
        assert_eq!(shown.await, serde_json::json!([rows, first]));
        if rows == 200 {
            let from = tab.eval("location.href").await;
            tab.click("a[rel=next]").await;
            tab.until(&format!("location.href !== {from} && document.readyState === 'complete'")).await;
        }
    }
    assert!(tab.text("nav.pages").await.contains("401–450 of 450"));
    tab.close().await;
}
