//! What one cycle costs, in requests.

/// The most entries that the API puts on a page.
pub const PER_PAGE: usize = 5_000;

/// Requests of a cycle that finds so many applications and processes, of which so many run: the pages of both lists, and
/// one request for each process that runs.
///
/// Besides, a login costs one request each time the token ends (every ten minutes at most installations), the first one
/// another for the root of the API; organizations and spaces that the settings name cost one request each every ten
/// minutes.
pub const fn requests(applications: usize, processes: usize, running: usize) -> usize {
    pages(applications) + pages(processes) + running
}

const fn pages(entries: usize) -> usize {
    let pages = entries.div_ceil(PER_PAGE);
    // An empty list is a page too.
    if pages == 0 { 1 } else { pages }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_cost_a_request_for_each_5000_entries_and_running_processes_one_each() {
        assert_eq!(requests(0, 0, 0), 2);
        assert_eq!(requests(5_000, 5_001, 300), 1 + 2 + 300);
    }
}
