//! What indicatif draws on, instead of its own terminal: each line ends with a line break of
//! its own.
//!
//! indicatif fills each line up to the width of the terminal and lets the terminal wrap: what is
//! drawn is then one long line, which a terminal that reflows its lines breaks elsewhere when it is
//! resized, and the next drawing takes the wrong number of rows away. Here a line that is shorter
//! than the terminal stays where it is, and where a longer one was wrapped by a resize, its rows
//! are counted.

use super::text::plain;
use indicatif::TermLike;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Standard error as a terminal.
#[derive(Debug, Default)]
pub(super) struct Terminal(Mutex<Drawing>);

/// Rows and columns of the terminal as it is now.
pub(super) fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

/// Whether the terminal breaks lines anew when it becomes narrower, as most do. xterm, GNU screen
/// and the console of Linux cut them off.
fn reflows() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let is_console = std::env::var_os("TERM").is_some_and(|term| term == "linux");
    !is_set("XTERM_VERSION") && !is_set("STY") && !is_console
}

/// What is drawn, and what is written for it.
#[derive(Debug, Default)]
struct Drawing {
    /// Not written yet.
    bytes: String,
    /// Columns of each line that stands on the terminal.
    drawn: Vec<usize>,
    /// Columns of the terminal when they were drawn, and when the drawing that is under way began.
    columns: (usize, usize),
    /// Columns of the lines of the drawing that is under way; none before its first line.
    lines: Option<Vec<usize>>,
    /// A line has ended, and the next one begins below it.
    ended: bool,
    /// The first movement of a drawing was made.
    begun: bool,
}

impl Drawing {
    /// Rows that the lines take on a terminal of this width.
    fn rows(&self, columns: usize) -> usize {
        let rows = |length: &usize| length.div_ceil(columns.max(1)).max(1);
        self.drawn.iter().map(rows).fold(0, usize::saturating_add)
    }

    /// Goes to the first row. `rows` are counted as they were when it was drawn.
    fn up(&mut self, rows: usize, columns: usize, reflows: bool) {
        let was = self.columns.0;
        let is_first = !std::mem::replace(&mut self.begun, true);
        if !is_first || !reflows || was == columns || self.drawn.is_empty() {
            self.columns.1 = columns;
            self.move_by(rows, 'A');
            return;
        }
        self.columns.1 = columns;
        let now = rows
            .saturating_add(self.rows(columns))
            .saturating_sub(self.rows(was));
        self.move_by(now, 'A');
        self.bytes.push_str("\r\x1b[J");
    }

    /// CSI with a count (ECMA-48, 8.3).
    fn move_by(&mut self, cells: usize, way: char) {
        if cells > 0 {
            self.bytes.push_str(&format!("\x1b[{cells}{way}"));
        }
    }

    /// A line, or the blanks that fill it up: what comes behind each line, if only as an empty
    /// string.
    fn write(&mut self, text: &str) {
        if text == "\r" {
            self.bytes.push('\r');
            return;
        }
        if text.chars().all(|c| c == ' ') && self.lines.is_some() && !self.ended {
            self.bytes.push_str("\x1b[K");
            self.ended = true;
            return;
        }
        if std::mem::take(&mut self.ended) {
            self.bytes.push_str("\r\n");
        }
        let text = text.trim_end_matches(' ');
        self.bytes.push_str(text);
        self.lines
            .get_or_insert_default()
            .push(plain(text).chars().count());
    }

    /// The drawing is over: what is to be written.
    fn take(&mut self) -> String {
        self.drawn = self.lines.take().unwrap_or_default();
        self.columns.0 = self.columns.1;
        (self.ended, self.begun) = (false, false);
        std::mem::take(&mut self.bytes)
    }
}

impl Terminal {
    fn hold(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        u16::try_from(size().1).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(size().0).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.hold().up(n, size().1, reflows());
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.hold().move_by(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.hold().move_by(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.hold().move_by(n, 'D');
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        let mut drawing = self.hold();
        drawing.bytes.push_str(s);
        drawing.bytes.push_str("\r\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.hold().write(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.hold().bytes.push_str("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let bytes = self.hold().take();
        let mut to = std::io::stderr();
        to.write_all(bytes.as_bytes())?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As indicatif does it.
    fn draw(drawing: &mut Drawing, lines: &[&str], rows: usize, columns: usize) -> String {
        drawing.up(rows.saturating_sub(1), columns, true);
        drawing.write("\r");
        for line in lines {
            drawing.write(line);
            drawing.write(&" ".repeat(columns.saturating_sub(line.chars().count())));
        }
        drawing.take()
    }

    #[test]
    fn each_line_ends_by_itself() {
        let mut drawing = Drawing::default();
        let written = draw(&mut drawing, &["a", "b      ", ""], 0, 7);
        assert_eq!(written, "\ra\x1b[K\r\nb\x1b[K\r\n\x1b[K");
        let written = draw(&mut drawing, &["c"], 3, 7);
        assert_eq!(written, "\x1b[2A\rc\x1b[K");
    }

    #[test]
    fn rows_that_a_resize_has_wrapped_or_put_together_are_counted() {
        let mut drawing = Drawing::default();
        draw(
            &mut drawing,
            &["0123456789", "01", "\x1b[1m0123456789\x1b[0m"],
            0,
            10,
        );
        // Two lines take three rows each now.
        let written = draw(&mut drawing, &["0123456789", "────"], 3, 4);
        assert!(written.starts_with("\x1b[6A\r\x1b[J"), "{written:?}");
        // A line that was too long when it was drawn is counted with its rows by whoever drew it.
        let written = draw(&mut drawing, &["0123456789", "01"], 4, 4);
        assert!(written.starts_with("\x1b[3A\r0"), "{written:?}");
        // It takes one row of a wider terminal.
        let written = draw(&mut drawing, &["a"], 4, 40);
        assert!(written.starts_with("\x1b[1A\r\x1b[J\ra"), "{written:?}");
    }

    #[test]
    fn a_terminal_that_cuts_lines_off_loses_nothing_that_was_said() {
        let mut drawing = Drawing::default();
        draw(&mut drawing, &["0123456789"], 0, 10);
        drawing.up(0, 4, false);
        assert_eq!(drawing.take(), "");
    }
}
