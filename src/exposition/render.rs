//! Renders an account's values to its bodies, family by family. Runs on a blocking thread: an account at its limit takes a
//! while.

use std::sync::LazyLock;

use super::body::{Bodies, Body};
use super::families::{AccountFacts, Family, PROVIDER_LABEL, Reads, STATE_LABEL, STATUS_LABEL, families};
use super::gzip::BodyWriter;
use super::labels::{LabelSet, cut, push_next};
use super::lines::{self, Stamp};
use super::options::Options;
use super::selection::{Selection, select, states, statuses};
use super::values::{AccountValues, ServiceEntry};
use super::{info, legacy, openmetrics, text};
use crate::cloud::model::measurement::Owner;
use crate::cloud::model::unprintable::is_unprintable;
use crate::cloud::model::{Measurement, Sample, State};

/// The result of one rendering.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The bodies to serve.
    pub bodies: Bodies,
    /// Series that are exposed, legacy ones and the account's own included.
    pub series: usize,
    /// Series left out because an earlier object has the same labels.
    pub duplicates: u64,
    /// The name of the first service with the labels of an earlier one: printable, and no longer than people want to read.
    pub first_duplicate: Option<String>,
    /// Series left out because of [`Options::max_series`].
    pub over_limit: u64,
}

/// Renders accounts; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Renderer {
    lines: Vec<u8>,
    extra: String,
    /// Writes the body in the text format, and then the legacy one.
    text: BodyWriter,
    openmetrics: BodyWriter,
}

/// A larger buffer is given back to the allocator after a rendering, so that one large family does not occupy memory until
/// the next.
const KEPT_BYTES: usize = 1 << 20;

/// The lines above a family's samples, by format.
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
    /// Renders one account. Costs CPU time in proportion to its series: not for async threads.
    pub fn render(&mut self, values: &AccountValues, options: &Options) -> Rendered {
        let (selection, account) = choose(values, options);
        let (text, openmetrics) = self.modern(values, &account, &selection, options);
        let legacy = options
            .legacy
            .then(|| legacy::body(&mut self.text, &mut self.lines, &selection, options.source_timestamps));
        // A Vec never shrinks below its length.
        self.lines.clear();
        self.lines.shrink_to(KEPT_BYTES);
        Rendered {
            bodies: Bodies { text, openmetrics, legacy },
            series: selection.series,
            duplicates: selection.duplicates,
            first_duplicate: selection.first_duplicate.map(printable),
            over_limit: selection.over_limit,
        }
    }

    /// Appends the modern body in the text format without compressing it: for measurements.
    pub fn text(&mut self, values: &AccountValues, options: &Options, body: &mut Vec<u8>) {
        let (selection, account) = choose(values, options);
        for Headers { family, text, .. } in exposed(options, &selection) {
            let before = body.len();
            body.extend_from_slice(text.as_bytes());
            let start = body.len();
            push_family(body, &mut self.extra, family, values, &account, &selection, stamp(family, options));
            if body.len() == start {
                body.truncate(before);
            }
        }
    }

    /// Both formats at once: only the lines above the samples and the unit of timestamps differ.
    fn modern(
        &mut self,
        values: &AccountValues,
        account: &AccountFacts<'_>,
        selection: &Selection<'_>,
        options: &Options,
    ) -> (Body, Body) {
        let Self { lines, extra, text, openmetrics } = self;
        for Headers { family, text: text_header, openmetrics: openmetrics_header } in
            exposed(options, selection)
        {
            let stamp = stamp(family, options);
            lines.clear();
            push_family(lines, extra, family, values, account, selection, stamp);
            if lines.is_empty() {
                continue;
            }
            text.push(text_header.as_bytes());
            text.push(lines);
            if stamp != Stamp::None {
                lines.clear();
                push_family(lines, extra, family, values, account, selection, Stamp::Seconds);
            }
            openmetrics.push(openmetrics_header.as_bytes());
            openmetrics.push(lines);
        }
        openmetrics.push(openmetrics::END);
        (text.finish(), openmetrics.finish())
    }
}

/// Appends a family's lines.
fn push_family(
    lines: &mut Vec<u8>,
    extra: &mut String,
    family: &Family,
    values: &AccountValues,
    account: &AccountFacts<'_>,
    selection: &Selection<'_>,
    stamp: Stamp,
) {
    let name = family.name;
    let services = &selection.services;
    let instances = &selection.instances;
    match family.reads {
        Reads::AccountInfo => {
            extra.clear();
            push_next(extra, PROVIDER_LABEL, values.provider);
            lines::push(lines, name, values.labels.as_str(), extra, 1.0);
        }
        Reads::Account(read) => {
            if let Some(value) = read(account) {
                lines::push(lines, name, values.labels.as_str(), "", value);
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
                for (status, value) in statuses(&service.facts, values.status_words) {
                    extra.clear();
                    push_next(extra, STATUS_LABEL, status);
                    lines::push(lines, name, service.labels.as_str(), extra, value);
                }
            }
        }
        Reads::ServiceState => {
            for service in services {
                push_states(lines, extra, name, service.labels.as_str(), service.facts.state);
            }
        }
        Reads::ServiceInfo => {
            for service in services {
                info::service_labels(extra, service);
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
        Reads::InstanceLimit(read) => {
            for chosen in instances {
                if let Some(value) = read(&chosen.instance.facts.limits(&chosen.service.facts)) {
                    lines::push(lines, name, chosen.instance.labels.as_str(), "", value);
                }
            }
        }
        Reads::InstanceState => {
            for chosen in instances {
                let labels = chosen.instance.labels.as_str();
                push_states(lines, extra, name, labels, chosen.instance.facts.state);
            }
        }
        Reads::InstanceInfo => {
            let mut of: Option<&ServiceEntry> = None;
            for chosen in instances {
                let own = chosen.instance.facts.overrides.is_some();
                if own || of.is_none_or(|service| !std::ptr::eq(service, chosen.service)) {
                    info::instance_labels(extra, chosen.service, chosen.instance);
                    // Labels of one instance are not those of the next.
                    of = (!own).then_some(chosen.service);
                }
                lines::push(lines, name, chosen.instance.labels.as_str(), extra, 1.0);
            }
        }
        Reads::SampleTime => {
            for chosen in instances {
                let Some(sample) = &chosen.instance.sample else { continue };
                let (labels, time) = (chosen.instance.labels.as_str(), sample.timestamp());
                lines::push_stamped(lines, name, labels, "", time, stamp, time);
            }
        }
        Reads::Measurement(measurement) => match measurement.row().owner() {
            Owner::Service => {
                let owners = services.iter().map(|service| (&service.labels, &service.sample));
                push_values(lines, extra, owners, measurement, stamp);
            }
            Owner::Instance => {
                let owners =
                    instances.iter().map(|chosen| (&chosen.instance.labels, &chosen.instance.sample));
                push_values(lines, extra, owners, measurement, stamp);
            }
        },
        // Legacy gauges have a body of their own.
        Reads::Legacy => {}
    }
}

/// Appends the lines of a measurement's values.
///
/// The time of rendering a large account is mostly spent here, so a value is first looked for where the sample before had it.
fn push_values<'a>(
    lines: &mut Vec<u8>,
    extra: &mut String,
    owners: impl Iterator<Item = (&'a LabelSet, &'a Option<Sample>)>,
    measurement: Measurement,
    stamp: Stamp,
) {
    let row = measurement.row();
    let mut place = 0;
    for (labels, sample) in owners {
        let (labels, Some(sample)) = (labels.as_str(), sample) else { continue };
        let Some(label) = row.label else {
            if let Some(value) = sample.get_at(&mut place, measurement) {
                lines::push_stamped(lines, row.name, labels, "", value.base(), stamp, value.time);
            }
            continue;
        };
        for value in sample.of(measurement) {
            extra.clear();
            push_next(extra, label, value.label.unwrap_or_default());
            lines::push_stamped(lines, row.name, labels, extra, value.base(), stamp, value.time);
        }
    }
}

/// Appends a line for each state.
fn push_states(lines: &mut Vec<u8>, extra: &mut String, name: &str, labels: &str, state: Option<State>) {
    for (state, value) in states(state) {
        extra.clear();
        push_next(extra, STATE_LABEL, state);
        lines::push(lines, name, labels, extra, value);
    }
}

/// What is exposed, and the values of the account itself.
fn choose<'a>(values: &'a AccountValues, options: &Options) -> (Selection<'a>, AccountFacts<'a>) {
    let mut account = AccountFacts {
        gauges: &values.gauges,
        services: values.services.len(),
        instances: values.services.iter().map(|service| service.instances.len()).sum(),
        series: 0,
    };
    let selection = select(values, options, account_series(&account));
    account.series = selection.series;
    (selection, account)
}

/// The families of the modern bodies, except those that no object has a value of. An account with legacy names only still
/// has its own families.
fn exposed<'a>(
    options: &Options,
    selection: &Selection<'a>,
) -> impl Iterator<Item = &'static Headers> + use<'a> {
    let (modern, measured) = (options.modern, selection.measured);
    let (limits, states) = (selection.limits, selection.instance_states);
    HEADERS.iter().filter(move |headers| match headers.family.reads {
        Reads::AccountInfo | Reads::Account(_) => true,
        Reads::Measurement(measurement) => modern && measured.contains(measurement),
        Reads::InstanceLimit(_) => modern && limits,
        Reads::InstanceState => modern && states,
        _ => modern,
    })
}

/// Whether a family's lines carry timestamps, as the text format writes them.
fn stamp(family: &Family, options: &Options) -> Stamp {
    let measured = matches!(family.reads, Reads::SampleTime | Reads::Measurement(_));
    if measured && options.source_timestamps { Stamp::Milliseconds } else { Stamp::None }
}

/// How many series the account itself has.
fn account_series(account: &AccountFacts<'_>) -> usize {
    let has = |family: &Family| match family.reads {
        Reads::AccountInfo => 1,
        Reads::Account(read) => usize::from(read(account).is_some()),
        _ => 0,
    };
    families().iter().map(has).sum()
}

/// A name for a sentence: cut, and without characters that are not shown.
fn printable(name: &str) -> String {
    const LONGEST: usize = 100;
    cut(name).chars().filter(|letter| !is_unprintable(*letter)).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::values::{AccountGauges, InstanceEntry};
    use super::*;
    use crate::cloud::model::{InstanceFacts, Scale, ServiceFacts};

    #[test]
    fn a_renderer_keeps_no_large_buffer_even_if_the_last_family_is_a_large_one() {
        let labels = LabelSet::account("n", "a").service(None, &"x".repeat(400)).0;
        let instance = |number: usize| InstanceEntry {
            labels: labels.instance(&number.to_string(), "").0,
            facts: Arc::new(InstanceFacts { name: number.to_string(), ..InstanceFacts::default() }),
            // The last of the modern families, and the last of the legacy ones.
            sample: Some(Sample::at(
                1.0,
                &[
                    (Measurement::Restarts, Scale::Base, 1.0),
                    (Measurement::MemoryUtilization, Scale::Base, 0.5),
                ],
            )),
        };
        let values = AccountValues {
            gauges: AccountGauges::default(),
            provider: "alauda",
            status_words: &[],
            services: vec![ServiceEntry {
                labels: labels.clone(),
                facts: Arc::new(ServiceFacts { name: "x".repeat(400), ..ServiceFacts::default() }),
                sample: None,
                instances: (0..4000).map(instance).collect(),
            }],
            labels: labels.clone(),
        };
        for legacy in [false, true] {
            let mut renderer = Renderer::default();
            let options = Options { modern: true, legacy, max_series: 100_000, source_timestamps: false };
            let bodies = renderer.render(&values, &options).bodies;
            assert!(bodies.text.plain_bytes() > 3 * KEPT_BYTES);
            assert!(renderer.lines.capacity() <= KEPT_BYTES, "{}", renderer.lines.capacity());
        }
    }

    #[test]
    fn a_name_in_a_sentence_is_short_and_printable() {
        assert_eq!(printable("w\u{1b}[2J\nb"), "w[2Jb");
        assert_eq!(printable(&"ü".repeat(1000)).chars().count(), 100);
    }
}
