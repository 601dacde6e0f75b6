//! What a list of services leads to, beyond what a simulated cloud shows.

use super::*;
use crate::limits::MemoryBudget;

fn service(id: &str, environment: Option<&str>) -> ListedService {
    ListedService {
        id: id.to_owned(),
        name: "web".to_owned(),
        kind: Kind::WebService,
        workspace: Some("tea-1".to_owned()),
        environment: environment.map(str::to_owned),
        suspended: None,
        plan: None,
        region: None,
        instances: None,
        image: None,
        image_tag: None,
    }
}

fn page(ids: &[&str], next: Option<&str>) -> Page<ListedService> {
    Page {
        entries: ids.iter().map(|id| service(id, None)).collect(),
        unreadable: 0,
        next: Ok(next.map(str::to_owned)),
    }
}

#[test]
fn a_list_whose_cursors_lead_back_or_whose_pages_repeat_is_cut() {
    let (settings, filter, names) = (Settings::of_tests(), ServiceFilter::default(), Names::default());
    let cycle = Some(CloudError::from(AnswerProblem::PageCycle));

    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    assert_eq!(listing.add(page(&["a"], Some("1")), &names, None).as_deref(), Some("1"));
    assert_eq!(listing.add(page(&["b"], Some("1")), &names, None), None, "a cursor that was used");
    assert_eq!((listing.services.len(), &listing.cut_short), (2, &cycle));

    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    listing.add(page(&["a", "b"], Some("1")), &names, None);
    assert_eq!(listing.add(page(&["b", "a"], Some("2")), &names, None), None, "nothing new");
    assert_eq!((listing.services.len(), &listing.cut_short), (2, &cycle));
}

#[test]
fn a_service_that_a_shifting_list_repeats_is_one_and_two_of_one_name_are_two() {
    let (settings, filter, names) = (Settings::of_tests(), ServiceFilter::default(), Names::default());
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    listing.add(page(&["a", "b"], Some("1")), &names, None);
    listing.add(page(&["b", "c"], None), &names, None);
    let ids: Vec<&str> = listing.services.iter().map(|one| &*one.id).collect();
    assert_eq!((ids, &listing.cut_short), (vec!["a", "b", "c"], &None), "all of them are named web");
}

#[test]
fn a_page_of_what_is_not_collected_is_not_taken_for_a_repetition() {
    let (settings, filter, names) = (Settings::of_tests(), ServiceFilter::default(), Names::default());
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    assert!(listing.add(page(&[], Some("1")), &names, None).is_some(), "a page of static sites");
    assert!(listing.add(page(&["a"], None), &names, None).is_none());
    assert_eq!((listing.services.len(), &listing.cut_short), (1, &None));
}

#[test]
fn where_names_cannot_be_read_services_in_environments_wait_and_the_list_is_not_complete() {
    let (settings, filter, names) = (Settings::of_tests(), ServiceFilter::default(), Names::default());
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    let both = Page {
        entries: vec![service("a", Some("evm-1")), service("b", None)],
        unreadable: 0,
        next: Ok(None),
    };
    let down = CloudError::Status(503);
    listing.add(both, &names, Some(&down));
    let ids: Vec<&str> = listing.services.iter().map(|one| &*one.id).collect();
    assert_eq!((ids, &listing.cut_short), (vec!["b"], &Some(down)));
}

#[test]
fn a_service_of_another_workspace_is_left_out_even_where_the_api_lists_it() {
    let settings = Settings { workspaces: vec!["tea-2".to_owned()], ..Settings::of_tests() };
    let (filter, names) = (ServiceFilter::default(), Names::default());
    let mut listing = Listing::new(&settings, &filter, Inventory::new());
    listing.add(page(&["a"], None), &names, None);
    assert_eq!((listing.services.len(), &listing.cut_short), (0, &None));
}

#[test]
fn what_is_listed_is_charged_whether_collected_or_not_and_ends_where_the_memory_does() {
    let (settings, filter) = (Settings::of_tests(), ServiceFilter::new(&["wanted"], &[]));
    let memory = MemoryBudget::new(1 << 20);
    let holder = memory.holder("team-a", "acme");
    let mut listing = Listing::new(&settings, &filter, Inventory::charged(holder.charge()));
    let mut pages = 0;
    loop {
        pages += 1;
        let ids: Vec<_> = (0..100).map(|number| format!("{pages}-{number:0>100}")).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        if listing.add(page(&ids, Some(&format!("c{pages}"))), &Names::default(), None).is_none() {
            break;
        }
    }
    assert_eq!(listing.cut_short, Some(AnswerProblem::TooLarge.into()));
    assert!(holder.is_cut().is_some() && (10..100).contains(&pages), "{pages} pages");
}
