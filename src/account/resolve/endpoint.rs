//! The endpoint of an account: a base URL, the one its credentials are bound to, and one that may be asked.

use url::Url;

use super::super::{AccountId, Problem};
use super::keys::Keys;
use crate::api::Reason;
use crate::cloud::error::Refusal;

/// The endpoint with a slash at its end, after all checks.
pub(super) fn checked(
    id: &AccountId,
    address: Option<&str>,
    keys: &Keys<'_>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<Url, Problem> {
    let refused = |refusal| {
        Problem::new(
            Reason::EndpointRefused,
            format!("The endpoint in spec.provider of CaasAccount {id} is refused: {refusal}."),
        )
    };
    let endpoint = parse(address.unwrap_or_default()).map_err(refused)?;
    let no_url = || {
        keys.mismatch("is no http(s) URL with a host and without user, query or fragment: write the URL that the credentials are for")
    };
    if keys.is_too_long("endpoint") {
        return Err(no_url());
    }
    if let Some(bound) = keys.text("endpoint")? {
        match parse(bound) {
            Ok(bound) if bound == endpoint => {}
            Ok(_) => {
                return Err(keys.mismatch(
                    "binds its credentials to another endpoint than spec.provider has: set spec.provider to that one, or use a Secret with credentials for this one",
                ));
            }
            Err(_) => return Err(no_url()),
        }
    }
    allow(&endpoint).map_err(refused)?;
    Ok(endpoint)
}

/// A base URL, normalised so that two spellings of one address are equal.
fn parse(text: &str) -> Result<Url, Refusal> {
    let mut url = Url::parse(text.trim()).map_err(|_| Refusal::NotAnEndpoint)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::NotAnEndpoint);
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}
