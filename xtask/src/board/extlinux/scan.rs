//! A port of U-Boot's scanner (`get_token` and its callers in `boot/pxe_utils.c`): two states, keywords to the next white
//! space, texts to the end of the line, comments only where a token may begin.

use super::{Label, Menu, Named, Number, Remark, Severity};
use std::cell::Cell;

/// What a token can be.
enum Token {
    Eol,
    Eof,
    /// A word in lower case where a keyword may stand.
    Word(String),
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// A position, and the line feeds before it: from there the next line number is a short way.
    counted: Cell<(usize, usize)>,
}

/// The whole file, or the remark that made U-Boot give it up.
pub(super) fn scan(bytes: &[u8]) -> Menu {
    let mut menu = Menu::default();
    let mut scanner = Scanner {
        bytes,
        at: 0,
        counted: Cell::new((0, 0)),
    };
    if let Err(remark) = scanner.top(&mut menu) {
        menu.rejected = Some(remark);
    }
    menu
}

impl Scanner<'_> {
    /// The byte at the position; 0 at the end, as in a C string.
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Line of a position, from 1.
    fn line_of(&self, at: usize) -> usize {
        let at = at.min(self.bytes.len());
        let feeds =
            |from: usize, to: usize| self.bytes[from..to].iter().filter(|byte| **byte == b'\n').count();
        let (from, before) = self.counted.get();
        let before = if at >= from {
            before + feeds(from, at)
        } else {
            before - feeds(at, from)
        };
        self.counted.set((at, before));
        1 + before
    }

    fn skip_blanks_and_comment(&mut self) {
        while matches!(self.byte(), b' ' | b'\t') {
            self.at += 1;
        }
        if self.byte() == b'#' {
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.byte(), 0 | b'\n') {
            self.at += 1;
        }
    }

    /// `get_token` with `L_KEYWORD`.
    fn keyword(&mut self) -> Token {
        self.skip_blanks_and_comment();
        match self.byte() {
            b'\n' => {
                self.at += 1;
                Token::Eol
            }
            0 => Token::Eof,
            _ => {
                let from = self.at;
                // `isspace`: also carriage return, vertical tab and form feed.
                while !matches!(self.byte(), 0 | b' ' | b'\t'..=b'\r') {
                    self.at += 1;
                }
                let word = String::from_utf8_lossy(&self.bytes[from..self.at]);
                Token::Word(word.to_ascii_lowercase())
            }
        }
    }

    /// `parse_sliteral`: a text to the end of the line. An empty one makes U-Boot give up the file.
    fn text(&mut self, key: &str) -> Result<Named, Remark> {
        let line = self.line_of(self.at);
        self.skip_blanks_and_comment();
        if matches!(self.byte(), 0 | b'\n') {
            // U-Boot has eaten the line end by now; where it goes on after this, it loses the following line.
            self.at = (self.at + usize::from(self.byte() == b'\n')).min(self.bytes.len());
            let what =
                format!("`{key}` has no value: U-Boot gives up the whole file (\"Expected string literal\")");
            return Err(Remark {
                line,
                severity: Severity::Error,
                what,
            });
        }
        let from = self.at;
        self.skip_line();
        Ok(Named {
            value: String::from_utf8_lossy(&self.bytes[from..self.at]).into_owned(),
            line,
        })
    }

    /// `parse_integer`.
    fn number(&mut self, key: &str) -> Result<Number, Remark> {
        self.text(key).map(|text| Number {
            value: leading_number(&text.value),
            line: text.line,
        })
    }

    fn top(&mut self, menu: &mut Menu) -> Result<(), Remark> {
        loop {
            let start = self.at;
            let line = self.line_of(start);
            let word = match self.keyword() {
                Token::Eof => {
                    self.note_end(menu);
                    return Ok(());
                }
                Token::Eol => continue,
                Token::Word(word) => word,
            };
            match word.as_str() {
                "menu" => {
                    menu.prompt = Number { value: 1, line };
                    menu.prompt_without_keyword = 1;
                    self.menu_line(menu, line)?;
                }
                "timeout" => menu.timeout = self.number("timeout")?,
                "default" | "ontimeout" => {
                    let text = self.text(&word).map_err(|remark| Remark {
                        what: format!(
                            "{}; v2023.01 frees a pointer there that it never set, and resets: a board that does this for ever",
                            remark.what
                        ),
                        ..remark
                    })?;
                    menu.default = Some(text);
                }
                "fallback" => menu.fallback = Some(self.text(&word)?),
                "include" => menu.includes.push(self.text(&word)?),
                "label" => self.label(menu, start)?,
                "prompt" => match self.number("prompt") {
                    Ok(number) => {
                        menu.prompt = number;
                        menu.says_prompt = true;
                    }
                    Err(_) => {
                        self.skip_line();
                        menu.remarks.push(Remark {
                            line,
                            severity: Severity::Warning,
                            what: "`prompt` without a number: newer versions of U-Boot lose the line that follows".into(),
                        });
                    }
                },
                _ => {
                    self.skip_line();
                    menu.remarks.push(Remark {
                        line,
                        severity: Severity::Warning,
                        what: format!(
                            "U-Boot ignores this line (\"Ignoring unknown command\"): `{}`",
                            word.trim_end()
                        ),
                    });
                }
            }
        }
    }

    /// Behind a NUL byte U-Boot sees nothing.
    fn note_end(&self, menu: &mut Menu) {
        if self.at < self.bytes.len() {
            menu.remarks.push(Remark {
                line: self.line_of(self.at),
                severity: Severity::Error,
                what: "a NUL byte ends the file for U-Boot: what follows is not read".into(),
            });
        }
    }

    /// `parse_menu`: the rest of a top-level line that begins with `menu`.
    fn menu_line(&mut self, menu: &mut Menu, line: usize) -> Result<(), Remark> {
        match self.keyword() {
            Token::Word(word) if word == "title" => menu.title = Some(self.text("menu title")?.value),
            Token::Word(word) if word == "include" => menu.includes.push(self.text("menu include")?),
            Token::Word(word) if word == "background" => drop(self.text("menu background")?),
            token => {
                let what =
                    "U-Boot ignores the rest of this line, but the word `menu` alone switches its prompt on";
                menu.remarks.push(Remark {
                    line,
                    severity: Severity::Warning,
                    what: what.into(),
                });
                if matches!(token, Token::Eol) {
                    // `eol_or_eof` would eat the following line as well: U-Boot's own slip, kept.
                    self.skip_line();
                    return Ok(());
                }
            }
        }
        self.skip_line();
        Ok(())
    }

    fn label(&mut self, menu: &mut Menu, keyword_at: usize) -> Result<(), Remark> {
        let name = self.text("label")?;
        let mut label = Label {
            name: name.value,
            line: name.line,
            ..Label::default()
        };
        let line_start = self.bytes[..keyword_at].iter().rposition(|byte| *byte == b'\n');
        let from = line_start.map_or(0, |newline| newline + 1);
        let mut outcome = Ok(());
        loop {
            let back = self.at;
            let word = match self.keyword() {
                Token::Eol => continue,
                Token::Eof => String::new(),
                Token::Word(word) => word,
            };
            match self.label_key(menu, &mut label, &word) {
                Ok(Known::Yes) => {}
                Ok(Known::No) => {
                    self.at = back;
                    if !word.is_empty() && !TOP_LEVEL.contains(&word.as_str()) {
                        menu.remarks.push(Remark {
                            line: self.line_of(back),
                            severity: Severity::Error,
                            what: format!(
                                "`{word}` ends label `{}` here, because U-Boot does not know it inside one: keys after it are lost",
                                label.name.trim_end()
                            ),
                        });
                    }
                    break;
                }
                Err(remark) => {
                    outcome = Err(remark);
                    break;
                }
            }
        }
        label.span = from..self.at;
        menu.labels.push(label);
        outcome
    }

    fn label_key(&mut self, menu: &mut Menu, label: &mut Label, word: &str) -> Result<Known, Remark> {
        match word {
            "menu" => self.label_menu(menu, label),
            "kernel" | "linux" | "fit" => {
                let text = self.text(word)?.value;
                label.kernel = Some(text.split('#').next().unwrap_or_default().to_string());
            }
            "append" => {
                let text = self.text(word)?;
                if label.initrd.is_none() {
                    label.initrd = initrd_of(&text.value);
                }
                label.append = Some(text);
            }
            // The value of a second one is not consumed: it ends the label as an unknown word.
            "initrd" => self.first(word, &mut label.initrd)?,
            "fdt" | "devicetree" => self.first(word, &mut label.fdt)?,
            "fdtdir" | "devicetreedir" => self.first(word, &mut label.fdtdir)?,
            "fdtoverlays" | "devicetree-overlay" => self.first(word, &mut label.fdtoverlays)?,
            "localboot" => label.localboot = Some(self.number(word)?.value),
            "ipappend" => label.ipappend = self.number(word)?.value,
            "kaslrseed" => label.kaslrseed = true,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }

    fn first(&mut self, key: &str, slot: &mut Option<String>) -> Result<(), Remark> {
        if slot.is_none() {
            *slot = Some(self.text(key)?.value);
        }
        Ok(())
    }

    /// `parse_label_menu`.
    fn label_menu(&mut self, menu: &mut Menu, label: &mut Label) {
        let line = self.line_of(self.at);
        match self.keyword() {
            Token::Word(word) if word == "default" => {
                menu.default.get_or_insert_with(|| Named {
                    value: label.name.clone(),
                    line,
                });
            }
            Token::Word(word) if word == "label" => {
                if let Ok(text) = self.text("menu label") {
                    label.menu_label = Some(text.value);
                }
            }
            _ => menu.remarks.push(Remark {
                line,
                severity: Severity::Warning,
                what: "U-Boot ignores this `menu` line (\"Ignoring malformed menu command\")".into(),
            }),
        }
        self.skip_line();
    }
}

/// Whether a word is a key of a label.
enum Known {
    Yes,
    No,
}

/// Words that end a label because they belong to the file.
const TOP_LEVEL: [&str; 8] = [
    "label",
    "timeout",
    "default",
    "ontimeout",
    "fallback",
    "include",
    "prompt",
    "menu",
];

/// `initrd=` inside an append line; U-Boot looks for a blank behind it and dereferences NULL when there is none (lint says so).
fn initrd_of(append: &str) -> Option<String> {
    let from = append.find("initrd=")? + "initrd=".len();
    append[from..].split(' ').next().map(String::from)
}

/// `simple_strtol(…, 10)`: an optional minus, then leading digits.
fn leading_number(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    sign * digits[..end].parse::<i64>().unwrap_or(0)
}
