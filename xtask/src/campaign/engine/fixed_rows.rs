//! The rows around the patches: pre-flight, the debug kernel alone, the last look; and what a build is to any row.

use super::course::{BASELINE, manifest_name};
use super::hands::{Built, Hands};
use super::rows::{Next, Place, Walk, Work};
use crate::campaign::attempt::Asked;
use crate::campaign::earlier::{self, BootedBaseline, Found, Taken};
use crate::campaign::file::Expectation;
use crate::campaign::journal::Input;
use crate::campaign::journal::past;
use crate::campaign::phase;
use crate::campaign::record::End;
use crate::campaign::verdict::Verdict;
use crate::host::json::json;
use crate::ui::count;
use anyhow::{Context, Result, bail};
use serde_json::Value;

impl<H: Hands> Walk<'_, H> {
    pub(super) fn preflight(&mut self, work: &mut Work) -> Result<Next> {
        if !self.state.tree_is_right {
            self.take_all_back(work)?;
            let patches: Vec<&str> = self
                .course
                .campaign
                .steps
                .iter()
                .map(|step| step.patch.as_str())
                .collect();
            // A bisection tests patches together, and has no turn for each.
            match self.course.options.search {
                true => self.hands.check(&patches)?,
                false => self.foresee(&patches, work),
            }
        }
        let method = self.course.options.method(self.course.campaign);
        self.tell(work, vec![method]);
        let inputs = json!({ "board": self.course.campaign.board });
        let facts = self.act(
            work,
            (phase::PREFLIGHT, "preflight"),
            inputs,
            |hands| hands.preflight(),
            |_| json!("ready"),
        )?;
        self.tell(work, facts);
        Ok(Next::Go)
    }

    /// Says at once which of these patches will not apply: its own turn gives the verdict, and those before it are worth their boots.
    pub(super) fn foresee(&mut self, patches: &[&str], work: &mut Work) {
        if let Err(why) = self.hands.check(patches) {
            let fact =
                format!("the series does not apply as a whole, and the run goes as far as it does: {why:#}");
            self.tell(work, vec![fact]);
        }
    }

    /// Moves the tree to its base.
    pub(super) fn take_all_back(&mut self, work: &mut Work) -> Result<()> {
        let removed = self.act(
            work,
            (phase::TAKE_PATCHES_BACK, "reset-tree"),
            Value::Null,
            |hands| hands.tree_to(None),
            |removed| json!(removed),
        )?;
        if removed > 0 {
            let fact = format!("the tree had {} applied: taken back", count(removed, "patch"));
            self.tell(work, vec![fact]);
        }
        Ok(())
    }

    pub(super) fn build_baseline(&mut self, work: &mut Work) -> Result<Next> {
        if let Err(why) = self.build(work)? {
            bail!("the debug kernel cannot be built without any patch: {why}");
        }
        Ok(Next::Go)
    }

    /// Builds and stages what the tree holds; the inner error says why that is no kernel.
    pub(super) fn build(&mut self, work: &mut Work) -> Result<std::result::Result<(), String>> {
        self.may_go_on()?;
        let inputs = json!({ "fragments": self.state.fragments, "head": self.hands.head()? });
        let Work { watch, row, .. } = work;
        let (hands, fragments) = (&mut *self.hands, &self.state.fragments);
        let built = self.journal.act(
            &row.id,
            "build",
            inputs,
            || hands.build(fragments, watch),
            Built::outcome,
        )?;
        self.take_built(built, work)
    }

    /// What was built is this row's from now on; the inner error says why it is no kernel.
    pub(super) fn take_built(
        &mut self,
        built: Built,
        work: &mut Work,
    ) -> Result<std::result::Result<(), String>> {
        let built = match built {
            Built::Fails(why) => return Ok(Err(why)),
            Built::Kernel(built) => *built,
        };
        let manifest = built.manifest;
        self.tell(work, built.facts);
        work.warnings = built.warnings;
        let name = manifest_name(&work.row.id);
        self.keep(work, &name, &manifest)?;
        self.state.manifest = Some(manifest);
        Ok(Ok(()))
    }

    /// The debug kernel alone: what an earlier run showed of it, or a boot.
    pub(super) fn baseline(&mut self, work: &mut Work) -> Result<Next> {
        let campaign = self.course.campaign;
        let manifest = self.state.manifest.clone().context("nothing was built")?;
        let id = work.row.id.clone();
        let asked = Asked {
            row: &id,
            evidence: &id,
            manifest: &manifest,
            load: &campaign.modules,
            tests: campaign.tests_of_baseline(),
            exercise: &[],
            known: None,
        };
        let mut inputs = self.course.inputs.shared.clone();
        inputs.extend(self.hands.conditions(&asked)?);
        match self.earlier(&asked, &inputs, work)? {
            Found::Taken(taken) => self.take_baseline(*taken, work),
            Found::Boot(why) => {
                self.tell(work, vec![format!("it is booted: {why}")]);
                self.boot_baseline(&asked, inputs, work)
            }
        }
    }

    /// Looks for a baseline of an earlier run, unless somebody wants a boot.
    fn earlier(&mut self, asked: &Asked, inputs: &[Input], work: &mut Work) -> Result<Found> {
        if self.course.options.fresh_baseline {
            return Ok(Found::Boot("asked for with --fresh-baseline".into()));
        }
        self.act(
            work,
            (phase::LOOK_FOR_BASELINE, "look-for-baseline"),
            json!({ "inputs": inputs }),
            |hands| hands.earlier_baseline(asked, inputs),
            Found::told,
        )
    }

    /// The result of an earlier run is that of this row. The board is not touched.
    fn take_baseline(&mut self, taken: Taken, work: &mut Work) -> Result<Next> {
        let Taken {
            from,
            row,
            findings,
            facts,
        } = taken;
        let mut told = vec![from.sentence()];
        told.extend(facts);
        told.push(format!("the baseline has {} findings", findings.len()));
        self.tell(work, told);
        work.row.tests = row.tests;
        work.row.evidence = Some(self.hands.evidence(&work.row.id));
        work.row.taken_from = Some(from);
        work.row.verdict = Some(Verdict::Pass);
        self.keep(work, BASELINE, &findings)?;
        self.state.baseline = findings;
        self.judged(past::JUDGE, Vec::new(), None, work)?;
        Ok(Next::Go)
    }

    fn boot_baseline(&mut self, asked: &Asked, inputs: Vec<Input>, work: &mut Work) -> Result<Next> {
        let id = asked.row;
        let when = jiff::Timestamp::now().to_string();
        let mut booted = self.boot(asked, work)?;
        self.state.baseline = std::mem::take(&mut booted.findings);
        // There is nothing to compare with: whatever a checker says about the debug kernel alone is its own fault.
        let splats = self.state.baseline.iter().filter(|finding| finding.lockdep_off);
        let splats: Vec<String> = splats.map(|finding| finding.title.clone()).collect();
        booted.seen.new_findings.extend(splats);
        work.row
            .facts
            .push(format!("the baseline has {} findings", self.state.baseline.len()));
        let baseline = std::mem::take(&mut self.state.baseline);
        self.keep(work, BASELINE, &baseline)?;
        self.hands.remember(id, &baseline)?;
        let for_later_runs = BootedBaseline {
            schema_version: earlier::SCHEMA_VERSION,
            when,
            inputs,
            evidence: self.hands.captured(id)?,
            findings: baseline,
        };
        self.keep(work, earlier::BOOTED, &for_later_runs)?;
        self.state.baseline = for_later_runs.findings;
        if self.settle(booted, Expectation::Exercised, Vec::new(), past::JUDGE, work)? == Place::Lost {
            return Ok(Next::Lost);
        }
        if work.row.verdict == Some(Verdict::Pass) {
            return Ok(Next::Go);
        }
        let fragments = &self.course.campaign.kernel.fragments;
        let fragments: Vec<String> = fragments.iter().map(|path| path.display().to_string()).collect();
        let fault = match work.row.verdict {
            // Nothing has shown yet that the test can pass.
            Some(Verdict::SmokeFailed) => "the smoke test or the debug kernel",
            _ => "the debug kernel itself",
        };
        work.row.reasons.push(format!(
            "{fault} is at fault, not the series; the kernel's fragments: {}",
            fragments.join(", ")
        ));
        Ok(Next::Stop(End::Failure))
    }

    pub(super) fn close(&mut self, work: &mut Work) -> Result<Next> {
        let look = |hands: &mut H| hands.vanilla_stands();
        match self.act(work, (phase::CLOSE, "close"), json!({}), look, |facts| {
            json!(facts)
        }) {
            Ok(facts) => self.tell(work, facts),
            Err(error) => {
                work.row.reasons.push(format!("{error:#}"));
                return Ok(Next::Stop(End::PersonNeeded));
            }
        }
        Ok(Next::Go)
    }
}
