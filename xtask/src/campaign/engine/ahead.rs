//! The next step is applied and built while the board tests this one. What is deployed and judged lies in its own staging folder with its own
//! manifest all the while. Nothing is applied ahead that its own turn would not apply: the review gate is asked first, a patch that has
//! no place is left alone. Whatever ends this step in another way than "go on" takes the next one back first: the tree is then where it
//! would be without it (invariants 11 and 14).

use super::hands::{Built, Hands};
use super::rows::{Walk, Work};
use crate::campaign::file::Step;
use crate::campaign::journal::Event;
use crate::campaign::journal::past::{APPLY_AHEAD, BUILD_AHEAD, DROP_AHEAD};
use crate::campaign::phase;
use crate::campaign::stop_asked::StopAsked;
use crate::host::json::json;
use anyhow::{Context, Result};

/// A patch that is in the tree before its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ahead {
    /// Its step.
    pub step: String,
    /// While which row it was begun.
    pub during: String,
    /// HEAD without it.
    pub base: String,
    /// Its commit.
    pub commit: String,
    /// As the step names it.
    patch: String,
}

impl<H: Hands> Walk<'_, H> {
    /// HEAD of the tree without what is there ahead of its turn.
    pub(super) fn head(&self) -> Result<String> {
        match &self.state.ahead {
            Some(ahead) => Ok(ahead.base.clone()),
            None => self.hands.head(),
        }
    }

    /// Applies the patch of the row behind this one, and begins to build it. What is in its way is left to its own turn; errors are those that
    /// leave the tree in another state than before.
    pub(super) fn begin_ahead(&mut self, row: &str) -> Result<()> {
        let course = self.course;
        let Some(step) = course.built_during(row) else {
            return Ok(());
        };
        if self.hands.stop_asked() {
            return Ok(());
        }
        let in_the_way = |why: &str| format!("    {} is not built ahead: {why}", step.patch);
        if step.review && self.hands.review_missing(&step.patch)?.is_some() {
            self.hands.say(&in_the_way("its review is missing"));
            return Ok(());
        }
        if self.hands.check(&[&step.patch]).is_err() {
            // Its turn tells why, and gives the verdict.
            return Ok(());
        }
        let base = self.hands.head()?;
        let inputs = json!({ "patch": step.patch, "during": row, "head": base });
        let (hands, journal) = (&mut *self.hands, &mut *self.journal);
        let applied = journal.act(
            &step.id,
            APPLY_AHEAD,
            inputs,
            || hands.apply(&step.patch),
            |commit| json!(commit),
        );
        let commit = match applied {
            Ok(commit) => commit,
            Err(error) if self.hands.head()? == base => {
                self.hands.say(&in_the_way(&format!("{error:#}")));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.state.ahead = Some(Ahead {
            step: step.id.clone(),
            during: row.to_string(),
            base,
            commit: commit.clone(),
            patch: step.patch.clone(),
        });
        let mut fragments = self.state.fragments.clone();
        fragments.extend(step.fragments.iter().cloned());
        let inputs = json!({ "fragments": fragments, "head": commit, "during": row });
        self.journal.write(Event::Intent, &step.id, BUILD_AHEAD, inputs)?;
        self.hands.begin_ahead(&step.id, &fragments)?;
        self.hands
            .say(&format!("    {} {} is built meanwhile", step.id, step.patch));
        Ok(())
    }

    /// What was begun ahead for this step: it is its own from now on, and taken back as its own.
    pub(super) fn take_ahead(&mut self, step: &Step) -> Option<Ahead> {
        self.state.ahead.take_if(|ahead| ahead.step == step.id)
    }

    /// Waits for the build that was begun ahead. None: it came to no end, and has to be done now.
    pub(super) fn end_ahead(&mut self, ahead: &Ahead, work: &mut Work) -> Result<Option<Built>> {
        let hands = &mut *self.hands;
        let ended = work.watch.time(phase::WAIT_FOR_BUILD, || hands.end_ahead());
        match ended {
            Ok((built, phases)) => {
                self.journal
                    .write(Event::Done, &ahead.step, BUILD_AHEAD, built.outcome())?;
                let waited = work.watch.seconds(phase::WAIT_FOR_BUILD);
                let spent: Vec<String> = phases
                    .iter()
                    .map(|(phase, seconds)| format!("{phase} {seconds:.1} s"))
                    .collect();
                let fact = format!(
                    "built while the board tested step {}: {}; this step waited {waited:.1} s for it",
                    ahead.during,
                    spent.join(", ")
                );
                self.tell(work, vec![fact]);
                work.row.ahead = phases;
                Ok(Some(built))
            }
            Err(error) => {
                let why = format!("{error:#}");
                self.journal
                    .write(Event::Failed, &ahead.step, BUILD_AHEAD, json!(why))?;
                if self.hands.stop_asked() {
                    return Err(error.context(StopAsked));
                }
                let fact = format!("the build ahead came to no end ({why}): it is built now");
                self.tell(work, vec![fact]);
                Ok(None)
            }
        }
    }

    /// Takes back what was begun ahead; nothing where nothing was. Dying half-way it can be done again by whoever resumes: the tree
    /// goes back to what the last row left.
    pub(super) fn drop_ahead(&mut self, row: &str) -> Result<()> {
        let Some(ahead) = self.state.ahead.clone() else {
            return Ok(());
        };
        let inputs = json!({ "patch": ahead.patch, "to": ahead.base });
        let (hands, journal) = (&mut *self.hands, &mut *self.journal);
        let taken_back = journal.act(
            row,
            DROP_AHEAD,
            inputs,
            || {
                hands.drop_ahead()?;
                hands.tree_to(Some(&ahead.base))
            },
            |removed| json!(removed),
        );
        taken_back
            .with_context(|| format!("taking back {}, which was applied ahead of its turn", ahead.patch))?;
        self.state.ahead = None;
        self.hands.say(&format!(
            "    {} was taken back, which was being built ahead",
            ahead.patch
        ));
        Ok(())
    }
}
