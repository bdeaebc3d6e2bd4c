//! Measures how well findings are named, on a folder of logs with their expected answers (see `score/answers.rs` for their layout):
//!
//! ```text
//! cargo run --package kernel-log --example score -- FOLDER
//! ```
//!
//! Every file whose name is a number is judged; each wrong answer is a line, then come the counts.

#[path = "score/answers.rs"]
#[allow(dead_code)]
mod answers;

use answers::Mark;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: score FOLDER");
        return ExitCode::from(2);
    };
    match marks(Path::new(&folder)) {
        Ok(marks) if marks.is_empty() => {
            eprintln!(
                "{}: no logs with expected answers here (their names are numbers)",
                folder.display()
            );
            ExitCode::FAILURE
        }
        Ok(marks) => {
            print(&marks);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("reading {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn marks(folder: &Path) -> Result<Vec<Mark>, Box<dyn std::error::Error>> {
    let mut marks = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_file() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            marks.extend(answers::judge(&name, &std::fs::read(entry.path())?));
        }
    }
    Ok(marks)
}

fn print(marks: &[Mark]) {
    for mark in marks {
        let wrong: Vec<&str> = [
            ("found", Some(mark.found)),
            ("kind", mark.kind),
            ("function", mark.function),
            ("damaged", mark.damaged),
        ]
        .into_iter()
        .filter(|(_, right)| *right == Some(false))
        .map(|(words, _)| words)
        .collect();
        if !wrong.is_empty() {
            println!("{}: wrong {}: {}", mark.name, wrong.join(", "), mark.shown);
        }
    }
    let score = answers::total(marks);
    for (words, (right, all)) in [
        ("found where something is wrong", score.positives),
        ("nothing found where nothing is", score.negatives),
        ("kind", score.kinds),
        ("guilty function", score.functions),
        ("damaged or not", score.damaged),
    ] {
        println!(
            "{words}: {right} of {all} ({:.1} %)",
            100.0 * right as f64 / all.max(1) as f64
        );
    }
}
