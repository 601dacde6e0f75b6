//! What lists of projects and services make of pages that end, repeat, do not end, or cannot be read.

use std::time::Duration;

use super::*;
use crate::cloud::kit::paging::Listed;
use crate::limits::MemoryBudget;

fn settings(projects: &[&str]) -> Settings {
    Settings {
        endpoint: "https://api.northflank.com/".parse().unwrap(),
        team: None,
        projects: projects.iter().map(|project| (*project).to_owned()).collect(),
        inventory_interval: Duration::from_secs(900),
        metrics_max_age: Duration::from_secs(600),
    }
}

fn page<T>(entries: Vec<T>, next: Option<&str>) -> Page<T> {
    Page { entries, unreadable: 0, listed: Listed::default(), next: Ok(next.map(str::to_owned)) }
}

fn projects(ids: &[&str]) -> Vec<ListedProject> {
    let project = |id: &&str| ListedProject { id: (*id).to_owned(), name: Some(format!("The {id}")) };
    ids.iter().map(project).collect()
}

fn services(ids: &[&str], kind: &str) -> Vec<ListedService> {
    let service = |id: &&str| ListedService {
        id: (*id).to_owned(),
        kind: Some(kind.to_owned()),
        ..ListedService::default()
    };
    ids.iter().map(service).collect()
}

/// The names of what is collected, with their projects.
fn names(listing: &Listing<'_>) -> Vec<String> {
    let name = |service: &CollectedService| {
        format!("{}/{}", service.facts.application.as_ref().unwrap(), service.facts.name)
    };
    listing.services.iter().map(name).collect()
}

#[test]
fn the_services_of_each_project_are_requested_page_by_page() {
    let (settings, filter) = (settings(&[]), ServiceFilter::default());
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    listing.add_projects(page(projects(&["shop"]), Some("p2")));
    assert_eq!(listing.next_page(), Some(ListPage::Services(0, None)));
    assert_eq!(listing.next_page(), Some(ListPage::Projects(Some("p2".to_owned()))));
    listing.add_projects(page(projects(&["shop", "wiki"]), None));
    assert_eq!(listing.next_page(), Some(ListPage::Services(1, None)), "the first project only once");
    listing.add_services(0, page(services(&["web", "db"], "combined"), Some("s2")));
    assert_eq!(listing.next_page(), Some(ListPage::Services(0, Some("s2".to_owned()))));
    listing.add_services(0, page(services(&["db", "api"], "deployment"), None));
    assert!(!listing.is_complete());
    listing.add_services(1, page(services(&["web"], "combined"), None));
    assert!(listing.is_complete() && listing.cut_short.is_none());
    assert_eq!(
        names(&listing),
        ["shop/web", "shop/db", "shop/api", "wiki/web"],
        "of one name in two projects"
    );
}

#[test]
fn services_that_only_build_or_are_filtered_out_are_not_collected() {
    let (settings, filter) = (settings(&[]), ServiceFilter::new(&["w*"], &[]));
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    listing.add_projects(page(projects(&["shop"]), None));
    listing.add_services(0, page(services(&["web-builder"], "build"), Some("2")));
    listing.add_services(0, page(services(&["web", "db"], "combined"), None));
    assert_eq!(names(&listing), ["shop/web"]);
}

#[test]
fn projects_are_chosen_by_id_or_name_and_one_that_is_not_there_is_told() {
    for (wanted, number, is_missing) in [
        (&["shop"][..], 1, false),
        (&["The shop"], 1, false),
        (&["shop", "wiki", "none"], 2, true),
        (&["none"], 0, true),
        (&[], 2, false),
    ] {
        let (settings, filter) = (settings(wanted), ServiceFilter::default());
        let mut listing = Listing::new(&settings, &filter, Inventory::new());
        listing.add_projects(page(projects(&["shop", "wiki"]), None));
        let requested = std::iter::from_fn(|| listing.next_page()).count();
        assert_eq!(requested, number, "{wanted:?}");
        (0..number).for_each(|project| listing.add_services(project, page(vec![], None)));
        assert_eq!(listing.missing_project().is_some(), is_missing, "{wanted:?}");
    }
}

#[test]
fn a_project_may_be_on_a_page_that_could_not_be_read() {
    let (settings, filter) = (settings(&["wiki"]), ServiceFilter::default());
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    listing.add_projects(page(projects(&["shop"]), Some("2")));
    let second = listing.next_page().unwrap();
    listing.failed(&second, CloudError::Status(500));
    assert_eq!((listing.missing_project(), listing.cut_short), (None, Some(CloudError::Status(500))));
}

#[test]
fn a_list_that_leads_back_or_names_a_page_without_its_cursor_is_cut() {
    let (settings, filter) = (settings(&[]), ServiceFilter::default());
    let with_two_pages = |second: Page<ListedService>| {
        let mut listing = Listing::new(&settings, &filter, Inventory::new());
        listing.add_projects(page(projects(&["shop"]), None));
        listing.add_services(0, page(services(&["web"], "combined"), Some("2")));
        listing.add_services(0, second);
        assert!(listing.next_page().is_some_and(|page| page == ListPage::Services(0, None)));
        assert_eq!(listing.next_page(), Some(ListPage::Services(0, Some("2".to_owned()))));
        assert_eq!(listing.next_page(), None);
        assert!(listing.is_complete());
        listing.cut_short
    };
    let cycle = Some(AnswerProblem::PageCycle.into());
    assert_eq!(with_two_pages(page(services(&["db"], "combined"), Some("2"))), cycle);
    assert_eq!(with_two_pages(page(services(&["web"], "combined"), Some("3"))), cycle, "nothing new");
    let no_cursor = Page { next: Err(AnswerProblem::Shape), ..page(vec![], None) };
    assert_eq!(with_two_pages(no_cursor), Some(AnswerProblem::Shape.into()));
    let fewer = Page { listed: Listed { entries: 1, total: Some(3) }, ..page(vec![], None) };
    assert_eq!(with_two_pages(fewer), Some(AnswerProblem::IncompleteList.into()));
    let unreadable = Page { unreadable: 1, ..page(vec![], None) };
    assert_eq!(with_two_pages(unreadable), Some(AnswerProblem::Shape.into()));
}

#[test]
fn what_is_listed_is_charged_whether_collected_or_not_and_ends_where_the_memory_does() {
    let (settings, filter) = (settings(&["wanted", "p0"]), ServiceFilter::new(&["wanted"], &[]));
    for of_projects in [true, false] {
        let memory = MemoryBudget::new(1 << 20);
        let holder = memory.holder("team-a", "acme");
        let mut listing = Listing::new(&settings, &filter, Inventory::charged(holder.charge()));
        listing.add_projects(page(projects(&["p0"]), of_projects.then_some("next")));
        let mut pages = 0;
        while listing.cut_short.is_none() {
            pages += 1;
            while listing.next_page().is_some() {}
            let ids: Vec<_> = (0..100).map(|number| format!("{pages}-{number:0>100}")).collect();
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            let next = format!("c{pages}");
            if of_projects {
                listing.add_projects(page(projects(&ids), Some(&next)));
            } else {
                listing.add_services(0, page(services(&ids, "combined"), Some(&next)));
            }
        }
        assert_eq!(listing.cut_short, Some(AnswerProblem::TooLarge.into()));
        assert!(holder.is_cut().is_some() && (10..100).contains(&pages), "{pages} pages");
    }
}
