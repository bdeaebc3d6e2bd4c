//! Scripts that have to succeed on a board, and their answers taken apart.

use super::{Board, quote};
use crate::host::one_line;
use crate::host::process::{BreakOff, Finished, Input};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// Limit of a script that only looks: a fresh connection to an emulated board takes seconds.
pub const LOOK: Duration = Duration::from_secs(60);
/// Most bytes of a file that is read whole: a configuration, a record, a backup's manifest.
const MOST_OF_FILE: u64 = 16 << 20;
/// Limit of a script that hashes or copies a kernel and all of its modules on a slow board.
pub const WORK: Duration = Duration::from_secs(900);

/// Runs a script on the board that has to succeed. Errors: the connection, the limit, or an exit status other than 0, with the
/// board's own words.
pub fn ask(board: &dyn Board, doing: &str, script: &str, limit: Duration) -> Result<Finished> {
    ask_with_input(board, doing, script, Input::NOTHING, limit)
}

/// [`ask`] with something for standard input.
pub fn ask_with_input(
    board: &dyn Board,
    doing: &str,
    script: &str,
    input: Input,
    limit: Duration,
) -> Result<Finished> {
    asked(board, doing, script, input, limit, &BreakOff::default())
}

/// [`ask`] whose answer may have `most` bytes. Errors: also where more come; the script is ended then.
pub fn ask_up_to(
    board: &dyn Board,
    doing: &str,
    script: &str,
    limit: Duration,
    most: u64,
) -> Result<Finished> {
    asked(
        board,
        doing,
        script,
        Input::NOTHING,
        limit,
        &BreakOff::default().up_to(most),
    )
}

/// [`ask`] whose answer goes to `file` and not to memory, `most` bytes of it. Errors: also where
/// more come; what the file holds then means nothing.
pub fn ask_into(
    board: &dyn Board,
    doing: &str,
    script: &str,
    limit: Duration,
    most: u64,
    file: &std::fs::File,
) -> Result<()> {
    let failed = || format!("keeping what came of {doing}");
    let to = file.try_clone().with_context(failed)?;
    let break_off = BreakOff::default().up_to(most).into_file(to);
    let finished = asked(board, doing, script, Input::NOTHING, limit, &break_off)?;
    // A board that does not run the script by a program of this host.
    let mut file = file;
    std::io::Write::write_all(&mut file, &finished.stdout).with_context(failed)
}

fn asked(
    board: &dyn Board,
    doing: &str,
    script: &str,
    input: Input,
    limit: Duration,
    break_off: &BreakOff,
) -> Result<Finished> {
    let name = &board.description().name;
    let finished = board
        .run_unless(script, input, limit, break_off)
        .with_context(|| format!("{doing} on board `{name}`"))?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.stderr);
        let said = if said.trim().is_empty() {
            String::from_utf8_lossy(&finished.stdout)
        } else {
            said
        };
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let end = lines.iter().skip(lines.len().saturating_sub(8));
        bail!(
            "{doing} on board `{name}` ended with {}:{}",
            finished.status,
            one_line::list(end, 8)
        );
    }
    Ok(finished)
}

/// Several scripts in one round trip, one after the other; gives what each printed. Each is a subshell, so that none of them changes what the next one
/// finds. A board is asked some fifty things around each boot, and the way there costs more than most answers. Errors: as [`ask`]; also when one of them
/// fails, or the answer is cut off.
pub fn ask_all<const N: usize>(
    board: &dyn Board,
    doing: &str,
    scripts: [&str; N],
    limit: Duration,
) -> Result<[Vec<u8>; N]> {
    let mark = format!("lockstep-{}", random_hex::<8>()?);
    let answer = ask(board, doing, &one_after_the_other(&scripts, &mark), limit)?.stdout;
    parts(&answer, &mark).try_into().map_err(|parts: Vec<Vec<u8>>| {
        let name = &board.description().name;
        anyhow::anyhow!("{doing} on board `{name}`: {} of {N} answers came", parts.len())
    })
}

/// Each in a subshell, with the mark behind it; the first that fails ends all. Nothing may stand in one list with the subshell, as `|| exit` would: the shell
/// leaves `set -e` out of account in all of it then, and a script would go on behind a command that failed (POSIX.1-2024, XCU 2.15, `set`). A subshell
/// without a command, as an empty script would be, is no shell.
fn one_after_the_other(scripts: &[&str], mark: &str) -> String {
    let one = |script: &&str| {
        format!(
            "(:\n{script}\n)\nlockstep_status=$?\n[ $lockstep_status = 0 ] || exit $lockstep_status\nprintf '\\n%s\\n' {mark}\n"
        )
    };
    scripts.iter().map(one).collect()
}

/// What stands before each mark; what is behind the last one was cut off.
fn parts(answer: &[u8], mark: &str) -> Vec<Vec<u8>> {
    let mark = format!("\n{mark}\n").into_bytes();
    let mut parts = Vec::new();
    let mut rest = answer;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        let (part, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        parts.push(part.to_vec());
        rest = behind.get(mark.len()..).unwrap_or_default();
    }
    parts
}

/// Twice as many hexadecimal digits as `BYTES`, from the system's random numbers: a name that nobody has used, a word that nobody has said.
pub fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    let mut source = std::fs::File::open("/dev/urandom").context("opening /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes).context("reading /dev/urandom")?;
    Ok(hex::encode(bytes))
}

/// A path as one word of a script. Errors: it is not UTF-8 (then no path of ours).
pub fn word(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(quote(text))
}

/// Several paths as words of a script.
pub fn words<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<String> {
    let words: Result<Vec<String>> = paths.into_iter().map(word).collect();
    Ok(words?.join(" "))
}

/// The whole content of a file on the board; `None` if there is none. Errors: also where it has more than 16 MiB.
pub fn read(board: &dyn Board, path: &Path) -> Result<Option<Vec<u8>>> {
    let finished = ask_up_to(
        board,
        &format!("reading {}", one_line::path(path)),
        &reading(path)?,
        LOOK,
        MOST_OF_FILE,
    )?;
    Ok(content(&finished.stdout))
}

/// `there PATH` in a script: whether anything has that name, a link that leads nowhere as well.
/// What cannot be looked at (a dead disk or
/// mount, a loop of links) is neither here nor not here: it ends the script with 74 (`EX_IOERR`,
/// sysexits.h), so it may not stand in a `$( )`.
///
/// test(1) has one answer for all errors, and programs one exit status: what tells them apart is
/// the last words of their message, which
/// strerror(3) gives. glibc, musl and uClibc have the same ones for `ENOENT` where the locale is C.
/// A name cannot stand behind them.
pub const THERE: &str = r#"there() {
    if [ -e "$1" ] || [ -L "$1" ]; then return 0; fi
    lockstep_said=$(LC_ALL=C ls -d -- "$1" 2>&1 >/dev/null) && return 0
    case $lockstep_said in *': No such file or directory') return 1 ;; esac
    printf 'it cannot be told whether %s is there: %s\n' "$1" "$lockstep_said" >&2
    exit 74
}
"#;

/// The script of [`read`]; [`content`] takes its answer. It fails where the file is neither there
/// nor not there, and where it is none.
pub fn reading(path: &Path) -> Result<String> {
    let file = word(path)?;
    Ok(format!(
        "{THERE}if there {file}; then\n    [ -f {file} ] || {{ printf '%s is not a regular file, or cannot be read\n' {file} >&2; exit 74; }}\n    \
         printf +; cat {file}\nfi"
    ))
}

/// The answer to [`reading`].
pub fn content(answer: &[u8]) -> Option<Vec<u8>> {
    answer.strip_prefix(b"+").map(<[u8]>::to_vec)
}

/// `key=value` lines of a script's answer. Lines without `=` are passed over.
pub fn fields(text: &str) -> std::collections::BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process;

    #[test]
    fn several_answers_come_apart_whatever_is_in_them() {
        let answer = b"a\n\nlockstep-0\n\nlockstep-0\n\0b\nlockstep-1\n\nlockstep-0\ncut off";
        let expected: [&[u8]; 3] = [b"a\n", b"", b"\0b\nlockstep-1\n"];
        assert_eq!(parts(answer, "lockstep-0"), expected);
        assert!(parts(b"", "lockstep-0").is_empty());
    }

    #[test]
    fn a_script_that_fails_in_its_middle_ends_all() {
        for shell in ["sh", "bash"] {
            let run = |scripts: &[&str]| {
                let whole = one_after_the_other(scripts, "mark");
                let sh = xshell::Shell::new().unwrap();
                let done = process::finish(xshell::cmd!(sh, "{shell} -c {whole}"), LOOK).unwrap();
                (done.status.code(), done.text())
            };
            let (code, said) = run(&[
                "a=1; echo one",
                "set -eu\necho two\nfalse\necho three",
                "echo four",
            ]);
            assert_eq!((code, said.as_str()), (Some(1), "one\n\nmark\ntwo"), "{shell}");
            let (code, said) = run(&["", "# nothing\n", "echo four"]);
            assert_eq!(
                (code, said.as_str()),
                (Some(0), "\nmark\n\nmark\nfour\n\nmark"),
                "{shell}"
            );
            let (code, said) = run(&["exit 7", "echo four"]);
            assert_eq!((code, said.as_str()), (Some(7), ""), "{shell}");
            let (code, said) = run(&["a=1; cd /", "echo \"${a:-unset}\""]);
            assert_eq!(
                (code, said.as_str()),
                (Some(0), "\nmark\nunset\n\nmark"),
                "{shell}"
            );
        }
    }

    /// A loop of links and a file where a folder should be stand for all that cannot be looked at.
    #[test]
    fn not_there_and_not_to_be_looked_at_are_two_answers_in_each_shell() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "+words").unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let mut shells = vec![vec!["sh"], vec!["bash"]];
        if which::which("busybox").is_ok() {
            shells.push(vec!["busybox", "sh"]);
        }
        for shell in &shells {
            let run = |path: &Path| {
                let script = reading(path).unwrap();
                let sh = xshell::Shell::new().unwrap();
                let (program, words) = shell.split_first().unwrap();
                let cmd = xshell::cmd!(sh, "{program} {words...} -c {script}");
                let done = process::finish(cmd, LOOK).unwrap();
                (done.status.code(), content(&done.stdout))
            };
            assert_eq!(run(&at("file")), (Some(0), Some(b"+words".to_vec())), "{shell:?}");
            for gone in ["gone", "gone: Not a directory", "gone/deep", "it's\n gone"] {
                assert_eq!(run(&at(gone)), (Some(0), None), "{shell:?} {gone}");
            }
            for doubt in [
                "loop/x",
                "file/x",
                "file/x: No such file or directory",
                "dangling",
                "loop",
                "folder",
            ] {
                assert_eq!(run(&at(doubt)), (Some(74), None), "{shell:?} {doubt}");
            }
            let long = "x".repeat(300);
            assert_eq!(run(&at(&long)), (Some(74), None), "{shell:?}");
        }
    }

    #[test]
    fn what_is_random_differs() {
        let words = [random_hex::<8>().unwrap(), random_hex::<8>().unwrap()];
        assert_ne!(words[0], words[1]);
        assert_eq!(words[0].len(), 16);
    }
}
