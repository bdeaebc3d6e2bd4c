//! extlinux.conf as U-Boot reads it: what it means, what is wrong with it, and how our own label is put in and taken out.
//!
//! The bytes are kept as they are: nothing is ever printed from the parsed form, so comments, order, unknown keys, spacing and
//! line ends survive by construction (invariant 7). The meaning is found with a port of U-Boot's own scanner, whose
//! surprises are the reason for [`lint`].
//!
//! Source of the grammar: U-Boot `boot/pxe_utils.c` (`get_token`, `parse_label`, `parse_pxefile_top`, `pxe_menu_to_menu`,
//! `label_boot`) and `common/menu.c`.

mod difference;
mod edit;
pub mod files;
mod lint;
mod once;
mod scan;
pub mod trace;

pub use difference::difference;
pub use edit::{Block, Edit, all_ours, check_name, foreign, ours, remove, set, without_ours};
pub use lint::{Finding, Severity, lint};
pub use once::default_once;

use std::ops::Range;

/// An extlinux.conf: its bytes and what U-Boot makes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    bytes: Vec<u8>,
    /// What U-Boot makes of the bytes.
    pub menu: Menu,
}

/// What U-Boot makes of an extlinux.conf (`struct pxe_menu`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Menu {
    /// `menu title`.
    pub title: Option<String>,
    /// `timeout`, in tenths of a second; 0 if absent.
    pub timeout: Number,
    /// State of the prompt after the last line: switched on by any top-level `menu …`, set by a `prompt N`.
    pub prompt: Number,
    /// Every `prompt N` that was read, with what the prompt would be without them: some U-Boot versions ignore the keyword.
    pub prompt_without_keyword: i64,
    /// A `prompt N` was read.
    pub says_prompt: bool,
    /// `default`, `ontimeout` (the last one wins) or the first `menu default`.
    pub default: Option<Named>,
    /// `fallback`: the label after too many failed boots (U-Boot v2025.01 and later).
    pub fallback: Option<Named>,
    /// Labels in file order: the menu numbers them from 1.
    pub labels: Vec<Label>,
    /// Files that `include` or `menu include` would pull in; they are not followed here.
    pub includes: Vec<Named>,
    /// What the scanner stumbled over.
    pub remarks: Vec<Remark>,
    /// U-Boot gives the whole file up here ("Error parsing config file") and boots nothing from it.
    pub rejected: Option<Remark>,
}

/// A number with the line that set it (0: no line did).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Number {
    /// The number, read as `simple_strtol` does: leading digits, 0 without any.
    pub value: i64,
    /// Line, from 1; 0 when nothing set it.
    pub line: usize,
}

/// A text with the line that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The text, to the end of its line; trailing blanks are part of it.
    pub value: String,
    /// Line, from 1.
    pub line: usize,
}

/// Something that the scanner stumbled over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Line, from 1.
    pub line: usize,
    /// [`Severity::Error`] where U-Boot loses what follows it.
    pub severity: Severity,
    /// What it was, and what U-Boot does about it.
    pub what: String,
}

/// One label (`struct pxe_label`): what U-Boot will use, after its own rules of which of two keys wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Label {
    /// Name, to the end of its line.
    pub name: String,
    /// Line of the `label` keyword, from 1.
    pub line: usize,
    /// Bytes from the start of that line to where U-Boot ends the label.
    pub span: Range<usize>,
    /// `menu label`: what the menu shows instead of the name.
    pub menu_label: Option<String>,
    /// `kernel` or `linux` (the last one wins), without a FIT configuration behind `#`.
    pub kernel: Option<String>,
    /// `append` (the last one wins).
    pub append: Option<Named>,
    /// `initrd` (the first one wins), or the `initrd=` inside `append` when that came earlier.
    pub initrd: Option<String>,
    /// `fdt` or `devicetree` (the first one wins).
    pub fdt: Option<String>,
    /// `fdtdir` or `devicetreedir` (the first one wins).
    pub fdtdir: Option<String>,
    /// `fdtoverlays` or `devicetree-overlay` (the first one wins).
    pub fdtoverlays: Option<String>,
    /// `ipappend`: 1 adds `ip=`, 2 adds `BOOTIF=`.
    pub ipappend: i64,
    /// `localboot` was given.
    pub localboot: Option<i64>,
    /// `kaslrseed` was given.
    pub kaslrseed: bool,
}

impl Label {
    /// What the menu prints behind `N:<TAB>`.
    pub fn shown(&self) -> &str {
        self.menu_label.as_deref().unwrap_or(&self.name)
    }
}

/// What U-Boot does with a menu when nobody touches the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// No prompt: the default boots at once.
    BootsDefault,
    /// No prompt and no (known) default: labels are tried in file order.
    TriesInOrder,
    /// The menu is shown; after this many seconds the default boots, or labels in file order when there is none.
    Asks {
        /// Seconds, rounded up from tenths (U-Boot since v2018.07; older vendor trees round down, and 0 waits for ever).
        seconds: u64,
    },
    /// The menu is shown and waits for ever.
    AsksForEver,
    /// The file is given up: nothing boots from it.
    Rejected,
}

impl std::fmt::Display for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Behaviour::BootsDefault => write!(f, "boots the default at once, without a menu"),
            Behaviour::TriesInOrder => write!(f, "tries the labels in file order, without a menu"),
            Behaviour::Asks { seconds } => write!(f, "shows a menu for {seconds} s, then boots the default"),
            Behaviour::AsksForEver => write!(f, "shows a menu and waits for ever"),
            Behaviour::Rejected => write!(f, "gives the file up and boots nothing from it"),
        }
    }
}

impl Config {
    /// Reads any bytes: nothing is refused here, [`Menu::rejected`] and [`lint`] say what is wrong.
    pub fn parse(bytes: &[u8]) -> Self {
        Config {
            bytes: bytes.to_vec(),
            menu: scan::scan(bytes),
        }
    }

    /// The bytes, as they were given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The label that U-Boot picks for a name: of several with one name the last wins (`pxe_menu_to_menu`).
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.menu.labels.iter().rev().find(|label| label.name == name)
    }

    /// The label that boots when nobody chooses.
    pub fn default_label(&self) -> Option<&Label> {
        self.menu
            .default
            .as_ref()
            .and_then(|default| self.label(&default.value))
    }

    /// Number of a label in the menu, from 1, in file order.
    pub fn number(&self, name: &str) -> Option<usize> {
        let wanted = self.label(name)?;
        let index = self
            .menu
            .labels
            .iter()
            .position(|label| std::ptr::eq(label, wanted));
        index.map(|index| index + 1)
    }

    /// What U-Boot does when nobody touches the line.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour_with_prompt(self.menu.prompt.value)
    }

    /// [`Config::behaviour`] of a U-Boot that ignores the keyword `prompt` (v2014.10 to about v2023).
    pub fn behaviour_without_prompt_keyword(&self) -> Behaviour {
        self.behaviour_with_prompt(self.menu.prompt_without_keyword)
    }

    fn behaviour_with_prompt(&self, prompt: i64) -> Behaviour {
        let seconds = u64::try_from(self.menu.timeout.value).unwrap_or(0).div_ceil(10);
        if self.menu.rejected.is_some() {
            Behaviour::Rejected
        } else if prompt == 0 && self.default_label().is_some() {
            Behaviour::BootsDefault
        } else if prompt == 0 {
            Behaviour::TriesInOrder
        } else if seconds == 0 {
            Behaviour::AsksForEver
        } else {
            Behaviour::Asks { seconds }
        }
    }
}

#[cfg(test)]
mod tests;
