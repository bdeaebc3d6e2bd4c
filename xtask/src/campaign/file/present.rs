//! Whether everything that a campaign file names is there: series, patches, fragments, programs, board file. Looks, and changes nothing.

use super::called;
use super::problem::{At, Found};
use super::{Campaign, SmokeTest};
use crate::board::file::BoardFile;
use crate::host::files;
use crate::kernel::series::Series;
use std::path::Path;

/// What is named and not there, `project` being the folder that paths are relative to.
pub fn missing(campaign: &Campaign, project: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut lacks = |at: Vec<At>, message: String| {
        found.push(Found {
            at,
            message,
            meant: None,
        });
    };
    for (index, fragment) in campaign.kernel.fragments.iter().enumerate() {
        if !has_file(&project.join(fragment)) {
            let at = vec!["kernel".into(), "fragments".into(), index.into()];
            lacks(at, format!("there is no file {}", fragment.display()));
        }
    }
    // Below `~/` it is the matter of the machine that builds.
    let base = campaign.kernel.base.iter().filter(|base| !base.starts_with("~"));
    for base in base.filter(|base| !has_file(&project.join(base))) {
        lacks(
            vec!["kernel".into(), "base".into()],
            format!("there is no file {}", base.display()),
        );
    }
    for (name, folder) in &campaign.programs {
        if !has_sources(&project.join(folder)) {
            let at = vec!["programs".into(), name.as_str().into()];
            lacks(
                at,
                format!("there is no folder {} with C sources", folder.display()),
            );
        }
    }
    for (index, test) in campaign.smoke_tests.iter().enumerate() {
        for (number, file) in test
            .push
            .iter()
            .enumerate()
            .filter(|(_, file)| !has_file(&project.join(file)))
        {
            let at = vec!["smoke".into(), index.into(), "push".into(), number.into()];
            lacks(at, format!("there is no file {}", file.display()));
        }
        for name in not_pushed(campaign, test) {
            let says = format!(
                "`./{name}` is a program that nothing puts into $LOCKSTEP: name its C sources in [programs] ({name} = \"folder\"), or the file in `push`"
            );
            lacks(vec!["smoke".into(), index.into()], says);
        }
    }
    for (name, broken) in &campaign.broken {
        if let Some(patch) = broken
            .patch
            .as_ref()
            .filter(|patch| !has_file(&project.join(patch)))
        {
            let at = vec!["broken".into(), name.as_str().into(), "patch".into()];
            lacks(at, format!("there is no file {}", patch.display()));
        }
    }
    patches(campaign, project, &mut lacks);
    board(campaign, project, &mut lacks);
    found
}

/// Programs that the test starts out of its folder on the board, and that are not sent there.
fn not_pushed<'a>(campaign: &Campaign, test: &'a SmokeTest) -> Vec<&'a str> {
    let lists = test.before.iter().chain(&test.after);
    let mut texts: Vec<&str> = lists.map(String::as_str).collect();
    texts.extend([test.setup.as_str(), &test.run, &test.teardown]);
    let is_pushed = |name: &str| {
        test.push
            .iter()
            .any(|file| file.file_name().is_some_and(|own| own == name))
    };
    let mut called = called::from_own_folder(&texts);
    called.retain(|name| !campaign.programs.contains_key(*name) && !is_pushed(name));
    called
}

fn has_sources(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.extension().is_some_and(|extension| extension == "c"))
}

fn patches(campaign: &Campaign, project: &Path, lacks: &mut dyn FnMut(Vec<At>, String)) {
    let series = match Series::open(&project.join(&campaign.series)) {
        Ok(series) => series,
        Err(error) => return lacks(vec!["series".into()], format!("{error:#}")),
    };
    for (index, step) in campaign.steps.iter().enumerate() {
        if let Err(error) = series.find(&step.patch) {
            lacks(
                vec!["step".into(), index.into(), "patch".into()],
                format!("{error:#}"),
            );
        }
        for (number, fragment) in step.fragments.iter().enumerate() {
            if !has_file(&project.join(fragment)) {
                let at = vec!["step".into(), index.into(), "fragments".into(), number.into()];
                lacks(at, format!("there is no file {}", fragment.display()));
            }
        }
    }
}

fn board(campaign: &Campaign, project: &Path, lacks: &mut dyn FnMut(Vec<At>, String)) {
    if let Err(error) = BoardFile::load(&project.join("boards"), &campaign.board) {
        lacks(vec!["board".into()], format!("{error:#}"));
    }
}

/// Whether a file is there that can be looked at.
fn has_file(path: &Path) -> bool {
    matches!(files::is_file(path), Ok(true))
}
