//! Why a symbol did not become what was asked for: where it is defined, what it depends on, what those symbols are in the end.
//!
//! This reads, it does not evaluate: conditions of enclosing `if` and `menu` blocks and ranges are not looked at, and each
//! list of explanations ends with [`NOT_LOOKED_AT`].

use super::{Config, Need, Outcome, SymbolVerdict, Value, is_symbol_character};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What an explanation leaves open.
pub const NOT_LOOKED_AT: &str = "(conditions of enclosing menus and `if` blocks were not looked at)";

/// Where the symbols of a tree are defined. Language: Documentation/kbuild/kconfig-language.rst.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    symbols: BTreeMap<String, Vec<Definition>>,
    selects: BTreeMap<String, Vec<Selection>>,
}

#[derive(Debug, Clone)]
struct Definition {
    file: PathBuf,
    line: usize,
    has_prompt: bool,
    depends: Vec<(usize, String)>,
    default: Option<String>,
}

#[derive(Debug, Clone)]
struct Selection {
    by: String,
    condition: Option<String>,
    file: PathBuf,
    line: usize,
}

impl Definitions {
    /// Reads every Kconfig file of a tree that matters to `architecture` (a folder below `arch/`). Takes part of a second; files
    /// that cannot be read are left out.
    pub fn read(tree: &Path, architecture: &str) -> Self {
        let mut all = Definitions::default();
        let other_architecture = |path: &Path| {
            path.parent() == Some(&tree.join("arch"))
                && path.file_name() != Some(architecture.as_ref())
                && path.is_dir()
        };
        let files = walkdir::WalkDir::new(tree)
            .into_iter()
            .filter_entry(|entry| {
                !other_architecture(entry.path())
                    && entry.file_name() != "Documentation"
                    && entry.file_name() != ".git"
            })
            .filter_map(|entry| entry.ok())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("Kconfig"));
        for file in files {
            if let Ok(text) = std::fs::read_to_string(file.path()) {
                all.add(file.path().strip_prefix(tree).unwrap_or(file.path()), &text);
            }
        }
        all
    }

    /// Adds the definitions of one Kconfig file.
    pub fn add(&mut self, file: &Path, text: &str) {
        let mut current: Option<(String, Definition)> = None;
        // Help text has the indentation of its first line, at least.
        let mut help: Option<Option<usize>> = None;
        for (at, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let line_text = line.trim();
            if let Some(depth) = help {
                match depth {
                    _ if line_text.is_empty() => continue,
                    None if indent > 0 => {
                        help = Some(Some(indent));
                        continue;
                    }
                    Some(depth) if indent >= depth => continue,
                    _ => help = None,
                }
            }
            let (word, rest) = line_text
                .split_once([' ', '\t'])
                .map_or((line_text, ""), |(word, rest)| (word, rest.trim()));
            match word {
                "config" | "menuconfig" => {
                    self.close(current.take());
                    let definition = Definition {
                        file: file.to_path_buf(),
                        line: at + 1,
                        has_prompt: false,
                        depends: Vec::new(),
                        default: None,
                    };
                    current = Some((rest.to_string(), definition));
                }
                "choice" | "endchoice" | "menu" | "endmenu" | "if" | "endif" | "source" | "comment"
                | "mainmenu" => {
                    self.close(current.take());
                }
                "help" => help = Some(None),
                _ => {
                    if let Some((symbol, definition)) = &mut current {
                        if matches!(word, "select" | "imply") {
                            let (target, condition) = split_condition(rest);
                            self.selects
                                .entry(target.to_string())
                                .or_default()
                                .push(Selection {
                                    by: symbol.clone(),
                                    condition: condition.map(String::from),
                                    file: file.to_path_buf(),
                                    line: at + 1,
                                });
                        } else {
                            definition.take(word, rest, at + 1);
                        }
                    }
                }
            }
        }
        self.close(current);
    }

    fn close(&mut self, current: Option<(String, Definition)>) {
        if let Some((symbol, definition)) = current {
            self.symbols.entry(symbol).or_default().push(definition);
        }
    }

    /// Puts a reason beside each verdict that is not good, and finds [`Outcome::NotInThisKernel`].
    pub fn explain_all(&self, verdicts: &mut [SymbolVerdict], config: &Config) {
        for verdict in verdicts
            .iter_mut()
            .filter(|verdict| verdict.outcome != Outcome::Taken)
        {
            let symbol = &verdict.request.symbol;
            verdict.why = Some(self.explain(symbol, verdict.outcome, config));
            if verdict.request.need == Need::IfDefined && !self.symbols.contains_key(symbol) {
                verdict.outcome = Outcome::NotInThisKernel;
            }
        }
    }

    /// Why `symbol` is not what was asked for, as far as reading its definition tells.
    pub fn explain(&self, symbol: &str, outcome: Outcome, config: &Config) -> String {
        let Some(definitions) = self.symbols.get(symbol) else {
            return match self.nearest(symbol) {
                Some(near) => {
                    format!("no Kconfig file of this kernel defines {symbol}; did you mean {near}?")
                }
                None => format!(
                    "no Kconfig file of this kernel defines {symbol}: it was removed, renamed or never there"
                ),
            };
        };
        let definition = &definitions[0];
        let place = format!("{}:{}", definition.file.display(), definition.line);
        let mut parts = vec![format!("defined in {place}")];
        if !definitions.iter().any(|definition| definition.has_prompt) {
            let default = definition
                .default
                .as_ref()
                .map(|default| format!(", default {default}"))
                .unwrap_or_default();
            parts.push(format!(
                "has no prompt{default}: it cannot be asked for, {}",
                self.selectors(symbol, config)
            ));
        } else if outcome == Outcome::Changed {
            parts.push(self.selectors(symbol, config));
        }
        for (line, expression) in definitions.iter().flat_map(|definition| &definition.depends) {
            let values = values_in(expression, config);
            parts.push(format!("line {line}: depends on {expression} (here {values})"));
        }
        parts.join("; ")
    }

    fn selectors(&self, symbol: &str, config: &Config) -> String {
        let Some(selections) = self.selects.get(symbol) else {
            return "nothing selects it".into();
        };
        let (on, off): (Vec<_>, Vec<_>) = selections
            .iter()
            .partition(|selection| !matches!(config.get(&selection.by), None | Some(Value::No)));
        let name = |selection: &&Selection| {
            let condition = selection
                .condition
                .as_ref()
                .map(|condition| format!(" if {condition}"))
                .unwrap_or_default();
            format!(
                "{}{condition} ({}:{})",
                selection.by,
                selection.file.display(),
                selection.line
            )
        };
        if on.is_empty() {
            let names: Vec<String> = off.iter().take(4).map(name).collect();
            let more = off.len().saturating_sub(names.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            return format!("selected by {}{more}, which are off", names.join(", "));
        }
        format!(
            "selected by {}",
            on.iter().take(4).map(name).collect::<Vec<_>>().join(", ")
        )
    }

    /// A symbol that differs by one letter more, less or other.
    fn nearest(&self, symbol: &str) -> Option<&str> {
        self.symbols
            .keys()
            .map(String::as_str)
            .find(|known| one_edit_apart(known.as_bytes(), symbol.as_bytes()))
    }
}

impl Definition {
    fn take(&mut self, word: &str, rest: &str, line: usize) {
        match word {
            "prompt" => self.has_prompt = true,
            "bool" | "tristate" | "string" | "int" | "hex" => self.has_prompt |= !rest.is_empty(),
            "def_bool" | "def_tristate" | "default" => {
                self.default = self.default.take().or_else(|| Some(rest.to_string()))
            }
            "depends" => self
                .depends
                .push((line, rest.trim_start_matches("on").trim().to_string())),
            _ => {}
        }
    }
}

fn split_condition(rest: &str) -> (&str, Option<&str>) {
    rest.split_once(" if ")
        .map_or((rest.trim(), None), |(target, condition)| {
            (target.trim(), Some(condition.trim()))
        })
}

/// `A=y, B=n` for every symbol of an expression.
fn values_in(expression: &str, config: &Config) -> String {
    let mut names: Vec<&str> = expression
        .split(|c: char| !is_symbol_character(c))
        .filter(|name| name.chars().any(|c| c.is_ascii_uppercase()))
        .collect();
    names.dedup();
    let value = |name: &&str| format!("{name}={}", config.get(name).unwrap_or(&Value::No));
    names.iter().map(value).collect::<Vec<_>>().join(", ")
}

fn one_edit_apart(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 || long.len() < 4 {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    short[same..] == long[same + 1..] || short.len() == long.len() && short[same + 1..] == long[same + 1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KCONFIG: &str = "menu \"Debugging\"\n\nconfig LOCKDEP\n\tbool\n\tdepends on DEBUG_KERNEL && LOCKDEP_SUPPORT\n\nconfig PROVE_LOCKING\n\
        \tbool \"Lock debugging: prove it\"\n\tdepends on DEBUG_KERNEL && !KASAN\n\tselect LOCKDEP\n\thelp\n\t  config INSIDE_HELP\n\n\t  select NOTHING\n\n\
        config PROVE_RCU\n\tdef_bool PROVE_LOCKING\nendmenu\n";

    fn explain(symbol: &str, outcome: Outcome, config: &str) -> String {
        let mut definitions = Definitions::default();
        definitions.add(Path::new("lib/Kconfig.debug"), KCONFIG);
        definitions.explain(symbol, outcome, &Config::parse(config))
    }

    #[test]
    fn dependencies_are_shown_with_their_values() {
        let text = explain(
            "PROVE_LOCKING",
            Outcome::Dropped,
            "CONFIG_DEBUG_KERNEL=y\nCONFIG_KASAN=y\n",
        );
        assert!(text.starts_with("defined in lib/Kconfig.debug:7; line 9: depends on DEBUG_KERNEL && !KASAN (here DEBUG_KERNEL=y, KASAN=y)"), "{text}");
    }

    #[test]
    fn symbols_without_a_prompt_are_told_as_such() {
        let text = explain("LOCKDEP", Outcome::Dropped, "");
        assert!(text.contains("has no prompt: it cannot be asked for, selected by PROVE_LOCKING (lib/Kconfig.debug:10), which are off"), "{text}");
        let text = explain("PROVE_RCU", Outcome::Changed, "");
        assert!(
            text.contains("has no prompt, default PROVE_LOCKING: it cannot be asked for, nothing selects it"),
            "{text}"
        );
    }

    #[test]
    fn help_text_defines_nothing() {
        assert!(explain("INSIDE_HELP", Outcome::Dropped, "").starts_with("no Kconfig file"));
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert!(explain("PROVE_LOKING", Outcome::Dropped, "").ends_with("did you mean PROVE_LOCKING?"));
        assert!(explain("PROVE_RCA", Outcome::Dropped, "").ends_with("did you mean PROVE_RCU?"));
        assert!(explain("UNHEARD_OF", Outcome::Dropped, "").contains("removed, renamed or never there"));
    }
}
