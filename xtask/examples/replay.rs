//! Shows the live view of a run that is over, from its record and what its serial line said, so that somebody can look at the view
//! without a board: `cargo run -p xtask --example replay -- .lockstep/runs/rehearsal/TIME 20` is twenty times as fast as it was.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use xtask::campaign::action::Action;
use xtask::campaign::live::Live;
use xtask::campaign::phase::{Kind, Phase};
use xtask::campaign::plan::{Planned, Source};
use xtask::campaign::record::{RowRecord, RunRecord};
use xtask::campaign::report;
use xtask::ui::{Format, Ui};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_default());
    let faster: f64 = arguments
        .next()
        .map_or(Ok(10.0), |word| word.to_string_lossy().parse())?;
    let record = RunRecord::load(&folder)?;
    let scratch = tempfile::tempdir()?;
    let log = scratch.path().join("serial.log");
    let mut serial = std::fs::File::create(&log)?;
    let ui = Ui::new(Format::Text);
    let live = Live::begin(
        &ui,
        &format!("{} on {}", record.campaign, record.board),
        &plan(&record, faster),
        Some(log),
    );
    for row in &record.rows {
        ui.say(&format!("{} {}", row.id, row.title));
        live.row(&row.id);
        let began = Instant::now();
        let said =
            std::fs::read(folder.join("evidence").join(&row.id).join("serial.log")).unwrap_or_default();
        let mut watch = live.watch();
        for (phase, seconds) in &row.phases {
            let part = if phase.contains("boot") {
                said.as_slice()
            } else {
                &[]
            };
            // As many names as the record has, for the life of this program.
            let name = Box::leak(phase.clone().into_boxed_str());
            let kind = Kind::Other;
            watch.time(Phase { name, kind }, || {
                play(&mut serial, part, Duration::from_secs_f64(seconds / faster))
            })?;
        }
        row.facts.iter().for_each(|fact| ui.say(&format!("    {fact}")));
        let outcome = report::outcome(row);
        live.ended(&row.id, outcome, began.elapsed());
        let left = live.left().map_or(String::new(), |left| format!("; {left}"));
        ui.say(&format!(
            "{} {} ({:.0} s{left})",
            row.id, outcome.text, row.took_s
        ));
    }
    Ok(())
}

fn plan(record: &RunRecord, faster: f64) -> Vec<Planned> {
    let row = |row: &RowRecord| Planned {
        id: row.id.clone(),
        title: row.title.clone(),
        verified_by: String::new(),
        parts: Vec::new(),
        gates: Vec::new(),
        needs: Vec::new(),
        on_failure: String::new(),
        action: Action::Close,
        estimate: Duration::from_secs_f64(row.took_s / faster),
        estimated_from: Source::Plan,
        note: None,
        phases: Vec::new(),
    };
    record.rows.iter().map(row).collect()
}

/// What the line said, spread over the time.
fn play(serial: &mut std::fs::File, said: &[u8], time: Duration) -> std::io::Result<()> {
    let lines: Vec<&[u8]> = said.split_inclusive(|&byte| byte == b'\n').collect();
    let began = Instant::now();
    for (at, line) in lines.iter().enumerate() {
        serial.write_all(line)?;
        let due = time.mul_f64((at + 1) as f64 / lines.len() as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    std::thread::sleep(time.saturating_sub(began.elapsed()));
    Ok(())
}
