//! What the Kconfig files of a tree define, as one architecture sees them: symbols, choices, and the blocks around them.
//!
//! Language: Documentation/kbuild/kconfig-language.rst and scripts/kconfig/{lexer.l,parser.y,menu.c} of 7.3. The crate nom-kconfig parses
//! it as well, but keeps no line numbers, and an explanation has to say where.

use super::expression::{Expr, Operand};
use super::language;
use super::value::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// A line of a Kconfig file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Relative to the tree.
    pub file: Rc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where a condition comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `depends on` of the symbol itself.
    DependsOn,
    /// An `if` block around it.
    If,
    /// `depends on` of a menu around it.
    Menu,
    /// `depends on` of the choice that it is in.
    Choice,
    /// `visible if` of a menu around it; counts for prompts only.
    VisibleIf,
    /// `if` behind the prompt.
    PromptIf,
    /// `if` behind a default, a select, a range.
    OptionIf,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Origin::DependsOn => "depends on",
            Origin::If => "inside `if`",
            Origin::Menu => "inside a menu that depends on",
            Origin::Choice => "inside a choice that depends on",
            Origin::VisibleIf => "inside a menu that is visible if",
            Origin::PromptIf => "can be asked for if",
            Origin::OptionIf => "if",
        })
    }
}

/// Something that has to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub expr: Expr,
    /// Where it is written.
    pub place: Place,
    /// As what.
    pub origin: Origin,
}

/// A `menu`, `if` or `choice` and what it asks of everything inside.
#[derive(Debug, Clone)]
pub struct Block {
    /// The block around it; only the first, the whole tree, has none.
    pub parent: Option<usize>,
    /// Its `depends on`, or the condition of an `if`.
    pub conditions: Vec<Condition>,
    /// Its `visible if`.
    pub visible: Vec<Condition>,
    /// For a choice: its number in [`Definitions::choices`].
    pub choice: Option<usize>,
}

/// `bool`, `tristate`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `y`, `n`
    Bool,
    /// `y`, `m`, `n`
    Tristate,
    /// A text.
    Text,
    /// A decimal number.
    Int,
    /// A hexadecimal number.
    Hex,
    /// No type is given anywhere.
    Unknown,
}

impl Kind {
    /// Whether a symbol of this type takes such a value at all (conf_set_sym_val() in scripts/kconfig/confdata.c).
    pub fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Bool, Value::Yes | Value::No) => true,
            (Kind::Tristate, Value::Yes | Value::No | Value::Module) => true,
            (Kind::Text, Value::Text(_)) => true,
            (Kind::Int, Value::Number(text)) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                digits.bytes().all(|c| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
            }
            (Kind::Hex, Value::Number(text)) => !text.starts_with('-'),
            _ => false,
        }
    }

    /// What a number or text is that no one set and that has no default.
    pub fn nothing(self) -> &'static str {
        match self {
            Kind::Int => "0",
            Kind::Hex => "0x0",
            _ => "",
        }
    }

    /// The values that it takes, in words.
    pub fn values(self) -> &'static str {
        match self {
            Kind::Bool => "y or n",
            Kind::Tristate => "y, m or n",
            Kind::Text => "a text in double quotes",
            Kind::Int => "a decimal number",
            Kind::Hex => "a number like 0x1",
            Kind::Unknown => "nothing",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Kind::Bool => "bool",
            Kind::Tristate => "tristate",
            Kind::Text => "string",
            Kind::Int => "int",
            Kind::Hex => "hex",
            Kind::Unknown => "of no type",
        })
    }
}

/// What a person is asked.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The question.
    pub text: String,
    /// Its `if`.
    pub condition: Option<Condition>,
    /// Where.
    pub place: Place,
}

/// The value of a symbol that nobody sets.
#[derive(Debug, Clone)]
pub struct DefaultValue {
    /// The value.
    pub expr: Expr,
    /// Its `if`.
    pub condition: Option<Condition>,
    /// Where.
    pub place: Place,
}

/// Bounds of a number.
#[derive(Debug, Clone)]
pub struct Range {
    /// The least.
    pub low: Operand,
    /// The greatest.
    pub high: Operand,
    /// Its `if`.
    pub condition: Option<Condition>,
    /// Where.
    pub place: Place,
}

/// One `config` or `menuconfig` entry.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Where it begins.
    pub place: Place,
    /// The block that it stands in.
    pub block: usize,
    /// Its `depends on`.
    pub conditions: Vec<Condition>,
    /// Usually one or none.
    pub prompts: Vec<Prompt>,
    /// The first whose condition holds counts.
    pub defaults: Vec<DefaultValue>,
    /// The first whose condition holds counts.
    pub ranges: Vec<Range>,
}

/// How strongly one symbol pulls another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// `select`: whatever the other one depends on.
    Select,
    /// `imply`: a default, which a person may overrule.
    Imply,
}

/// A `select` or `imply`, seen from the symbol that it is aimed at.
#[derive(Debug, Clone)]
pub struct Raise {
    /// Who does it.
    pub by: String,
    /// Number of the definition of `by` in which it stands.
    pub definition: usize,
    /// Its `if`.
    pub condition: Option<Condition>,
    /// How strongly.
    pub pull: Pull,
    /// Where.
    pub place: Place,
}

/// Everything about one symbol.
#[derive(Debug, Clone)]
pub struct Symbol {
    /// Its type.
    pub kind: Kind,
    /// Its entries, in the order in which Kconfig reads them.
    pub definitions: Vec<Definition>,
    /// Who selects or implies it.
    pub raised_by: Vec<Raise>,
    /// The choice that it is a member of.
    pub choice: Option<usize>,
    /// Read from an old `.config`, and never written: it passes its value on to another symbol.
    pub transitional: bool,
}

impl Symbol {
    /// Whether it can be asked for at all.
    pub fn has_prompt(&self) -> bool {
        self.transitional
            || self
                .definitions
                .iter()
                .any(|definition| !definition.prompts.is_empty())
    }

    /// Where it is defined first.
    pub fn place(&self) -> Option<&Place> {
        self.definitions.first().map(|definition| &definition.place)
    }
}

/// A group of which one member is `y`.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its question.
    pub prompt: String,
    /// Its members, in order.
    pub members: Vec<String>,
    /// The member that counts where no one asks for one; the first whose condition holds and that can be asked for.
    pub defaults: Vec<DefaultValue>,
    /// Where it begins.
    pub place: Place,
}

/// Where the symbols of a tree are defined.
#[derive(Debug, Clone)]
pub struct Definitions {
    /// All symbols.
    pub symbols: BTreeMap<String, Symbol>,
    /// Menus, `if` blocks and choices; the first is the whole tree.
    pub blocks: Vec<Block>,
    /// The choices.
    pub choices: Vec<Choice>,
    /// Names that Kconfig itself sets, `SRCARCH` and the like.
    pub variables: BTreeMap<String, String>,
    /// The symbol that carries `modules`: without it `m` is `n`.
    pub modules: Option<String>,
    /// Kconfig files that were read.
    pub files: usize,
}

impl Definitions {
    /// Reads the Kconfig files of a tree as `make ARCH=architecture` does, from `Kconfig` at its root on. A file that cannot be read
    /// is passed over: Kconfig itself has refused the tree by then.
    pub fn read(tree: &Path, architecture: &str) -> Self {
        Self::read_with(architecture, &|file| {
            std::fs::read(tree.join(file))
                .ok()
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        })
    }

    /// [`Definitions::read`] with the files given by `text`, from their paths relative to the tree.
    pub fn read_with(architecture: &str, text: &dyn Fn(&str) -> Option<String>) -> Self {
        language::read(architecture, text)
    }

    /// Every condition that an entry has to meet: its own, and those of the blocks around it, outermost last.
    pub fn conditions<'a>(&'a self, definition: &'a Definition) -> Vec<&'a Condition> {
        let mut all: Vec<&Condition> = definition.conditions.iter().collect();
        for block in self.around(definition.block) {
            all.extend(&block.conditions);
        }
        all
    }

    /// Every condition for a prompt to be shown.
    pub fn prompt_conditions<'a>(
        &'a self,
        definition: &'a Definition,
        prompt: &'a Prompt,
    ) -> Vec<&'a Condition> {
        let mut all: Vec<&Condition> = prompt.condition.iter().collect();
        all.extend(self.conditions(definition));
        for block in self.around(definition.block) {
            all.extend(&block.visible);
        }
        all
    }

    /// A block and all around it.
    pub(super) fn around(&self, block: usize) -> impl Iterator<Item = &Block> {
        std::iter::successors(self.blocks.get(block), |block| {
            block.parent.and_then(|parent| self.blocks.get(parent))
        })
    }

    /// The choice that a symbol is a member of.
    pub fn choice_of(&self, symbol: &Symbol) -> Option<&Choice> {
        self.choices.get(symbol.choice?)
    }

    /// The other members of a symbol's choice.
    pub fn rivals<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.symbols
            .get(name)
            .and_then(|symbol| self.choice_of(symbol))
            .into_iter()
            .flat_map(|choice| &choice.members)
            .map(String::as_str)
            .filter(move |member| *member != name)
    }
}

/// The folder below `arch/` of a value of ARCH (SRCARCH in the kernel's Makefile).
pub(crate) fn source_architecture(architecture: &str) -> &str {
    match architecture {
        "i386" | "x86_64" => "x86",
        "sparc32" | "sparc64" => "sparc",
        "parisc64" => "parisc",
        other => other,
    }
}
