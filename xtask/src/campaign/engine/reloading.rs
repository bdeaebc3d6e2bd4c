//! `reload = true`: a step's modules are tried in the kernel of the step before it, between build and deploy. What that shows is told, and judges
//! nothing (the reboot does that); only a board that does not come back from it ends the row.

use super::hands::Hands;
use super::rows::{Place, Walk, Work};
use crate::campaign::attempt::Asked;
use crate::campaign::file::{Asks, Step};
use crate::campaign::harvest;
use crate::campaign::reload::{self, Tried};
use crate::manifest::Manifest;
use anyhow::{Context, Result};

impl<H: Hands> Walk<'_, H> {
    /// Tries it where the step asks for it, and tells where the board is. `before` is the build of the step before.
    pub(super) fn reload(
        &mut self,
        step: &Step,
        before: Option<&Manifest>,
        work: &mut Work,
    ) -> Result<Place> {
        if !step.reload {
            return Ok(Place::OnVanilla);
        }
        self.may_go_on()?;
        let now = self.state.manifest.clone().context("nothing was built")?;
        let baseline = self.state.baseline.clone();
        let tried = match before {
            None => Tried::NotPossible("nothing was built before it".into()),
            Some(before) => {
                let expected = self.expected(step);
                let asked = Asked {
                    row: &step.id,
                    evidence: &format!("{}/reload", step.id),
                    manifest: before,
                    load: &step.load,
                    // The tests alone, without a soak, a person, or what a rehearsal does to the board behind a deploy.
                    tests: Asks {
                        soak: None,
                        login: None,
                        tamper: None,
                        ..self.course.campaign.tests_of(&expected)
                    },
                    exercise: &[],
                    known: Some(&baseline),
                };
                self.hands.reload(&asked, &now, self.journal, &mut work.watch)?
            }
        };
        let (booted, ended) = match tried {
            Tried::NotPossible(why) => {
                self.tell(work, vec![not_tried(&why)]);
                return Ok(Place::OnVanilla);
            }
            Tried::Done { booted, ended } => (booted, ended),
        };
        let facts = booted.facts.iter().map(|fact| format!("reload: {fact}"));
        work.row.facts.extend(facts);
        let new = harvest::new_findings(&baseline, &booted.findings);
        let new: Vec<String> = new.into_iter().map(|finding| finding.title).collect();
        let warnings = reload::warnings(&booted, &new);
        let mut told: Vec<String> = ended.iter().map(|why| not_tried(why)).collect();
        if told.is_empty() && warnings.is_empty() {
            told.push(format!(
                "reload: {} smoke tests as expected, nothing new in the kernel log; the reboot gives the verdict",
                booted.tests.len()
            ));
        }
        told.extend(warnings.iter().map(|warning| {
            format!("early warning, by reloading the modules (the reboot gives the verdict): {warning}")
        }));
        self.tell(work, told);
        let Some(why) = &booted.not_back else {
            return Ok(Place::OnVanilla);
        };
        work.row.reasons.push(format!(
            "the board is not back on vanilla, after the modules were reloaded: {why}"
        ));
        Ok(Place::Lost)
    }
}

fn not_tried(why: &str) -> String {
    format!("it was not tried by reloading its modules: {why}")
}
