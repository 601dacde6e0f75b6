//! Accounts that are not collected.

use reqwest::StatusCode;
use serde_json::Value;

use crate::{broken, get, resting, started};

#[tokio::test]
async fn an_account_that_cannot_be_collected_is_listed_with_its_reason() {
    let (served, _) = started(None).await;
    let (sd, page) = (get(&served, "/sd").await, get(&served, "/").await);
    let (sd, page) = (sd.text().await.unwrap(), page.text().await.unwrap());
    let own = get(&served, "/metrics").await.text().await.unwrap();
    for (name, problem, scraped, legacy) in
        [("broken", broken(), true, 503), ("resting", resting(), false, 404)]
    {
        let (path, reason) = (format!("/accounts/team-d/{name}"), problem.reason.as_str());
        let metrics = get(&served, &format!("{path}/metrics")).await;
        assert_eq!(metrics.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert_eq!(metrics.text().await.unwrap(), format!("{}\n", problem.message));
        assert_eq!(get(&served, &format!("{path}/metrics/legacy")).await.status().as_u16(), legacy, "{name}");

        let detail: Value = get(&served, &path).await.json().await.unwrap();
        let said = ["reason", "message"].map(|field| detail["account"][field].as_str().unwrap());
        assert_eq!((said, &detail["services"]), ([reason, &problem.message], &Value::Array(vec![])));
        assert!(page.contains(&format!("accounts/team-d/{name}\"")) && page.contains(reason), "{page}");
        assert_eq!(sd.contains(&format!("\"{path}/metrics\"")), scraped, "{sd}");
        assert!(own.contains(&format!("caas_operator_accounts{{state=\"{reason}\"}} 1")), "{own}");
    }
}
