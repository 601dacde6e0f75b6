//! When names are looked up, and what they decide.

use std::cell::RefCell;
use std::time::Duration;

use super::*;

fn settings(projects: &[&str], environments: &[&str]) -> Settings {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Settings { projects: owned(projects), environments: owned(environments), ..Settings::of_tests() }
}

fn entity(id: &str, name: &str, project: Option<&str>) -> Entity {
    Entity { id: id.to_owned(), name: name.to_owned(), project: project.map(str::to_owned) }
}

/// Looks names up at a cloud with two projects, of which one has two environments; also returns what was listed.
async fn look_up(settings: &Settings, referred: &[&str]) -> (Result<Names, CloudError>, Vec<NameList>) {
    let listed = RefCell::new(Vec::new());
    let list = |listing: NameList| {
        let entities = match &listing {
            NameList::Workspaces => vec![entity("tea-1", "acme", None)],
            NameList::Projects => vec![entity("prj-1", "shop", None), entity("prj-2", "wiki", None)],
            NameList::Environments(_) => vec![
                entity("evm-1", "production", Some("prj-1")),
                entity("evm-2", "staging", Some("prj-1")),
                entity("evm-3", "production", Some("prj-2")),
            ],
        };
        listed.borrow_mut().push(listing);
        async move { Ok(entities) }
    };
    let names = Names::look_up(settings, list, &Names::default(), referred.iter().copied()).await;
    (names, listed.into_inner())
}

#[tokio::test]
async fn names_count_with_all_else_that_is_kept() {
    let list = |listing: NameList| async move {
        let ids = (0..5_000).map(|number| format!("{number:0>100}"));
        Ok(match listing {
            NameList::Workspaces => Vec::new(),
            NameList::Projects => vec![entity("prj-1", &"p".repeat(100), None)],
            NameList::Environments(_) => ids.map(|id| entity(&id, &id, Some("prj-1"))).collect(),
        })
    };
    let unknown: Vec<_> = (0..5_000).map(|number| format!("unknown-{number:0>92}")).collect();
    let referred = unknown.iter().map(String::as_str);
    let names = Names::look_up(&settings(&[], &[]), list, &Names::default(), referred).await.unwrap();
    let bytes = names.kept_bytes();
    // Three texts of each environment that was found, and the project's id; one of each that was not.
    assert!((5_000 * (305 + 100)..5_000 * (305 + 100) + 10_000 * 300).contains(&bytes), "{bytes} bytes");
    assert_eq!(Names::default().kept_bytes(), 0);
}

#[tokio::test]
async fn environments_that_were_not_found_at_another_page_are_not_looked_up_again() {
    let before = look_up(&settings(&[], &[]), &["evm-8"]).await.0.unwrap();
    let list = |_| async { Ok(Vec::new()) };
    let all = settings(&[], &[]);
    let names = Names::look_up(&all, list, &before, ["evm-9"].into_iter()).await.unwrap();
    assert!(!names.are_due(&all, ["evm-8", "evm-9"].into_iter(), Instant::now()));
    assert!(!names.know("evm-1"), "what was found and is gone is looked up again");
}

#[tokio::test]
async fn an_application_is_a_project_and_its_environment() {
    let (names, listed) = look_up(&settings(&[], &[]), &["evm-1", "evm-9"]).await;
    let names = names.unwrap();
    let projects = ["prj-1", "prj-2"].map(str::to_owned).to_vec();
    assert_eq!(listed, [NameList::Projects, NameList::Environments(projects)]);
    assert_eq!(names.application("evm-2"), "shop/staging");
    assert_eq!(names.application("evm-9"), "evm-9", "one that was not found keeps its id");
    assert!(names.know("evm-9") && !names.know("evm-10"));
}

#[tokio::test]
async fn projects_and_environments_are_chosen_by_name_or_id() {
    for (projects, environments, wanted) in [
        (&[][..], &[][..], &["evm-1", "evm-2", "evm-3", "none"][..]),
        (&["shop"], &[], &["evm-1", "evm-2"]),
        (&["prj-2"], &[], &["evm-3"]),
        (&[], &["production"], &["evm-1", "evm-3"]),
        (&["shop"], &["production"], &["evm-1"]),
        (&[], &["evm-2"], &["evm-2"]),
    ] {
        let settings = settings(projects, environments);
        let names = look_up(&settings, &[]).await.0.unwrap();
        let all = [Some("evm-1"), Some("evm-2"), Some("evm-3"), None];
        let chosen: Vec<&str> = all
            .into_iter()
            .filter(|one| names.are_wanted(&settings, *one))
            .map(|one| one.unwrap_or("none"))
            .collect();
        assert_eq!(chosen, wanted, "{projects:?} {environments:?}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_reported() {
    let missing = |what| Err(CloudError::NotVisible(what));
    assert_eq!(look_up(&settings(&["none"], &[]), &[]).await.0, missing("project"));
    assert_eq!(look_up(&settings(&["shop"], &["test"]), &[]).await.0, missing("environment"));
    let elsewhere = Settings { workspaces: vec!["tea-9".to_owned()], ..settings(&[], &[]) };
    assert_eq!(look_up(&elsewhere, &[]).await.0, missing("workspace"));
    let some = look_up(&settings(&["shop", "none"], &[]), &[]).await.0.unwrap();
    assert_eq!(some.missing, Some("project"));
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_every_ten_minutes_and_for_an_environment_that_is_new() {
    let all = settings(&[], &[]);
    let nothing = Names::default();
    let now = Instant::now();
    assert!(!nothing.are_due(&all, [].into_iter(), now), "no service is in an environment");
    assert!(nothing.are_due(&settings(&["shop"], &[]), [].into_iter(), now));
    assert!(nothing.are_due(&all, ["evm-1"].into_iter(), now));

    let names = look_up(&all, &["evm-9"]).await.0.unwrap();
    let due =
        |ids: &[&str], seconds| names.are_due(&all, ids.iter().copied(), now + Duration::from_secs(seconds));
    assert!(!due(&["evm-1", "evm-9"], 599), "also one that was not found");
    assert!(due(&["evm-1"], 600));
    assert!(due(&["evm-10"], 1));
}
