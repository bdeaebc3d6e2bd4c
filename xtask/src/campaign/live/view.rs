//! The block of lines that shows a run: from a value without clocks to lines that fit a terminal.

use crate::ui::{self, Line, Look};
use std::time::Duration;

/// Lines of the terminal that are left to what is said, and to the progress of a build.
pub(super) const FREE: usize = 5;

/// What is shown, without clocks.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub title: String,
    /// Since the command began; none where something else shows it.
    pub gone: Option<Duration>,
    pub left: Duration,
    pub rows: Vec<RowView>,
    pub current: Option<usize>,
    pub phase: Option<(String, Duration)>,
    /// What is done in the phase.
    pub doing: Option<String>,
    pub beside: Option<(String, Duration)>,
    pub kernel: Vec<String>,
}

/// A row of it.
#[derive(Debug, Clone)]
pub(super) struct RowView {
    pub id: String,
    pub title: String,
    pub look: Look,
    pub mark: char,
    /// What stands at the right edge.
    pub at_right: String,
}

/// `1:05`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds % 3600 / 60,
            seconds % 60
        ),
    }
}

/// The block for a terminal of this size. What matters most stays longest when it gets small: the head line, the current row, the phase,
/// the kernel's last lines, then the other rows.
pub(super) fn lines(view: &View, height: usize, width: usize) -> Vec<Line> {
    let plain = |look, text: String| Line { look, text };
    let room = height.saturating_sub(FREE).max(2);
    let mut block = vec![plain(Look::Strong, head(view, width))];
    let beside = view.beside.as_ref();
    let beside = beside.map(|(what, time)| format!("; beside it: {what}, {}", clock(*time)));
    let now = view.phase.as_ref().map(|(phase, time)| {
        let beside = beside.unwrap_or_default();
        let doing = view
            .doing
            .as_ref()
            .map_or(String::new(), |doing| format!(": {doing}"));
        format!("   now: {phase}, {}{beside}{doing}", clock(*time))
    });
    let kernel = view.kernel.len().min(room.saturating_sub(4));
    let for_rows = room
        .saturating_sub(1)
        .saturating_sub(usize::from(now.is_some()))
        .saturating_sub(kernel)
        .max(1);
    block.extend(rows(view, for_rows, width));
    block.extend(now.map(|text| plain(Look::Plain, text)));
    block.extend(
        view.kernel
            .iter()
            .skip(view.kernel.len().saturating_sub(kernel))
            .map(|line| plain(Look::Dim, format!("   │ {line}"))),
    );
    block.truncate(room);
    block
}

fn head(view: &View, width: usize) -> String {
    let time = view.gone.map_or(String::new(), |gone| {
        let left = match view.left.is_zero() {
            true => String::new(),
            false => format!(", about {} left", ui::short(view.left)),
        };
        format!("{} gone{left} ", clock(gone))
    });
    let text = format!("── {} ── {time}", view.title);
    let rest = width.saturating_sub(text.chars().count());
    format!("{text}{}", "─".repeat(rest))
}

/// As many rows as fit, the current one among them, and how many are not shown.
fn rows(view: &View, room: usize, width: usize) -> Vec<Line> {
    let total = view.rows.len();
    let current = view.current.unwrap_or_else(|| {
        let waiting = view.rows.iter().position(|row| row.mark == '·');
        waiting.unwrap_or(total.saturating_sub(1))
    });
    let count = if total <= room {
        total
    } else {
        room.saturating_sub(1).max(1)
    };
    let from = current.saturating_sub(count / 2).min(total.saturating_sub(count));
    let mut lines: Vec<Line> = view
        .rows
        .iter()
        .skip(from)
        .take(count)
        .map(|row| row_line(row, width))
        .collect();
    if count < total && room > 1 {
        let after = total.saturating_sub(from).saturating_sub(count);
        let text = format!("   … {from} before, {after} after");
        lines.push(Line {
            look: Look::Dim,
            text,
        });
    }
    lines
}

fn row_line(row: &RowView, width: usize) -> Line {
    let start = format!(" {} {:<4} ", row.mark, row.id);
    let room = width
        .saturating_sub(start.chars().count())
        .saturating_sub(row.at_right.chars().count())
        .saturating_sub(2);
    let mut title: String = row.title.chars().take(room).collect();
    if title.chars().count() < row.title.chars().count() {
        title.pop();
        title.push('…');
    }
    Line {
        look: row.look,
        text: format!("{start}{title:<room$} {}", row.at_right),
    }
}
