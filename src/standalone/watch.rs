//! Follows a folder of manifests while the program runs.
//!
//! Level-triggered: the folder is read again each period and compared with what is in force, so that no event can be
//! lost, on any file system. A change counts once it was read twice alike, which leaves out files being written.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::folder::{self, Texts};
use super::manifests::{self, File};
use super::{Desired, Fault, Location};
use crate::account::admission::Admission;
use crate::cloud::error::Refusal;

/// How often a folder is read.
pub const PERIOD: Duration = Duration::from_secs(2);

/// Calls `on_change` with what the folder's files define, at first and after each change, until cancelled.
///
/// Fails only where the folder cannot be read at first; a folder that goes missing keeps what is in force.
pub async fn watch(
    folder: PathBuf,
    period: Duration,
    admission: &Admission,
    allow: impl Fn(&Url) -> Result<(), Refusal>,
    mut on_change: impl FnMut(Desired),
    cancel: CancellationToken,
) -> io::Result<()> {
    let Some(texts) = cancel.run_until_cancelled(read(folder.clone())).await else { return Ok(()) };
    let mut view = View::new(admission, texts?);
    let mut current = manifests::desired(admission.providers(), view.files(), &allow);
    log_new_problems(&current, &Desired::default());
    on_change(current.clone());

    let mut readable = true;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = async || {
        ticks.tick().await;
        read(folder.clone()).await
    };
    while let Some(texts) = cancel.run_until_cancelled(next()).await {
        let texts = match texts {
            Ok(texts) => texts,
            Err(error) => {
                if readable {
                    let folder = folder.display();
                    tracing::error!(%folder, %error, "the manifests cannot be read; the last version remains in use");
                }
                readable = false;
                continue;
            }
        };
        readable = true;
        if !view.observe(texts) {
            continue;
        }
        let desired = manifests::desired(admission.providers(), view.files(), &allow);
        if desired != current {
            log_new_problems(&desired, &current);
            current = desired;
            on_change(current.clone());
        }
    }
    Ok(())
}

async fn read(folder: PathBuf) -> io::Result<Texts> {
    tokio::task::spawn_blocking(move || folder::read(&folder)).await.map_err(io::Error::other)?
}

/// Logs what is wrong now and was not before.
fn log_new_problems(now: &Desired, before: &Desired) {
    for fault in now.faults.iter().filter(|fault| !before.faults.contains(fault)) {
        tracing::error!("{fault}");
    }
    for uncollected in &now.problems {
        let (account, problem) = (&uncollected.id, &uncollected.problem);
        if !before.problems.iter().any(|known| known.id == *account && known.problem == *problem) {
            tracing::warn!(%account, reason = %problem.reason, "{}", problem.message);
        }
    }
}

/// What is in force of a folder, and what was read last.
struct View<'a> {
    admission: &'a Admission,
    files: BTreeMap<String, File>,
    accepted: Texts,
    last: Texts,
}

impl<'a> View<'a> {
    /// What is read first is in force at once.
    fn new(admission: &'a Admission, texts: Texts) -> Self {
        let mut view =
            Self { admission, files: BTreeMap::new(), accepted: Texts::new(), last: texts.clone() };
        view.observe(texts);
        view
    }

    fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// Records what was read; returns whether anything in force changed.
    fn observe(&mut self, now: Texts) -> bool {
        let mut changed = false;
        let names: BTreeSet<String> = now.keys().chain(self.accepted.keys()).cloned().collect();
        for name in names {
            let text = now.get(&name);
            if text != self.last.get(&name) || text == self.accepted.get(&name) {
                continue;
            }
            changed = true;
            if let Some(text) = text {
                let earlier = self.files.remove(&name);
                self.files.insert(name.clone(), take_over(self.admission, &name, text, earlier));
                self.accepted.insert(name, text.clone());
            } else {
                self.files.remove(&name);
                self.accepted.remove(&name);
            }
        }
        self.last = now;
        changed
    }
}

/// The new state of a file. If anything in it cannot be read, parsed or admitted, its previous objects stay: it is
/// probably being edited, and a typing error must not end the series of its accounts.
fn take_over(
    admission: &Admission,
    name: &str,
    text: &Result<String, String>,
    earlier: Option<File>,
) -> File {
    let mut file = match text {
        Ok(text) => manifests::parse(admission, name, text),
        Err(message) => {
            let location = Location { file: name.to_owned(), document: 0, line: None };
            let mut file = File::default();
            file.faults.push(Fault { location, message: message.clone() });
            file
        }
    };
    if let (false, Some(earlier)) = (file.faults.is_empty(), earlier)
        && !earlier.is_empty()
    {
        file.replace_objects(earlier);
        for fault in &mut file.faults {
            fault.message.push_str("; the previous version of the file remains in use");
        }
    }
    file
}

#[cfg(test)]
mod tests;
