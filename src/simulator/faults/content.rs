//! The faults that change what a cloud lists, which only the cloud itself can apply.

use super::fault::FaultKind;

/// What faults change about the content of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentFaults {
    /// The last page names the first as its next.
    pub page_cycle: bool,
    /// Every page names a next one.
    pub endless_pages: bool,
    /// Names contain newlines and quotes, and one of each kind a page is this many bytes longer.
    pub huge_label: Option<usize>,
}

impl ContentFaults {
    /// The faults of this sort among all that affect a request.
    pub(in crate::simulator) fn of(faults: &[FaultKind]) -> Self {
        faults.iter().fold(Self::default(), |so_far, fault| match fault {
            FaultKind::PageCycle => Self { page_cycle: true, ..so_far },
            FaultKind::EndlessPages => Self { endless_pages: true, ..so_far },
            FaultKind::HugeLabel(bytes) => Self { huge_label: Some(*bytes), ..so_far },
            _ => so_far,
        })
    }

    /// How the nth object of a list is named.
    pub(in crate::simulator) fn names_of(self, nth: usize) -> NameFormat {
        NameFormat { longer_by: self.huge_label.map(|bytes| if nth == 0 { bytes } else { 0 }) }
    }
}

/// How names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::simulator) struct NameFormat {
    /// Names contain newlines and quotes, and are so many bytes longer; `None` for names as they are.
    longer_by: Option<usize>,
}

impl NameFormat {
    /// The same with so many bytes more, where names are unusual.
    pub(in crate::simulator) fn with_bytes(self, bytes: usize) -> Self {
        Self { longer_by: self.longer_by.map(|_| bytes) }
    }

    /// Whether there are bytes more.
    pub(in crate::simulator) fn is_longer(self) -> bool {
        self.longer_by.is_some_and(|bytes| bytes > 0)
    }

    /// A name as the cloud writes it.
    pub(in crate::simulator) fn name(self, name: &str) -> String {
        match self.longer_by {
            Some(bytes) => format!("{name}\n\"quoted\"\\ {{label=\"x\"}} é\u{7f}{}", "A".repeat(bytes)),
            None => name.to_owned(),
        }
    }
}
