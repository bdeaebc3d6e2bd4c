//! Reading the Kconfig language into [`Definitions`].

use super::definitions::{
    Block, Choice, Condition, DefaultValue, Definition, Definitions, Kind, Origin, Place, Prompt, Pull,
    Raise, Range, Symbol, source_architecture,
};
use super::expression::{Expr, Operand, Relation};
use super::reader::{Reader, split_macro};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The root of every tree.
const ROOT: &str = "Kconfig";
/// Files within files: more is a circle.
const DEEPEST: usize = 32;

/// Reads a tree; see [`Definitions::read_with`].
pub(super) fn read(architecture: &str, text: &dyn Fn(&str) -> Option<String>) -> Definitions {
    let variables = [
        ("ARCH", architecture),
        ("SRCARCH", source_architecture(architecture)),
        ("srctree", "."),
    ];
    let mut reading = Reading {
        text,
        all: Definitions {
            symbols: BTreeMap::new(),
            blocks: vec![Block {
                parent: None,
                conditions: Vec::new(),
                visible: Vec::new(),
                choice: None,
            }],
            choices: Vec::new(),
            variables: variables
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            modules: None,
            files: 0,
        },
        block: 0,
        entry: Entry::Nothing,
        inside: Vec::new(),
    };
    reading.file(ROOT);
    reading.all
}

/// What the next option line belongs to.
enum Entry {
    /// Nothing that options count for: the top of a file, a comment.
    Nothing,
    /// The last definition of this symbol.
    Config(String),
    /// The block that was just opened.
    Block,
}

struct Reading<'a> {
    text: &'a dyn Fn(&str) -> Option<String>,
    all: Definitions,
    block: usize,
    entry: Entry,
    /// The files that are being read, outermost first.
    inside: Vec<Rc<str>>,
}

impl Reading<'_> {
    fn file(&mut self, path: &str) {
        // Kconfig refuses a file that includes itself (scripts/kconfig/lexer.l: `zconf_nextfile()`); to follow it would never end.
        if self.inside.len() >= DEEPEST || self.inside.iter().any(|file| &**file == path) {
            return;
        }
        let Some(text) = (self.text)(path) else { return };
        self.all.files = self.all.files.saturating_add(1);
        let file: Rc<str> = path.into();
        self.inside.push(file.clone());
        for Statement { line, text } in statements(&text) {
            self.statement(
                &Place {
                    file: file.clone(),
                    line,
                },
                &text,
            );
        }
        self.inside.pop();
    }

    fn statement(&mut self, place: &Place, text: &str) {
        let text = text.trim_start();
        // Words have `-` in them, too: `if-success = …` is no `if`.
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        match word {
            "config" | "menuconfig" => self.config(place, rest),
            "menu" => self.open(None),
            "if" => {
                self.open(None);
                self.condition(place, Reader::new(rest).expr(), Origin::If);
                self.entry = Entry::Nothing;
            }
            "choice" => {
                self.all.choices.push(Choice {
                    prompt: String::new(),
                    members: Vec::new(),
                    defaults: Vec::new(),
                    place: place.clone(),
                });
                self.open(self.all.choices.len().checked_sub(1));
            }
            "endmenu" | "endif" | "endchoice" => {
                self.block = self.opened().and_then(|block| block.parent).unwrap_or(0);
                self.entry = Entry::Nothing;
            }
            "source" => {
                self.entry = Entry::Nothing;
                if let Some(path) = Reader::new(rest).text() {
                    self.file(&self.expanded(&path));
                }
            }
            "comment" | "mainmenu" => self.entry = Entry::Nothing,
            _ => self.option(place, word, rest),
        }
    }

    fn config(&mut self, place: &Place, rest: &str) {
        let Some(name) = Reader::new(rest).name() else {
            return;
        };
        let symbol = self.all.symbols.entry(name.clone()).or_insert_with(|| Symbol {
            kind: Kind::Unknown,
            definitions: Vec::new(),
            raised_by: Vec::new(),
            choice: None,
            transitional: false,
        });
        symbol.definitions.push(Definition {
            place: place.clone(),
            block: self.block,
            conditions: Vec::new(),
            prompts: Vec::new(),
            defaults: Vec::new(),
            ranges: Vec::new(),
        });
        let choice = self.all.around(self.block).find_map(|block| block.choice);
        if let Some(choice) = choice {
            if let Some(choice) = self.all.choices.get_mut(choice) {
                choice.members.push(name.clone());
            }
            if let Some(symbol) = self.all.symbols.get_mut(&name) {
                symbol.choice = Some(choice);
            }
        }
        self.entry = Entry::Config(name);
    }

    /// The block that statements belong to now.
    fn opened(&self) -> Option<&Block> {
        self.all.blocks.get(self.block)
    }

    fn open(&mut self, choice: Option<usize>) {
        let number = self.all.blocks.len();
        self.all.blocks.push(Block {
            parent: Some(self.block),
            conditions: Vec::new(),
            visible: Vec::new(),
            choice,
        });
        self.block = number;
        self.entry = Entry::Block;
    }

    /// Adds to what the block just opened asks of everything inside.
    fn condition(&mut self, place: &Place, expr: Option<Expr>, origin: Origin) {
        let Some(expr) = expr else { return };
        let condition = Condition {
            expr,
            place: place.clone(),
            origin,
        };
        let Some(block) = self.all.blocks.get_mut(self.block) else {
            return;
        };
        match origin {
            Origin::VisibleIf => block.visible.push(condition),
            _ => block.conditions.push(condition),
        }
    }

    fn option(&mut self, place: &Place, word: &str, rest: &str) {
        match &self.entry {
            Entry::Nothing => {}
            Entry::Config(name) => {
                let name = name.clone();
                self.config_option(&name, place, word, rest);
            }
            Entry::Block => {
                let choice = self.opened().and_then(|block| block.choice);
                let mut reader = Reader::new(rest);
                match word {
                    "depends" => {
                        let origin = if choice.is_some() {
                            Origin::Choice
                        } else {
                            Origin::Menu
                        };
                        let expr = depends(&mut reader);
                        self.condition(place, expr, origin);
                    }
                    "visible" => {
                        let expr = reader.condition();
                        self.condition(place, expr, Origin::VisibleIf);
                    }
                    _ => {
                        if let Some(choice) = choice.and_then(|choice| self.all.choices.get_mut(choice)) {
                            choice.take(word, place, &mut reader);
                        }
                    }
                }
            }
        }
    }

    fn config_option(&mut self, name: &str, place: &Place, word: &str, rest: &str) {
        let mut reader = Reader::new(rest);
        if let "select" | "imply" = word {
            let pull = if word == "select" {
                Pull::Select
            } else {
                Pull::Imply
            };
            return self.raise(name, place, pull, &mut reader);
        }
        if word == "modules" {
            self.all.modules = Some(name.to_string());
        }
        let Some(symbol) = self.all.symbols.get_mut(name) else {
            return;
        };
        let kind = match word {
            "bool" | "def_bool" => Some(Kind::Bool),
            "tristate" | "def_tristate" => Some(Kind::Tristate),
            "string" => Some(Kind::Text),
            "int" => Some(Kind::Int),
            "hex" => Some(Kind::Hex),
            "transitional" => {
                symbol.transitional = true;
                None
            }
            _ => None,
        };
        // The first type counts: menu_set_type() ignores another one with a warning.
        if let (Kind::Unknown, Some(kind)) = (symbol.kind, kind) {
            symbol.kind = kind;
        }
        if let Some(definition) = symbol.definitions.last_mut() {
            definition.take(word, place, &mut reader);
        }
    }

    fn raise(&mut self, name: &str, place: &Place, pull: Pull, reader: &mut Reader) {
        let Some(target) = reader.name() else { return };
        let definition = self
            .all
            .symbols
            .get(name)
            .map_or(0, |symbol| symbol.definitions.len().saturating_sub(1));
        let raise = Raise {
            by: name.to_string(),
            definition,
            condition: condition_of(reader, place, Origin::OptionIf),
            pull,
            place: place.clone(),
        };
        self.all
            .symbols
            .entry(target)
            .or_insert_with(|| Symbol {
                kind: Kind::Unknown,
                definitions: Vec::new(),
                raised_by: Vec::new(),
                choice: None,
                transitional: false,
            })
            .raised_by
            .push(raise);
    }

    /// A path with the variables that are known put in.
    fn expanded(&self, text: &str) -> String {
        let mut path = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("$(") {
            let (before, from) = rest.split_at(at);
            let (inner, after) = split_macro(from);
            path.push_str(before);
            path.push_str(self.all.variables.get(inner).map_or("", String::as_str));
            rest = after;
        }
        path + rest
    }
}

/// `default EXPR if CONDITION`.
fn default_of(reader: &mut Reader, place: &Place) -> Option<DefaultValue> {
    Some(DefaultValue {
        expr: reader.expr()?,
        condition: condition_of(reader, place, Origin::OptionIf),
        place: place.clone(),
    })
}

impl Choice {
    fn take(&mut self, word: &str, place: &Place, reader: &mut Reader) {
        match word {
            "prompt" | "bool" => {
                if let Some(text) = reader.text() {
                    self.prompt = text;
                }
            }
            "default" => self.defaults.extend(default_of(reader, place)),
            _ => {}
        }
    }
}

impl Definition {
    fn take(&mut self, word: &str, place: &Place, reader: &mut Reader) {
        let place = place.clone();
        match word {
            "bool" | "tristate" | "string" | "int" | "hex" | "prompt" => {
                if let Some(text) = reader.text() {
                    let condition = condition_of(reader, &place, Origin::PromptIf);
                    self.prompts.push(Prompt {
                        text,
                        condition,
                        place,
                    });
                }
            }
            "default" | "def_bool" | "def_tristate" => {
                self.defaults.extend(default_of(reader, &place));
            }
            "depends" => {
                if let Some(expr) = depends(reader) {
                    self.conditions.push(Condition {
                        expr,
                        place,
                        origin: Origin::DependsOn,
                    });
                }
            }
            "range" => {
                if let (Some(low), Some(high)) = (reader.operand(), reader.operand()) {
                    let condition = condition_of(reader, &place, Origin::OptionIf);
                    self.ranges.push(Range {
                        low,
                        high,
                        condition,
                        place,
                    });
                }
            }
            _ => {}
        }
    }
}

/// `on EXPR`, or `on EXPR if CONDITION`, which menu_add_dep() reads as `EXPR || CONDITION=n`.
fn depends(reader: &mut Reader) -> Option<Expr> {
    reader.word("on");
    let expr = reader.expr()?;
    Some(match reader.condition() {
        Some(condition) => Expr::Or(Box::new(expr), Box::new(is_no(condition))),
        None => expr,
    })
}

/// `CONDITION=n` for a whole expression: expr_trans_compare() of scripts/kconfig/expr.c.
fn is_no(expr: Expr) -> Expr {
    match expr {
        Expr::Leaf(leaf) => Expr::Compare(leaf, Relation::Equal, Operand::Constant("n".into())),
        // For `a && b` to be n one side has to be; what is m is not n.
        Expr::And(a, b) => Expr::Or(Box::new(is_no(*a)), Box::new(is_no(*b))),
        Expr::Or(a, b) => Expr::And(Box::new(is_no(*a)), Box::new(is_no(*b))),
        other => Expr::Not(Box::new(other)),
    }
}

fn condition_of(reader: &mut Reader, place: &Place, origin: Origin) -> Option<Condition> {
    Some(Condition {
        expr: reader.condition()?,
        place: place.clone(),
        origin,
    })
}

struct Statement {
    line: usize,
    text: String,
}

/// The statements of a file: help texts left out, lines that end in a backslash joined.
fn statements(text: &str) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    // Help text has the indentation of its first line, at least.
    let mut help: Option<Option<usize>> = None;
    let mut joining = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(depth) = help {
            if line.trim().is_empty() {
                continue;
            }
            let indent = indentation(line);
            match depth {
                None if indent > 0 => {
                    help = Some(Some(indent));
                    continue;
                }
                Some(depth) if indent >= depth => continue,
                _ => help = None,
            }
        }
        let (code, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(code) if !is_comment(line) => (code, true),
            _ => (line, false),
        };
        match found.last_mut().filter(|_| joining) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(code);
            }
            None if code.trim().is_empty() || is_comment(code) => {}
            None => {
                if code.trim() == "help" {
                    help = Some(None);
                    continue;
                }
                found.push(Statement {
                    line: at.saturating_add(1),
                    text: code.to_string(),
                });
            }
        }
        joining = goes_on;
    }
    found
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Columns of white space that a line begins with; a tab goes on to the next eighth.
fn indentation(line: &str) -> usize {
    let mut columns: usize = 0;
    for c in line.chars() {
        match c {
            '\t' => columns = (columns & !7).saturating_add(8),
            ' ' => columns = columns.saturating_add(1),
            _ => break,
        }
    }
    columns
}
