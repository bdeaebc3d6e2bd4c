//! Which part of a campaign a run does, and how: the options of a run, and the rule that applies them to a campaign.

use super::file::{Campaign, Step};
use super::left_out;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The options of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// The first step that is judged: patches before it are applied and not judged one by one.
    pub from: Option<String>,
    /// The only step that is judged.
    pub only: Option<String>,
    /// Patches that are left out, as the steps name them.
    pub without: Vec<String>,
    /// How often each step is booted.
    pub repeat: NonZeroU32,
    /// Bisect the series and do not walk it.
    pub search: bool,
    /// Profiles on whose kernels a step that wedges without a word is done again; those of the campaign where there is none.
    #[serde(default)]
    pub escalate: Vec<String>,
    /// Build the next step while the board tests this one, where the campaign allows it.
    #[serde(default = "yes")]
    pub prefetch: bool,
    /// Boot the debug kernel alone, whatever an earlier run showed of it. Not in journals of earlier versions.
    #[serde(default)]
    pub fresh_baseline: bool,
}

fn yes() -> bool {
    true
}

impl Default for Options {
    fn default() -> Self {
        Options {
            from: None,
            only: None,
            without: Vec::new(),
            repeat: NonZeroU32::MIN,
            search: false,
            escalate: Vec::new(),
            prefetch: true,
            fresh_baseline: false,
        }
    }
}

impl Options {
    /// The campaign without what is left out. Errors name the option, what it names, and what there is.
    pub fn apply(&self, campaign: &Campaign) -> Result<Campaign> {
        let mut chosen = campaign.clone();
        if !self.escalate.is_empty() {
            chosen.kernel.escalate.clone_from(&self.escalate);
            if let Some(why) = chosen.kernel.escalation_is_wrong() {
                bail!("--escalate {}: {why}", self.escalate.join(" --escalate "));
            }
        }
        // What a bisection boots next is not known before this boot is judged.
        chosen.kernel.prefetch &= self.prefetch && !self.search;
        for name in &self.without {
            find(campaign, name, "--continue-without")?;
        }
        let is_left_out = |step: &Step| self.without.iter().any(|name| is(step, name));
        for step in &mut chosen.steps {
            *step = left_out::expected(campaign, step, is_left_out);
        }
        chosen.steps.retain(|step| !is_left_out(step));
        for (flag, id) in [("--from", &self.from), ("--only", &self.only)] {
            let Some(id) = id else { continue };
            let step = find(campaign, id, flag)?;
            if !chosen.steps.iter().any(|known| known.id == step.id) {
                bail!("{flag} {id}: this step is left out by --continue-without");
            }
            if flag == "--only" {
                let at = chosen
                    .steps
                    .iter()
                    .position(|known| known.id == step.id)
                    .unwrap_or(0);
                chosen.steps.truncate(at.saturating_add(1));
            }
        }
        if chosen.steps.is_empty() {
            bail!(
                "nothing is left of campaign {}: every step is left out",
                campaign.name
            );
        }
        Ok(chosen)
    }

    /// Whether a step of the chosen campaign is only applied, and not judged.
    pub fn carries(&self, campaign: &Campaign, step: &Step) -> bool {
        let Some(first) = self.only.as_ref().or(self.from.as_ref()) else {
            return false;
        };
        let position = |wanted: &dyn Fn(&Step) -> bool| campaign.steps.iter().position(wanted);
        let first = position(&|known| is(known, first));
        position(&|known| known.id == step.id) < first
    }

    /// Whether both do the same work, maybe in another order of time.
    pub fn do_the_same(&self, other: &Options) -> bool {
        let prefetch = self.prefetch;
        *self
            == Options {
                prefetch,
                ..other.clone()
            }
    }

    /// Whether this is the whole campaign: only then can its end be a success of the series.
    pub fn is_whole(&self) -> bool {
        self.without.is_empty()
    }

    /// The options as they are typed, each with a space before it.
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        let mut add = |flag: &str, value: &str| {
            flags.push_str(&format!(" --{flag} {value}"));
        };
        if let Some(from) = &self.from {
            add("from", from);
        }
        if let Some(only) = &self.only {
            add("only", only);
        }
        for name in &self.without {
            add("continue-without", name);
        }
        if self.repeat.get() > 1 {
            add("repeat", &self.repeat.to_string());
        }
        for profile in &self.escalate {
            add("escalate", profile);
        }
        if self.search {
            flags.push_str(" --search");
        }
        if !self.prefetch {
            flags.push_str(" --no-prefetch");
        }
        if self.fresh_baseline {
            flags.push_str(" --fresh-baseline");
        }
        flags
    }

    /// How the run finds a bad patch, and why so, in a sentence.
    pub fn method(&self, campaign: &Campaign) -> String {
        let steps = campaign.steps.len();
        let boots = super::search::most_boots(steps);
        if self.search {
            format!(
                "bisection: up to {boots} boots for {steps} patches; asked for with --search. It names the first bad patch, and gives no verdict to the others"
            )
        } else {
            format!(
                "walk: one boot and one verdict for each of {steps} patches, so that each pass is proven for its patch alone (--search would find the \
                 first bad one in up to {boots} boots)"
            )
        }
    }
}

/// Whether a step is meant by `name`: its number, or its patch as the step names it.
fn is(step: &Step, name: &str) -> bool {
    step.id == name || step.patch == name
}

fn find<'a>(campaign: &'a Campaign, name: &str, flag: &str) -> Result<&'a Step> {
    let found = campaign.steps.iter().find(|step| is(step, name));
    if let Some(step) = found {
        return Ok(step);
    }
    let there: Vec<String> = campaign
        .steps
        .iter()
        .map(|step| format!("{} ({})", step.id, step.patch))
        .collect();
    bail!(
        "{flag} {name}: campaign {} has no such step or patch; there are: {}",
        campaign.name,
        there.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn campaign() -> Campaign {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns/rehearsal.toml");
        Campaign::load(&path).unwrap()
    }

    fn judged(options: &Options) -> Vec<String> {
        let chosen = options.apply(&campaign()).unwrap();
        let judged = chosen.steps.iter().filter(|step| !options.carries(&chosen, step));
        judged.map(|step| step.id.clone()).collect()
    }

    #[test]
    fn each_option_leaves_what_it_says() {
        let all = Options::default();
        assert_eq!(judged(&all), ["2.1", "2.2", "2.3", "2.4", "2.5", "2.6"]);
        let from = Options {
            from: Some("2.3".into()),
            ..all.clone()
        };
        assert_eq!(judged(&from), ["2.3", "2.4", "2.5", "2.6"]);
        let only = Options {
            only: Some("0009".into()),
            ..all.clone()
        };
        assert_eq!(judged(&only), ["2.3"]);
        assert_eq!(only.apply(&campaign()).unwrap().steps.len(), 3);
        let without = Options {
            without: vec!["0008".into()],
            ..all
        };
        assert_eq!(judged(&without), ["2.1", "2.3", "2.4", "2.5", "2.6"]);
        let rest = without.apply(&campaign()).unwrap();
        assert_eq!(
            rest.steps[1].exit["vim2m-fence"], 1,
            "0008 is not there to bring the fence"
        );
        assert!(!without.is_whole());
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_there_is() {
        let options = Options {
            without: vec!["0099".into()],
            ..Options::default()
        };
        let error = format!("{:#}", options.apply(&campaign()).unwrap_err());
        assert!(
            error.contains("--continue-without 0099") && error.contains("2.1 (0004)"),
            "{error}"
        );
        let options = Options {
            only: Some("2.2".into()),
            without: vec!["0008".into()],
            ..Options::default()
        };
        let error = format!("{:#}", options.apply(&campaign()).unwrap_err());
        assert!(error.contains("left out by --continue-without"), "{error}");
    }

    #[test]
    fn an_escalation_takes_the_place_of_the_campaign_s() {
        let to = |profiles: &[&str]| {
            let options = Options {
                escalate: profiles.iter().map(|profile| profile.to_string()).collect(),
                ..Options::default()
            };
            let chosen = options.apply(&campaign());
            chosen.map(|chosen| chosen.kernel.escalate)
        };
        assert_eq!(to(&["kcsan", "kasan"]).unwrap(), ["kcsan", "kasan"]);
        for (profiles, why) in [
            (
                &["kassan"][..],
                "there is no profile `kassan`; there are kasan, kcsan",
            ),
            (&["lockdep"], "the campaign's own profile"),
            (&["vanilla"], "checks nothing"),
            (&["kasan", "kasan"], "named twice"),
        ] {
            let error = format!("{:#}", to(profiles).unwrap_err());
            assert!(error.contains("--escalate") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn options_are_shown_as_they_are_typed() {
        let options = Options {
            only: Some("2.2".into()),
            without: vec!["0007".into(), "0006".into()],
            repeat: NonZeroU32::new(5).unwrap(),
            search: true,
            fresh_baseline: true,
            from: None,
            escalate: vec!["kasan".into()],
            prefetch: false,
        };
        assert_eq!(
            options.flags(),
            " --only 2.2 --continue-without 0007 --continue-without 0006 --repeat 5 --escalate kasan --search --no-prefetch --fresh-baseline"
        );
        assert!(options.do_the_same(&Options {
            prefetch: true,
            ..options.clone()
        }));
        assert!(!options.do_the_same(&Options::default()));
        assert_eq!(Options::default().flags(), "");
    }
}
