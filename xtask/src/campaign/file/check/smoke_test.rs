//! The rules of smoke tests and the soak: one that could pass whatever the kernel does is refused, and so is a name of none.

use super::{Rules, is_file_name, word};
use crate::campaign::file::problem::At;
use crate::campaign::file::{ALL, Output, SmokeTest};
use crate::host::one_line::one_line;
use regex::Regex;

impl Rules<'_> {
    pub(super) fn smoke_test(&mut self, index: usize, test: &SmokeTest, is_new: bool) {
        let at = |rest: &[At]| -> Vec<At> { [&["smoke".into(), index.into()], rest].concat() };
        self.name(&at(&["name".into()]), "the name of a smoke test", &test.name);
        if !is_new {
            let twice = format!("two smoke tests have the name {}", word(&test.name));
            self.wrong(&at(&["name".into()]), twice);
        }
        if test.run.trim().is_empty() {
            self.wrong(
                &at(&["run".into()]),
                "run is empty: it would pass whatever the kernel does",
            );
        }
        if let Some(from) = test
            .from
            .as_ref()
            .filter(|from| !self.ids.contains(from.as_str()))
        {
            let ids = self.campaign.steps.iter().map(|step| step.id.as_str());
            self.unknown(&at(&["from".into()]), "step", from, ids);
        }
        for (key, value) in [("limit-s", test.limit_s), ("repeat", test.repeat.into())] {
            if value == 0 {
                self.wrong(&at(&[key.into()]), format!("{key} is 0: at least 1"));
            }
        }
        for (key, expressions) in [("prints", &test.prints), ("prints-not", &test.prints_not)] {
            for (number, expression) in expressions.iter().enumerate() {
                if let Err(error) = Regex::new(expression) {
                    let error = error.to_string();
                    let reason = error.lines().last().unwrap_or_default();
                    let says = format!(
                        "{} is no regular expression: {}",
                        word(expression),
                        one_line(reason)
                    );
                    self.wrong(&at(&[key.into(), number.into()]), says);
                }
            }
        }
        for (number, file) in test.push.iter().enumerate() {
            let name = file.file_name().and_then(|name| name.to_str());
            if !name.is_some_and(is_file_name) {
                let says = format!("{} has no plain file name to be pushed under", file.display());
                self.wrong(&at(&["push".into(), number.into()]), says);
            }
        }
        if let Some(output) = &test.output {
            self.output(&at(&["output".into()]), output);
        }
    }

    fn output(&mut self, at: &[At], output: &Output) {
        let below = |key: &str| -> Vec<At> { [at, &[key.into()]].concat() };
        if !is_file_name(&output.file) {
            let says = format!(
                "{:?}: output.file is a file name in $LOCKSTEP, without `/`",
                output.file
            );
            self.wrong(&below("file"), says);
        }
        if output.size == Some(0) {
            self.wrong(&below("size"), "size is 0: an empty output is never a pass");
        }
        let hexadecimal =
            |text: &String| text.len() == 64 && text.chars().all(|c| "0123456789abcdef".contains(c));
        if output.sha256.as_ref().is_some_and(|hash| !hexadecimal(hash)) {
            self.wrong(&below("sha256"), "sha256 has 64 digits, 0 to 9 and a to f");
        }
        let Some(frames) = &output.frames else { return };
        if frames.bytes == 0 || frames.count == 0 {
            self.wrong(
                &below("frames"),
                "frames have at least 1 byte, and there is at least 1",
            );
        }
        if frames.distinct > frames.count {
            let says = format!("of {} frames {} cannot differ", frames.count, frames.distinct);
            self.wrong(&below("frames"), says);
        }
        let size = frames.size();
        if output.size.is_some_and(|wanted| wanted != size) {
            let says = format!(
                "{} frames of {} bytes are {size} bytes, and not size",
                frames.count, frames.bytes
            );
            self.wrong(&below("size"), says);
        }
    }

    pub(super) fn soak(&mut self) {
        let Some(soak) = &self.campaign.soak else { return };
        let at = |key: &str| -> Vec<At> { vec!["soak".into(), key.into()] };
        if soak.minutes == 0 {
            self.wrong(
                &at("minutes"),
                "a soak of 0 minutes shows nothing; leave [soak] out",
            );
        }
        if soak.tests.is_empty() {
            self.wrong(&at("tests"), "a soak needs a smoke test");
        }
        for (index, name) in soak.tests.iter().enumerate() {
            self.test_name(&["soak".into(), "tests".into(), index.into()], name);
        }
    }

    pub(super) fn test_name(&mut self, at: &[At], name: &str) {
        if !self.tests.contains(name) && name != ALL {
            // In the order of the file.
            let known = self.campaign.smoke_tests.iter().map(|test| test.name.as_str());
            self.unknown(at, "smoke test", name, known);
        }
    }

    /// A test that a step names, and that begins with a later one only.
    pub(super) fn test_too_early(&mut self, at: &[At], name: &str, step: usize) {
        let Some(begins) = self.begins.get(name).filter(|begins| **begins > step) else {
            return;
        };
        let from = self.campaign.steps.get(*begins);
        let from = from.map_or(String::new(), |step| one_line(&step.id));
        let says = format!(
            "{} is run from step {from} on (its `from`): take it out here, or let it begin earlier",
            word(name)
        );
        self.wrong(at, says);
    }

    pub(super) fn test_names<'n>(&mut self, at: &[At], names: impl Iterator<Item = &'n String>) {
        for name in names {
            self.test_name(&[at, &[name.as_str().into()]].concat(), name);
        }
    }
}
