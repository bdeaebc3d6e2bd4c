//! Scripts that have to succeed on a board, and their answers taken apart.

use super::{Board, quote};
use crate::host::process::Finished;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// Limit of a script that only looks: a fresh connection to an emulated board takes seconds.
pub const LOOK: Duration = Duration::from_secs(60);
/// Limit of a script that hashes or copies a kernel and all of its modules on a slow board.
pub const WORK: Duration = Duration::from_secs(900);

/// Runs a script on the board that has to succeed. Errors: the connection, the limit, or an exit status other than 0, with the
/// board's own words.
pub fn ask(board: &dyn Board, doing: &str, script: &str, limit: Duration) -> Result<Finished> {
    ask_with_input(board, doing, script, &[], limit)
}

/// [`ask`] with bytes for standard input.
pub fn ask_with_input(
    board: &dyn Board,
    doing: &str,
    script: &str,
    input: &[u8],
    limit: Duration,
) -> Result<Finished> {
    let name = &board.description().name;
    let finished = board
        .run_with_input(script, input, limit)
        .with_context(|| format!("{doing} on board `{name}`"))?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.stderr);
        let said = if said.trim().is_empty() {
            String::from_utf8_lossy(&finished.stdout)
        } else {
            said
        };
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let end = lines[lines.len().saturating_sub(8)..].join("\n    ");
        bail!(
            "{doing} on board `{name}` ended with {}:\n    {end}",
            finished.status
        );
    }
    Ok(finished)
}

/// A path as one word of a script. Errors: it is not UTF-8 (then no path of ours).
pub fn word(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(quote(text))
}

/// Several paths as words of a script.
pub fn words<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<String> {
    let words: Result<Vec<String>> = paths.into_iter().map(word).collect();
    Ok(words?.join(" "))
}

/// The whole content of a file on the board; `None` if there is none.
pub fn read(board: &dyn Board, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = word(path)?;
    let script = format!("if [ -e {file} ]; then printf +; cat {file}; fi");
    let finished = ask(board, &format!("reading {}", path.display()), &script, LOOK)?;
    Ok(finished.stdout.strip_prefix(b"+").map(<[u8]>::to_vec))
}

/// `key=value` lines of a script's answer. Lines without `=` are passed over.
pub fn fields(text: &str) -> std::collections::BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}
