//! What the record keeps of a decoded trace: a rule from frames with places, and the source that they are in, to lines for a report. It is kept when
//! a step is judged, so that a report needs neither the build nor the tree.

use super::record::{DecodedFrame, DecodedPlace, SourcePlace};
use crate::kernel::symbolise::members::{self, Member};
use crate::kernel::symbolise::{Decoded, Line, Place};
use kernel_log::suspect::Suspect;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Characters of a source line that are kept.
const CODE: usize = 200;

/// What is known of a finding's trace.
#[derive(Debug, Clone, Default)]
pub struct Traced {
    /// Where its frames are.
    pub decoded: Vec<DecodedFrame>,
    /// The function to look at first.
    pub suspect: Option<Suspect>,
}

/// Files of the source that were asked for, line by line.
struct Files<'a> {
    source: &'a dyn Fn(&Path) -> Option<Vec<u8>>,
    read: BTreeMap<PathBuf, Option<Vec<String>>>,
}

/// The frames of decoded lines, in their order. `source` gives a file of the commit that was built.
pub fn frames(lines: &[Line], source: &dyn Fn(&Path) -> Option<Vec<u8>>) -> Vec<DecodedFrame> {
    let mut files = Files {
        source,
        read: BTreeMap::new(),
    };
    let mut frames = Vec::new();
    for line in lines {
        for frame in &line.frames {
            frames.push(DecodedFrame {
                line: line.number.saturating_sub(1),
                frame: frame.frame.to_string(),
                places: files.places(frame),
            });
        }
    }
    frames
}

impl Files<'_> {
    fn places(&mut self, decoded: &Decoded) -> Vec<DecodedPlace> {
        let last = decoded.places.len().saturating_sub(1);
        let mut places: Vec<DecodedPlace> = Vec::new();
        for (at, place) in decoded.places.iter().enumerate() {
            places.push(DecodedPlace::Source(SourcePlace {
                file: place.file.display().to_string(),
                line: place.line,
                function: place.function.clone(),
                inlined: at < last,
                mark: place.mark,
                code: self.line(place),
            }));
        }
        let innermost = decoded.places.first().and_then(|place| self.line(place));
        for member in members::likely(&decoded.members, &innermost.unwrap_or_default()) {
            places.push(DecodedPlace::Note(at_the_offset(&member)));
        }
        places.extend(decoded.note.clone().map(DecodedPlace::Note));
        places
    }

    fn line(&mut self, place: &Place) -> Option<String> {
        let source = self.source;
        let lines = self.read.entry(place.file.clone()).or_insert_with(|| {
            let bytes = source(&place.file)?;
            Some(
                String::from_utf8_lossy(&bytes)
                    .lines()
                    .map(String::from)
                    .collect(),
            )
        });
        let number = usize::try_from(place.line?).ok()?.checked_sub(1)?;
        let line = lines.as_ref()?.get(number)?.trim();
        (!line.is_empty()).then(|| line.chars().take(CODE).collect())
    }
}

/// What a member at the address of a fault is called in print.
pub fn at_the_offset(member: &Member) -> String {
    format!(
        "the address that faulted is that of {}.{}, if {} was NULL",
        member.structure, member.member, member.through
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::symbolise::frame;
    use crate::kernel::symbolise::touched::Mark;

    #[test]
    fn each_frame_keeps_its_places_with_their_lines_of_source() {
        let place = |file: &str, line, function: &str, mark| Place {
            function: function.into(),
            file: file.into(),
            line: Some(line),
            mark,
        };
        let text = "pc : run+0x10/0x20 [vim2m]";
        let line = Line {
            number: 3,
            text: text.into(),
            frames: vec![Decoded {
                frame: frame::frames(text).remove(0),
                places: vec![
                    place("a.c", 2, "take", Some(Mark::Line)),
                    place("gone.c", 7, "run", None),
                ],
                matched_by: None,
                note: None,
                members: ["x", "lock"]
                    .map(|name| Member {
                        structure: "struct s".into(),
                        member: name.into(),
                        through: "s".into(),
                    })
                    .to_vec(),
            }],
        };
        let source =
            |path: &Path| (path == Path::new("a.c")).then(|| b"int x;\n\tspin_lock(&s->lock);\n".to_vec());
        let found = frames(&[line], &source);
        assert_eq!((found[0].line, found[0].frame.as_str()), (2, "run+0x10/0x20"));
        let [
            DecodedPlace::Source(take),
            DecodedPlace::Source(run),
            DecodedPlace::Note(note),
        ] = &found[0].places[..]
        else {
            panic!("{found:#?}");
        };
        assert_eq!(take.code.as_deref(), Some("spin_lock(&s->lock);"));
        assert!(take.inlined && take.mark == Some(Mark::Line));
        assert!(!run.inlined && run.code.is_none());
        assert_eq!(
            note,
            "the address that faulted is that of struct s.lock, if s was NULL"
        );
    }
}
