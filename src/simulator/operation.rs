//! What requests ask for, as faults and counters name it. Each cloud lists its own operations.

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// How faults name it. Several operations may share a name.
    pub name: &'static str,
    /// The key under which its requests are counted. Several operations may share a key.
    pub counted_as: &'static str,
    /// Which faults fit it.
    pub role: Role,
}

/// Which faults fit an operation besides those that fit all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It gives out tokens: faults affect it only where they name it, and it can be refused.
    Login,
    /// It lists what exists: its pages may form a cycle or never end, and its names may be huge.
    Inventory,
    /// Anything else.
    Other,
}

/// Each name of these operations once, in their order.
pub(super) fn names(operations: &[Operation]) -> Vec<&'static str> {
    operations.iter().fold(Vec::new(), |mut names, operation| {
        if !names.contains(&operation.name) {
            names.push(operation.name);
        }
        names
    })
}
