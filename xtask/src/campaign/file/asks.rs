//! What a campaign asks of one boot: its smoke tests with the results that pass, its soak, and who has to be there.

use super::{Campaign, People, SmokeTest, Step};
use std::collections::HashMap;
use std::time::Duration;

/// What is asked of one boot.
#[derive(Debug, Clone)]
pub struct Asks<'a> {
    /// Smoke tests in their order, with the exit status that passes.
    pub tests: Vec<(&'a SmokeTest, i32)>,
    /// The soak that follows them.
    pub soak: Option<SoakAsked<'a>>,
    /// How long to wait for a person to log in on the desktop before the tests; none: nobody has to.
    pub login: Option<Duration>,
    /// Who uses the board.
    pub people: &'a People,
    /// Whether the profile's kernel has lockdep, which then has to be alive.
    pub lockdep: bool,
    /// What somebody else does to the board after the deploy, in a rehearsal ([`Broken::tamper`](super::Broken::tamper)).
    pub tamper: Option<&'a str>,
}

/// The soak of one boot.
#[derive(Debug, Clone)]
pub struct SoakAsked<'a> {
    /// Tests with the exit status that passes.
    pub tests: Vec<(&'a SmokeTest, i32)>,
    /// How long.
    pub length: Duration,
    /// All at once, or one after the other.
    pub parallel: bool,
}

impl Campaign {
    /// What is asked of the boot of a step.
    pub fn tests_of<'a>(&'a self, step: &'a Step) -> Asks<'a> {
        let exit = |test: &SmokeTest| step.exit.get(&test.name).copied().unwrap_or(test.exit);
        let begun = self.steps.iter().position(|known| known.id == step.id);
        Asks {
            tests: self.named(&step.smoke, exit),
            soak: self.soak_asked(step.soak_min, begun, exit),
            login: step.login.then(|| minutes(self.people.login_wait_min)),
            people: &self.people,
            lockdep: self.has_lockdep(),
            tamper: step.tamper.as_deref(),
        }
    }

    /// What is asked of the boot of the debug kernel alone: every smoke test that does not begin
    /// with a step, and the longest soak of any step, so that there is something to compare each
    /// with.
    pub fn tests_of_baseline(&self) -> Asks<'_> {
        let exit = |test: &SmokeTest| self.baseline.exit.get(&test.name).copied().unwrap_or(test.exit);
        let own = self.soak.as_ref().map_or(0, |soak| soak.minutes);
        let longest = self.steps.iter().map(|step| step.soak_min.unwrap_or(own)).max();
        Asks {
            tests: self
                .smoke_tests
                .iter()
                .filter(|test| self.has_begun(test, None))
                .map(|test| (test, exit(test)))
                .collect(),
            soak: self.soak_asked(longest, None, exit),
            login: None,
            people: &self.people,
            lockdep: self.has_lockdep(),
            tamper: None,
        }
    }

    fn named<'a>(&'a self, names: &[String], exit: impl Fn(&SmokeTest) -> i32) -> Vec<(&'a SmokeTest, i32)> {
        let find = |name: &String| self.smoke_tests.iter().find(|test| test.name == *name);
        let found = names.iter().filter_map(find);
        found.map(|test| (test, exit(test))).collect()
    }

    /// `step`: the step of the boot, by its place; none: before all of them.
    fn soak_asked(
        &self,
        min: Option<u32>,
        step: Option<usize>,
        exit: impl Fn(&SmokeTest) -> i32,
    ) -> Option<SoakAsked<'_>> {
        let soak = self.soak.as_ref()?;
        let length = minutes(min.unwrap_or(soak.minutes));
        let mut tests = self.named(&soak.tests, exit);
        tests.retain(|(test, _)| self.has_begun(test, step));
        (!length.is_zero() && !tests.is_empty()).then_some(SoakAsked {
            tests,
            length,
            parallel: soak.parallel,
        })
    }

    /// For each test that begins with a step ([`SmokeTest::from`]) the place of that step; the
    /// first, where there is none of its name.
    pub fn first_steps(&self) -> HashMap<&str, usize> {
        let mut places = HashMap::new();
        for (place, step) in self.steps.iter().enumerate() {
            places.entry(step.id.as_str()).or_insert(place);
        }
        let begins = self.smoke_tests.iter().filter_map(|test| {
            let place = places.get(test.from.as_deref()?).copied();
            Some((test.name.as_str(), place.unwrap_or(0)))
        });
        begins.collect()
    }

    /// Whether a test is run in a step, by its place ([`SmokeTest::from`]); none: before all of
    /// them.
    pub fn has_begun(&self, test: &SmokeTest, step: Option<usize>) -> bool {
        let Some(from) = &test.from else { return true };
        let begins = self.steps.iter().position(|step| step.id == *from);
        step.is_some_and(|step| begins.is_none_or(|begins| begins <= step))
    }

    /// Whether the debug kernel has lockdep. The sanitizers' have none: see their fragments.
    pub fn has_lockdep(&self) -> bool {
        !matches!(self.kernel.profile.as_str(), "kasan" | "kcsan")
    }
}

/// Minutes as a time.
pub fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes).saturating_mul(60))
}
