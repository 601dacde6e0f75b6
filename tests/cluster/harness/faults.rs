//! Which calls meet which fault, and how often. Pure: the proxy does what is decided here.

use wildmatch::WildMatch;

use super::request::Request;

/// Calls by pattern, `*` standing for anything: `Calls::new("watch", "caasaccounts*")`, `Calls::new("*", "*/status")`.
/// `secrets` means exactly that, `caasaccounts*` their subresources too.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    verb: WildMatch,
    resource: WildMatch,
    object: WildMatch,
}

impl Calls {
    /// By verb and by resource, both as in [`Request`].
    pub(crate) fn new(verb: &str, resource: &str) -> Self {
        Self { verb: WildMatch::new(verb), resource: WildMatch::new(resource), object: WildMatch::new("*") }
    }

    /// All of them.
    pub(crate) fn all() -> Self {
        Self::new("*", "*")
    }

    /// Only those for this object or these objects: `team-a/acme`, `team-a/*`.
    pub(crate) fn of(mut self, object: &str) -> Self {
        self.object = WildMatch::new(object);
        self
    }

    /// Whether a call is one of them.
    pub(crate) fn contain(&self, request: &Request) -> bool {
        self.verb.matches(&request.verb)
            && self.resource.matches(&request.resource)
            && self.object.matches(&request.object)
    }
}

/// What happens to a call instead of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The API server's `Status` with this code and reason; `retry_after` in seconds.
    Status { code: u16, reason: &'static str, retry_after: Option<u32> },
    /// 200, one `ERROR` event with this `Status`, then the end: what a watch gets from an old resourceVersion.
    WatchError { code: u16, reason: &'static str },
    /// 200, one `MODIFIED` event with this object, then the end.
    WatchModified(serde_json::Value),
    /// The answer's head passes, then nothing more: no byte, no end.
    Stall,
    /// The call is taken and never answered.
    Hang,
    /// The call is held back until the faults are healed, and passes then.
    Hold,
    /// The connection is closed without an answer.
    Cut,
}

impl Fault {
    /// 429 with `Retry-After` in seconds.
    pub(crate) fn too_many_requests(retry_after: u32) -> Self {
        Self::Status { code: 429, reason: "TooManyRequests", retry_after: Some(retry_after) }
    }

    /// 503 without a hint when to come back.
    pub(crate) fn unavailable() -> Self {
        Self::Status { code: 503, reason: "ServiceUnavailable", retry_after: None }
    }

    /// 409, as for a resourceVersion that is not the newest.
    pub(crate) fn conflict() -> Self {
        Self::Status { code: 409, reason: "Conflict", retry_after: None }
    }

    /// 403.
    pub(crate) fn forbidden() -> Self {
        Self::Status { code: 403, reason: "Forbidden", retry_after: None }
    }

    /// 410 in place of the answer.
    pub(crate) fn gone() -> Self {
        Self::Status { code: 410, reason: "Expired", retry_after: None }
    }

    /// 410 as an event inside a watch.
    pub(crate) fn watch_gone() -> Self {
        Self::WatchError { code: 410, reason: "Expired" }
    }
}

/// How many of the calls meet a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Times {
    /// The next so many.
    Next(u32),
    /// All, until healed.
    Always,
}

/// The faults in force, oldest first.
#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<(Calls, Fault, Times)>,
}

impl Faults {
    /// Puts one in force.
    pub(crate) fn add(&mut self, calls: Calls, fault: Fault, times: Times) {
        self.rules.push((calls, fault, times));
    }

    /// Ends all of them.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault that a call meets: the oldest that is for it and not used up.
    pub(crate) fn meet(&mut self, request: &Request) -> Option<Fault> {
        self.rules.retain(|(_, _, times)| !matches!(times, Times::Next(0)));
        let (_, fault, times) = self.rules.iter_mut().find(|(calls, ..)| calls.contain(request))?;
        if let Times::Next(left) = times {
            *left -= 1;
        }
        Some(fault.clone())
    }
}

#[test]
fn a_fault_is_met_as_often_as_said_and_only_by_its_calls() {
    let request = |verb: &str| Request {
        verb: verb.to_owned(),
        resource: "caasaccounts.caas-operator.io/status".to_owned(),
        object: "a/b".to_owned(),
    };
    let mut faults = Faults::default();
    faults.add(Calls::new("patch", "caasaccounts*").of("a/*"), Fault::conflict(), Times::Next(2));
    faults.add(Calls::new("patch", "caasaccounts*").of("other/*"), Fault::Hang, Times::Always);

    assert_eq!(faults.meet(&request("get")), None);
    assert_eq!(faults.meet(&request("patch")), Some(Fault::conflict()));
    assert_eq!(faults.meet(&request("patch")), Some(Fault::conflict()));
    assert_eq!(faults.meet(&request("patch")), None);
}
