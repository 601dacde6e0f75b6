//! The pages work for everybody: axe finds nothing to complain about, in both themes and on a narrow screen.

use std::fs;

use serde_json::Value;

use crate::browser::{Browser, Tab};
use crate::clouds::Clouds;
use crate::servers::server;

const PAGES: [&str; 6] = [
    "/",
    "/services",
    "/services?q=nothing-has-this-name",
    "/accounts",
    "/accounts/team-b/globex",
    "/accounts/team-b/globex/services/orders?application=shop",
];

/// What axe finds on the page that is open.
async fn violations(tab: &Tab<'_>, axe: &str) -> Vec<String> {
    // Once a page; the policy does not hold for what the debugger runs.
    tab.eval(&format!("void {axe}")).await;
    let found = tab.eval("axe.run().then(found => found.violations)").await;
    let line = |one: &Value| format!("{}: {} {}", one["id"], one["help"], one["nodes"][0]["html"]);
    found.as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn axe_finds_no_violation_light_dark_and_narrow() {
    let axe = fs::read_to_string(server("axe.min.js")).unwrap();
    let axe = format!("(() => {{ {axe} }})()");
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    let mut checked = 0;
    for (theme, width) in [("light", 1280), ("dark", 1280), ("light", 400)] {
        tab.prefers("prefers-color-scheme", theme).await;
        tab.resize(width, 900).await;
        for page in PAGES {
            tab.open(&clouds.url(page)).await;
            let found = violations(&tab, &axe).await;
            assert!(found.is_empty(), "{page}, {theme}, {width} pixels: {found:#?}");
            checked += 1;
        }
    }
    println!("axe: no violation on {checked} pages");
    // It would see one.
    tab.eval("document.querySelector('main').append(document.createElement('img'))").await;
    assert!(!violations(&tab, &axe).await.is_empty());
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_narrow_screen_shows_cards_that_are_rows_of_a_table_to_a_screen_reader() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(400, 900).await;
    for page in PAGES {
        tab.open(&clouds.url(page)).await;
        assert_eq!(
            tab.eval("document.documentElement.scrollWidth <= innerWidth").await,
            true,
            "{page} is cut off"
        );
    }
    tab.open(&clouds.url("/services")).await;
    let tree = tab.call("Accessibility.getFullAXTree", serde_json::json!({})).await;
    let roles: Vec<&str> =
        tree["nodes"].as_array().unwrap().iter().filter_map(|node| node["role"]["value"].as_str()).collect();
    for (role, least) in [("table", 1), ("row", 10), ("rowheader", 10), ("cell", 80)] {
        let seen = roles.iter().filter(|seen| **seen == role).count();
        assert!(seen >= least, "{seen} of role {role}");
    }
    tab.close().await;
}
