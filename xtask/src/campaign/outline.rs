//! The functions of a C file, as far as its lines show them: which of them a tracer can find, and
//! who calls the others.
//!
//! It is a look at text, not a compiler: what is proposed from here is compared with the symbols of
//! the build ([`super::foresight`]).

use super::ours::{definition, is_inline, is_word};
use std::collections::BTreeSet;

/// Callers of callers that are followed, and how many at a time: a caller that calls everything is
/// no better name.
const DEEPEST: usize = 4;
const MOST: usize = 16;

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// `static`, without `noinline`: the compiler may put it into its callers.
    pub is_static: bool,
    /// `inline`: a tracer hardly ever sees it.
    pub is_inline: bool,
    /// `__init` or `__exit`: it is gone once the module is loaded.
    pub is_init: bool,
    /// Its text, from its first line to its closing bracket.
    pub text: String,
}

/// The functions of a file.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    functions: Vec<Function>,
    /// The file without them: tables of operations, initialisers, macros.
    rest: String,
}

impl Outline {
    /// Reads the text of a file.
    pub fn of(text: &str) -> Self {
        let mut outline = Outline::default();
        let mut lines = text.lines().peekable();
        let mut before = "";
        while let Some(line) = lines.next() {
            let Some(name) = definition(line) else {
                outline.rest.push_str(line);
                outline.rest.push('\n');
                before = line;
                continue;
            };
            let mut all = vec![line];
            let mut has_body = false;
            let mut ended = false;
            while let Some(next) = lines.next_if(|next| definition(next).is_none()) {
                all.push(next);
                has_body |= next == "{";
                // A declaration that goes over several lines ends before any body begins.
                ended = next.starts_with('}') || (next.ends_with(");") && !has_body);
                if ended {
                    break;
                }
            }
            let text = all.join("\n");
            if ended && text.contains('{') {
                let head: String = format!("{before} {}", text.split('{').next().unwrap_or_default());
                outline.functions.push(function(name, &head, text));
            } else {
                outline.rest.push_str(&text);
                outline.rest.push('\n');
            }
            before = "";
        }
        outline
    }

    /// All of them.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// A function by its name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// The functions that call one.
    pub fn callers(&self, name: &str) -> Vec<&Function> {
        let callers = self.functions.iter().filter(|function| function.name != name);
        callers.filter(|function| calls(&function.text, name)).collect()
    }

    /// Tracepoints that a function passes: `trace_NAME(`.
    pub fn tracepoints(&self, name: &str) -> Vec<String> {
        let text = self.get(name).map_or("", |function| function.text.as_str());
        let words = text.match_indices("trace_").filter_map(|(at, _)| {
            let (before, rest) = text.split_at_checked(at)?;
            let begins = !before.ends_with(is_word);
            let rest = rest.strip_prefix("trace_")?;
            let (event, behind) = rest.split_at_checked(rest.find(|c| !is_word(c))?)?;
            let is_call = begins && behind.starts_with('(') && !event.starts_with("printk");
            is_call.then(|| event.to_string())
        });
        words.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What a tracer will probably find instead of a function: itself, or else those that call
    /// it, where they can be found.
    pub fn traceable(&self, name: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::from([name]);
        let mut open: Vec<&Function> = self.get(name).into_iter().collect();
        for _ in 0..=DEEPEST {
            let mut above = Vec::new();
            for function in open.into_iter().filter(|function| !function.is_init) {
                if self.is_put_into_its_caller(function) {
                    let callers = self.callers(&function.name).into_iter();
                    above.extend(callers.filter(|caller| seen.insert(&caller.name)).take(MOST));
                } else {
                    found.insert(function.name.clone());
                }
            }
            above.truncate(MOST);
            open = above;
        }
        found.into_iter().collect()
    }

    /// A function that is called in one place and whose address is not taken has no body of its own
    /// (`-finline-functions-called-once` of gcc(1)).
    fn is_put_into_its_caller(&self, function: &Function) -> bool {
        let name = &function.name;
        let others = self.functions.iter().filter(|other| other.name != *name);
        let mut texts: Vec<&str> = others.map(|other| other.text.as_str()).collect();
        texts.push(&self.rest);
        let uses = texts.iter().flat_map(|text| uses(text, name));
        let (calls, pointers): (Vec<Use>, Vec<Use>) = uses.partition(|found| *found == Use::Call);
        function.is_inline || (function.is_static && pointers.is_empty() && calls.len() <= 1)
    }
}

/// How a name is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// With a bracket behind it.
    Call,
    /// As a value: in a table of operations, as a work function.
    Pointer,
}

fn uses<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = Use> + 't {
    text.match_indices(name).filter_map(move |(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let behind = rest.strip_prefix(name)?;
        let is_word = !before.ends_with(is_word) && !behind.starts_with(is_word);
        let is_call = behind.trim_start().starts_with('(');
        is_word.then_some(if is_call { Use::Call } else { Use::Pointer })
    })
}

fn function(name: String, head: &str, text: String) -> Function {
    let has = |wanted: &str| words(head).any(|word| word == wanted);
    Function {
        name,
        is_static: has("static") && !has("noinline"),
        is_inline: is_inline(head),
        is_init: has("__init") || has("__exit"),
        text,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

fn calls(text: &str, name: &str) -> bool {
    uses(text, name).any(|found| found == Use::Call)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
#include <linux/module.h>
static int declared(int a,
\t\t    int b);
static DEFINE_MUTEX(leaky_lock);

static void once(int a)
{
\tuse(a);
}

static noinline void kept(int a)
{
\tuse(a);
\ttrace_leaky_kept(a);
}

static int
leaky_set(const char *val)
{
\tonce(1);
\tkept(2);
\tkept(3);
\treturn 0;
}

static const struct kernel_param_ops leaky_ops = {
\t.set = leaky_set,
};

static inline int helper(void)
{
\treturn 1;
}

static void later(struct work *w)
{
}

int exported(void)
{
\tINIT_WORK(&w, later);
\treturn helper() + helper();
}

static int __init leaky_init(void)
{
\treturn exported();
}
module_init(leaky_init);
";

    #[test]
    fn what_the_compiler_puts_into_its_caller_is_replaced_by_the_caller() {
        let outline = Outline::of(TEXT);
        let names: Vec<&str> = outline
            .functions()
            .iter()
            .map(|function| function.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "once",
                "kept",
                "leaky_set",
                "helper",
                "later",
                "exported",
                "leaky_init"
            ]
        );
        assert_eq!(outline.traceable("once"), ["leaky_set"]);
        assert_eq!(outline.traceable("kept"), ["kept"]);
        assert_eq!(outline.traceable("later"), ["later"]);
        assert_eq!(outline.traceable("leaky_set"), ["leaky_set"]);
        assert_eq!(outline.traceable("helper"), ["exported"]);
        assert_eq!(outline.traceable("leaky_init"), [""; 0]);
        assert_eq!(outline.traceable("unheard_of"), [""; 0]);
    }

    #[test]
    fn callers_and_tracepoints_are_found() {
        let outline = Outline::of(TEXT);
        let callers: Vec<&str> = outline
            .callers("exported")
            .iter()
            .map(|function| function.name.as_str())
            .collect();
        assert_eq!(callers, ["leaky_init"]);
        assert_eq!(outline.tracepoints("kept"), ["leaky_kept"]);
        assert_eq!(outline.tracepoints("once"), [""; 0]);
    }

    #[test]
    fn any_text_is_a_file() {
        for text in ["", "}", "{", "f(", "static int f(void)\n{", "ü(ö)\n{\n}\n"] {
            let outline = Outline::of(text);
            assert!(outline.traceable("f").len() <= 1, "{text}");
        }
    }
}
