//! What stands before a board hands everything through.

use super::bare_board::{BareBoard, FileLine, said};
use super::heart::Heart;
use super::heart::rule::Pace;
use super::lease::Leased;
use super::netconsole::{Network, Wire};
use super::ssh::{Rights, Ssh, Target};
use super::{Board, Description, SerialLine};
use crate::host::process::{BreakOff, BrokenOff, Finished, Input};
use anyhow::{Result, bail};
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(7);

/// A board that has all that a board can have, and keeps what it was asked to run.
struct Full {
    description: Description,
    line: FileLine,
    ran: RefCell<Vec<String>>,
}

impl Full {
    fn new(folder: &Path) -> Self {
        let line = folder.join("line.log");
        std::fs::write(&line, "").unwrap();
        Full {
            description: BareBoard::ampere().description,
            line: FileLine(line),
            ran: RefCell::default(),
        }
    }
}

impl Board for Full {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run_unless(&self, script: &str, input: Input, _: Duration, word: &BreakOff) -> Result<Finished> {
        word.check()?;
        self.ran.borrow_mut().push(script.into());
        Ok(said(match input {
            Input::Bytes(bytes) => bytes.to_vec(),
            Input::File(_) => b"a file".to_vec(),
        }))
    }

    fn second_way(&self) -> Option<Ssh> {
        Some(Ssh::new(Target {
            destination: "second".into(),
            port: Some(1),
            jump: None,
            config: None,
            rights: Rights::Root,
            key: None,
            known_host: None,
            folder: "/nowhere".into(),
        }))
    }

    fn answers(&self, limit: Duration) -> bool {
        limit == LIMIT
    }

    fn serial(&self) -> Option<&dyn SerialLine> {
        Some(&self.line)
    }

    fn netconsole(&self) -> Option<Wire> {
        Some(Wire {
            folder: "/packets".into(),
            network: Network::Shared { host: None, port: 7 },
        })
    }

    fn serial_problem(&self) -> Option<&str> {
        Some("a loose cable")
    }

    fn may_change(&self) -> Result<()> {
        Ok(())
    }

    fn hard_reset(&self) -> Result<()> {
        bail!("reset")
    }
}

/// Everything that a board tells without running anything.
fn told(board: &dyn Board) -> Vec<String> {
    vec![
        format!("{:?}", board.description()),
        format!("{:?}", board.second_way().map(|ssh| ssh.target().clone())),
        format!("{} {}", board.answers(LIMIT), board.answers(LIMIT * 2)),
        format!("{:?}", board.serial().map(|line| (line.log(), line.has_break()))),
        format!("{:?}", board.netconsole()),
        format!("{:?}", board.serial_problem()),
        format!("{:?}", board.hard_reset().map_err(|error| error.to_string())),
    ]
}

fn heart(board: &Full, folder: &Path) -> Heart {
    Heart::begin(board, "a", &folder.join("heart.log"), Pace::default()).unwrap()
}

#[test]
fn a_heart_and_a_lease_hide_nothing_of_a_board() {
    let folder = tempfile::tempdir().unwrap();
    let board = Full::new(folder.path());
    let heart = heart(&board, folder.path());
    let watching = heart.watching(&board);
    let leased = Leased::new(&watching);
    assert_eq!(told(&watching), told(&board));
    assert_eq!(told(&leased), told(&board));
    // The long form and the short ones are one way.
    assert_eq!(
        leased.run_with_input("cat", b"x", LIMIT).unwrap().text(),
        "x",
        "input comes through both"
    );
    leased.run("true", LIMIT).unwrap();
    watching.run("false", LIMIT).unwrap();
    let ran = board.ran.borrow();
    assert!(
        ran[0].contains("/run/lockstep/lease") && ran[0].ends_with("\ncat"),
        "{ran:?}"
    );
    assert!(ran[1].ends_with("\ntrue") && ran[2] == "false", "{ran:?}");
}

/// Neither the heart's word hides the caller's, nor the other way round.
#[test]
fn whoever_says_it_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let board = Full::new(folder.path());
    let heart = heart(&board, folder.path());
    let watching = heart.watching(&board);
    let word = BreakOff::default();
    word.say("enough");
    let error = watching
        .run_unless("true", Input::NOTHING, LIMIT, &word)
        .unwrap_err();
    assert!(BrokenOff::is(&error), "{error:#}");
    watching.run("true", LIMIT).unwrap();

    let (one, other) = (BreakOff::default(), BreakOff::default());
    let either = one.or(&other);
    assert_eq!(either.why(), None);
    other.say("the other");
    assert_eq!((either.why(), one.why()), (Some("the other"), None));
}

/// What has a body in the trait is forgotten in silence by whatever stands before a board.
#[test]
fn only_the_short_forms_of_running_have_a_body() {
    let source = include_str!("mod.rs");
    for (name, short) in [("Board", vec!["run_with_input", "run"]), ("SerialLine", vec![])] {
        let start = source.find(&format!("pub trait {name} {{\n")).unwrap();
        let end = start + source[start..].find("\n}\n").unwrap();
        let methods: Vec<&str> = source[start..end].split("\n    fn ").skip(1).collect();
        let (bodies, without): (Vec<&str>, Vec<&str>) =
            methods.into_iter().partition(|method| method.contains("{\n"));
        let named: Vec<&str> = bodies
            .iter()
            .map(|method| method.split('(').next().unwrap())
            .collect();
        assert_eq!(named, short, "a method of {name} with a body");
        assert!(
            without.len() > 4,
            "the trait is read as it is written: {without:?}"
        );
    }
}
