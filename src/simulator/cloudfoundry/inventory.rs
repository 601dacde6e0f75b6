//! What an account's world is in Cloud Foundry: a service is an application with a web process, some with workers.

use crate::simulator::numbers::{hash, hash_text, hex};
use crate::simulator::world::{Instance, Service, Status, World};

/// The space of services that the world has in no application.
const SPACE: &str = "production";

/// Seconds that an instance is starting, and seconds until its first measurement is there.
const STARTING: f64 = 10.0;
const UNMEASURED: f64 = 30.0;

/// Seconds from one measurement of an instance to the next.
const PERIOD: f64 = 15.0;

/// An organization or a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) guid: String,
    pub(super) name: String,
}

/// The organization of an account.
pub(super) fn organization(world: &World) -> Place {
    let name = world.settings().namespace.clone();
    Place { guid: guid(&[world.settings().seed, 70, hash_text(&name)]), name }
}

/// The space of an application.
pub(super) fn space(world: &World, service: &Service) -> Place {
    let name = service.application.clone().unwrap_or_else(|| SPACE.to_owned());
    Place { guid: guid(&[world.settings().seed, 71, hash_text(&name)]), name }
}

/// The type of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Web,
    Worker,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Worker => "worker",
        }
    }
}

/// A process of an application. Its instances are a part of the service's.
#[derive(Debug, Clone)]
pub(super) struct Process<'a> {
    pub(super) app: &'a Service,
    pub(super) kind: Kind,
    pub(super) guid: String,
    /// The numbers of its instances in the service: from the first, so many.
    first: usize,
    pub(super) instances: usize,
}

/// The processes of an application: `web`, with the guid of the application as the first process of one has it, and
/// `worker`, which most applications define and run no instance of.
pub(super) fn processes(app: &Service) -> [Process<'_>; 2] {
    let has_workers = app.target > 1 && hash_text(&app.uuid).is_multiple_of(3);
    let workers = usize::from(has_workers);
    let web = app.target - workers;
    [
        Process { app, kind: Kind::Web, guid: app.uuid.clone(), first: 0, instances: web },
        Process {
            app,
            kind: Kind::Worker,
            guid: guid(&[hash_text(&app.uuid), 72]),
            first: web,
            instances: workers,
        },
    ]
}

/// What an instance does.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// No cell runs it.
    Down,
    Crashed(Box<Instance>),
    Starting(Box<Instance>),
    /// It runs, and was last measured at that time, if at all.
    Running(Box<Instance>, Option<f64>),
}

impl Process<'_> {
    /// Its instances by index. A stopped application has none.
    pub(super) fn states(&self, now: f64, crashed: f64) -> Vec<State> {
        if self.app.status == Status::Stopped {
            return Vec::new();
        }
        let number = |instance: &Instance| instance.name.rsplit_once('.')?.1.parse::<usize>().ok();
        let mut states = vec![State::Down; self.instances];
        for instance in self.app.instances() {
            let index = number(&instance).and_then(|number| number.checked_sub(self.first));
            if let Some(state) = index.and_then(|index| states.get_mut(index)) {
                *state = of(instance, now, crashed);
            }
        }
        states
    }
}

fn of(instance: Instance, now: f64, crashed: f64) -> State {
    let key = hash_text(&instance.uuid);
    let age = now - instance.started_at(now);
    let instance = Box::new(instance);
    if crate::simulator::numbers::fraction(hash(&[key, 73])) < crashed {
        State::Crashed(instance)
    } else if age < STARTING {
        State::Starting(instance)
    } else if age < UNMEASURED {
        State::Running(instance, None)
    } else {
        let phase = crate::simulator::numbers::between(hash(&[key, 74]), 0.0, PERIOD).floor();
        let measured = ((now - phase) / PERIOD).floor().mul_add(PERIOD, phase);
        State::Running(instance, Some(measured))
    }
}

/// The guid of an instance's container: another one after each start.
pub(super) fn container(instance: &Instance, now: f64) -> String {
    guid(&[hash_text(&instance.uuid), instance.started_at(now).to_bits()])
}

/// An identifier in the usual form of a UUID.
pub(super) fn guid(parts: &[u64]) -> String {
    let digits = hex(hash(parts), 32);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// The labels of an application, which selectors look at.
pub(super) fn labels(app: &Service) -> [(&'static str, &'static str); 2] {
    let key = hash_text(&app.uuid);
    let tier = if key.is_multiple_of(2) { "front" } else { "back" };
    [
        ("tier", tier),
        ("team", ["blue", "green", "red"][crate::simulator::numbers::below(hash(&[key, 75]), 3)]),
    ]
}

/// Whether labels meet a selector: `key`, `!key`, `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, all of
/// those that are separated by commas.
pub(super) fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
    let value = |key: &str| labels.iter().find(|(name, _)| *name == key.trim()).map(|(_, value)| *value);
    split(selector).iter().all(|requirement| {
        let requirement = requirement.trim();
        let list = |text: &str, given: Option<&str>| {
            let inside = text.trim().trim_start_matches('(').trim_end_matches(')');
            given.is_some_and(|given| inside.split(',').any(|one| one.trim() == given))
        };
        if let Some((key, values)) = requirement.split_once(" notin ") {
            !list(values, value(key))
        } else if let Some((key, values)) = requirement.split_once(" in ") {
            list(values, value(key))
        } else if let Some((key, wanted)) = requirement.split_once("!=") {
            value(key) != Some(wanted.trim())
        } else if let Some((key, wanted)) = requirement.split_once('=') {
            value(key) == Some(wanted.trim_start_matches('=').trim())
        } else if let Some(key) = requirement.strip_prefix('!') {
            value(key).is_none()
        } else {
            value(requirement).is_some()
        }
    })
}

/// Splits at the commas that are in no parentheses.
fn split(selector: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for character in selector.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if character == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(character);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_as_documented() {
        let labels = [("env", "prod"), ("team", "blue")];
        for (selector, selected) in [
            ("env=prod", true),
            ("env==prod,team", true),
            ("env!=prod", false),
            ("!env", false),
            ("!other,env in (dev, prod)", true),
            ("team notin (blue,green)", false),
            ("other", false),
        ] {
            assert_eq!(selects(selector, &labels), selected, "{selector}");
        }
    }
}
