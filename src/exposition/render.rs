//! A page to its bodies, family by family. Runs on a blocking thread: an account at its limit takes a while.

use std::sync::LazyLock;

use super::families::{AccountFacts, Family, INFO_LABELS, Reads, STATUS_LABEL, families};
use super::gzip::BodyWriter;
use super::labels::push_next;
use super::lines::{self, Stamp};
use super::page::{Page, ServiceEntry};
use super::selection::{Selection, select, statuses};
use super::{Bodies, legacy, openmetrics, text};

/// What of a page is rendered, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether the `caas_service_…` and `caas_instance_…` families are exposed; `caas_account_…` always are.
    pub modern: bool,
    /// Whether there is a legacy body.
    pub legacy: bool,
    /// The most series in all bodies together, legacy ones included.
    pub max_series: usize,
    /// Whether values that a cloud measured carry the time of their measurement.
    pub source_timestamps: bool,
}

/// What came of rendering a page.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The bodies to serve.
    pub bodies: Bodies,
    /// Series that are exposed, legacy ones and the account's own included.
    pub series: usize,
    /// Series left out because an earlier object has the same labels.
    pub duplicates: u64,
    /// Series left out because of [`Options::max_series`].
    pub over_limit: u64,
}

/// Renders pages; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Renderer {
    lines: Vec<u8>,
    extra: String,
}

/// A buffer larger than this is given back: one large page must not weigh on all that follow.
const KEPT_BYTES: usize = 1 << 20;

/// What stands above a family's samples, by format.
struct Headers {
    family: &'static Family,
    text: String,
    openmetrics: String,
}

static HEADERS: LazyLock<Vec<Headers>> = LazyLock::new(|| {
    let headers =
        |family| Headers { family, text: text::header(family), openmetrics: openmetrics::header(family) };
    families().iter().map(headers).collect()
});

impl Renderer {
    /// Renders one account's page. Costs CPU time in proportion to its series: not for async threads.
    pub fn render(&mut self, page: &Page, options: &Options) -> Rendered {
        let (selection, account) = choose(page, options);
        let (text, openmetrics) = self.modern(page, &account, &selection, options);
        let legacy =
            options.legacy.then(|| legacy::body(&mut self.lines, &selection, options.source_timestamps));
        self.lines.shrink_to(KEPT_BYTES);
        Rendered {
            bodies: Bodies { text, openmetrics, legacy },
            series: selection.series,
            duplicates: selection.duplicates,
            over_limit: selection.over_limit,
        }
    }

    /// Appends the modern body in the text format as it is, not compressed: for whoever wants to see or measure it.
    pub fn text(&mut self, page: &Page, options: &Options, body: &mut Vec<u8>) {
        let (selection, account) = choose(page, options);
        for Headers { family, text, .. } in exposed(options) {
            let before = body.len();
            body.extend_from_slice(text.as_bytes());
            let start = body.len();
            self.family(body, family, page, &account, &selection, stamp(family, options));
            if body.len() == start {
                body.truncate(before);
            }
        }
    }

    /// Both formats at once: only what stands above the samples differs, and the unit of timestamps.
    fn modern(
        &mut self,
        page: &Page,
        account: &AccountFacts<'_>,
        selection: &Selection<'_>,
        options: &Options,
    ) -> (super::Body, super::Body) {
        let (mut text, mut openmetrics) = (BodyWriter::new(), BodyWriter::new());
        let mut lines = std::mem::take(&mut self.lines);
        for Headers { family, text: text_header, openmetrics: openmetrics_header } in exposed(options) {
            let stamp = stamp(family, options);
            lines.clear();
            self.family(&mut lines, family, page, account, selection, stamp);
            if lines.is_empty() {
                continue;
            }
            text.push(text_header.as_bytes());
            text.push(&lines);
            if stamp != Stamp::None {
                lines.clear();
                self.family(&mut lines, family, page, account, selection, Stamp::Seconds);
            }
            openmetrics.push(openmetrics_header.as_bytes());
            openmetrics.push(&lines);
        }
        self.lines = lines;
        openmetrics.push(openmetrics::END);
        (text.finish(), openmetrics.finish())
    }

    /// Appends a family's lines.
    fn family(
        &mut self,
        lines: &mut Vec<u8>,
        family: &Family,
        page: &Page,
        account: &AccountFacts<'_>,
        selection: &Selection<'_>,
        stamp: Stamp,
    ) {
        let extra = &mut self.extra;
        let name = family.name;
        let services = &selection.services;
        let instances = &selection.instances;
        match family.reads {
            Reads::Account(read) => {
                if let Some(value) = read(account) {
                    lines::push(lines, name, page.labels.as_str(), "", value);
                }
            }
            Reads::Service(read) => {
                for service in services {
                    if let Some(value) = read(&service.facts) {
                        lines::push(lines, name, service.labels.as_str(), "", value);
                    }
                }
            }
            Reads::ServiceStatus => {
                for service in services {
                    for (status, value) in statuses(&service.facts) {
                        extra.clear();
                        push_next(extra, STATUS_LABEL, status);
                        lines::push(lines, name, service.labels.as_str(), extra, value);
                    }
                }
            }
            Reads::ServiceInfo => {
                for service in services {
                    info_labels(extra, service);
                    lines::push(lines, name, service.labels.as_str(), extra, 1.0);
                }
            }
            Reads::Instance(read) => {
                for chosen in instances {
                    if let Some(value) = read(&chosen.instance.facts) {
                        lines::push(lines, name, chosen.instance.labels.as_str(), "", value);
                    }
                }
            }
            Reads::InstanceInfo => {
                let mut of: Option<&ServiceEntry> = None;
                for chosen in instances {
                    if of.is_none_or(|service| !std::ptr::eq(service, chosen.service)) {
                        of = Some(chosen.service);
                        info_labels(extra, chosen.service);
                    }
                    lines::push(lines, name, chosen.instance.labels.as_str(), extra, 1.0);
                }
            }
            Reads::Sample(read) => {
                for chosen in instances {
                    let Some(sample) = &chosen.instance.sample else { continue };
                    if let Some(value) = read(sample) {
                        let labels = chosen.instance.labels.as_str();
                        lines::push_stamped(lines, name, labels, value, stamp, sample.timestamp);
                    }
                }
            }
        }
    }
}

/// What of a page is exposed, and what stands on its account.
fn choose<'a>(page: &'a Page, options: &Options) -> (Selection<'a>, AccountFacts<'a>) {
    let mut account = AccountFacts {
        gauges: &page.gauges,
        services: page.services.len(),
        instances: page.services.iter().map(|service| service.instances.len()).sum(),
        series: 0,
    };
    let selection = select(page, options, account_series(&account));
    account.series = selection.series;
    (selection, account)
}

/// The families of the modern bodies. An account with legacy names only still says how it stands.
fn exposed(options: &Options) -> impl Iterator<Item = &'static Headers> {
    let modern = options.modern;
    HEADERS.iter().filter(move |headers| modern || matches!(headers.family.reads, Reads::Account(_)))
}

/// Whether a family's lines carry timestamps, as the text format writes them.
fn stamp(family: &Family, options: &Options) -> Stamp {
    let stamped = options.source_timestamps && matches!(family.reads, Reads::Sample(_));
    if stamped { Stamp::Milliseconds } else { Stamp::None }
}

/// How many series the account itself has.
fn account_series(account: &AccountFacts<'_>) -> usize {
    let has = |family: &Family| match family.reads {
        Reads::Account(read) => usize::from(read(account).is_some()),
        _ => 0,
    };
    families().iter().map(has).sum()
}

/// Replaces `joined` by the labels of a service's info, each after a comma.
fn info_labels(joined: &mut String, service: &ServiceEntry) {
    joined.clear();
    for (label, read) in INFO_LABELS {
        push_next(joined, label, read(&service.facts).unwrap_or_default());
    }
}
