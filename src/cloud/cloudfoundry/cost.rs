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

    #[test]
    fn the_documented_numbers_of_processes_cost_what_is_documented_and_fit_the_documented_limit() {
        let page = include_str!("../../../docs/providers/cloudfoundry.md");
        let number = |text: &str| text.replace(',', "").parse::<usize>().ok();
        let row = |line: &str| {
            let cells: Vec<usize> = line.split('|').filter_map(|cell| number(cell.trim())).collect();
            <[usize; 3]>::try_from(cells).ok()
        };
        let rows: Vec<[usize; 3]> = page.lines().filter_map(row).collect();
        for [processes, by_minute, by_five_minutes] in &rows {
            let cycle = requests(*processes, *processes, *processes);
            assert_eq!((cycle * 60, cycle * 12), (*by_minute, *by_five_minutes), "{processes}");
        }
        // A login each ten minutes comes on top of what the rows say. 85 % of the limit are spent evenly.
        let fits = |requests: usize| (requests + 6) as f64 <= 0.85 * 20_000.0;
        assert_eq!(rows.len(), 3);
        assert!(fits(rows[1][1]) && fits(rows[2][2]), "{rows:?}");
        assert!(!fits(rows[2][1]), "the last row is about the longer interval");
    }
}
