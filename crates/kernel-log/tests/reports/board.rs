//! Real splats of arm64 kernels on the virtual board (`logs/board/`): each log has its answer in a header, as the example `score` reads it.
//! Every title stands for one error, in order; kind, function and damage are the first one's.

use kernel_log::finder;
use kernel_log::finding::Finding;
use kernel_log::kind::Severity;
use kernel_log::reader;
use std::path::{Path, PathBuf};

#[path = "../../examples/score/answers.rs"]
#[allow(dead_code)]
mod score;

fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs/board");
    let mut logs: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    logs
}

/// What is wrong with the findings of a log; empty where nothing is.
fn wrong(file: &[u8]) -> Vec<String> {
    let (expected, log) = score::split(file);
    let found = finder::find(&reader::read(&log), "serial");
    let errors: Vec<&Finding> = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    let titles: Vec<&str> = errors.iter().map(|finding| finding.title.as_str()).collect();
    let mut wrong = Vec::new();
    if titles != expected.titles {
        wrong.push(format!("titles {titles:?}, and not {:?}", expected.titles));
    }
    let Some(first) = errors.first() else { return wrong };
    if Some(first.kind.name()) != expected.kind {
        wrong.push(format!("kind {}, and not {:?}", first.kind.name(), expected.kind));
    }
    if first.function != expected.frame {
        wrong.push(format!(
            "function {:?}, and not {:?}",
            first.function, expected.frame
        ));
    }
    if first.damaged != expected.damaged {
        wrong.push(format!("damaged: {}", first.damaged));
    }
    wrong
}

#[test]
fn each_real_splat_is_understood() {
    let logs = logs();
    assert!(logs.len() >= 27, "{} logs", logs.len());
    let told: Vec<String> = logs
        .iter()
        .flat_map(|path| {
            let file = std::fs::read(path).unwrap();
            let name = path.file_name().unwrap_or_default().display().to_string();
            wrong(&file)
                .into_iter()
                .map(move |what| format!("{name}: {what}"))
        })
        .collect();
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn a_wrong_answer_would_be_seen() {
    let path = logs().remove(0);
    let file = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    assert!(!wrong(format!("TITLE: something else\n{file}").as_bytes()).is_empty());
}
