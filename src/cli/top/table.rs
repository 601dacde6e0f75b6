//! Cells as lines of text: columns that are as wide as their widest cell and aligned to the left, as kubectl prints them.

/// What stands between two columns.
const GAP: usize = 3;

/// The cells of these lines, in lines of at most so many characters.
pub(super) fn aligned(lines: &[Vec<String>], columns: usize) -> String {
    let mut widths = Vec::new();
    for line in lines {
        widths.resize(line.len(), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<0$}", width + GAP));
        text.push_str(&cut(padded.collect::<String>().trim_end(), columns));
        text.push('\n');
    }
    text
}

/// At most so many characters of a text; where some are missing, it ends with `…`.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let mut shown: String = text.chars().take(most.saturating_sub(1)).collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(cells: &[[&str; 3]]) -> Vec<Vec<String>> {
        cells.iter().map(|line| line.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() {
        let lines = lines(&[["NAME", "CPU", "PROBLEM"], ["überlang", "1", "-"], ["a", "12.25", "ill"]]);
        assert_eq!(
            aligned(&lines, usize::MAX),
            "NAME       CPU     PROBLEM\nüberlang   1       -\na          12.25   ill\n"
        );
    }

    #[test]
    fn a_line_is_cut_at_the_width_of_the_terminal() {
        let lines = lines(&[["a", "b", "a long message"]]);
        assert_eq!(aligned(&lines, 12), "a   b   a l…\n");
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".into(), "ab…".into()));
    }
}
