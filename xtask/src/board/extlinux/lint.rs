//! What is wrong with an extlinux.conf, in U-Boot's eyes: pure rules, with line numbers.

use super::{Behaviour, Change, CommandLine, Config, Label, Named, Unattended};
use serde::Serialize;
use std::collections::HashMap;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Works on most boards, or only where an assumption holds that the text names.
    Warning,
    /// U-Boot would do something else than the file seems to say, or nothing at all.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What it is, and what U-Boot does about it.
    pub what: String,
    /// The label that it is about; none: the file as a whole.
    pub label: Option<String>,
}

impl Finding {
    /// Whether it is an error of the file as a whole or of one of these labels: one of another
    /// label keeps only that from booting.
    pub fn breaks(&self, labels: &[&str]) -> bool {
        let concerned = self.label.as_deref().is_none_or(|label| labels.contains(&label));
        self.severity == Severity::Error && concerned
    }
}

/// Largest file that `boot/bootmeth_extlinux.c` reads (`SZ_64K`).
const LARGEST_FILE: usize = 64 * 1024;
/// `CONFIG_SYS_CBSIZE` (cmd/Kconfig): what old and small boards set, a common older default, and
/// the default of today. A command line of that length or more does not fit ("bootarg overflow"),
/// and the label is skipped.
const CBSIZES: [usize; 3] = [256, 512, 1024];

/// All findings, in the order of lines.
pub fn lint(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    bytes(config, &mut findings);
    menu(config, &mut findings);
    names(config, &mut findings);
    for one in &config.menu.labels {
        let mut of_label = Vec::new();
        label(one, &mut of_label);
        let name = Some(&one.name);
        findings.extend(of_label.into_iter().map(|finding| Finding {
            label: name.cloned(),
            ..finding
        }));
    }
    for remark in &config.menu.remarks {
        findings.push(Finding {
            severity: remark.severity,
            line: remark.line,
            rule: "not-understood",
            what: remark.what.clone(),
            label: None,
        });
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn error(line: usize, rule: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Error,
        line,
        rule,
        what: what.into(),
        label: None,
    }
}

fn warning(line: usize, rule: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Warning,
        line,
        rule,
        what: what.into(),
        label: None,
    }
}

fn bytes(config: &Config, findings: &mut Vec<Finding>) {
    let bytes = config.bytes();
    if bytes.len() > LARGEST_FILE {
        let what = format!(
            "{} bytes: U-Boot's bootmeth reads no more than {LARGEST_FILE}",
            bytes.len()
        );
        findings.push(error(0, "file-too-large", what));
    }
    let line_of = |at: usize| {
        let before = bytes.get(..at).unwrap_or_default();
        let feeds = before.iter().filter(|byte| **byte == b'\n').count();
        feeds.saturating_add(1)
    };
    if let Some(at) = bytes.iter().position(|byte| *byte == b'\r') {
        let what = "carriage return: U-Boot takes it for a part of the value, so paths are not found";
        findings.push(error(line_of(at), "carriage-return", what));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let what = "a byte order mark belongs to the first word for U-Boot, which ignores that line";
        findings.push(error(1, "byte-order-mark", what));
    }
    if let Err(wrong) = std::str::from_utf8(bytes) {
        findings.push(warning(
            line_of(wrong.valid_up_to()),
            "not-utf8",
            "bytes that are not UTF-8",
        ));
    }
}

fn menu(config: &Config, findings: &mut Vec<Finding>) {
    let menu = &config.menu;
    if let Some(remark) = &menu.rejected {
        findings.push(error(remark.line, "rejected", remark.what.clone()));
    }
    if menu.labels.is_empty() {
        findings.push(error(
            0,
            "no-label",
            "no label: nothing can be booted from this file",
        ));
    }
    match config.behaviour() {
        Behaviour::AsksForEver => findings.push(error(
            menu.prompt.line,
            "waits-for-ever",
            "the prompt is on and the timeout is 0: U-Boot waits for ever, and an unattended boot hangs",
        )),
        Behaviour::AtOnce(Unattended::FileOrder)
        | Behaviour::Asks {
            then: Unattended::FileOrder,
            ..
        } if menu.default.is_none() => findings.push(warning(
            0,
            "no-default",
            format!(
                "no default: U-Boot tries the labels in file order{}",
                first(config)
            ),
        )),
        _ => {}
    }
    if menu.prompt.value != 0
        && menu.prompt_without_keyword != 0
        && !menu.says_prompt
        && config.behaviour() != Behaviour::Rejected
    {
        let what = "this `menu` line alone switches the prompt on; write `prompt 1` if a menu is wanted, or \
         remove it";
        findings.push(warning(menu.prompt.line, "menu-prompt", what));
    }
    if menu.says_prompt && menu.prompt.value == 0 && menu.timeout.value != 0 {
        let what = "the prompt is off, so the timeout means nothing: U-Boot never asks";
        findings.push(warning(menu.timeout.line, "never-asks", what));
    }
    if config.behaviour() != config.behaviour_without_prompt_keyword() {
        let what = format!(
            "some versions of U-Boot ignore `prompt`; such a one {}",
            config.behaviour_without_prompt_keyword()
        );
        findings.push(warning(menu.prompt.line, "prompt-ignored", what));
    }
    if (1..10).contains(&menu.timeout.value) && menu.prompt.value != 0 {
        let what = "less than a second: U-Boot before v2018.07 rounds it down to 0 and waits for ever";
        findings.push(warning(menu.timeout.line, "short-timeout", what));
    }
    for include in &menu.includes {
        let what = format!(
            "`{}` is included and was not read: its labels count, too",
            include.value
        );
        findings.push(warning(include.line, "include", what));
    }
}

/// `, first …`, where there is a label.
fn first(config: &Config) -> String {
    let label = config.menu.labels.first();
    label.map_or(String::new(), |label| format!(", `{}` first", label.name))
}

fn names(config: &Config, findings: &mut Vec<Finding>) {
    let menu = &config.menu;
    for (what, named) in [("default", &menu.default), ("fallback", &menu.fallback)] {
        if let Some(named) = named
            .as_ref()
            .filter(|named| config.label(&named.value).is_none())
        {
            let near = config
                .menu
                .labels
                .iter()
                .find(|label| label.name.trim() == named.value.trim());
            let hint = if near.is_some() {
                " (blanks at the end of the line count)"
            } else {
                ""
            };
            let so = match what {
                "default" => format!(
                    ": it counts for nothing, and U-Boot tries the labels in file order{}",
                    first(config)
                ),
                _ => String::new(),
            };
            let text = format!(
                "`{what} {}` names a label that is not there{hint}{so}",
                named.value
            );
            findings.push(error(named.line, "missing-default", text));
        }
    }
    let mut first: HashMap<&str, &Label> = HashMap::new();
    for label in &menu.labels {
        if let Some(earlier) = first.get(label.name.as_str()) {
            let text = format!(
                "label `{}` is there already in line {}: the last one wins",
                label.name, earlier.line
            );
            findings.push(error(label.line, "duplicate-label", text));
        }
        first.entry(&label.name).or_insert(label);
        if label.name.trim_end() != label.name {
            findings.push(warning(
                label.line,
                "blank-at-end",
                "the blanks at the end belong to the label's name",
            ));
        }
    }
}

fn label(label: &Label, findings: &mut Vec<Finding>) {
    let name = label.name.trim_end();
    if label.kernel.is_none() && label.localboot.is_none() {
        let what = format!("label `{name}` has no kernel: U-Boot skips it");
        findings.push(error(label.line, "no-kernel", what));
    }
    paths(label, findings);
    if label.fdt.is_none() && label.fdtdir.is_some() {
        let what = "`fdtdir`: when the file is not found, U-Boot uses its own device tree (before v2024.04 \
         in silence); prefer `fdt`";
        findings.push(warning(label.line, "fdtdir", what));
    }
    if label.fdtoverlays.is_some() {
        let what = "`fdtoverlays`: one that fails is left out in silence; prefer `fdt` with a merged tree";
        findings.push(warning(label.line, "fdtoverlays", what));
    }
    if let Some(append) = &label.append {
        self::append(append, findings);
    }
}

/// What is wrong with the paths of a label, whether the files are there or not.
fn paths(label: &Label, findings: &mut Vec<Finding>) {
    let keys = [
        ("kernel", &label.kernel),
        ("initrd", &label.initrd),
        ("fdt", &label.fdt),
        ("fdtdir", &label.fdtdir),
        ("fdtoverlays", &label.fdtoverlays),
    ];
    let given = keys
        .iter()
        .filter_map(|(key, path)| Some((*key, path.as_deref()?)));
    for (key, path) in given {
        let mut finding = |rule, what: String| findings.push(error(label.line, rule, what));
        if path.contains("${") || path.contains("$(") {
            let what = format!(
                "`{key} {path}`: U-Boot replaces variables in `append` only, and asks for a file of this \
                 very name"
            );
            finding("variable-in-path", what);
        }
        if path.trim_end_matches([' ', '\t']) != path && key != "fdtoverlays" {
            let what = format!(
                "`{key} {path}`: the blanks at the end belong to the path, which is not found with them"
            );
            finding("blank-at-end", what);
        }
        if path.contains(" #") {
            let what =
                format!("`{key} {path}`: a comment has a line of its own; here it belongs to the path");
            finding("comment-in-value", what);
        }
    }
    if label.fdt.as_deref() == Some("-") {
        let what = "`fdt -` means none only to a U-Boot that passes ATAGS (32-bit ARM); others ask for a \
         file `-` and skip the label";
        findings.push(error(label.line, "fdt-dash", what));
    }
}

fn append(append: &Named, findings: &mut Vec<Finding>) {
    let (line, length) = (append.line, append.value.len());
    if let Some(limit) = CBSIZES.iter().rev().find(|limit| length >= **limit) {
        let what = format!(
            "append is {length} bytes: U-Boot skips the label where CONFIG_SYS_CBSIZE is {limit} ({})",
            if *limit == 1024 {
                "its default"
            } else {
                "some boards set that"
            }
        );
        let finding = if *limit == 1024 { error } else { warning };
        findings.push(finding(line, "append-too-long", what));
    }
    if let Some((_, behind)) = append.value.split_once("initrd=")
        && !behind.contains(' ')
    {
        let what =
            "`initrd=` is the last word of append: U-Boot dereferences NULL; put another word behind it";
        findings.push(error(line, "initrd-last", what));
    }
    let command_line = CommandLine::of(&append.value);
    let names = command_line
        .variables()
        .into_iter()
        .map(|name| format!("${{{name}}}"));
    let names = names.collect::<Vec<_>>().join("`, `");
    let handed_over = command_line.with(&|name| Some(format!("${{{name}}}")));
    for change in command_line.changes() {
        let (finding, rule, what): (fn(_, _, _) -> _, _, _) = match change {
            Change::Variable => (
                warning,
                "variable",
                format!(
                    "U-Boot replaces `{names}` from its environment: what the kernel gets cannot be told \
                     from this file"
                ),
            ),
            Change::UnclosedVariable => (
                error,
                "unclosed-variable",
                format!(
                    "a `${{` or `$(` of append is never closed: U-Boot drops everything from there on; the \
                     kernel gets `{handed_over}`"
                ),
            ),
            Change::Quotes => (
                warning,
                "quotes",
                format!(
                    "U-Boot takes single quotes in append away: the kernel gets `{handed_over}`; use double \
                     quotes, which the kernel \
                     itself understands, or `\\'` for one that is meant"
                ),
            ),
            Change::UnclosedQuote => (
                warning,
                "unclosed-quote",
                format!(
                    "a single quote of append is never closed: U-Boot takes it away and replaces nothing \
                     behind it; the kernel gets \
                     `{handed_over}`"
                ),
            ),
            Change::Backslashes => (
                warning,
                "backslash",
                format!(
                    "U-Boot takes one level of backslashes in append away: the kernel gets `{handed_over}`"
                ),
            ),
            Change::LastDollar => (
                warning,
                "last-dollar",
                format!("U-Boot drops a `$` at the end of append: the kernel gets `{handed_over}`"),
            ),
        };
        findings.push(finding(line, rule, what));
    }
    if append.value.contains(" # ") {
        let what = "a comment has a line of its own; here the kernel gets it, `#` and all";
        findings.push(warning(line, "comment-in-value", what));
    }
}
