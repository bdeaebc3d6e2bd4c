//! A lock chain as a picture (SVG) for the HTML report.
//!
//! The locks stand below each other in the order in which they are taken; an arrow says who took the lower one while the upper one was held.
//! What closes a circle leads back to the top, in the colour of warnings. It carries its own colours for light and dark, no ids (several
//! may stand in one page), no scripts and nothing from elsewhere.

use super::lock_chain::{Edge, LockChain, Move, Place, Shape};
use std::fmt::Write as _;

/// Width of the picture in its own units; a page may scale it.
const WIDTH: usize = 760;
/// Where boxes begin.
const LEFT: usize = 64;
/// Where the text beside an arrow begins.
const LABEL: usize = LEFT + 44;
/// Height of a line of text.
const LINE: usize = 18;
/// Width of a letter of the 13-unit monospaced type, rounded up: browsers draw them 7.8 wide.
const LETTER: usize = 8;
/// Longest name in a box, in letters.
const NAME: usize = 64;
/// Longest line beside an arrow, in letters.
const WORDS: usize = (WIDTH - LABEL - 24) / LETTER;
/// Most locks that are drawn: a report has rarely more than five.
const MOST: usize = 24;

const STYLE: &str = "\
.lock-chain{--ink:#1f2328;--soft:#59636e;--line:#59636e;--box:#f6f8fa;--edge:#d1d9e0;--hot:#c1121f;--paper:#fff}\
@media (prefers-color-scheme:dark){.lock-chain{--ink:#f0f6fc;--soft:#9da7b3;--line:#9da7b3;--box:#1c2330;--edge:#3d444d;--hot:#ff8a80;--paper:#0d1117}}\
.lock-chain text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--ink)}\
.lock-chain .name{font-weight:600}.lock-chain .soft{fill:var(--soft)}.lock-chain .hot{fill:var(--hot)}\
.lock-chain .paper{fill:var(--paper)}.lock-chain .box{fill:var(--box);stroke:var(--edge)}\
.lock-chain .arrow{fill:none;stroke:var(--line);stroke-width:1.6}.lock-chain .tip{fill:var(--line)}\
.lock-chain .arrow.hot{fill:none;stroke:var(--hot);stroke-width:2}.lock-chain .tip.hot{fill:var(--hot)}";

/// Draws a chain. The text of the log is escaped.
pub fn svg(chain: &LockChain) -> String {
    let mut canvas = Canvas::default();
    let path = order(chain);
    let mut tops = Vec::new();
    let mut y = 16;
    for (at, step) in path.iter().enumerate() {
        if at > 0 {
            y = arrow_down(&mut canvas, y, step.edge.map(|edge| &chain.edges[edge]));
        }
        tops.push((step.lock, y));
        y = lock_box(&mut canvas, chain, step.lock, y);
    }
    for edge in chain.edges.iter().filter(|edge| closes(edge, &path)) {
        let target = tops
            .iter()
            .find(|(lock, _)| *lock == edge.taken)
            .map_or(16, |(_, top)| *top);
        y = arrow_back(&mut canvas, chain, edge, y, target);
    }
    if !chain.complete {
        y += LINE;
        canvas.text(LEFT, y, "soft", "Part of the report is missing from the log.");
    }
    if !chain.scenario.is_empty() {
        y = scenario(&mut canvas, &chain.scenario, y + 34);
    }
    canvas.finish(chain, y + 16)
}

/// A lock of the column, and the edge that leads to it from the one above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    lock: usize,
    edge: Option<usize>,
}

/// The locks in the order of the edges, each once.
fn order(chain: &LockChain) -> Vec<Step> {
    let mut path: Vec<Step> = Vec::new();
    let there = |path: &[Step], lock: usize| path.iter().any(|step| step.lock == lock);
    for (at, edge) in chain.edges.iter().enumerate() {
        if edge.held >= chain.locks.len() || edge.taken >= chain.locks.len() || path.len() >= MOST {
            continue;
        }
        if !there(&path, edge.held) {
            path.push(Step {
                lock: edge.held,
                edge: None,
            });
        }
        if !there(&path, edge.taken) {
            // Only from the box right above does an arrow lead down.
            let above = path.last().is_some_and(|step| step.lock == edge.held);
            path.push(Step {
                lock: edge.taken,
                edge: above.then_some(at),
            });
        }
    }
    for lock in 0..chain.locks.len().min(MOST) {
        if !there(&path, lock) {
            path.push(Step { lock, edge: None });
        }
    }
    path
}

/// Whether an edge leads up, or to its own lock.
fn closes(edge: &Edge, path: &[Step]) -> bool {
    let place = |lock: usize| path.iter().position(|step| step.lock == lock);
    match (place(edge.held), place(edge.taken)) {
        (Some(held), Some(taken)) => taken <= held,
        _ => false,
    }
}

#[derive(Default)]
struct Canvas {
    body: String,
}

impl Canvas {
    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>",
            escape(text)
        );
    }

    fn path(&mut self, class: &str, data: &str) {
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{data}\"/>");
    }

    fn finish(self, chain: &LockChain, height: usize) -> String {
        let title = escape(&title(chain));
        let told = escape(&chain.text().join(". "));
        format!(
            "<svg class=\"lock-chain\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             style=\"max-width:100%;height:auto\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<desc>{told}</desc>\n\
             <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n{}</svg>\n",
            self.body
        )
    }
}

fn title(chain: &LockChain) -> String {
    let what = match chain.shape {
        Shape::Circle => "Circular order of locks",
        Shape::Recursion => "A lock taken while one of its class is held",
        Shape::Usage => "A lock taken in an interrupt and with interrupts on",
        Shape::Interrupt => "A lock of an interrupt leads to one taken with interrupts on",
    };
    format!("{what}: {}", shorten(&chain.headline(), 200))
}

/// Draws a lock at `y` with how it was used; gives the lower edge.
fn lock_box(canvas: &mut Canvas, chain: &LockChain, lock: usize, y: usize) -> usize {
    let uses: Vec<_> = chain.uses.iter().filter(|used| used.lock == lock).collect();
    let foot = if uses.is_empty() { 0 } else { 6 };
    let height = 30 + 2 * LINE * uses.len() + foot;
    let width = WIDTH - LEFT - 24;
    let _ = writeln!(
        canvas.body,
        "<rect class=\"box\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
    canvas.text(LEFT + 14, y + 20, "name", &shorten(&chain.name(lock), NAME));
    let mut line = y + 20;
    for used in uses {
        line += LINE;
        let (heat, tense) = if used.now {
            ("hot", "now taken")
        } else {
            ("", "taken")
        };
        let words = format!("{tense} {} by {}", used.state, who(&used.taken_by));
        canvas.text(LEFT + 28, line, heat, &shorten(&words, WORDS));
        line += LINE;
        canvas.text(LEFT + 28, line, "soft", &shorten(&callers(&used.taken_by), WORDS));
    }
    y + height
}

/// An arrow from `y` to the next box, with who took that lock; gives the upper edge of that box.
fn arrow_down(canvas: &mut Canvas, y: usize, edge: Option<&Edge>) -> usize {
    let bottom = y + 3 * LINE + 10;
    let Some(edge) = edge else {
        return bottom;
    };
    let heat = if edge.now { " hot" } else { "" };
    let x = LEFT + 24;
    canvas.path(&format!("arrow{heat}"), &format!("M{x} {y}V{}", bottom - 8));
    canvas.path(&format!("tip{heat}"), &tip_down(x, bottom));
    label(canvas, y + LINE + 4, edge);
    bottom
}

/// An arrow from below the last box back to the box of the lock that is taken; gives how far down it reaches.
fn arrow_back(canvas: &mut Canvas, chain: &LockChain, edge: &Edge, y: usize, target: usize) -> usize {
    let (start, lane) = (LEFT + 24, LEFT / 2);
    let (low, high) = (y + LINE, target + 15);
    canvas.path(
        "arrow hot",
        &format!(
            "M{start} {y}V{}Q{start} {low} {} {low}H{}Q{lane} {low} {lane} {}V{}Q{lane} {high} {} {high}H{}",
            low - 8,
            start - 8,
            lane + 8,
            low - 8,
            high + 8,
            lane + 8,
            LEFT - 8
        ),
    );
    canvas.path(
        "tip hot",
        &format!("M{LEFT} {high}L{} {}V{}Z", LEFT - 10, high - 5, high + 5),
    );
    let again = format!("and back to {},", chain.name(edge.taken));
    canvas.text(LABEL, y + LINE + 4, "hot", &shorten(&again, WORDS));
    label(canvas, y + 2 * LINE + 4, edge);
    y + 3 * LINE + 4
}

/// Two lines: who took the lock, and who called that one.
fn label(canvas: &mut Canvas, y: usize, edge: &Edge) {
    let heat = if edge.now { "hot" } else { "" };
    let tense = if edge.now { "wanted by" } else { "taken by" };
    let words = format!("{tense} {}", who(&edge.taken_by));
    canvas.text(LABEL, y, heat, &shorten(&words, WORDS));
    canvas.text(LABEL, y + LINE, "soft", &shorten(&callers(&edge.taken_by), WORDS));
}

/// With the line, where it is known; the folder has no room beside an arrow.
fn who(places: &[Place]) -> String {
    let Some(place) = places.first() else {
        return "someone the log does not name".to_string();
    };
    let at = place.at.as_deref().and_then(|at| at.rsplit('/').next());
    let at = at.map_or(String::new(), |at| format!(", {at}"));
    format!("{}{at}", place.shown())
}

/// Who called the first: `← g() ← h()`.
fn callers(places: &[Place]) -> String {
    let names: Vec<String> = places
        .iter()
        .skip(1)
        .take(3)
        .map(|place| format!("← {}", place.shown()))
        .collect();
    names.join(" ")
}

fn tip_down(x: usize, y: usize) -> String {
    format!("M{x} {y}L{} {}H{}Z", x - 5, y - 10, x + 5)
}

/// The kernel's example, a column for each CPU; gives how far down it reaches.
fn scenario(canvas: &mut Canvas, moves: &[Move], y: usize) -> usize {
    let middle = WIDTH / 2;
    let two = moves.iter().any(|act| act.cpu > 0);
    let column = if two { (middle - LEFT - 16) / LETTER } else { WORDS };
    canvas.text(
        LEFT,
        y,
        "soft",
        "How it ends in a deadlock, as the kernel tells it:",
    );
    let mut line = y + LINE + 6;
    canvas.text(LEFT, line, "name", "CPU0");
    if two {
        canvas.text(middle, line, "name", "CPU1");
    }
    for act in moves.iter().take(MOST) {
        line += LINE;
        let x = if act.cpu == 0 { LEFT } else { middle };
        let x = if act.in_interrupt { x + 2 * LETTER } else { x };
        let room = column.saturating_sub(if act.in_interrupt { 2 } else { 0 });
        canvas.text(x, line, "", &shorten(&act.act, room));
    }
    line
}

/// Shortens in the middle: both ends of a lock's name tell it from its namesakes.
fn shorten(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most || most < 3 {
        return text.to_string();
    }
    let head = (most - 1).div_ceil(2);
    let tail = most - 1 - head;
    letters[..head]
        .iter()
        .chain(std::iter::once(&'…'))
        .chain(&letters[letters.len() - tail..])
        .collect()
}

/// Text for XML: what would be markup is escaped, control characters (which XML forbids) are replaced.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' => escaped.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}')
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finder;
    use crate::kind::Kind;
    use crate::lock_chain::read;
    use crate::reader;

    fn drawn(log: &str) -> String {
        let findings = finder::find(&reader::read(log.as_bytes()), "test");
        svg(&findings.iter().find_map(LockChain::of).unwrap())
    }

    /// Texts with this class, in order.
    fn texts<'a>(svg: &'a str, class: &str) -> Vec<&'a str> {
        svg.lines()
            .filter_map(|line| {
                line.split_once(&format!("class=\"{class}\">"))?
                    .1
                    .strip_suffix("</text>")
            })
            .collect()
    }

    #[test]
    fn a_circle_has_a_box_for_each_lock_and_an_arrow_back() {
        let svg = drawn(include_str!("../tests/logs/abba.log"));
        assert_eq!(
            texts(&svg, "name"),
            ["vim2m_fence_a", "vim2m_fence_b", "CPU0", "CPU1"]
        );
        assert_eq!(svg.matches("class=\"box\"").count(), 2);
        assert_eq!(svg.matches("class=\"arrow\"").count(), 1);
        assert_eq!(svg.matches("class=\"arrow hot\"").count(), 1);
        assert_eq!(
            texts(&svg, "hot"),
            [
                "and back to vim2m_fence_a,",
                "wanted by take_ba() [lockstep_splat]"
            ]
        );
        assert!(svg.contains(
            "<title>Circular order of locks: vim2m_fence_a → vim2m_fence_b → vim2m_fence_a</title>"
        ));
    }

    #[test]
    fn one_lock_and_its_two_uses() {
        let svg = drawn(include_str!("../tests/logs/inconsistent.log"));
        assert_eq!(texts(&svg, "name"), ["irq_lock", "CPU0"]);
        assert_eq!(
            texts(&svg, "hot"),
            ["now taken with softirqs on by splat_init() [lockstep_splat]"]
        );
        assert_eq!(svg.matches("class=\"arrow").count(), 0);
    }

    #[test]
    fn text_of_a_log_is_no_markup() {
        let lines = [
            "x/1 is trying to acquire lock:",
            "(&<script>\"a\"'\u{1b}){+.+.}, at: f+0x1/0x2",
            "but task is already holding lock:",
            "(&<script>\"a\"'\u{1b}){+.+.}, at: f+0x1/0x2",
        ];
        let svg = svg(&read(Kind::RecursiveLocking, &lines).unwrap());
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}'), "{svg}");
        assert!(svg.contains("&amp;&lt;script&gt;&quot;a&quot;&#39;\u{fffd}"));
    }

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(shorten("abcdefghij", 7), "abc…hij");
        assert_eq!(shorten("abcdefghij", 8), "abcd…hij");
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äöüß", 3), "ä…ß");
    }

    #[test]
    fn a_chain_that_names_locks_it_does_not_have_is_drawn_without_them() {
        let mut chain = read(
            Kind::RecursiveLocking,
            &["x/1 is trying to acquire lock:", "(a){+.+.}, at: f+0x1/0x2"],
        )
        .unwrap();
        chain.edges.push(Edge {
            held: 7,
            taken: 9,
            taken_by: Vec::new(),
            held_since: None,
            now: true,
        });
        assert_eq!(texts(&svg(&chain), "name"), ["a"]);
    }
}
