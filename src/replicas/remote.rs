//! What another replica has told of its accounts, put together line by line.
//!
//! Pure: bytes come in, accounts go out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::wire::{AccountLine, Line};
use crate::account::AccountId;
use crate::api::Reason;
use crate::cloud::model::ServiceFacts;
use crate::cloud::{Provider, Providers};
use crate::collector::history::{History, ServiceHistory};
use crate::collector::registry::{Report, Snapshot};
use crate::collector::{Health, Inherited};
use crate::exposition::labels::LabelSet;
use crate::exposition::values::{AccountValues, ServiceEntry};
use crate::exposition::{Bodies, Body};
use crate::limits::Charge;

/// The longest line: a service or an instance whose texts and labels all have their longest form has less.
const LONGEST_LINE: usize = 256 << 10;

/// What a line leaves in memory besides its texts and values: a list has room for twice as many, and an allocation takes 16
/// bytes more.
const ENTRY: usize =
    2 * size_of::<ServiceEntry>() + size_of::<ServiceFacts>() + size_of::<ServiceHistory>() + 8 * 16;

/// Texts are there as facts and in labels, and values in places of half the length of what tells of them.
const TEXTS: usize = 2;

/// An account as another replica knows it.
#[derive(Debug, Clone)]
pub struct RemoteAccount {
    account: AccountLine,
    labels: LabelSet,
    services: Vec<ServiceEntry>,
    histories: Vec<ServiceHistory>,
    /// The memory that it takes, in bytes.
    bytes: usize,
    /// The memory that it takes, where it is kept for itself.
    _charge: Option<Arc<Charge>>,
}

/// Puts accounts together from the bytes of an answer.
#[derive(Debug, Default)]
pub struct Reader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The account that has not ended yet.
    account: Option<RemoteAccount>,
    accounts: BTreeMap<AccountId, RemoteAccount>,
    /// The memory that all of it takes, in bytes.
    bytes: usize,
}

impl Reader {
    /// Takes the next bytes. The error says what is wrong with them; what was read before it stays.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            let line = serde_json::from_slice(&self.line).map_err(|_| "a line cannot be read")?;
            let length = self.line.len();
            self.line.clear();
            self.take(line, length)?;
            bytes = &bytes[end + 1..];
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() > LONGEST_LINE { Err("a line is too long") } else { Ok(()) }
    }

    /// Takes the next line, which has so many bytes.
    fn take(&mut self, line: Line<'_>, length: usize) -> Result<(), &'static str> {
        let bytes = ENTRY + TEXTS * length;
        self.bytes += bytes;
        match (line, &mut self.account) {
            (Line::Account(account), _) => self.account = Some(RemoteAccount::new(account)),
            (Line::Service(service), Some(account)) => {
                let (entry, history) = service.read(&account.labels);
                account.services.push(entry);
                account.histories.extend(history);
            }
            (Line::Instance(instance), Some(account)) => {
                let service = account.services.last_mut().ok_or("an instance comes before any service")?;
                service.instances.push(instance.read(&service.labels));
            }
            (Line::End, Some(_)) => {
                self.accounts.extend(self.account.take().map(|account| (account.account.id(), account)));
            }
            (_, None) => return Err("a line comes before any account"),
        }
        if let Some(account) = &mut self.account {
            account.bytes += bytes;
        }
        Ok(())
    }

    /// The memory that what was read takes, in bytes; rather more than less.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The accounts that have ended.
    pub fn accounts(self) -> BTreeMap<AccountId, RemoteAccount> {
        self.accounts
    }
}

impl RemoteAccount {
    fn new(account: AccountLine) -> Self {
        let labels = LabelSet::account(&account.namespace, &account.name);
        Self {
            account,
            labels,
            services: Vec::new(),
            histories: Vec::new(),
            bytes: size_of::<Self>(),
            _charge: None,
        }
    }

    /// The object's UID, of one that is collected.
    pub fn uid(&self) -> Option<&str> {
        self.account.uid.as_deref()
    }

    /// The same account, with what it is charged.
    #[must_use]
    pub fn charged(self, charge: Charge) -> Self {
        Self { _charge: Some(Arc::new(charge)), ..self }
    }

    /// The memory that it takes, in bytes; rather more than less.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the other replica collects it at present.
    pub fn is_collected(&self) -> bool {
        self.account.is_collected
    }

    /// When its newest cycle ended, in seconds since the epoch by the clock of the other replica.
    pub fn collected_at(&self) -> f64 {
        self.account.snapshot.as_ref().map_or(0.0, |snapshot| snapshot.collected_at)
    }

    /// What people are shown of it.
    pub fn report(self, provider: &'static str) -> Report {
        let known = Reason::ALL.iter().copied().find(|reason| reason.as_str() == self.account.reason);
        Report {
            reason: known.unwrap_or(Reason::Pending),
            message: self.account.message.clone(),
            snapshot: self.snapshot(provider).map(Arc::new),
        }
    }

    /// What a replica goes on with that collects the account from now on; `None` where it has not been collected yet.
    pub fn inherited(self, provider: &'static str) -> Option<Inherited> {
        let was_collected = self.account.reason == Reason::Collected.as_str();
        let line = self.account.snapshot.as_ref()?;
        let since_success = line.since_success.map(Duration::from_millis);
        let since_start = Duration::from_millis(line.since_start);
        Some(Inherited {
            snapshot: Arc::new(self.snapshot(provider)?),
            was_collected,
            since_success,
            since_start,
        })
    }

    /// Its newest snapshot without bodies, which the replica that collects it serves.
    fn snapshot(self, provider: &'static str) -> Option<Snapshot> {
        let Self { account, labels, services, histories, .. } = self;
        let line = account.snapshot?;
        let empty = || Body { gzip: Bytes::new() };
        // One without a history has no place in the list, so either all have one or none is kept.
        let history =
            if histories.len() == services.len() { History::of(histories) } else { History::default() };
        let status_words = Providers::ALL.get(provider).map_or(&[][..], Provider::status_words);
        Some(Snapshot {
            bodies: Bodies { text: empty(), openmetrics: empty(), legacy: None },
            values: AccountValues { labels, gauges: line.gauges, provider, status_words, services },
            history,
            series: line.series,
            health: Health::Pending,
            collected_at: line.collected_at(),
            demanded: line.demanded(),
        })
    }
}
