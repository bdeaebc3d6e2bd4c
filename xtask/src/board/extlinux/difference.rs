//! What somebody else changed in extlinux.conf, line for line.

/// Lines that are shown of each side; what is beyond is counted.
const SHOWN: usize = 3;

/// Where two files differ and how, in one sentence; `None`: they are the same. What a line says is
/// data: it is shown escaped.
pub fn difference(before: &[u8], after: &[u8]) -> Option<String> {
    if before == after {
        return None;
    }
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (before, after) = (lines(before), lines(after));
    let start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = |lines: &[Vec<u8>]| lines.get(start..).unwrap_or_default().to_vec();
    let (rest_before, rest_after) = (rest(&before), rest(&after));
    let end = rest_before
        .iter()
        .rev()
        .zip(rest_after.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let middle = |lines: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        let length = lines.len().saturating_sub(end);
        lines.into_iter().take(length).collect()
    };
    let (gone, new) = (middle(rest_before), middle(rest_after));
    let line = start.saturating_add(1);
    Some(match (gone.is_empty(), new.is_empty()) {
        (true, _) => format!("line {line}: {} came in", shown(&new)),
        (_, true) => format!("line {line}: {} is gone", shown(&gone)),
        _ if shown(&gone) == shown(&new) => format!("line {line}: {} ends in another way", shown(&gone)),
        _ => format!("line {line}: {} became {}", shown(&gone), shown(&new)),
    })
}

fn shown(lines: &[Vec<u8>]) -> String {
    let some: Vec<String> = lines
        .iter()
        .take(SHOWN)
        .map(|line| {
            let text = String::from_utf8_lossy(line);
            format!("`{}`", text.trim_end_matches(['\n', '\r']).escape_debug())
        })
        .collect();
    let more = match lines.len().saturating_sub(SHOWN) {
        0 => String::new(),
        1 => " and 1 more line".to_string(),
        more => format!(" and {more} more lines"),
    };
    format!("{}{more}", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "default a\nlabel a\n\tkernel /I\n\tappend root=/dev/x rw\n";

    fn said(after: &str) -> String {
        difference(CONF.as_bytes(), after.as_bytes()).unwrap()
    }

    #[test]
    fn the_line_is_named_and_both_its_sides() {
        assert_eq!(difference(CONF.as_bytes(), CONF.as_bytes()), None);
        assert_eq!(
            said(&CONF.replace("default a", "default b")),
            "line 1: `default a` became `default b`"
        );
        assert_eq!(
            said(&CONF.replace("x rw", "x ro")),
            "line 4: `\\tappend root=/dev/x rw` became `\\tappend root=/dev/x ro`"
        );
        assert_eq!(
            said(&format!("{CONF}label b\n\tkernel /J\n\tfdt /d\n\tappend x\n")),
            "line 5: `label b`, `\\tkernel /J`, `\\tfdt /d` and 1 more line came in"
        );
        assert_eq!(
            said("default a\nlabel a\n\tappend root=/dev/x rw\n"),
            "line 3: `\\tkernel /I` is gone"
        );
    }

    #[test]
    fn a_line_repeated_is_no_confusion_and_control_characters_do_nothing() {
        assert_eq!(said(&format!("{CONF}label a\n")), "line 5: `label a` came in");
        assert!(!said(&CONF.replace("/I", "/I\u{1b}[2J")).contains('\u{1b}'));
        assert!(difference(CONF.as_bytes(), b"").unwrap().contains("is gone"));
        assert_eq!(
            said(CONF.trim_end()),
            "line 4: `\\tappend root=/dev/x rw` ends in another way"
        );
    }
}
