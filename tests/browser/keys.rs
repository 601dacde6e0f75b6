//! Everything can be reached without a mouse, and queries can be copied.

use serde_json::json;

use crate::browser::Browser;
use crate::clouds::Clouds;

const FOCUSED: &str = "document.activeElement.textContent";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn keys_filter_move_open_and_go_back() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/services?q=ns:team-a&sort=name")).await;
    tab.press("j").await;
    assert_eq!(tab.eval(FOCUSED).await, "api");
    tab.press("ArrowDown").await;
    tab.press("j").await;
    assert_eq!(tab.eval(FOCUSED).await, "checkout");
    tab.press("k").await;
    tab.press("ArrowUp").await;
    tab.press("ArrowUp").await;
    assert_eq!(tab.eval(FOCUSED).await, "api", "the first row stays");
    tab.press("Enter").await;
    tab.until("document.title.startsWith('api')").await;
    tab.press("Escape").await;
    tab.until("document.title.startsWith('team-a/acme')").await;
    tab.press("Escape").await;
    tab.until("document.title.startsWith('Accounts')").await;

    tab.press("/").await;
    assert_eq!(tab.eval("document.activeElement.id").await, "q");
    tab.write("glob").await;
    tab.press("j").await;
    assert_eq!(tab.eval("document.getElementById('q').value").await, "globj", "letters are letters there");
    tab.press("Escape").await;
    assert_eq!(
        tab.eval("[document.getElementById('q').value, document.activeElement.tagName]").await,
        json!(["", "BODY"])
    );
    tab.press("?").await;
    assert_eq!(tab.eval("document.getElementById('keys').open").await, true);
    tab.press("Escape").await;
    tab.until("!document.getElementById('keys').open").await;
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn a_query_is_copied_by_a_click() {
    let (clouds, browser) = (Clouds::two_teams().await, Browser::start());
    let tab = browser.tab(1280, 900).await;
    tab.open(&clouds.url("/accounts/team-a/acme/services/web?application=shop")).await;
    let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    tab.call("Browser.grantPermissions", permissions).await;
    tab.click(".promql summary").await;
    tab.click(".promql [data-copy]").await;
    tab.until("document.querySelector('.promql [data-copy]').textContent === 'Copied'").await;
    assert_eq!(
        tab.eval("navigator.clipboard.readText()").await,
        "caas_service_desired_instances{account_namespace=\"team-a\",account=\"acme\",application=\"shop\",service_name=\"web\"}"
    );
    tab.close().await;
}
