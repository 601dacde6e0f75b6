//! The HTML pages, as a browser without script gets them.

use std::sync::Arc;

use caas_operator::account::AccountId;
use caas_operator::api::Reason;
use caas_operator::collector::Registry;
use caas_operator::collector::health::Health;
use caas_operator::collector::registry::{Elsewhere, Report};
use caas_operator::server::{AccountCondition, Limits, PageOptions};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};

use crate::accounts::account;
use crate::http_support::Served;
use crate::pages::{self, ALL};
use crate::{Names, ask, get, header, snapshot, started, started_with};

/// What browsers send.
const HTML: (reqwest::header::HeaderName, &str) =
    (ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

async fn page(served: &Served, path: &str) -> String {
    let response = ask(served, Method::GET, path, &[HTML]).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    assert_eq!(header(&response, "content-type"), Some("text/html; charset=utf-8"), "{path}");
    response.text().await.unwrap()
}

/// The text without its markup, with single blanks.
fn text(page: &str) -> String {
    let main = page.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    let pieces: Vec<&str> = main.split('<').filter_map(|piece| Some(piece.split_once('>')?.1)).collect();
    pieces.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_overview_tells_what_is_ill_worst_first_with_what_to_do() {
    let (served, _) = started(None).await;
    let text = text(&page(&served, "/").await);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
    assert!(text.contains("3 with problems"), "{text}");
    let rejected = place("team-b/ modern : not collected: LoginRejected");
    let broken = place("team-d/ broken : not collected: SecretNotFound");
    assert!(rejected < place("Services") && broken < place("Services"), "{text}");
    // Its measurements are of 2016.
    assert!(broken < place("team-a/ acme : old measurements"), "{text}");
    place("Secret team-d/broken does not exist: create it.");
    place("Runbook CaasCredentialsRejected");
}

#[tokio::test]
async fn without_a_problem_the_overview_says_so() {
    let (served, registry) = started(None).await;
    for id in registry.ids() {
        registry.remove(&id);
    }
    assert!(text(&page(&served, "/").await).contains("No problems in 0 services of 0 accounts."));
    collected(&registry);
    assert!(text(&page(&served, "/").await).contains("No problems in 2 services of 1 account."));
}

/// One account that is collected, with measurements of now.
fn collected(registry: &Registry) {
    let account = account("team-a", "acme", Names::Both);
    registry.put(account.clone());
    let mut snapshot = std::sync::Arc::into_inner(snapshot(&ALL, Health::Collected)).unwrap();
    for instance in snapshot.values.services.iter_mut().flat_map(|service| &mut service.instances) {
        instance.sample = None;
    }
    registry.publish(&account, snapshot.into());
}

#[tokio::test]
async fn an_account_and_its_services_are_html_for_browsers_and_json_for_programs() {
    let (served, _) = started(None).await;
    for path in ["/accounts", "/accounts/team-a/acme", "/services"] {
        let html = page(&served, path).await;
        assert!(
            html.contains("<title>") && (path == "/accounts" || html.contains("kibana")),
            "{path}: {html}"
        );
        for asked in [
            get(&served, path).await,
            ask(&served, Method::GET, &format!("{path}?format=json"), &[HTML]).await,
        ] {
            assert_eq!(header(&asked, "content-type"), Some("application/json"), "{path}");
            asked.json::<serde_json::Value>().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_services_page_has_its_instances_facts_and_queries() {
    let (served, _) = started(None).await;
    let path = "/accounts/team-a/acme/services/kibana?application=logging";
    let html = page(&served, path).await;
    let text = text(&html);
    for part in ["kibana", "kibana.0", "kibana.1", "BEIJING1", "elastic/kibana", "40 %", "100 MiB"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let query = "sum(rate(caas_instance_cpu_usage_seconds_total{account_namespace=&quot;team-a&quot;,\
                 account=&quot;acme&quot;,application=&quot;logging&quot;,service_name=&quot;kibana&quot;}[5m]))";
    assert!(html.contains(query), "{html}");

    for (path, status) in [
        ("/accounts/team-a/acme/services/nothing", StatusCode::NOT_FOUND),
        ("/accounts/team-a/acme/services/kibana?application=other", StatusCode::NOT_FOUND),
        ("/accounts/team-a/nobody/services/kibana", StatusCode::NOT_FOUND),
        ("/services?sort=colour", StatusCode::BAD_REQUEST),
        ("/accounts?page=0", StatusCode::BAD_REQUEST),
        ("/assets/app-0.js", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&served, Method::GET, path, &[HTML]).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn links_are_relative_and_lead_to_pages_and_files() {
    let (served, _) = started(None).await;
    let paths = [
        "/",
        "/services",
        "/accounts",
        "/accounts/team-a/acme",
        "/accounts/team-a/acme/services/kibana?application=logging",
    ];
    let mut seen = 0;
    for path in paths {
        let html = page(&served, path).await;
        let base = reqwest::Url::parse(&served.url(path)).unwrap();
        for address in html.split([' ', '>']).filter_map(|part| {
            part.strip_prefix("href=\"").or_else(|| part.strip_prefix("src=\""))?.strip_suffix('"')
        }) {
            let address = address.replace("&amp;", "&");
            if address.starts_with("https://") || address.starts_with('#') {
                continue;
            }
            assert!(!address.starts_with('/'), "{path}: {address} does not work below a prefix");
            let url = base.join(&address).unwrap();
            let leads = format!("{}?{}", url.path(), url.query().unwrap_or_default());
            let status = ask(&served, Method::GET, &leads, &[HTML]).await.status();
            // One of the accounts is not collected, so neither are its series.
            let uncollected = leads.contains("/metrics") && status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(status.is_success() || uncollected, "{path}: {address}: {status}");
            seen += 1;
        }
    }
    assert!(seen > 100, "the reader sees {seen} links");
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let (served, registry) = started(None).await;
    let first = ask(&served, Method::GET, "/services", &[HTML]).await;
    let tag = header(&first, "etag").unwrap().to_owned();
    let again = async || ask(&served, Method::GET, "/services", &[HTML, (IF_NONE_MATCH, &tag)]).await;
    let same = again().await;
    assert_eq!((same.status(), header(&same, "etag")), (StatusCode::NOT_MODIFIED, Some(&*tag)));
    assert!(same.text().await.unwrap().is_empty());

    registry.remove(&account("team-a", "acme", Names::Both).id);
    assert_eq!(again().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn pages_and_files_are_compressed_and_allow_nothing_from_elsewhere() {
    let (served, _) = started(None).await;
    let html = page(&served, "/").await;
    for (path, kept) in [("/".to_owned(), false), (asset(&html, "app-"), true), (asset(&html, "icon-"), true)]
    {
        let response = ask(&served, Method::GET, &path, &[HTML, (ACCEPT_ENCODING, "gzip")]).await;
        assert_eq!(header(&response, "content-encoding"), Some("gzip"), "{path}");
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"), "{path}");
        let policy = header(&response, "content-security-policy").unwrap_or_default();
        assert_eq!(
            policy.contains("default-src 'none'; script-src 'self'; style-src 'self'"),
            !kept,
            "{path}"
        );
        assert_eq!(header(&response, "cache-control").unwrap().contains("immutable"), kept, "{path}");
    }
    assert!(!html.contains("style=") && !html.contains("onclick") && !html.contains("<style"), "{html}");
}

fn asset(html: &str, name: &str) -> String {
    let at = html.find(&format!("assets/{name}")).unwrap();
    format!("/{}", html[at..].split('"').next().unwrap())
}

#[tokio::test]
async fn nothing_that_a_cloud_or_a_tenant_wrote_becomes_markup() {
    let (served, registry) = started(None).await;
    let hostile = "<script>alert(1)</script>\"'&\u{202e}\0/../x?y#z";
    let account = account("team-a", "acme", Names::Modern);
    let mut values = pages::beyond_alauda();
    let facts = caas_operator::cloud::model::ServiceFacts {
        name: hostile.into(),
        application: Some(hostile.into()),
        status: Some(hostile.into()),
        image: Some(hostile.into()),
        image_tag: Some(hostile.into()),
        region: Some(hostile.into()),
        ..(*values.services[0].facts).clone()
    };
    values.services[0].facts = facts.into();
    let instance = caas_operator::cloud::model::InstanceFacts {
        name: hostile.into(),
        id: hostile.into(),
        ..(*values.services[0].instances[0].facts).clone()
    };
    values.services[0].instances[0].facts = instance.into();
    let mut changed = std::sync::Arc::into_inner(snapshot(&ALL, Health::Collected)).unwrap();
    changed.values = values;
    registry.publish(&account, changed.into());

    let list = page(&served, "/services?q=%22%3E%3Cscript%3E").await;
    assert!(!list.contains("<script>"), "{list}");
    let list = page(&served, "/services?q=alert").await;
    let link = list.split("class=\"row\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let own = page(&served, &format!("/{link}")).await;
    for html in [list, own, page(&served, "/").await, page(&served, "/accounts/team-a/acme").await] {
        assert!(
            !html.contains("<script>alert") && !html.contains('\u{202e}') && !html.contains('\0'),
            "{html}"
        );
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
    }
}

#[tokio::test]
async fn an_account_that_has_a_status_shows_its_conditions_and_others_their_last_outcome() {
    let read = |id: &AccountId| {
        let condition = |name: &str, status: &str, reason: &str, message: &str| AccountCondition {
            name: name.into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            since: 1_480_000_000.0,
        };
        let both = [
            condition("Ready", "False", "CRDNotInstalled", "Install <Prometheus> Operator.\u{202e}"),
            condition("example.com/Audited", "Unknown", "Waiting", "Somebody else's."),
        ];
        if &*id.namespace == "team-a" { both.into() } else { vec![] }
    };
    let options = PageOptions { conditions: Some(Arc::new(read)), ..PageOptions::default() };
    let (served, _) = started_with(Limits::default(), None, options).await;
    let html = page(&served, "/accounts/team-a/acme").await;
    assert!(html.contains("datetime=\"2016-11-24T15:06:40Z\""), "since when");
    let shown = text(&html);
    assert!(shown.contains("Ready False CRDNotInstalled"), "{shown}");
    assert!(shown.contains(r"Install &lt;Prometheus&gt; Operator.\u{202e}"), "{shown}");
    assert!(shown.contains("example.com/Audited Unknown Waiting"), "{shown}");
    assert!(!shown.contains("Collecting True"), "the status says it: {shown}");

    let other = text(&page(&served, "/accounts/team-b/modern").await);
    assert!(
        other.contains("CredentialsReady False · LoginRejected") && !other.contains("Conditions"),
        "{other}"
    );
}

#[tokio::test]
async fn pages_link_to_the_dashboards_of_a_grafana_that_is_named() {
    let options = PageOptions {
        grafana: Some("https://example.com/grafana/".parse().unwrap()),
        ..PageOptions::default()
    };
    let (served, _) = started_with(Limits::default(), None, options).await;
    let account = "caas-account?var-namespace=team-a&amp;var-account=acme";
    for (path, dashboards) in [
        ("/", vec!["caas-clouds".to_owned(), "caas-operator".to_owned()]),
        ("/accounts/team-a/acme", vec![account.to_owned()]),
        ("/accounts/team-a/acme/services/kibana", vec![format!("{account}&amp;var-service=kibana")]),
        ("/services", vec![]),
    ] {
        let html = page(&served, path).await;
        let links = html.split("href=\"https://example.com/grafana/d/").skip(1);
        let links: Vec<_> = links.map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(links, dashboards, "{path}");
    }
    let (without, _) = started(None).await;
    assert!(!page(&without, "/accounts/team-a/acme").await.contains("Grafana"));
}

#[tokio::test]
async fn an_account_that_another_replica_collects_is_shown_as_that_one_tells() {
    let (served, registry) = started(None).await;
    for id in registry.ids() {
        registry.remove(&id);
    }
    let theirs = account("team-a", "acme", Names::Both);
    let elsewhere = Elsewhere {
        id: theirs.id.clone(),
        uid: "1".into(),
        provider: "alauda",
        targets: theirs.targets.clone(),
        is_suspended: false,
        is_coming: false,
        before: None,
        report: None,
    };
    registry.mark_elsewhere(elsewhere.clone());
    let overview = text(&page(&served, "/").await);
    assert!(overview.contains("Another replica collects this account and has not reported"), "{overview}");
    let list = get(&served, "/accounts?sort=state").await.text().await.unwrap();
    assert!(list.contains("\"reason\":\"Unknown\""), "{list}");

    let report = Report { reason: Reason::Collected, message: "As it should be.".into(), snapshot: None };
    registry.mark_elsewhere(Elsewhere { report: Some(report), ..elsewhere });
    let overview = text(&page(&served, "/").await);
    assert!(overview.contains("No problems in 0 services of 1 account."), "{overview}");
    let list = get(&served, "/accounts?sort=state").await.text().await.unwrap();
    assert!(list.contains("\"reason\":\"Collected\",\"message\":\"As it should be.\""), "{list}");
}
