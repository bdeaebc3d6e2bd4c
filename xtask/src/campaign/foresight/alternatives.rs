//! What can be named in `exercise` instead of a function that no tracer finds.

use crate::campaign::outline::Outline;
use std::collections::BTreeSet;
use std::path::Path;

/// Names of each kind that are proposed, at most.
const PROPOSED: usize = 3;

/// A source file: its path in the tree, and its functions.
pub struct Source {
    /// Relative to the tree.
    pub file: std::path::PathBuf,
    /// Its text.
    pub text: String,
    /// Its functions.
    pub outline: Outline,
}

impl Source {
    /// Of a C file.
    pub fn of(file: &Path, text: String) -> Self {
        Source {
            file: file.to_path_buf(),
            outline: Outline::of(&text),
            text,
        }
    }
}

/// What stands for a function that the compiler put into its callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alternatives {
    /// Functions that call it and that are in the build.
    pub callers: Vec<String>,
    /// Entries for tracepoints that it passes: `tracepoint:vb2:vb2_buf_done`.
    pub tracepoints: Vec<String>,
}

impl Alternatives {
    /// Of the function `name` in `source`; `is_there` tells whether the build has a function,
    /// `read` gives a text file of the tree.
    pub fn of(
        source: &Source,
        name: &str,
        is_there: &dyn Fn(&str) -> bool,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Self {
        let mut callers = BTreeSet::new();
        let mut seen: BTreeSet<String> = BTreeSet::from([name.to_string()]);
        let mut open = vec![name.to_string()];
        while let Some(name) = open.pop() {
            for caller in source
                .outline
                .callers(&name)
                .into_iter()
                .filter(|caller| !caller.is_init)
            {
                if is_there(&caller.name) {
                    callers.insert(caller.name.clone());
                } else if seen.insert(caller.name.clone()) {
                    open.push(caller.name.clone());
                }
            }
        }
        let mut tracepoints: Vec<String> = source
            .outline
            .tracepoints(name)
            .iter()
            .filter_map(|event| entry(source, event, read))
            .collect();
        tracepoints.truncate(PROPOSED);
        Alternatives {
            callers: callers.into_iter().take(PROPOSED).collect(),
            tracepoints,
        }
    }

    /// As the end of a sentence.
    pub fn text(&self) -> String {
        let mut ways = Vec::new();
        if let Some(first) = self.callers.first() {
            ways.push(format!("name its caller ({})", self.callers.join(", ")));
            ways.push(format!("a probe there (`kprobe:{first}+0x…`)"));
        }
        if !self.tracepoints.is_empty() {
            ways.push(format!(
                "a tracepoint that it passes (`{}`)",
                self.tracepoints.join("`, `")
            ));
        }
        ways.push("write `noinline` before it".into());
        ways.join(", or ")
    }
}

/// `tracepoint:SYSTEM:EVENT`: the header that defines the event says its system (`TRACE_SYSTEM` of
/// include/trace/define_trace.h).
fn entry(source: &Source, event: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<String> {
    let headers = source.text.lines().filter_map(|line| {
        let name = line.trim_start().strip_prefix("#include")?.trim();
        if let Some(name) = name.strip_prefix('<') {
            return Some(Path::new("include").join(name.split('>').next()?));
        }
        let name = name.strip_prefix('"')?.split('"').next()?;
        Some(source.file.parent()?.join(name))
    });
    let of_traces = headers.filter(|header| header.to_string_lossy().contains("trace"));
    of_traces.filter_map(|header| read(&header)).find_map(|text| {
        let defines = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .any(|word| word == event);
        let system = text
            .lines()
            .find_map(|line| line.strip_prefix("#define TRACE_SYSTEM "))?;
        defines.then(|| format!("tracepoint:{}:{event}", system.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#include <trace/events/vb2.h>\n\nstatic void inner(int a)\n{\n\ttrace_vb2_buf_done(a);\n}\n\n\
        static void middle(void)\n{\n\tinner(1);\n}\n\nvoid outer(void)\n{\n\tmiddle();\n}\n";

    fn told(present: &[&str]) -> Alternatives {
        let read = |path: &Path| {
            (path == Path::new("include/trace/events/vb2.h")).then(|| {
                "#define TRACE_SYSTEM vb2\nDEFINE_EVENT(vb2_event_class, vb2_buf_done,\n".to_string()
            })
        };
        let source = Source::of(Path::new("drivers/x.c"), TEXT.into());
        Alternatives::of(&source, "inner", &|name| present.contains(&name), &read)
    }

    #[test]
    fn callers_that_are_there_and_tracepoints_are_proposed() {
        let found = told(&["outer", "middle"]);
        assert_eq!(
            (found.callers, found.tracepoints),
            (
                vec!["middle".to_string()],
                vec!["tracepoint:vb2:vb2_buf_done".to_string()]
            )
        );
        assert_eq!(told(&["outer"]).callers, ["outer"]);
        assert_eq!(
            told(&["outer"]).text(),
            "name its caller (outer), or a probe there (`kprobe:outer+0x…`), or a tracepoint that it passes \
             (`tracepoint:vb2:vb2_buf_done`), or write `noinline` before it"
        );
        assert!(told(&[]).text().starts_with("a tracepoint that it passes"));
    }
}
