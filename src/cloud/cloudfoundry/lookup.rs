//! Looks up the organizations and spaces that the settings name, once in some minutes.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::scope::Scope;
use super::target::Settings;
use super::wire::{self, Entity};
use crate::cloud::CloudError;
use crate::cloud::kit::{KeptBytes, KeptState, entry_bytes};

/// How long the guids of names stay known: an organization or space that is created anew gets another guid.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// The scope that was looked up last.
#[derive(Debug, Default)]
pub(super) struct KnownScope(Option<(Instant, Scope)>);

impl KeptBytes for KnownScope {
    fn kept_bytes(&self) -> usize {
        let scopes = self.0.iter().flat_map(|(_, scope)| [&scope.organizations, &scope.spaces]);
        scopes.flatten().flatten().map(|guid| entry_bytes::<()>(guid.len())).sum()
    }
}

impl KnownScope {
    /// The scope of the settings: as `known`, or looked up by `list`, which requests all pages of a list.
    ///
    /// `NotVisible` where none of the names exists.
    pub(super) async fn get<L>(
        known: &KeptState<Self>,
        settings: &Settings,
        list: impl Fn(&'static str, Url) -> L,
    ) -> Result<Scope, CloudError>
    where
        L: Future<Output = Result<Vec<Entity>, CloudError>>,
    {
        if settings.organizations.is_empty() && settings.spaces.is_empty() {
            return Ok(Scope::default());
        }
        if let Some((since, scope)) = &known.get().0
            && since.elapsed() < KNOWN_FOR
        {
            return Ok(scope.clone());
        }
        let scope = look_up(settings, list).await?;
        // A name that is missing now may be created soon.
        known.replace(Self(scope.missing.is_none().then(|| (Instant::now(), scope.clone()))));
        Ok(scope)
    }
}

async fn look_up<L>(settings: &Settings, list: impl Fn(&'static str, Url) -> L) -> Result<Scope, CloudError>
where
    L: Future<Output = Result<Vec<Entity>, CloudError>>,
{
    let mut scope = Scope::default();
    if !settings.organizations.is_empty() {
        let url = wire::organizations_url(&settings.endpoint, &settings.organizations);
        let found = list("organizations", url).await?;
        scope.organizations =
            Some(guids("organization", &settings.organizations, found, &mut scope.missing)?);
    }
    if !settings.spaces.is_empty() {
        let mut url = wire::spaces_url(&settings.endpoint, &settings.spaces);
        scope.limit(&mut url);
        let mut found = list("spaces", url).await?;
        found.retain(|space| scope.covers(space.organization.as_deref(), None));
        scope.spaces = Some(guids("space", &settings.spaces, found, &mut scope.missing)?);
    }
    Ok(scope)
}

/// The guids of these names. Some may be missing, but not all.
fn guids(
    what: &'static str,
    names: &[String],
    mut found: Vec<Entity>,
    missing: &mut Option<&'static str>,
) -> Result<HashSet<String>, CloudError> {
    found.retain(|entity| names.iter().any(|name| entity.name.eq_ignore_ascii_case(name)));
    let is_found = |name: &String| found.iter().any(|entity| entity.name.eq_ignore_ascii_case(name));
    if !names.iter().all(is_found) {
        *missing = missing.or(Some(what));
    }
    let guids: HashSet<String> = found.into_iter().map(|entity| entity.guid).collect();
    if guids.is_empty() { Err(CloudError::NotVisible(what)) } else { Ok(guids) }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    fn settings(organizations: &[&str], spaces: &[&str]) -> Settings {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Settings {
            endpoint: "https://api.sys.example.com/".parse().unwrap(),
            organizations: owned(organizations),
            spaces: owned(spaces),
            label_selector: None,
            login_endpoint: None,
            login_origin: None,
        }
    }

    fn entity(guid: &str, name: &str, organization: Option<&str>) -> Entity {
        Entity { guid: guid.to_owned(), name: name.to_owned(), organization: organization.map(str::to_owned) }
    }

    /// The scope, with these responses, and the queries that were sent.
    async fn get(
        known: &KeptState<KnownScope>,
        settings: &Settings,
        responses: Vec<Vec<Entity>>,
    ) -> (Result<Scope, CloudError>, Vec<String>) {
        let (responses, sent) = (RefCell::new(VecDeque::from(responses)), RefCell::default());
        let list = |_: &'static str, url: Url| {
            RefCell::<Vec<String>>::borrow_mut(&sent).push(format!(
                "{}?{}",
                url.path(),
                url.query().unwrap()
            ));
            let response = responses.borrow_mut().pop_front().ok_or(CloudError::Status(500));
            async move { response }
        };
        let scope = KnownScope::get(known, settings, list).await;
        (scope, sent.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_looked_up_once_in_ten_minutes() {
        let (known, settings) = (KeptState::default(), settings(&["acme"], &["prod"]));
        let responses = || {
            vec![
                vec![entity("o1", "ACME", None)],
                vec![entity("s1", "prod", Some("o1")), entity("s2", "prod", Some("elsewhere"))],
            ]
        };
        let (scope, sent) = get(&known, &settings, responses()).await;
        let scope = scope.unwrap();
        assert_eq!(
            sent,
            [
                "/v3/organizations?per_page=5000&names=acme",
                "/v3/spaces?per_page=5000&names=prod&organization_guids=o1",
            ]
        );
        assert!(scope.covers(Some("o1"), Some("s1")) && !scope.covers(Some("o1"), Some("s2")));
        assert!(!scope.covers(None, None));

        tokio::time::advance(KNOWN_FOR / 2).await;
        assert_eq!(get(&known, &settings, vec![]).await, (Ok(scope.clone()), vec![]));
        tokio::time::advance(KNOWN_FOR).await;
        assert_eq!(get(&known, &settings, responses()).await.1.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn guids_count_with_all_else_that_is_kept() {
        let (known, settings) = (KeptState::default(), settings(&[], &["prod"]));
        let spaces = (0..10_000).map(|number| entity(&format!("{number:0>100}"), "prod", None)).collect();
        get(&known, &settings, vec![spaces]).await.0.unwrap();
        assert!((10_000 * 150..10_000 * 250).contains(&known.bytes()), "{} bytes", known.bytes());
        known.forget();
        assert_eq!(known.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_does_not_exist_is_reported_and_looked_up_again() {
        let (known, settings) = (KeptState::default(), settings(&["acme", "globex"], &[]));
        let nothing = get(&known, &settings, vec![vec![entity("o3", "other", None)]]).await.0;
        assert_eq!(nothing, Err(CloudError::NotVisible("organization")));
        for _ in 0..2 {
            let (scope, sent) = get(&known, &settings, vec![vec![entity("o1", "acme", None)]]).await;
            assert_eq!((scope.unwrap().missing, sent.len()), (Some("organization"), 1));
        }
    }

    #[tokio::test]
    async fn nothing_is_looked_up_where_no_name_is_set() {
        let (scope, sent) = get(&KeptState::default(), &settings(&[], &[]), vec![]).await;
        assert!(scope.unwrap().covers(None, None) && sent.is_empty());
    }

    #[test]
    fn a_query_holds_a_hundred_guids_at_most() {
        let query = |count: usize| {
            let spaces = (0..count).map(|number| format!("guid-{number}")).collect();
            let mut url: Url = "https://api.sys.example.com/v3/apps".parse().unwrap();
            Scope { spaces: Some(spaces), ..Scope::default() }.limit(&mut url);
            url.query().map(str::len)
        };
        assert!(query(100).is_some_and(|length| length < 4_000));
        assert_eq!(query(101), None);
    }
}
