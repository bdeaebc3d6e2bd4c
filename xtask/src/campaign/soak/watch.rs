//! The host's side of a soak: starts the script on the board, reads its lines as they come, and brings back what is worth keeping.

use super::{Paths, Soaked, read, script};
use crate::board::{Board, quote};
use crate::campaign::file::SoakAsked;
use crate::campaign::said::Said;
use crate::campaign::smoke::{SmokeResult, checkers};
use crate::host::files;
use crate::host::process::BrokenOff;
use crate::ui::short;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Folder on the board, in memory: a soak that ends in a reset has been read up to its last lines by then.
const RESULTS: &str = "/run/lockstep-soak";
/// Seconds between two heartbeats, and between two looks from here.
const BEAT_S: u64 = 5;
/// A board that does not answer for so long is gone; a connection that was lost is not.
const SILENCE: Duration = Duration::from_secs(45);
/// How long workers may take to end after the time is up, on top of their longest iteration.
const GRACE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(30);
/// Bytes that are brought back of what a test printed.
const KEEP: u64 = 100_000;

/// What a soak gave.
pub struct Watched {
    /// Counted.
    pub soaked: Soaked,
    /// One for each test.
    pub results: Vec<SmokeResult>,
    /// The checkers and the taint, against what they were before.
    pub change: checkers::Change,
}

/// Soaks: every line is in `soak.lines` in `evidence` before it is read. Errors: the script cannot be started, or the board has not answered
/// for [`SILENCE`] or its heart has stopped; what was read until then is in the error and in the file. Dying half-way it leaves the script on the board, which
/// ends by itself.
pub fn watch(
    board: &dyn Board,
    asked: &SoakAsked,
    tests: &str,
    evidence: &Path,
    known_dead: checkers::KnownDead,
    say: &mut dyn FnMut(Said),
) -> Result<Watched> {
    ensure!(
        !asked.tests.is_empty(),
        "a soak without a smoke test loads nothing, and so proves nothing"
    );
    let before = start(board, asked, tests)?;
    let started = Instant::now();
    let limits = asked
        .tests
        .iter()
        .map(|(test, _)| test.limit_s.saturating_add(10));
    let together = if asked.parallel {
        u64::max
    } else {
        u64::saturating_add
    };
    let last = Duration::from_secs(limits.fold(0, together));
    let limit = asked.length.saturating_add(last).saturating_add(GRACE);
    let (mut lines, mut answered, mut told) = (String::new(), Instant::now(), Instant::now());
    loop {
        std::thread::sleep(Duration::from_secs(BEAT_S).min(asked.length));
        match more(board, lines.len()) {
            Ok(new) => {
                answered = Instant::now();
                lines.push_str(&new);
                files::write_atomic(&evidence.join("soak.lines"), lines.as_bytes())?;
            }
            Err(error) if answered.elapsed() > SILENCE || BrokenOff::is(&error) => {
                let soaked = read(asked, &lines);
                return Err(error)
                    .with_context(|| format!("the board is gone after a {}", soaked.sentence(asked)));
            }
            Err(_) => {}
        }
        let soaked = read(asked, &lines);
        if soaked.ended || started.elapsed() > limit {
            break;
        }
        let left = asked.length.saturating_sub(started.elapsed());
        if told.elapsed() > Duration::from_secs(60) && !left.is_zero() {
            told = Instant::now();
            say(Said::Line(&format!(
                "{}, {} left",
                soaked.sentence(asked),
                short(left)
            )));
        }
    }
    let soaked = read(asked, &lines);
    let (printed, after) = bring_back(board, asked, evidence)?;
    Ok(Watched {
        results: soaked.results(asked, &printed),
        change: checkers::compare("the soak", before, after, known_dead),
        soaked,
    })
}

/// Starts the script away from this connection; gives the checkers as they were before.
fn start(board: &dyn Board, asked: &SoakAsked, tests: &str) -> Result<checkers::Checkers> {
    let paths = Paths {
        tests,
        results: RESULTS,
        beat_s: BEAT_S,
    };
    let begin = format!(
        "{}rm -rf {RESULTS} && mkdir -p {RESULTS} && cat >{RESULTS}/script || exit 1\n\
         setsid sh {RESULTS}/script </dev/null >{RESULTS}/said 2>&1 &\n",
        checkers::ASK
    );
    let script = script(asked, &paths);
    let done = board
        .run_with_input(&begin, script.as_bytes(), LOOK)
        .context("starting the soak")?;
    if !done.status.success() {
        bail!(
            "starting the soak: {}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(checkers::Checkers::read(&done.text()))
}

/// The lines from byte `from` on.
fn more(board: &dyn Board, from: usize) -> Result<String> {
    let look = format!(
        "tail -c +{} {RESULTS}/lines 2>/dev/null; true",
        from.saturating_add(1)
    );
    Ok(String::from_utf8_lossy(&board.run(&look, LOOK)?.stdout).into_owned())
}

/// What tests printed, by their index: the first failure or else the last run; and the checkers as they are now.
fn bring_back(
    board: &dyn Board,
    asked: &SoakAsked,
    evidence: &Path,
) -> Result<(BTreeMap<usize, String>, checkers::Checkers)> {
    let mut printed = BTreeMap::new();
    for (index, (test, _)) in asked.tests.iter().enumerate() {
        let file = format!("{RESULTS}/{index}");
        let look = format!(
            "f={file}.failed; [ -e $f ] || f={file}.printed; [ -s $f ] || f={file}.said; tail -c {KEEP} $f 2>/dev/null; true",
            file = quote(&file)
        );
        let said = board
            .run(&look, LOOK)
            .context("reading what the soak printed")?
            .text();
        files::write_atomic(
            &evidence.join(format!("soak-{}.printed", test.name)),
            said.as_bytes(),
        )?;
        printed.insert(index, said);
    }
    let last = format!("{}rm -rf {RESULTS}\n", checkers::ASK);
    let after = board
        .run(&last, LOOK)
        .context("looking at the checkers after the soak")?
        .text();
    Ok((printed, checkers::Checkers::read(&after)))
}
