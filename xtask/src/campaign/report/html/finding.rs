//! A finding on the page: the order of its locks as a picture, its exact lines, where each frame is in the source, and what is the patch's.

use super::t;
use crate::campaign::record::{FindingRecord, PatchRecord};
use crate::campaign::report::owner::Owner;
use crate::campaign::report::trace::{self, Kind, Shown};
use maud::{Markup, PreEscaped, html};

/// Lines that belong to a patch of ours are marked, with a word beside the colour.
pub fn block(finding: &FindingRecord, patches: &[&PatchRecord], graph: Option<&str>) -> Markup {
    let lines = trace::lines(finding, patches);
    html! {
        div.finding {
            h3 { (t(&finding.title)) }
            p.note { (t(&finding.severity)) ", from " (t(&finding.seen())) }
            @if let Some(suspect) = &finding.suspect {
                p.suspect { "Look first at " (t(&suspect.to_string())) }
            }
            @if let Some(graph) = graph {
                // Drawn by this program from the finding's locks, and escaped where it is drawn.
                figure.locks { (PreEscaped(graph)) figcaption { "Who took which lock while holding which." } }
            }
            (own_lines(&lines))
            pre { @for line in &lines { (shown(line)) "\n" } }
        }
    }
}

/// The places in the patch, before the trace: what whoever wrote it looks for first. Each once.
fn own_lines(lines: &[Shown]) -> Markup {
    let mut own: Vec<(&str, &str)> = Vec::new();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        let is_line = matches!(line.owner, Some(Owner::Line(_)));
        let Some(place) = line.place.as_deref().filter(|_| is_line) else {
            continue;
        };
        let code = if next.kind == Kind::Code {
            next.text.as_str()
        } else {
            ""
        };
        if !own.iter().any(|(known, _)| *known == place) {
            own.push((place, code));
        }
    }
    html! {
        @if !own.is_empty() {
            p.own { "Lines of the patch in this trace:" }
            dl.own {
                @for (place, code) in own { dt { code { (place) } } dd { code { (code) } } }
            }
        }
    }
}

fn shown(line: &Shown) -> Markup {
    match line.kind {
        Kind::Code => html! { span.code { "          │ " (line.text) } },
        Kind::Note => html! { span.place { "          ↳ " (line.text) } },
        Kind::Said | Kind::Inlined => {
            let body = html! {
                (line.text) @if let Some(place) = &line.place { " " span.place { (place) } } (line.rest)
            };
            match line.owner {
                None if line.kind == Kind::Inlined => html! { span.place { (body) } },
                None => body,
                Some(owner) => html! {
                    mark.(class(owner)) { (body) span.owner { "  ◀ " (owner.text()) } }
                },
            }
        }
    }
}

fn class(owner: Owner) -> &'static str {
    match owner {
        Owner::Line(_) => "line",
        Owner::Function(_) => "function",
        Owner::Module(_) => "module",
    }
}
