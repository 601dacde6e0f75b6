//! Whether an account's credentials may go to its endpoint, and to a login server of the settings: the Secret does not
//! bind them to another one, and the administrator allows it.

use url::Url;

use super::super::{AccountId, Problem};
use super::keys::Keys;
use crate::cloud::ProviderAccount;
use crate::cloud::error::Refusal;
use crate::schema::address::base_url;

/// Checks the endpoint against the Secret's and against the policy.
pub(super) fn check(
    id: &AccountId,
    account: &dyn ProviderAccount,
    keys: &Keys<'_>,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
) -> Result<(), Problem> {
    let endpoint = account.endpoint();
    if let Some(bound) = keys.endpoint()? {
        match base_url(&bound) {
            Some(bound) if is_at_or_below(endpoint, &bound) => {
                if !account.is_bound_by(&bound) {
                    return Err(keys.mismatch(
                        "allows its credentials for one endpoint only, but spec.provider sets a login server outside that endpoint's domain: remove that setting, or use a Secret without this key",
                    ));
                }
            }
            Some(_) => {
                return Err(keys.mismatch(
                    "allows its credentials for an endpoint other than the one in spec.provider: correct the endpoint in spec.provider, or use a Secret with credentials for it",
                ));
            }
            None => {
                return Err(keys.mismatch("is not an http(s) URL with a host and no user, query, fragment, semicolon or empty path segment: set it to the URL that the credentials are for"));
            }
        }
    }
    allow(endpoint).map_err(|refusal| Problem::endpoint(id, refusal))
}

/// Whether `url` is `base`, which ends in a slash, or has a path below it.
fn is_at_or_below(url: &Url, base: &Url) -> bool {
    url.origin() == base.origin() && url.path().starts_with(base.path())
}
