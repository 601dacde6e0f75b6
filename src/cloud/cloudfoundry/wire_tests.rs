use secrecy::ExposeSecret;

use super::*;

/// The sample of the API's documentation, with a page after it.
const APPS: &str = r#"{
  "pagination": {"total_results": 3, "total_pages": 2,
    "next": {"href": "https://api.example.org/v3/apps?page=2&per_page=2"}, "previous": null},
  "resources": [
    {"guid": "1cb0", "name": "my_app", "state": "STARTED", "lifecycle": {"type": "buildpack", "data": {}},
     "relationships": {"space": {"data": {"guid": "2f35"}}, "current_droplet": {"data": null}}},
    {"guid": "02b4", "name": "my_app2", "state": "STOPPED", "relationships": {"space": {"data": {"guid": "gone"}}}}],
  "included": {
    "spaces": [{"guid": "2f35", "name": "dev", "relationships": {"organization": {"data": {"guid": "e00c"}}}}],
    "organizations": [{"guid": "e00c", "name": "acme"}]}}"#;

fn read_apps(body: &str) -> Page<ServiceFacts> {
    apps(body.as_bytes(), &Scope::default(), InventoryBudget::PER_CYCLE).unwrap()
}

#[test]
fn applications_are_read_with_their_organization_and_space() {
    let page = read_apps(APPS);
    assert_eq!(page.next, Ok(Some("https://api.example.org/v3/apps?page=2&per_page=2".to_owned())));
    assert_eq!(page.listed, Listed { entries: 2, total: Some(3) });
    let apps: Vec<_> = page
        .entries
        .iter()
        .map(|app| {
            (app.id.as_deref().unwrap(), &*app.name, app.application.as_deref(), app.status.as_deref())
        })
        .collect();
    assert_eq!(
        apps,
        [("1cb0", "my_app", Some("acme/dev"), Some("STARTED")), ("02b4", "my_app2", None, Some("STOPPED")),]
    );
}

#[test]
fn an_application_without_a_guid_or_name_makes_the_list_incomplete_and_costs_no_other() {
    let page = read_apps(
        r#"{"pagination": {"next": null}, "resources": [{"guid": "a"}, {"name": "b"}, 7, ["a", "b"],
            {"guid": "a", "name": "b"}]}"#,
    );
    assert_eq!((page.entries.len(), page.unreadable, page.next), (1, 4, Ok(None)));
}

#[test]
fn a_list_without_pagination_is_not_taken_for_complete() {
    for body in [r#"{"resources": []}"#, "[]"] {
        assert!(apps(body.as_bytes(), &Scope::default(), InventoryBudget::PER_CYCLE).is_err(), "{body}");
    }
    for next in ["{}", r#"{"href": 7.5}"#, r#"{"href": null}"#, "7", r#""?page=2""#] {
        let page = read_apps(&format!(r#"{{"pagination": {{"next": {next}}}, "resources": []}}"#));
        assert_eq!(page.next, Err(AnswerProblem::Shape), "{next}");
    }
}

#[test]
fn processes_are_read_with_their_sizes_in_bytes() {
    let page = processes(
        br#"{"pagination": {"next": null}, "resources": [
            {"guid": "p", "type": "worker", "instances": 5, "memory_in_mb": 256, "disk_in_mb": 1024,
             "relationships": {"app": {"data": {"guid": "a"}}}},
            {"guid": "q", "type": "web", "relationships": {"app": {"data": null}}}]}"#,
    )
    .unwrap();
    assert_eq!(page.unreadable, 1, "a process of no application");
    let process = &page.entries[0];
    assert_eq!(
        (&*process.guid, &*process.app, &*process.kind, process.instances),
        ("p", "a", "worker", Some(5))
    );
    assert_eq!((process.memory_bytes, process.disk_bytes), (Some(268_435_456.0), Some(1_073_741_824.0)));
}

#[test]
fn the_login_server_is_login_else_uaa() {
    let read = |links: &str| login_server(format!(r#"{{"links": {links}}}"#).as_bytes());
    let [login, uaa] =
        ["login", "uaa"].map(|name| format!(r#""{name}": {{"href": "https://{name}.example.org"}}"#));
    assert_eq!(read(&format!("{{{login}, {uaa}}}")).unwrap().as_str(), "https://login.example.org/");
    assert_eq!(read(&format!("{{\"login\": null, {uaa}}}")).unwrap().as_str(), "https://uaa.example.org/");
    for nothing in
        ["{}", "[]", r#"{"login": {"href": "login"}}"#, r#"{"login": {"href": "https://a:b@c.example/"}}"#]
    {
        assert_eq!(read(nothing).err(), Some(AnswerProblem::Shape), "{nothing}");
    }
}

#[test]
fn a_token_of_any_length_is_read_whole_and_its_life_where_it_makes_sense() {
    let long = "x".repeat(5_000);
    let read = |rest: &str| token(format!(r#"{{"access_token": "{long}"{rest}}}"#).as_bytes()).unwrap();
    let full = read(&format!(r#", "expires_in": 599, "refresh_token": "{long}""#));
    assert_eq!(full.access_token.expose_secret().len(), 5_000);
    assert_eq!(full.refresh_token.unwrap().expose_secret().len(), 5_000);
    assert_eq!(full.expires_in, Some(Duration::from_secs(599)));
    for odd in ["", r#", "expires_in": -1"#, r#", "expires_in": null"#, r#", "expires_in": 1e300"#] {
        assert_eq!(read(odd).expires_in, None, "{odd}");
    }
    assert!(token(br#"{"error": "unauthorized"}"#).is_err());
}

#[test]
fn urls_carry_the_filters_of_the_settings() {
    let endpoint: Url = "https://api.example.org/".parse().unwrap();
    let url = apps_url(&endpoint, 5_000, &Scope::default(), Some("env=prod,team in (a,b)"));
    assert_eq!(
        url.as_str(),
        "https://api.example.org/v3/apps?per_page=5000&include=space%2Cspace.organization&label_selector=env%3Dprod%2Cteam+in+%28a%2Cb%29"
    );
    assert_eq!(
        stats_url(&endpoint, "a/b").unwrap().as_str(),
        "https://api.example.org/v3/processes/a%2Fb/stats"
    );
    assert!(stats_url(&endpoint, "..").is_none());
}
