//! Tables of Markdown.

/// The line that every page carries.
pub(crate) const MADE: &str = "<!-- Made from the code by `make generate`; do not edit. -->\n";

/// A table; its cells are Markdown.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(N));
    let above = [line(&heads.map(str::to_owned)), rule];
    above.into_iter().chain(rows.into_iter().map(|row| line(&row))).collect()
}

/// Text that is shown as it is, inside of a cell too.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// Prose inside of a cell: what Markdown would take for marks or HTML is escaped.
pub(crate) fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '|' | '*' | '_' | '<' | '>' | '[' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
