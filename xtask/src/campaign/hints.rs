//! What a campaign or a person knows besides a log, as the hints that the log's findings are looked at with.

use super::record::DecodedFrame;
use super::record::DecodedPlace;
use crate::host::bounded;
use crate::kernel::symbolise::touched::Touched;
use crate::kernel::symbols::parse_symvers;
use anyhow::{Context, Result, anyhow, ensure};
use kernel_log::finding::Finding;
use kernel_log::frames::Frame;
use kernel_log::suspect::{self, Hints, Suspect};
use std::io::Read;
use std::path::Path;

/// No symbol table of a kernel is larger, bytes: `/proc/kallsyms` of a distribution's has some 20 MB.
const LIMIT: u64 = 256 << 20;

/// What patches touch.
pub fn of_patches(touched: &Touched) -> Hints {
    Hints {
        functions: touched.functions().map(String::from).collect(),
        files: touched.files().map(|path| path.display().to_string()).collect(),
        ..Hints::default()
    }
}

/// Adds the symbols that a kernel exports: `Module.symvers`, `System.map`, the output of `nm
/// vmlinux` or `/proc/kallsyms`. Errors: the file cannot be read, is none of these, or names no
/// exported symbol.
pub fn add_symbols(hints: &mut Hints, file: &Path) -> Result<()> {
    let doing = || format!("reading the symbols in {}", file.display());
    let mut bytes = Vec::new();
    bounded::open(file)?
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .with_context(doing)?;
    let text = String::from_utf8_lossy(&bytes);
    let before = hints.exported.len();
    if text.starts_with("0x") {
        hints.exported.extend(parse_symvers(&text).into_keys());
    } else {
        let problem = |line: usize| {
            let found = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            let found: String = found.chars().take(80).flat_map(char::escape_debug).collect();
            anyhow!(
                "line {line} is `{found}`; allowed are lines of System.map (`ADDRESS KIND NAME`) \
                or of Module.symvers"
            )
        };
        hints.add_symbols(&text).map_err(problem).with_context(doing)?;
    }
    ensure!(
        hints.exported.len() > before,
        "{} names no exported symbol (`__ksymtab_NAME`); Module.symvers of the build names them all",
        file.display()
    );
    Ok(())
}

/// The suspect of a finding whose frames were decoded: inlined functions and files count, too.
pub fn suspect_of(hints: &Hints, finding: &Finding, decoded: &[DecodedFrame]) -> Option<Suspect> {
    let mut stack: Vec<Frame> = Vec::new();
    for (at, line) in finding.excerpt.iter().enumerate() {
        let frames = suspect::in_line(line);
        let places = decoded.iter().filter(|decoded| decoded.line == at);
        let sources = places
            .flat_map(|decoded| &decoded.places)
            .filter_map(|place| match place {
                DecodedPlace::Source(source) => Some(source),
                DecodedPlace::Note(_) => None,
            });
        let of_line = frames.first().copied();
        let decoded = sources.filter_map(|source| {
            Some(Frame {
                function: &source.function,
                file: Some(&source.file),
                ..of_line?
            })
        });
        let before = stack.len();
        stack.extend(decoded);
        if stack.len() == before {
            stack.extend(frames);
        }
    }
    hints
        .of_stack(&stack, finding.kind)
        .filter(|suspect| suspect.tells_more_than(finding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::SourcePlace;
    use kernel_log::suspect::Why;
    use kernel_log::{finder, reader};

    const LOG: &str = "\
[    1.000000] WARNING: CPU: 0 PID: 1 at drivers/h/h.c:1 helper_done+0x1/0x2
[    1.000001] Call trace:
[    1.000002]  helper_done+0x1/0x2
[    1.000003]  run+0x1/0x2 [m]
[    1.000004]  kthread+0x1/0x2
";

    fn found() -> Finding {
        finder::find(&reader::read(LOG.as_bytes()), "log").remove(0)
    }

    #[test]
    fn an_inlined_function_of_the_patch_is_suspected() {
        let place = |function: &str, file: &str| {
            DecodedPlace::Source(SourcePlace {
                function: function.into(),
                file: file.into(),
                ..SourcePlace::default()
            })
        };
        let decoded = [DecodedFrame {
            line: 3,
            frame: "run+0x1/0x2".into(),
            places: vec![place("inner", "drivers/m/m.c"), place("run", "drivers/m/m.c")],
        }];
        let mut hints = Hints::default();
        hints.functions.insert("inner".into());
        let suspect = suspect_of(&hints, &found(), &decoded).unwrap();
        let told = (suspect.function.as_str(), suspect.module.as_deref(), suspect.why);
        assert_eq!(told, ("inner", Some("m"), Why::TouchedFunction));
        assert_eq!(suspect.file.as_deref(), Some("drivers/m/m.c"));
        hints = Hints::default();
        hints.files.insert("drivers/m/m.c".into());
        let suspect = suspect_of(&hints, &found(), &decoded).unwrap();
        assert_eq!(suspect.why, Why::TouchedFile);
        assert_eq!(suspect_of(&hints, &found(), &[]), None, "no file is known");
    }

    #[test]
    fn symbols_of_each_form_are_read_and_what_is_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("symbols");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut hints = Hints::default();
            add_symbols(&mut hints, &file).map(|()| hints)
        };
        for text in [
            "0x00000000\thelper_done\tvmlinux\tEXPORT_SYMBOL_GPL\t\n",
            "ffff800080000000 T helper_done\nffff800081000000 r __ksymtab_helper_done\n",
        ] {
            let suspect = read(text).unwrap().suspect(&found()).unwrap();
            assert_eq!(
                (suspect.function.as_str(), suspect.why),
                ("run", Why::CalledHelpers)
            );
        }
        let error = format!("{:#}", read("ffff800080000000 T a\nhello\n").unwrap_err());
        assert!(error.contains("line 2 is `hello`"), "{error}");
        let error = format!("{:#}", read("ffff800080000000 T a\n").unwrap_err());
        assert!(error.contains("names no exported symbol"), "{error}");
    }
}
