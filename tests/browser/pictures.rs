//! The pictures in the documentation, taken anew: `make pictures`.

use std::fs;
use std::path::PathBuf;

use crate::browser::Browser;
use crate::clouds::Clouds;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real servers: run make test"]
async fn pictures_of_each_kind_of_page_are_taken() {
    let folder = std::env::var_os("CAAS_PICTURES").map(PathBuf::from);
    let (teams, large) = (Clouds::two_teams().await, Clouds::large(10, 100, 10).await);
    let browser = Browser::start();
    for (name, clouds, path, width, height, theme) in [
        ("overview", &teams, "/", 1280, 860, "light"),
        ("overview-dark", &teams, "/", 1280, 860, "dark"),
        ("overview-narrow", &teams, "/", 420, 860, "light"),
        ("service", &teams, "/accounts/team-b/globex/services/orders?application=shop", 1280, 600, "dark"),
        ("ten-thousand-instances", &large, "/services?sort=-memory", 1280, 860, "light"),
    ] {
        let tab = browser.tab(width, height).await;
        tab.prefers("prefers-color-scheme", theme).await;
        tab.open(&clouds.url(path)).await;
        tab.until("document.getElementById('live').textContent.startsWith('updated')").await;
        let picture = tab.picture().await;
        // Neither empty nor of one color: a plain PNG of this size has few bytes.
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}: {} bytes", picture.len());
        if let Some(folder) = &folder {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(format!("{name}.png")), &picture).unwrap();
        }
        tab.close().await;
    }
}
