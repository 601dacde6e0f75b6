//! The HTML page.

use crate::{get, header, started};

#[tokio::test]
async fn the_page_lists_accounts_and_paths() {
    let (served, _) = started(None).await;
    let response = get(&served, "/").await;
    assert_eq!(header(&response, "content-type"), Some("text/html; charset=utf-8"));
    assert!(header(&response, "content-security-policy").unwrap().contains("default-src 'none'"));
    // The age of the data depends on the duration of the test.
    let page = response.text().await.unwrap();
    let without_age = page.split(" s</td>").map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()));
    // One element a line, so that a difference can be read.
    insta::assert_snapshot!(without_age.collect::<Vec<_>>().join("[age]</td>").replace("><", ">\n<"));
}
