//! The page at `/`: which paths there are, and how each account stands. Plain HTML without scripts.

use std::fmt::{self, Write};

use super::views::{Accounts, Summary};

/// What a browser may do with the page: show it. The last line of defence behind [`Escaped`].
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;\
    border-bottom:1px solid #8884;vertical-align:top}td.n,th.n{text-align:right}code{font-size:.9em}\
    .bad{color:#c0392b}:root{color-scheme:light dark}";

/// The page for these accounts.
pub(super) fn html(accounts: &Accounts) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>caas-operator</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>caas-operator</h1>\n<h2>Accounts</h2>\n"
    );
    if accounts.accounts.is_empty() {
        page.push_str("<p>There is no account yet.</p>\n");
    } else {
        page.push_str(
            "<table>\n<tr><th>Account</th><th>Provider</th><th>State</th><th class=\"n\">Services</th>\
             <th class=\"n\">Instances</th><th class=\"n\">Age of data</th><th>Series</th></tr>\n",
        );
        for account in &accounts.accounts {
            // Writing into a String does not fail.
            let _ = row(&mut page, account);
        }
        page.push_str("</table>\n");
    }
    page.push_str(
        "<h2>Paths</h2>\n<ul>\n\
         <li><a href=\"/accounts\"><code>/accounts</code></a>: all accounts as JSON</li>\n\
         <li><code>/accounts/{namespace}/{name}</code>: one account as JSON, with its services, instances and samples</li>\n\
         <li><code>/accounts/{namespace}/{name}/metrics</code>: its series</li>\n\
         <li><code>/accounts/{namespace}/{name}/metrics/legacy</code>: its series under legacy names, where it serves them</li>\n\
         <li><a href=\"/sd\"><code>/sd</code></a>: targets for Prometheus’ <code>http_sd_configs</code></li>\n\
         <li><a href=\"/metrics\"><code>/metrics</code></a>: the operator’s own metrics</li>\n\
         </ul>\n</body>\n</html>\n",
    );
    page
}

fn row(page: &mut String, account: &Summary) -> fmt::Result {
    let class = match account.reason {
        "Collected" | "Pending" | "Suspended" => "",
        _ => " class=\"bad\"",
    };
    let detail = account.metrics_path.strip_suffix("/metrics").unwrap_or_default();
    write!(
        page,
        "<tr><td><a href=\"{detail}\">{namespace}/{name}</a></td><td>{provider}</td>\
         <td><span{class}>{reason}</span><br><small>{message}</small></td>\
         <td class=\"n\">{services}</td><td class=\"n\">{instances}</td>",
        detail = Escaped(detail),
        namespace = Escaped(&account.namespace),
        name = Escaped(&account.name),
        provider = account.provider,
        reason = account.reason,
        message = Escaped(&account.message),
        services = account.services,
        instances = account.instances,
    )?;
    match account.age_seconds {
        Some(age) => write!(page, "<td class=\"n\">{age:.0} s</td>")?,
        None => page.push_str("<td class=\"n\">none</td>"),
    }
    write!(page, "<td><a href=\"{}\">metrics</a>", Escaped(&account.metrics_path))?;
    if let Some(legacy) = &account.legacy_metrics_path {
        write!(page, " <a href=\"{}\">legacy</a>", Escaped(legacy))?;
    }
    page.push_str("</td></tr>\n");
    Ok(())
}

/// Text that stays text in HTML, inside tags' quotes too.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            '>' => formatter.write_str("&gt;"),
            '"' => formatter.write_str("&quot;"),
            '\'' => formatter.write_str("&#39;"),
            other => formatter.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_account_becomes_markup() {
        let hostile = "<script>alert(1)</script>\"'&".to_owned();
        let account = Summary {
            namespace: hostile.clone(),
            name: hostile.clone(),
            provider: "alauda",
            reason: "Collected",
            message: hostile.clone(),
            services: 0,
            instances: 0,
            age_seconds: None,
            metrics_path: format!("/accounts/{hostile}/metrics"),
            legacy_metrics_path: Some(hostile),
        };
        let page = html(&Accounts { accounts: vec![account] });
        assert!(!page.contains("<script") && !page.contains("'&") && !page.contains("\"'"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"), "{page}");
    }
}
