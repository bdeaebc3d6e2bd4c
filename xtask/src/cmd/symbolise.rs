//! `cargo xtask symbolise`: the frames of a kernel log as files and lines.

use super::Context;
use crate::campaign::run_step::RunStep;
use crate::campaign::{decode, journal};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::kernel::debug_files::DebugFiles;
use crate::kernel::patch::Patch;
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::symbolise::frame;
use crate::kernel::symbolise::touched::Touched;
use crate::kernel::symbolise::{BuildFolder, Decoded, Expected, Line, Match, RELEASE, Symboliser};
use crate::kernel::tree::Stack;
use crate::ui::{Ui, count};
use anyhow::{Context as _, Result, bail};
use kernel_log::lock_chain::LockChain;
use kernel_log::{finder, reader};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask symbolise`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every frame (`func+0x1c/0x90 [mod]`) is looked up in vmlinux or the module of the build that ran; one of another build is refused, with the \
reason. Lines and inlined functions need CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y (kconfig-fragments/debug-info.config); without it the file \
is told. A folder of debug files as a distribution packages them (/usr/lib/debug/lib/modules/RELEASE) counts as a build, too.

A log below the folder of a run is decoded with what that step booted, also when the build folder holds another step by now: files with debug \
information are kept by build id in the cache, and the frames of the step's patch are marked. What was decoded when the step was judged stands in \
the run's report in any case.

Examples:
  cargo xtask symbolise serial.log
  cargo xtask symbolise console-ramoops-0 --build ~/src/linux/build --patch patches/release-fences/0005-fences.patch
  cargo xtask symbolise .lockstep/runs/rehearsal/20261122T171758/evidence/2.2/kmsg.log

Exit code 0: every frame of this kernel has a place. 3: some have none; each says why. 1: the log or the build cannot be read.")]
pub struct Symbolise {
    /// A kernel log; `-` is standard input
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// The build folder [default: the newest one in the cache whose release the log names]
    #[arg(long, value_name = "FOLDER")]
    build: Option<PathBuf>,
    /// The run that the log is of [default: the one whose folder it is in]
    #[arg(long, value_name = "FOLDER")]
    run: Option<PathBuf>,
    /// Mark the frames that this patch touches; may be repeated
    #[arg(long, value_name = "FILE")]
    patch: Vec<PathBuf>,
    /// Print only lines with frames
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Answer<'a> {
    #[serde(serialize_with = "crate::host::json::named")]
    build: &'a Path,
    release: &'a str,
    frames: usize,
    decoded: usize,
    /// Those with a frame; all others are in the log itself.
    lines: Vec<&'a Line>,
    lock_chains: &'a [LockChain],
}

impl Symbolise {
    /// Runs the verb. Reads the log and the build, changes nothing.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let bytes = read(&self.log)?;
        let log = reader::read(&bytes);
        let lines: Vec<&str> = log.records.iter().map(|record| record.text.as_ref()).collect();
        let folder = match &self.build {
            Some(folder) => folder.clone(),
            None => find(&context.folders.cache.join("build"), &lines)?,
        };
        let build = BuildFolder::open(&folder)?;
        let step = self.step()?;
        let touched = self.touched(step.as_ref(), context)?;
        let expected = step
            .as_ref()
            .map_or_else(Expected::default, |step| step.expected.clone());
        let (out, release) = (build.out.clone(), build.release.clone());
        let kept = DebugFiles::of(&context.folders.cache);
        let decoded = Symboliser::new(build, expected, touched)
            .with_kept(kept.clone())
            .decode(&lines);
        let chains: Vec<LockChain> = finder::find(&log, &self.log.display().to_string())
            .iter()
            .filter_map(LockChain::of)
            .collect();
        let frames: Vec<&Decoded> = decoded.iter().flat_map(|line| &line.frames).collect();
        let answer = Answer {
            build: &out,
            release: &release,
            frames: frames.len(),
            decoded: frames.iter().filter(|frame| !frame.places.is_empty()).count(),
            lines: decoded.iter().filter(|line| !line.frames.is_empty()).collect(),
            lock_chains: &chains,
        };
        for line in decoded
            .iter()
            .filter(|line| !self.quiet || !line.frames.is_empty())
        {
            print(context.ui, line);
        }
        for chain in &chains {
            context.ui.text("\nOrder of locks:");
            chain
                .text()
                .iter()
                .for_each(|line| context.ui.line(&format!("  {line}")));
        }
        context.ui.json(&answer)?;
        self.tell(context.ui, &answer, &frames, &kept);
        Ok(if answer.decoded == answer.frames {
            Outcome::Success
        } else {
            Outcome::CheckFailed
        })
    }

    /// The step of a run that the log is of.
    fn step(&self) -> Result<Option<RunStep>> {
        let log = std::path::absolute(&self.log)?;
        let run = match &self.run {
            Some(run) => std::path::absolute(run)?,
            None => match log
                .ancestors()
                .find(|folder| folder.join(journal::FILE).is_file())
            {
                Some(run) => run.to_path_buf(),
                None => return Ok(None),
            },
        };
        RunStep::of(&run, &log).map(Some)
    }

    /// What the patches touch that were named, and the one of the step.
    fn touched(&self, step: Option<&RunStep>, context: &Context) -> Result<Touched> {
        let mut touched = Touched::default();
        for patch in &self.patch {
            touched.add(&Patch::read(patch)?.files);
        }
        let Some(commit) = step.and_then(|step| step.patch.as_deref()) else {
            return Ok(touched);
        };
        // The step's tree may be another one than the newest: then its commit is not there, and it is said.
        let place = Place::of(&context.folders.cache, None);
        let changes = place.and_then(|place| Stack::peek(&place.repository, BRANCH)?.changes_of(commit));
        match changes {
            Ok(changes) => touched.add(&changes),
            Err(why) => context
                .ui
                .warn(&format!("frames of the step's patch are not marked: {why:#}")),
        }
        Ok(touched)
    }

    fn tell(&self, ui: &Ui, answer: &Answer, frames: &[&Decoded], kept: &DebugFiles) {
        let proof = match frames
            .iter()
            .filter_map(|frame| frame.matched_by)
            .min_by_key(|by| *by as u8)
        {
            Some(Match::BuildId) => "matched by build id",
            Some(Match::Release) => "matched by release and function sizes; the log names no build id",
            Some(Match::Size) => "matched by function sizes only; the log names no release",
            None if frames.is_empty() => "the log has no frames",
            None => "nothing matched",
        };
        let of_another = frames.iter().filter(|frame| frame.is_of_another_build()).count();
        if of_another > 0 {
            ui.say(&format!(
                "{} of another build: files of builds with debug information are kept by build id in {}, the oldest go first. The same commit and \
                 configuration in the same folder give the same build ids again: apply the patches up to that step, `cargo xtask build --profile NAME`, \
                 and call this again. What was decoded when a step of a run was judged is in its report: `cargo xtask report RUN`",
                match of_another {
                    1 => "1 frame is".to_string(),
                    many => format!("{many} frames are"),
                },
                kept.root().display()
            ));
        }
        ui.say(&format!(
            "{} of {} decoded with {} ({}): {proof}",
            answer.decoded,
            count(answer.frames, "frame"),
            answer.release,
            answer.build.display(),
        ));
        let next = format!("cargo xtask logs {}", self.log.display());
        let bare = frames
            .iter()
            .any(|frame| frame.places.iter().any(|place| place.line.is_none()));
        if bare {
            ui.say("lines need debug information: build again with --fragment kconfig-fragments/debug-info.config");
        }
        ui.say(&format!("next: {next}"));
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        return bounded::take(std::io::stdin(), "standard input", bounded::LOG);
    }
    bounded::read(file, bounded::LOG).with_context(|| format!("reading the log {}", file.display()))
}

/// The build in the cache whose release the log names; of several the one that was linked last.
fn find(builds: &Path, lines: &[&str]) -> Result<PathBuf> {
    let named: Vec<&str> = lines.iter().filter_map(|line| frame::release(line)).collect();
    let mut seen = Vec::new();
    let mut fitting = Vec::new();
    for entry in walkdir::WalkDir::new(builds)
        .min_depth(2)
        .max_depth(2)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
    {
        let Ok(release) = bounded::read_text(&entry.path().join(RELEASE), bounded::WRITTEN) else {
            continue;
        };
        let release = release.trim().to_string();
        let linked = std::fs::metadata(entry.path().join("vmlinux")).and_then(|vmlinux| vmlinux.modified());
        // The last release that a log names is the one under test: vanilla boots before it.
        let rank = named.iter().rposition(|name| *name == release);
        if let (Some(rank), Ok(linked)) = (rank, linked) {
            fitting.push((rank, linked, entry.into_path()));
        }
        seen.push(release);
    }
    fitting.sort();
    if let Some((.., folder)) = fitting.pop() {
        return Ok(folder);
    }
    let list = |names: &[String]| {
        if names.is_empty() {
            "none".to_string()
        } else {
            names.join(", ")
        }
    };
    let mut named: Vec<String> = named.into_iter().map(String::from).collect();
    named.dedup();
    bail!(
        "looking for the build of this log: it names the releases {}, and the builds in {} are {}; name the folder with --build",
        list(&named),
        builds.display(),
        list(&seen)
    )
}

fn print(ui: &Ui, line: &Line) {
    ui.line(&line.text);
    for frame in &line.frames {
        let mut places = frame.places.iter().peekable();
        while let Some(place) = places.next() {
            let number = place
                .line
                .map_or(" (file only)".to_string(), |line| format!(":{line}"));
            let inlined = if places.peek().is_some() { ", inlined" } else { "" };
            let mark = place
                .mark
                .map_or(String::new(), |mark| format!("  <-- {}", mark.text()));
            ui.line(&format!(
                "      {}{number} {}(){inlined}{mark}",
                place.file.display(),
                place.function
            ));
        }
        for member in &frame.members {
            ui.line(&format!("      {}", decode::at_the_offset(member)));
        }
        // What is said of a place without a line is the same for all: it stands below.
        if let Some(note) = frame.note.as_ref().filter(|_| frame.places.is_empty()) {
            ui.line(&format!("      {}: {note}", frame.frame.symbol));
        }
    }
}
