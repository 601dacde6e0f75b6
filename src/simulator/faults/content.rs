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
}
