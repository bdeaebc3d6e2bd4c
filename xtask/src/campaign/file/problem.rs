//! What is wrong with a campaign file, and where: the parser's errors and the rules' in one form.

use super::{Campaign, SCHEMA_VERSION};
use crate::host::one_line::one_line;
use crate::host::toml as toml_file;
use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found and what is allowed.
    pub message: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.meant {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

/// A mistake of the rules, at a path in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Keys and indices from the top. Where the file does not say a part of it, the last part that it says is the place.
    pub at: Vec<At>,
    /// What was found and what is allowed.
    pub message: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Key of a table.
    Key(String),
    /// Index in an array, from 0.
    Index(usize),
}

impl From<&str> for At {
    fn from(key: &str) -> Self {
        At::Key(key.into())
    }
}

impl From<usize> for At {
    fn from(index: usize) -> Self {
        At::Index(index)
    }
}

/// Parses and checks a campaign file. Errors: everything that is wrong with it.
pub fn parse(text: &str) -> Result<Campaign, Vec<Problem>> {
    match look(text) {
        (Some(campaign), problems) if problems.is_empty() => Ok(campaign),
        (_, problems) => Err(problems),
    }
}

/// Everything that is wrong with a file, and the campaign as far as it can be read without that. A
/// mistake in the syntax hides the others.
pub fn look(text: &str) -> (Option<Campaign>, Vec<Problem>) {
    if let Some((version, span)) = toml_file::newer(text, SCHEMA_VERSION) {
        let (line, column) = Lines::of(text).place(&span);
        let problem = Problem {
            line,
            column,
            message: format!("schema-version is {version}, and this program reads {SCHEMA_VERSION}"),
            meant: None,
        };
        return (None, vec![problem]);
    }
    let (campaign, mut problems) = read(text);
    let Some(mut campaign) = campaign else {
        return (None, problems);
    };
    if let Err(found) = super::check::too_many(&campaign) {
        problems.extend(placed(text, vec![found]));
        return (None, problems);
    }
    campaign.fill_in();
    problems.extend(placed(text, super::check::check(&campaign)));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    (Some(campaign), problems)
}

/// Adds mistakes that were found later, in the order of the file. Of what is wrong already no more
/// is said, nor of more than a person would read.
pub fn add(problems: &mut Vec<Problem>, more: Vec<Problem>) {
    let place = |problem: &Problem| (problem.line, problem.column);
    let known: HashSet<(usize, usize)> = problems.iter().map(place).collect();
    let more = more
        .into_iter()
        .filter(|problem| !known.contains(&place(problem)));
    problems.extend(more.take(MOST.saturating_sub(problems.len())));
    problems.sort_by_key(place);
}

/// Most mistakes of a file that are reported, if they are found one after the other.
const MOST: usize = 200;
/// Most mistakes of the parser's that are reported.
const TOLD: usize = 20;

/// What an error of the parser is about.
enum About {
    /// A key that is not known: the rest can be read without it.
    Key,
    /// A value of the wrong kind: without it, its key may be missing.
    Value,
}

/// Reads a file. Where a key or a value is wrong, it is told, and the rest is read without it.
fn read(text: &str) -> (Option<Campaign>, Vec<Problem>) {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::of(text);
    let told = errors.iter().take(TOLD);
    let mut problems: Vec<Problem> = told.map(|error| of_parser(&lines, error)).collect();
    if !problems.is_empty() {
        return (None, problems);
    }
    let mut value_is_gone = false;
    loop {
        let error = match Campaign::deserialize(toml::Deserializer::from(table.clone())) {
            Ok(campaign) => return (Some(campaign), problems),
            Err(error) => error,
        };
        let about = error.span().and_then(|span| take_out(table.get_mut(), &span));
        // A key that is missing may be the one whose value was taken out.
        if about.is_some() || !value_is_gone {
            problems.push(of_parser(&lines, &error));
        }
        match about {
            Some(About::Key) => {}
            Some(About::Value) => value_is_gone = true,
            None => return (None, problems),
        }
        if problems.len() >= TOLD {
            return (None, problems);
        }
    }
}

/// Takes out the entry whose key or value is at a place.
fn take_out(table: &mut DeTable, place: &Range<usize>) -> Option<About> {
    let found = table.iter().find_map(|(key, value)| {
        let about = if key.span() == *place {
            About::Key
        } else if value.span() == *place {
            About::Value
        } else {
            return None;
        };
        Some((key.get_ref().to_string(), about))
    });
    if let Some((key, about)) = found {
        table.remove(key.as_str());
        return Some(about);
    }
    table
        .iter_mut()
        .find_map(|(_, value)| take_out_of(value.get_mut(), place))
}

fn take_out_of(value: &mut DeValue, place: &Range<usize>) -> Option<About> {
    match value {
        DeValue::Table(table) => take_out(table, place),
        // Its items stay: the places of those behind one would be others.
        DeValue::Array(array) => array
            .iter_mut()
            .find_map(|item| take_out_of(item.get_mut(), place)),
        _ => None,
    }
}

/// Puts mistakes of the rules at their places.
pub fn placed(text: &str, found: Vec<Found>) -> Vec<Problem> {
    let document = DeTable::parse(text).ok();
    let table = document.as_ref().map(|document| document.get_ref());
    let lines = Lines::of(text);
    let place = |found: Found| {
        let span = table.map_or(0..0, |table| span(table, &found.at));
        let (line, column) = lines.place(&span);
        Problem {
            line,
            column,
            message: found.message,
            meant: found.meant,
        }
    };
    let mut problems: Vec<Problem> = found.into_iter().map(place).collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

/// All problems as one error; `file` may be empty.
pub fn error(file: &str, problems: &[Problem]) -> anyhow::Error {
    let before = if file.is_empty() {
        String::new()
    } else {
        format!("{file}:")
    };
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{before}{problem}"))
        .collect();
    anyhow!("{}", lines.join("\n"))
}

fn of_parser(lines: &Lines, error: &toml::de::Error) -> Problem {
    let (line, column) = lines.place(&error.span().unwrap_or(0..0));
    let message: Vec<String> = error.message().trim().lines().map(one_line).collect();
    Problem {
        line,
        column,
        message: message.join("; "),
        meant: toml_file::meant(error.message()),
    }
}

/// Where a path is, as far as the file says it.
fn span(table: &DeTable, at: &[At]) -> Range<usize> {
    let mut span = 0..0;
    let mut value: Option<&DeValue> = None;
    for (depth, part) in at.iter().enumerate() {
        let last = at.len().checked_sub(1) == Some(depth);
        let next = match (part, value) {
            (At::Key(key), None) if depth == 0 => table.get_key_value(key.as_str()),
            (At::Key(key), Some(DeValue::Table(table))) => table.get_key_value(key.as_str()),
            (At::Index(index), Some(DeValue::Array(array))) => {
                let Some(item) = array.get(*index) else { break };
                span = item.span();
                value = Some(item.get_ref());
                continue;
            }
            _ => None,
        };
        let Some((key, item)) = next else { break };
        // The value is what is wrong, and its key is where the eye looks for a table.
        let inline = last && !matches!(item.get_ref(), DeValue::Table(_) | DeValue::Array(_));
        span = if inline { item.span() } else { key.span() };
        value = Some(item.get_ref());
    }
    span
}

/// Where the lines of a text begin: found once, however many places are asked for.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let behind = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Lines {
            text,
            starts: std::iter::once(0).chain(behind).collect(),
        }
    }

    /// Line and column in characters of the start of a span, both from 1.
    fn place(&self, span: &Range<usize>) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or_default();
        (line, before.chars().count().saturating_add(1))
    }
}
