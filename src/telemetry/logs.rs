//! Logs on stderr, as lines for people or as JSON; levels by `RUST_LOG`.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging for the whole process, by `unset` where `RUST_LOG` says nothing; a second call changes nothing.
///
/// `RUST_LOG` that cannot be read is an error, since a silent default would hide the mistake.
pub fn start(format: LogFormat, unset: &str) -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => filter(&text)?,
        _ => filter(unset)?,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Would be printed to stderr as well, which panics where it takes no more: a full disk, a reader that left.
        .log_internal_errors(false);
    // An error here means that logging runs already, which is all we want.
    let _ = match format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// The levels, and what else is taken for one.
const LEVELS: [(&str, &str); 8] = [
    ("off", "off"),
    ("error", "error"),
    ("err", "error"),
    ("warn", "warn"),
    ("warning", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
];

/// The modules of kube that log each failed try, as errors and warnings. The controller tells these failures itself, and
/// how long they last; a filter for kube's lines or for `debug` shows them.
const KUBE_RETRIES: [&str; 2] = ["kube_client::client", "kube_runtime::watcher"];

/// The filter that `RUST_LOG` asks for.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let unreadable = |problem: String| format!("RUST_LOG={text} cannot be read: {problem}");
    let directives = directives(text).map_err(unreadable)?;
    let mut filter = EnvFilter::try_new(directives).map_err(|error| unreadable(error.to_string()))?;
    let is_wordy =
        |word: &str| ["debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
    if !text.contains("kube") && !text.split(',').any(is_wordy) {
        for said_by_us in KUBE_RETRIES {
            let silent = format!("{said_by_us}=off").parse();
            filter = filter.add_directive(silent.map_err(|error: ParseError| unreadable(error.to_string()))?);
        }
    }
    Ok(filter)
}

/// The same with levels as the filter knows them, and `warn` for everything that it does not name. A word that is no level
/// is an error: to the filter it would be the name of a module, and nothing else would be logged.
fn directives(text: &str) -> Result<String, String> {
    // A filter that names spans and their fields is left as it is.
    if text.contains('[') {
        return Ok(format!("warn,{text}"));
    }
    let mut all = Vec::new();
    let mut everything = false;
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        all.push(match directive.split_once('=') {
            Some((module, word)) => format!("{module}={}", level(word)?),
            None if directive.starts_with(env!("CARGO_CRATE_NAME")) => directive.to_owned(),
            None => {
                everything = true;
                level(directive)?.to_owned()
            }
        });
    }
    if !everything {
        all.push("warn".to_owned());
    }
    Ok(all.join(","))
}

fn level(word: &str) -> Result<&'static str, String> {
    let named = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.trim()));
    named.map(|(_, level)| *level).ok_or_else(|| {
        format!(
            "{word} is not a level; use off, error, warn, info, debug or trace, or a filter such as \
             info,caas_operator::collector=debug"
        )
    })
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn levels_are_taken_for_what_is_meant_and_modules_that_are_not_named_log_warnings() {
        for (text, expected) in [
            ("info", "info"),
            ("warning", "warn"),
            ("ERR", "error"),
            ("off", "off"),
            (" info , kube=warning, ", "info,kube=warn"),
            ("caas_operator::collector=debug", "caas_operator::collector=debug,warn"),
            ("caas_operator", "caas_operator,warn"),
            ("caas_operator[cycle{account=a}]=trace", "warn,caas_operator[cycle{account=a}]=trace"),
        ] {
            assert_eq!(directives(text).as_deref(), Ok(expected), "{text}");
            assert!(filter(text).is_ok(), "{text}");
        }
        assert_eq!(filter("info").unwrap().max_level_hint(), Some(LevelFilter::INFO));
        assert_eq!(filter("off").unwrap().max_level_hint(), Some(LevelFilter::OFF));
        let module = filter("kube=off").unwrap();
        assert_eq!(module.max_level_hint(), Some(LevelFilter::WARN));
    }

    #[test]
    fn kubes_line_a_try_is_left_out_unless_it_is_asked_for() {
        let one_module = "info,caas_operator=debug";
        for (text, is_silent) in
            [("info", true), ("warn", true), (one_module, true), ("debug", false), ("info,kube=info", false)]
        {
            let shown = filter(text).unwrap().to_string();
            assert_eq!(shown.contains("kube_client::client=off"), is_silent, "{text}: {shown}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_the_list() {
        for text in ["verbose", "inof", "kube=loud", "info,verbose", "kube="] {
            let error = filter(text).unwrap_err();
            assert!(error.starts_with(&format!("RUST_LOG={text} cannot be read: ")), "{error}");
            assert!(error.contains("off, error, warn, info, debug or trace"), "{error}");
        }
    }
}
