//! An OTLP endpoint of the tests: keeps what it is sent, and answers as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::DataPointFlags;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message;

/// Name and labels of a series.
pub(crate) type Series = (String, BTreeMap<String, String>);

/// What an endpoint answers to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// 200, and so many points that were not taken.
    Taken(i64),
    /// This status, with `Retry-After: 1`.
    Status(u16),
    /// Nothing, ever.
    Never,
}

/// A request that came.
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) message: ExportMetricsServiceRequest,
}

/// A running endpoint.
#[derive(Clone, Default)]
pub(crate) struct Endpoint {
    received: Arc<Mutex<Vec<Received>>>,
    /// The next replies; afterwards everything is taken.
    replies: Arc<Mutex<VecDeque<Reply>>>,
    /// A message with points of this instance is answered with 400.
    refused: Arc<Mutex<Option<&'static str>>>,
}

impl Endpoint {
    /// Starts one on any free port; returns it and its base URL.
    pub(crate) async fn start(replies: &[Reply]) -> (Self, String) {
        let endpoint =
            Self { replies: Arc::new(Mutex::new(replies.iter().copied().collect())), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/metrics", post(take)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, base)
    }

    /// Looks at all requests so far.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Received]) -> T) -> T {
        look(&self.received.lock().unwrap())
    }

    /// What the next requests are answered with.
    pub(crate) fn reply(&self, replies: &[Reply]) {
        self.replies.lock().unwrap().extend(replies);
    }

    /// Answers 400 to every message with points of this instance.
    pub(crate) fn refuse(&self, instance: &'static str) {
        *self.refused.lock().unwrap() = Some(instance);
    }

    /// The newest value of every number that came and has not ended, with the labels that receivers make of it.
    pub(crate) fn series(&self) -> BTreeMap<Series, f64> {
        let mut series = BTreeMap::new();
        self.look(|all| {
            for (name, value) in all.iter().flat_map(|one| numbers(&one.message)) {
                match value {
                    Some(value) => series.insert(name, value),
                    None => series.remove(&name),
                };
            }
        });
        series
    }

    /// The numbers that were said to have ended, in their order.
    pub(crate) fn ended(&self) -> Vec<Series> {
        let ended = |(series, value): (Series, Option<f64>)| value.is_none().then_some(series);
        self.look(|all| all.iter().flat_map(|one| numbers(&one.message)).filter_map(ended).collect())
    }

    /// The numbers in the requests after the first so many, ended or not.
    pub(crate) fn since(&self, first: usize) -> Vec<Series> {
        let since = |all: &[Received]| {
            all[first..].iter().flat_map(|one| numbers(&one.message)).map(|(series, _)| series).collect()
        };
        self.look(since)
    }
}

async fn take(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
    let message = ExportMetricsServiceRequest::decode(&*plain).unwrap();
    let refused = *endpoint.refused.lock().unwrap();
    let is_refused = refused.is_some_and(|instance| instances(&message).iter().any(|it| it == instance));
    endpoint.received.lock().unwrap().push(Received { headers, body, message });
    if is_refused {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let reply = endpoint.replies.lock().unwrap().pop_front().unwrap_or(Reply::Taken(0));
    match reply {
        Reply::Taken(rejected_data_points) => {
            let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message: String::new() };
            ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec().into_response()
        }
        Reply::Status(status) => {
            (StatusCode::from_u16(status).unwrap(), [("retry-after", "1")], "canary").into_response()
        }
        Reply::Never => std::future::pending().await,
    }
}

/// The instances of which a message has points.
pub(crate) fn instances(message: &ExportMetricsServiceRequest) -> Vec<String> {
    let resources = message.resource_metrics.iter().filter_map(|one| one.resource.as_ref());
    let attributes = resources.flat_map(|resource| &resource.attributes).map(text);
    attributes.filter(|(name, _)| name == "service.instance.id").map(|(_, value)| value).collect()
}

fn text(attribute: &KeyValue) -> (String, String) {
    let Some(Value::StringValue(text)) = attribute.value.as_ref().and_then(|value| value.value.clone())
    else {
        panic!("{attribute:?}");
    };
    (attribute.key.clone(), text)
}

/// The points of a message, except histograms', with `job` and `instance` as receivers make them. `None`: the series has
/// ended.
fn numbers(message: &ExportMetricsServiceRequest) -> Vec<(Series, Option<f64>)> {
    let mut all = Vec::new();
    for of_resource in &message.resource_metrics {
        let resource: BTreeMap<_, _> =
            of_resource.resource.iter().flat_map(|one| &one.attributes).map(text).collect();
        let of_target = [("job", "service.name"), ("instance", "service.instance.id")]
            .map(|(label, attribute)| (label.to_owned(), resource[attribute].clone()));
        for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let points = match metric.data.as_ref().unwrap() {
                Data::Gauge(gauge) => &gauge.data_points,
                Data::Sum(sum) => &sum.data_points,
                _ => continue,
            };
            for point in points {
                let labels = point.attributes.iter().map(text).chain(of_target.clone()).collect();
                let value = match (point.value, point.flags & DataPointFlags::NoRecordedValueMask as u32) {
                    (Some(Number::AsDouble(value)), 0) => Some(value),
                    (None, flag) if flag != 0 => None,
                    _ => panic!("{point:?}"),
                };
                all.push(((metric.name.clone(), labels), value));
            }
        }
    }
    all
}
