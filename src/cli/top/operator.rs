//! The operator that is asked: at an address, or behind a Service of a cluster, which its API server's proxy reaches. Lists are
//! asked for page by page.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use kube::client::Body;
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use url::{Url, form_urlencoded};

use super::rows::{List, Row};
use crate::cli::run::SERVICE_LABEL;
use crate::cloud::model::unprintable::written_out;
use crate::controller::{self, causes};

/// Rows of a page: the most that the operator gives at once.
const PAGE_ROWS: usize = 1000;
/// How long a page may take. The operator makes one in milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The base URL of a program that serves the lists, which may have a path.
#[derive(Debug, Clone)]
pub(super) struct ServerUrl(Uri);

impl Default for ServerUrl {
    /// Where `demo` and `standalone` listen.
    fn default() -> Self {
        Self(Uri::from_static("http://localhost:9104/"))
    }
}

impl FromStr for ServerUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRITE: &str = "use a URL such as http://localhost:9104/, without user, query or fragment";
        let url: Url = text.parse().map_err(|_| WRITE)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_base = url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain || !is_base {
            return Err(WRITE);
        }
        url.as_str().parse().map(Self).map_err(|_| WRITE)
    }
}

/// What is wanted of a list.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) list: List,
    /// A filter of the page; empty: everything.
    pub(super) expression: String,
    /// Apart by commas; empty: all.
    pub(super) namespaces: String,
    pub(super) sort: String,
    /// The first so many.
    pub(super) limit: Option<usize>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Found {
    /// How many the filter selects.
    pub(super) total: usize,
    /// Those that are wanted, as the operator writes them.
    pub(super) rows: Vec<Box<RawValue>>,
}

impl Found {
    /// What a table shows of the rows.
    pub(super) fn read(&self) -> Result<Vec<Row>, AskError> {
        let rows = self.rows.iter().map(|row| serde_json::from_str(row.get()));
        rows.collect::<Result<_, _>>().map_err(AskError::Unreadable)
    }

    /// The rows as one object on one line, each as the operator writes it: unprintable characters are escaped in it.
    pub(super) fn json(&self, list: List) -> String {
        let rows: Vec<&str> = self.rows.iter().map(|row| row.get()).collect();
        format!("{{\"total\":{},\"{}\":[{}]}}\n", self.total, list.as_str(), rows.join(","))
    }
}

/// A page of an answer.
#[derive(Deserialize)]
struct Page {
    total: usize,
    /// Absent on the last one.
    #[serde(rename = "nextPage")]
    next: Option<usize>,
    #[serde(alias = "services", alias = "instances", alias = "accounts")]
    rows: Vec<Box<RawValue>>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(in crate::cli) enum AskError {
    /// The settings do not make a client.
    #[error("cannot create a client: {}", causes(&**.0))]
    Client(#[from] Box<kube::Error>),
    /// Nobody answers there.
    #[error("{place} does not respond: {error}; {advice}")]
    Away {
        /// Who.
        place: String,
        /// What happened.
        error: String,
        /// What to do.
        advice: &'static str,
    },
    /// The API server forbids it.
    #[error("the API server forbids it: {message}; {advice}")]
    Forbidden {
        /// Its own words.
        message: String,
        /// Which right is needed.
        advice: String,
    },
    /// None of them has the label.
    #[error(
        "no operator found: there is no Service with the label {SERVICE_LABEL} in {0}; set --service-namespace and --service-name"
    )]
    NoService(String),
    /// Which one?
    #[error("several operators found: {0}; select one with --service-namespace and --service-name")]
    SeveralServices(String),
    /// The operator has no such path.
    #[error("{place} has no /{list}: it is older than this program, or it is not caas-operator")]
    Older {
        /// Who.
        place: String,
        /// What was asked for.
        list: &'static str,
    },
    /// It refuses, for a reason.
    #[error("{place} responds with {status}: {message}")]
    Refused {
        /// Who.
        place: String,
        /// The status.
        status: StatusCode,
        /// The first line of the answer.
        message: String,
    },
    /// Something else answers there.
    #[error("the response cannot be read: {0}; check that this is the address of a caas-operator")]
    Unreadable(serde_json::Error),
}

/// An operator that can be asked.
pub(super) struct Operator {
    client: Client,
    place: Place,
}

/// Where it is.
enum Place {
    /// At this URL.
    Server(Uri),
    /// Behind a Service: namespace and name.
    Service(String, String),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(url) => write!(formatter, "{url}"),
            Self::Service(namespace, name) => write!(formatter, "Service {namespace}/{name}"),
        }
    }
}

impl Place {
    /// What its paths begin with; the client adds the path of a server's URL. The port has the name `http` in every Service of
    /// an operator.
    fn prefix(&self) -> String {
        match self {
            Self::Server(_) => String::new(),
            Self::Service(namespace, name) => {
                format!("/api/v1/namespaces/{namespace}/services/{name}:http/proxy")
            }
        }
    }

    fn away(&self, error: String) -> AskError {
        match self {
            Self::Server(url) => AskError::Away {
                place: url.to_string(),
                error,
                advice: "start `caas-operator demo` or `standalone`, set another address with --server, or query a \
                         cluster's operator with --cluster",
            },
            Self::Service(..) => api_server_away(error),
        }
    }
}

fn api_server_away(error: String) -> AskError {
    AskError::Away {
        place: "the API server".to_owned(),
        error,
        advice: "check KUBECONFIG and --context; to query a program on this machine, use --server",
    }
}

impl Operator {
    /// The one that serves at this URL.
    pub(super) fn at(ServerUrl(url): ServerUrl) -> Result<Self, AskError> {
        let client = controller::client(Config::new(url.clone())).map_err(Box::new)?;
        Ok(Self { client, place: Place::Server(url) })
    }

    /// The one of this cluster. Its Service is looked for unless namespace and name are known.
    pub(super) async fn of_cluster(
        config: Config,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<Self, AskError> {
        let client = controller::client(config).map_err(Box::new)?;
        let (namespace, name) = match (namespace, name) {
            (Some(namespace), Some(name)) => (namespace.to_owned(), name.to_owned()),
            _ => find(&client, namespace, name).await?,
        };
        Ok(Self { client, place: Place::Service(namespace, name) })
    }

    /// Asks for a list, page by page.
    pub(super) async fn ask(&self, question: &Question) -> Result<Found, AskError> {
        let limit = question.limit.unwrap_or(usize::MAX);
        let mut found = Found { total: 0, rows: Vec::new() };
        let mut next = Some(1);
        while let Some(number) = next
            && found.rows.len() < limit
        {
            let page = self.page(question, limit.min(PAGE_ROWS), number).await?;
            found.total = page.total;
            found.rows.extend(page.rows);
            next = page.next;
        }
        found.rows.truncate(limit);
        Ok(found)
    }

    async fn page(&self, question: &Question, rows: usize, number: usize) -> Result<Page, AskError> {
        let Question { list, expression, namespaces, sort, limit: _ } = question;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", expression)
            .append_pair("namespace", namespaces)
            .append_pair("sort", sort)
            .append_pair("limit", &rows.to_string())
            .append_pair("page", &number.to_string())
            .finish();
        let path = format!("{}/{}?{query}", self.place.prefix(), list.as_str());
        let (status, body) = self.get(&path).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(AskError::Unreadable);
        }
        Err(self.refused(status, &body, *list))
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        let request = Request::get(path).header(ACCEPT, "application/json").body(Body::empty());
        let request = request.map_err(|error| Box::new(kube::Error::HttpError(error)))?;
        let answered = async {
            let (head, body) = self.client.send(request).await.map_err(|error| causes(&error))?.into_parts();
            let body = body.collect().await.map_err(|error| causes(&error))?;
            Ok((head.status, body.to_bytes()))
        };
        let late = |_| Err(format!("it takes longer than {} s", PATIENCE.as_secs()));
        let answered = tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(late);
        answered.map_err(|error| self.place.away(error))
    }

    /// What an answer without success means: the API server's own are of kind `Status`, the operator's are a line of text.
    fn refused(&self, status: StatusCode, body: &[u8], list: List) -> AskError {
        let of_api_server = serde_json::from_slice::<ApiStatus>(body).ok().filter(|it| it.kind == "Status");
        let place = self.place.to_string();
        match (of_api_server, &self.place) {
            (Some(ApiStatus { message, .. }), Place::Service(namespace, name))
                if status == StatusCode::FORBIDDEN =>
            {
                let advice = format!(
                    "reading through its proxy requires the verb get on services/proxy, resource name {name}:http, in namespace \
                     {namespace}"
                );
                AskError::Forbidden { message: line(&message), advice }
            }
            (Some(ApiStatus { message, .. }), _) => {
                AskError::Refused { place, status, message: line(&message) }
            }
            (None, _) if status == StatusCode::NOT_FOUND => AskError::Older { place, list: list.as_str() },
            (None, _) => AskError::Refused { place, status, message: line(&String::from_utf8_lossy(body)) },
        }
    }
}

/// What the API server answers where it does not proxy.
#[derive(Deserialize)]
struct ApiStatus {
    kind: String,
    #[serde(default)]
    message: String,
}

/// The first line, for a terminal.
fn line(text: &str) -> String {
    super::table::cut(&written_out(text.lines().next().unwrap_or_default()), 300)
}

/// The namespace and name of the operator's Service.
async fn find(
    client: &Client,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<(String, String), AskError> {
    let services: Api<Service> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut params = ListParams::default().labels(SERVICE_LABEL);
    if let Some(name) = name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    let listed = tokio::time::timeout(PATIENCE, services.list(&params)).await;
    let listed =
        listed.map_err(|_| api_server_away(format!("it takes longer than {} s", PATIENCE.as_secs())))?;
    let listed = listed.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 403 => AskError::Forbidden {
            message: line(&status.message),
            advice:
                "set --service-namespace and --service-name to skip the search for the operator's Service"
                    .to_owned(),
        },
        other => api_server_away(causes(&other)),
    })?;
    let named = listed.items.into_iter().map(|service| service.metadata);
    let mut found: Vec<(String, String)> = named.filter_map(|it| Some((it.namespace?, it.name?))).collect();
    match found.len() {
        0 => Err(AskError::NoService(
            namespace.map_or_else(|| "any namespace".to_owned(), |name| format!("namespace {name}")),
        )),
        1 => Ok(found.remove(0)),
        _ => {
            let all: Vec<_> = found.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
            Err(AskError::SeveralServices(all.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_plain_url_and_may_have_a_path() {
        for text in ["http://localhost:9104", "https://caas.example.com/operator/"] {
            assert!(text.parse::<ServerUrl>().is_ok(), "{text}");
        }
        for text in
            ["localhost:9104", "ftp://localhost/", "http://ann:secret@localhost/", "http://a/?q=1", "x"]
        {
            assert!(text.parse::<ServerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn rows_stand_in_the_json_as_they_came() {
        let text = r#"{"total":7,"nextPage":2,"services":[{"name":"a\u001b","x":[1]},{"name":"b"}]}"#;
        let page: Page = serde_json::from_str(text).unwrap();
        let found = Found { total: page.total, rows: page.rows };
        assert_eq!(
            found.json(List::Services),
            "{\"total\":7,\"services\":[{\"name\":\"a\\u001b\",\"x\":[1]},{\"name\":\"b\"}]}\n"
        );
    }
}
