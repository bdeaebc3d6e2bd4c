//! What is wrong with an extlinux.conf, in U-Boot's eyes: pure rules, with line numbers.

use super::{Behaviour, Config, Label};
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
}

/// Largest file that `boot/bootmeth_extlinux.c` reads (`SZ_64K`).
const LARGEST_FILE: usize = 64 * 1024;
/// `CONFIG_SYS_CBSIZE` (cmd/Kconfig): what old and small boards set, a common older default, and the default of today.
/// A command line of that length or more does not fit ("bootarg overflow"), and the label is skipped.
const CBSIZES: [usize; 3] = [256, 512, 1024];

/// All findings, in the order of lines.
pub fn lint(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    bytes(config, &mut findings);
    menu(config, &mut findings);
    names(config, &mut findings);
    for one in &config.menu.labels {
        label(one, &mut findings);
    }
    for remark in &config.menu.remarks {
        findings.push(Finding {
            severity: remark.severity,
            line: remark.line,
            rule: "not-understood",
            what: remark.what.clone(),
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
    }
}

fn warning(line: usize, rule: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Warning,
        line,
        rule,
        what: what.into(),
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
    let line_of = |at: usize| 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    if let Some(at) = bytes.iter().position(|byte| *byte == b'\r') {
        let what = "carriage return: U-Boot takes it for a part of the value, so paths are not found";
        findings.push(error(line_of(at), "carriage-return", what));
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
        Behaviour::TriesInOrder => findings.push(warning(
            0,
            "no-default",
            "no default: U-Boot tries the labels in file order",
        )),
        _ => {}
    }
    if menu.prompt.value != 0
        && menu.prompt_without_keyword != 0
        && !menu.says_prompt
        && config.behaviour() != Behaviour::Rejected
    {
        let what = "this `menu` line alone switches the prompt on; write `prompt 1` if a menu is wanted, or remove it";
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
            let text = format!("`{what} {}` names a label that is not there{hint}", named.value);
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
    if label.fdt.is_none() && label.fdtdir.is_some() {
        let what =
            "`fdtdir`: when the file is not found, U-Boot uses its own device tree in silence; prefer `fdt`";
        findings.push(warning(label.line, "fdtdir", what));
    }
    if label.fdtoverlays.is_some() {
        let what = "`fdtoverlays`: one that fails is left out in silence; prefer `fdt` with a merged tree";
        findings.push(warning(label.line, "fdtoverlays", what));
    }
    let Some(append) = &label.append else { return };
    let length = append.value.len();
    if let Some(limit) = CBSIZES.iter().rev().find(|limit| length + 1 > **limit) {
        let what = format!(
            "append is {length} bytes: U-Boot skips the label where CONFIG_SYS_CBSIZE is {limit} ({})",
            if *limit == 1024 {
                "its default"
            } else {
                "some boards set that"
            }
        );
        let finding = if *limit == 1024 { error } else { warning };
        findings.push(finding(append.line, "append-too-long", what));
    }
    if let Some(at) = append.value.find("initrd=")
        && !append.value[at..].contains(' ')
    {
        let what =
            "`initrd=` is the last word of append: U-Boot dereferences NULL; put another word behind it";
        findings.push(error(append.line, "initrd-last", what));
    }
    if append.value.contains("${") {
        findings.push(warning(
            append.line,
            "variable",
            "`${…}` is replaced from U-Boot's environment",
        ));
    }
}
