//! The lines of a finding as reports show them: what the kernel said, unchanged, with the place of each frame behind it, the functions that the
//! compiler inlined there on lines of their own, and what is the patch's marked. The form is that of syzbot's reports, which kernel developers
//! read every day: `f+0x1c/0x90 drivers/x.c:12 [mod]`, and `g drivers/x.c:7 [inline]` before it.

use super::log;
use super::one_line;
use super::owner::{self, Owner};
use crate::campaign::record::{DecodedFrame, DecodedPlace, FindingRecord, PatchRecord, SourcePlace};
use crate::kernel::symbolise::touched::Mark;

/// What a shown line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The kernel said it.
    Said,
    /// A function that was inlined into the next frame.
    Inlined,
    /// The line of source of the place before it.
    Code,
    /// Something else that is known.
    Note,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// What it is.
    pub kind: Kind,
    /// The line; of one that the kernel said all up to its frame.
    pub text: String,
    /// `drivers/x.c:12`, where the frame is.
    pub place: Option<String>,
    /// What the kernel said behind the frame.
    pub rest: String,
    /// Whose the frame is.
    pub owner: Option<Owner<'a>>,
}

/// The lines of a finding; `patches` stand with the one under test first.
pub fn lines<'a>(finding: &FindingRecord, patches: &[&'a PatchRecord]) -> Vec<Shown<'a>> {
    let mut shown = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for (at, line) in log::shown(&finding.excerpt).lines().enumerate() {
        let frames: Vec<&DecodedFrame> = finding.decoded.iter().filter(|frame| frame.line == at).collect();
        let decoded = frames
            .iter()
            .find_map(|frame| Some((split(line, &frame.frame)?, sources(frame))));
        match decoded {
            Some(((head, rest), places)) if !places.is_empty() => {
                frame(head, rest, &places, patches, &mut shown);
            }
            _ => shown.push(Shown {
                kind: Kind::Said,
                text: line.to_string(),
                place: None,
                rest: String::new(),
                owner: owner::of(line, patches),
            }),
        }
        for place in frames.iter().flat_map(|frame| &frame.places) {
            // What holds for many frames is said once.
            if let DecodedPlace::Note(note) = place
                && !notes.contains(note)
            {
                notes.push(note.clone());
                shown.push(made(Kind::Note, one_line(note)));
            }
        }
    }
    shown
}

/// As plain text, for a mail or a block of code; what is the patch's has an arrow behind it.
pub fn plain(finding: &FindingRecord, patches: &[&PatchRecord]) -> Vec<String> {
    let mut plain: Vec<String> = Vec::new();
    for line in lines(finding, patches) {
        match line.kind {
            Kind::Code => {
                if let Some(before) = plain.last_mut() {
                    *before = format!("{before}: {}", line.text);
                }
            }
            Kind::Note => plain.push(format!("      ({})", line.text)),
            Kind::Said | Kind::Inlined => {
                let place = line.place.map_or(String::new(), |place| format!(" {place}"));
                let arrow = line.owner.map_or(String::new(), |owner| {
                    format!("    {} {}", arrow(owner), owner.text())
                });
                plain.push(format!("{}{place}{}{arrow}", line.text, line.rest));
            }
        }
    }
    plain
}

/// The nearer the patch, the longer.
fn arrow(owner: Owner) -> &'static str {
    match owner {
        Owner::Line(_) => "<---",
        Owner::Function(_) => "<--",
        Owner::Module(_) => "<-",
    }
}

fn made<'a>(kind: Kind, text: String) -> Shown<'a> {
    Shown {
        kind,
        text,
        place: None,
        rest: String::new(),
        owner: None,
    }
}

/// A line before and behind the end of its frame.
fn split<'l>(line: &'l str, frame: &str) -> Option<(&'l str, &'l str)> {
    if frame.is_empty() {
        return None;
    }
    let end = line.find(frame)?.checked_add(frame.len())?;
    line.split_at_checked(end)
}

/// Where a frame is, in one place: the innermost that is no header's.
pub fn place(frame: &DecodedFrame) -> Option<String> {
    let places = sources(frame);
    let outer = places.last()?;
    Some(at(no_header(&places).unwrap_or(outer)))
}

fn no_header<'p>(places: &[&'p SourcePlace]) -> Option<&'p SourcePlace> {
    places.iter().find(|place| !place.file.ends_with(".h")).copied()
}

fn sources(frame: &DecodedFrame) -> Vec<&SourcePlace> {
    frame
        .places
        .iter()
        .filter_map(|place| match place {
            DecodedPlace::Source(place) => Some(place),
            DecodedPlace::Note(_) => None,
        })
        .collect()
}

/// A line with a frame that has places: the innermost inlined function first.
fn frame<'a>(
    head: &str,
    rest: &str,
    places: &[&SourcePlace],
    patches: &[&'a PatchRecord],
    shown: &mut Vec<Shown<'a>>,
) {
    let whole = format!("{head}{rest}");
    let by_name = owner::of(&whole, patches);
    let said = |place: &SourcePlace, owner| Shown {
        kind: Kind::Said,
        text: head.to_string(),
        place: Some(at(place)),
        rest: rest.to_string(),
        owner,
    };
    let Some((outer, inlined)) = places.split_last() else {
        return;
    };
    let indent: String = head.chars().take_while(|c| c.is_whitespace()).collect();
    // A line that says more than a frame (`pc : f+0x1c/0x90`, `at: f+0x1c/0x90`) stays one line, and names the place that is no header's.
    if head.trim_start().contains(' ') {
        let place = no_header(places).unwrap_or(outer);
        let owner = places
            .iter()
            .filter_map(|place| by_mark(place, patches))
            .reduce(Owner::nearer)
            .or(by_name);
        shown.push(said(place, owner));
        shown.extend(code(place, owner));
        return;
    }
    for place in inlined {
        let owner = by_mark(place, patches);
        shown.push(Shown {
            kind: Kind::Inlined,
            text: format!("{indent}{}", one_line(&place.function)),
            place: Some(at(place)),
            rest: " [inline]".to_string(),
            owner,
        });
        shown.extend(code(place, owner));
    }
    let owner = by_mark(outer, patches).or(by_name);
    shown.push(said(outer, owner));
    shown.extend(code(outer, owner));
}

/// `drivers/x.c:12`.
fn at(place: &SourcePlace) -> String {
    let line = place.line.map_or(String::new(), |line| format!(":{line}"));
    format!("{}{line}", one_line(&place.file))
}

fn by_mark<'a>(place: &SourcePlace, patches: &[&'a PatchRecord]) -> Option<Owner<'a>> {
    let patch = patches.first()?;
    match place.mark? {
        Mark::Line => Some(Owner::Line(patch)),
        Mark::Function => Some(Owner::Function(patch)),
        // That a file is touched somewhere says little.
        Mark::File => None,
    }
}

/// The line of source, where it is in a function of a patch.
fn code<'a>(place: &SourcePlace, owner: Option<Owner>) -> Option<Shown<'a>> {
    let is_own = matches!(owner, Some(Owner::Line(_) | Owner::Function(_)));
    let code = place.code.as_ref().filter(|_| is_own)?;
    Some(made(Kind::Code, one_line(code)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{regression, run};
    use super::*;

    fn place(at: &str, line: u32, function: &str, mark: Option<Mark>) -> DecodedPlace {
        DecodedPlace::Source(SourcePlace {
            file: at.into(),
            line: Some(line),
            function: function.into(),
            inlined: false,
            mark,
            code: Some(format!("{function}(x);")),
        })
    }

    fn decoded(line: usize, frame: &str, places: Vec<DecodedPlace>) -> DecodedFrame {
        DecodedFrame {
            line,
            frame: frame.into(),
            places,
        }
    }

    #[test]
    fn places_stand_behind_their_frames_and_what_the_kernel_said_is_unchanged() {
        let mut row = regression();
        let note = || DecodedPlace::Note("another build ran".into());
        row.findings[0].excerpt = "is trying to acquire lock:\n00 (&a){+.+.}-{3:3}, at: work+0x10/0x20 [vim2m]\n take_b+0x4/0x8 [vim2m] (P)\n \
                                   process_one_work+0x1/0x2\n kthread+0x1/0x2\n x+0x1/0x2"
            .into();
        row.findings[0].decoded = vec![
            decoded(
                1,
                "work+0x10/0x20",
                vec![
                    place("include/linux/spinlock.h", 351, "spin_lock", None),
                    place("d/vim2m.c", 561, "take_b", Some(Mark::Line)),
                    place("d/vim2m.c", 690, "work", Some(Mark::File)),
                ],
            ),
            decoded(
                2,
                "take_b+0x4/0x8",
                vec![
                    place("include/linux/spinlock.h", 351, "spin_lock", None),
                    place("d/vim2m.c", 562, "take_b", Some(Mark::Function)),
                ],
            ),
            decoded(
                3,
                "process_one_work+0x1/0x2",
                vec![place("kernel/workqueue.c", 3322, "process_one_work", None)],
            ),
            decoded(4, "kthread+0x1/0x2", vec![note()]),
            decoded(5, "x+0x1/0x2", vec![note()]),
        ];
        let run = run(vec![row]);
        let patches = owner::patches(&run, 0);
        assert_eq!(
            plain(&run.rows[0].findings[0], &patches),
            [
                "is trying to acquire lock:",
                "00 (&a){+.+.}-{3:3}, at: work+0x10/0x20 d/vim2m.c:561 [vim2m]    <--- a line of 0008: take_b(x);",
                " spin_lock include/linux/spinlock.h:351 [inline]",
                " take_b+0x4/0x8 d/vim2m.c:562 [vim2m] (P)    <-- a function of 0008: take_b(x);",
                " process_one_work+0x1/0x2 kernel/workqueue.c:3322",
                " kthread+0x1/0x2",
                "      (another build ran)",
                " x+0x1/0x2",
            ]
        );
    }

    #[test]
    fn a_record_of_version_1_has_places_as_words() {
        let old = r#"{"line":4,"places":["drivers/media/test-drivers/vim2m.c:612 take_b()"]}"#;
        let mut row = regression();
        row.findings[0].decoded = vec![serde_json::from_str(old).unwrap()];
        let run = run(vec![row]);
        let plain = plain(&run.rows[0].findings[0], &owner::patches(&run, 0));
        assert_eq!(
            plain[4],
            " take_b+0x10/0x20 [vim2m] (P)    <-- a function of 0008"
        );
        assert_eq!(
            plain[5],
            "      (drivers/media/test-drivers/vim2m.c:612 take_b())"
        );
    }
}
