//! Our own label in an extlinux.conf: put in as the last one, taken out again, everything else
//! untouched (invariant 7).
//!
//! "Ours" is what stands between two comment lines that name the label; U-Boot skips comments.

use super::{Behaviour, Config, Label};
use anyhow::{Result, bail, ensure};
use std::ops::Range;

/// The first words of the line before our label.
const BEGIN: &str = "# lockstep: begin ";
/// The first words of the line behind our label.
const END: &str = "# lockstep: end ";
/// Stands in the first line when the file had no newline at its end, so that taking the label out
/// gives the old bytes.
const NEWLINE_ADDED: &str = " (newline added before)";

/// What our label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name of the label.
    pub name: String,
    /// What the menu shows; the name when absent.
    pub menu_label: Option<String>,
    /// Path of the kernel as U-Boot sees it.
    pub kernel: String,
    /// Path of the device tree as U-Boot sees it.
    pub fdt: Option<String>,
    /// Path of the initramfs as U-Boot sees it.
    pub initrd: Option<String>,
    /// Kernel command line.
    pub append: String,
}

/// A changed file, and what the change means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The new bytes.
    pub bytes: Vec<u8>,
    /// What U-Boot did before when nobody touched the line.
    pub before: Behaviour,
    /// What it does now.
    pub after: Behaviour,
    /// What a person should know about the change: a menu where there was none, the new label as a
    /// way that U-Boot falls through to.
    pub notes: Vec<String>,
}

/// Where our label stands, marker lines included. Errors: the markers are damaged, or something
/// that is not ours stands between them.
pub fn ours(config: &Config, name: &str) -> Result<Option<Range<usize>>> {
    let lines = lines(config.bytes());
    let is = |range: &Range<usize>, start: &str| {
        let line = String::from_utf8_lossy(part(config.bytes(), range));
        line.strip_prefix(start)
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| {
                let rest = rest.trim_end_matches(['\r', '\n']);
                rest.is_empty() || rest == NEWLINE_ADDED
            })
    };
    let marked = |start: &str| -> Vec<(usize, &Range<usize>)> {
        (1..).zip(&lines).filter(|(_, line)| is(line, start)).collect()
    };
    let (begins, ends) = (marked(BEGIN), marked(END));
    let (begin, end, range) = match (begins.as_slice(), ends.as_slice()) {
        ([], []) => return Ok(None),
        ([(begin, first)], [(end, last)]) if begin < end => (begin, end, first.start..last.end),
        _ => bail!(
            "the marker lines of label `{name}` are damaged (begin at {}, end at {}): one of each is \
             needed, in this order; put the file right by hand, or roll back",
            at_lines(&begins),
            at_lines(&ends)
        ),
    };
    let inside: Vec<&Label> = config
        .menu
        .labels
        .iter()
        .filter(|label| range.contains(&label.span.start))
        .collect();
    match inside.as_slice() {
        [only] if only.name == name => Ok(Some(range)),
        other => bail!(
            "between the marker lines of label `{name}` (lines {begin} to {end}) stands {}: only that one \
             label may; nothing was \
             changed",
            match other {
                [] => "no label".to_string(),
                labels => labels
                    .iter()
                    .map(|label| format!("`{}`", label.name))
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        ),
    }
}

/// The file without our label: what is not ours to change, byte for byte as it was before [`set`].
pub fn foreign(config: &Config, name: &str) -> Result<Vec<u8>> {
    let mut bytes = config.bytes().to_vec();
    let Some(range) = ours(config, name)? else {
        return Ok(bytes);
    };
    let first_line = |bytes: &[u8]| -> Vec<u8> {
        let rest = bytes.get(range.start..).unwrap_or_default();
        let first = rest.split_inclusive(|byte| *byte == b'\n').next();
        first.unwrap_or_default().to_vec()
    };
    let added = String::from_utf8_lossy(&first_line(&bytes)).contains(NEWLINE_ADDED);
    bytes.drain(range.clone());
    let next = first_line(&bytes);
    if added && next.is_empty() && bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if added && marked(&next, BEGIN).is_some() {
        // Another label of ours stands behind that newline now, and has to know.
        let end = range.start.saturating_add(next.trim_ascii_end().len());
        bytes.splice(end..end, NEWLINE_ADDED.bytes());
    }
    Ok(bytes)
}

/// The name in a line that begins a label of ours, or (`END`) that ends one.
fn marked<'a>(line: &'a [u8], marker: &str) -> Option<&'a str> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches(['\r', '\n']);
    let name = line.strip_prefix(marker)?;
    let name = name.strip_suffix(NEWLINE_ADDED).unwrap_or(name);
    check_name(name).is_ok().then_some(name)
}

/// Names of all labels of ours, in file order: a board may have one of another campaign beside this
/// one's. One whose markers are damaged is among them; a comment that only looks like a marker,
/// with a name that none of ours can have, is not.
pub fn all_ours(config: &Config) -> Vec<String> {
    let bytes = config.bytes();
    let mut names: Vec<String> = Vec::new();
    for line in lines(bytes) {
        let line = part(bytes, &line);
        if let Some(name) = marked(line, BEGIN).or_else(|| marked(line, END))
            && !names.iter().any(|known| known == name)
        {
            names.push(name.into());
        }
    }
    names
}

/// The file without any label of ours: what vanilla's owner wrote. Errors: the markers of one are
/// damaged.
pub fn without_ours(config: &Config) -> Result<Vec<u8>> {
    let mut left = config.clone();
    for name in all_ours(config) {
        left = Config::parse(&foreign(&left, &name)?);
    }
    Ok(left.bytes)
}

/// Adds or replaces our label, as the last one. Errors: a label of that name is there and not ours,
/// a value cannot be written in this format, or the result would not mean what was meant.
pub fn set(config: &Config, block: &Block) -> Result<Edit> {
    check(block)?;
    let old = Config::parse(&foreign(config, &block.name)?);
    if let Some(label) = old.label(&block.name) {
        bail!(
            "line {}: label `{}` is already there and is not ours (no marker lines around it): it is not \
             touched; \
             choose another name for the test label",
            label.line,
            block.name
        );
    }
    let mut bytes = old.bytes().to_vec();
    let added = !bytes.is_empty() && bytes.last() != Some(&b'\n');
    if added {
        bytes.push(b'\n');
    }
    // Plain newlines whatever the rest has: U-Boot takes a carriage return for a part of the value.
    bytes.extend(render(block, if added { NEWLINE_ADDED } else { "" }).bytes());
    let new = Config::parse(&bytes);
    verify(&old, &new, block)?;
    Ok(Edit {
        before: config.behaviour(),
        after: new.behaviour(),
        notes: notes(config, &new, block),
        bytes,
    })
}

/// Takes our label out; a file without it stays as it is. Errors: it would change what is not ours.
pub fn remove(config: &Config, name: &str) -> Result<Edit> {
    let bytes = foreign(config, name)?;
    let new = Config::parse(&bytes);
    if let Some(label) = new.label(name) {
        bail!(
            "line {}: label `{name}` is not ours (no marker lines around it): it is not touched",
            label.line
        );
    }
    let kept: Vec<String> = described(&new);
    let before: Vec<String> = config
        .menu
        .labels
        .iter()
        .filter(|label| label.name != name)
        .map(describe)
        .collect();
    ensure!(
        kept == before,
        "taking label `{name}` out would change another label: nothing was changed"
    );
    Ok(Edit {
        before: config.behaviour(),
        after: new.behaviour(),
        notes: Vec::new(),
        bytes,
    })
}

/// The label as text; four blanks in front of each key, as most files have it.
fn render(block: &Block, remark: &str) -> String {
    let name = &block.name;
    let mut text = format!("{BEGIN}{name}{remark}\nlabel {name}\n");
    let mut line = |key: &str, value: Option<&String>| {
        if let Some(value) = value {
            text.push_str(&format!("    {key} {value}\n"));
        }
    };
    line("menu label", block.menu_label.as_ref());
    line("kernel", Some(&block.kernel));
    line("initrd", block.initrd.as_ref());
    line("fdt", block.fdt.as_ref());
    line("append", Some(&block.append));
    text.push_str(&format!("{END}{name}\n"));
    text
}

/// First letters that no label of ours has: the records of kept slots are called so.
const TAKEN: &str = "kept-";

/// A name that a label of ours may have: it goes into extlinux.conf, into the name of the slot's
/// record and onto a screen.
pub fn check_name(name: &str) -> Result<()> {
    let plain = !name.is_empty()
        && !name.starts_with(TAKEN)
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.+".contains(c));
    ensure!(
        plain,
        "label name `{}`: only letters, digits and `_-.+` are allowed, and not `{TAKEN}` at its beginning",
        name.escape_debug()
    );
    Ok(())
}

/// No value may break out of its line or be read as something else.
fn check(block: &Block) -> Result<()> {
    check_name(&block.name)?;
    let optional = [
        ("menu label", &block.menu_label),
        ("fdt", &block.fdt),
        ("initrd", &block.initrd),
    ];
    let values = optional
        .iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| (*key, value)));
    for (key, value) in values.chain([("kernel", &block.kernel), ("append", &block.append)]) {
        let plain = value.chars().all(|c| !c.is_control());
        ensure!(
            plain && !value.trim().is_empty() && value.trim() == value && !value.starts_with('#'),
            "`{key}` of label `{}` cannot be written to an extlinux.conf: `{}`",
            block.name,
            value.escape_debug()
        );
    }
    Ok(())
}

/// The change must mean exactly: one more label, ours, the last.
fn verify(old: &Config, new: &Config, block: &Block) -> Result<()> {
    let mut expected = described(old);
    let ours = Label {
        name: block.name.clone(),
        menu_label: block.menu_label.clone(),
        kernel: Some(block.kernel.clone()),
        append: Some(super::Named {
            value: block.append.clone(),
            line: 0,
        }),
        initrd: block.initrd.clone(),
        fdt: block.fdt.clone(),
        ..Label::default()
    };
    expected.push(describe(&ours));
    let same_rest = old.menu.default.as_ref().map(|d| &d.value)
        == new.menu.default.as_ref().map(|d| &d.value)
        && old.menu.timeout == new.menu.timeout
        && old.menu.prompt == new.menu.prompt;
    ensure!(
        described(new) == expected && same_rest && new.menu.rejected == old.menu.rejected,
        "with label `{}` at its end this extlinux.conf would not mean what was meant (is it damaged? \
         `{}`): nothing was changed",
        block.name,
        new.menu
            .remarks
            .first()
            .map_or("no remark", |remark| &remark.what)
    );
    Ok(())
}

fn notes(before: &Config, after: &Config, block: &Block) -> Vec<String> {
    let mut notes = Vec::new();
    if before.behaviour() != after.behaviour() {
        notes.push(format!(
            "U-Boot so far {}; now it {}",
            before.behaviour(),
            after.behaviour()
        ));
    }
    if before.label(&block.name).is_none() {
        notes.push(format!(
            "U-Boot falls through in file order: when no label before it can be loaded, it tries `{}`",
            block.name
        ));
    }
    notes
}

/// Everything of a label that U-Boot acts on, without its place in the file.
fn describe(label: &Label) -> String {
    let append = label.append.as_ref().map(|append| &append.value);
    let placeless = Label {
        line: 0,
        span: 0..0,
        append: None,
        ..label.clone()
    };
    format!("{placeless:?} append {append:?}")
}

fn described(config: &Config) -> Vec<String> {
    config.menu.labels.iter().map(describe).collect()
}

/// Ranges of the lines, line ends included.
fn lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut from = 0_usize;
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            let range = from..from.saturating_add(line.len());
            from = range.end;
            range
        })
        .collect()
}

/// The bytes of one of [`lines`].
fn part<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    bytes.get(range.clone()).unwrap_or_default()
}

fn at_lines(marked: &[(usize, &Range<usize>)]) -> String {
    let numbers: Vec<String> = marked.iter().map(|(line, _)| line.to_string()).collect();
    match numbers.as_slice() {
        [] => "no line".into(),
        [one] => format!("line {one}"),
        many => format!("lines {}", many.join(" and ")),
    }
}
