//! The campaign file that `cargo xtask campaign new` writes: short, with what is known of the
//! series put in, and what a person has to decide said where it has to be said.

use super::proposal::{Brought, Proposal};
use crate::campaign::file::schema;
use crate::kernel::patch::Patch;

/// What a new campaign is about.
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// Board.
    pub board: &'a str,
    /// Folder of the series, relative to the project.
    pub series: &'a str,
    /// Patches in their order.
    pub patches: &'a [Patch],
    /// What is proposed for them.
    pub proposal: &'a Proposal,
    /// The fragments of the kernel, where the proposal adds one to them.
    pub fragments: &'a [String],
}

/// The text of the file. It can be parsed and checked as it is.
pub fn text(new: &New) -> String {
    let mut text = format!(
        "#:schema ./{schema}\n\
         # What may stand here: the schema beside this file, which editors read (`cargo xtask campaign schema` prints it). Without [kernel] it is\n\
         # a lockdep kernel under the label arch_devices_lockdep; `cargo xtask campaign show campaigns/{name}.toml` prints all that is left out.\n\
         # Check it with `cargo xtask campaign check campaigns/{name}.toml`, then see `cargo xtask plan campaigns/{name}.toml`.\n\n\
         schema-version = 1\nname = {name:?}\ngoal = \"Every patch of {series} passes, or a kernel log names the fault.\"\n\
         board = {board:?}\nseries = {series:?}\n\n\
         {kernel}\
         # A smoke test is a command on the board that has to end in time with the right exit status, and with the right output: an exit of 0\n\
         # with an empty file fails. `$LOCKSTEP` is its folder.\n\
         [[smoke]]\nname = \"replace-me\"\nrun = \"uname -r > out.txt\"\nlimit-s = 60\noutput = {{ file = \"out.txt\" }}\n\
         # prints = [\"a regular expression that a line has to match\"]\n\
         # output = {{ file = \"out.raw\", frames = {{ bytes = 460800, count = 30, distinct = 10 }} }}\n\
         # log = {{ expect = [\"words in the kernel log\"], forbid = [\"words that must not be there\"] }}\n\n\
         {tests}\
         # The same tests at once, for as long as a fault may need to show.\n\
         # [soak]\n# minutes = 10\n",
        schema = schema::FILE,
        name = new.name,
        board = new.board,
        series = new.series,
        kernel = kernel(new),
        tests = new_modules(new),
    );
    let nothing = Brought::default();
    for (index, patch) in new.patches.iter().enumerate() {
        let brought = new.proposal.steps.get(index).unwrap_or(&nothing);
        text.push_str(&step(index, patch, brought));
    }
    text
}

/// The number of a patch's step in the plan.
fn id(index: usize) -> String {
    format!("2.{}", index.saturating_add(1))
}

fn kernel(new: &New) -> String {
    if new.fragments.is_empty() {
        return String::new();
    }
    let lines: String = new
        .fragments
        .iter()
        .map(|path| format!("    {path:?},\n"))
        .collect();
    format!(
        "# The profile's own fragments; behind them what the patches change and this kernel would not build.\n\
         [kernel]\nfragments = [\n{lines}]\n\n"
    )
}

/// A test for each module that a patch adds: before that there is nothing to test.
fn new_modules(new: &New) -> String {
    let mut text = String::new();
    for (index, brought) in new.proposal.steps.iter().enumerate() {
        for module in &brought.new_modules {
            text.push_str(&format!(
                "# {module} comes with step {id}: what tests it is run from there on.\n\
                 [[smoke]]\nname = {module:?}\nfrom = {id:?}\nrun = \"test -d /sys/module/{module}\"\n\n",
                id = id(index)
            ));
        }
    }
    text
}

fn step(index: usize, patch: &Patch, brought: &Brought) -> String {
    let mut text = format!(
        "\n# {subject}\n[[step]]\nid = {id:?}\npatch = {patch:?}\n",
        subject = patch.subject.replace(char::is_control, " "),
        id = id(index),
        patch = patch.short_name(),
    );
    if let Some(fragment) = &brought.fragment {
        text.push_str(&format!(
            "# What builds its code, and what that depends on.\nfragments = [{:?}]\n",
            fragment.path.display().to_string()
        ));
    }
    if !brought.not_built.is_empty() {
        for (file, why) in &brought.not_built {
            text.push_str(&format!(
                "# {}: {}\n",
                file.display(),
                why.replace(char::is_control, " ")
            ));
        }
        let files: Vec<String> = brought
            .not_built
            .iter()
            .map(|(file, _)| file.display().to_string())
            .collect();
        text.push_str(&format!("not-built = {files:?}\n"));
    }
    text.push_str(&match brought.exercise.as_slice() {
        [] => "# The patch shows no function that a tracer would find. Name one that has to run with it, and take `expect` out:\n\
             # exercise = [\"function\", \"counter:/sys/module/x/parameters/y\"]\nexpect = \"not-exercised\"\n".to_string(),
        names => format!(
            "# What shows that its code ran: each of these has to. They are looked for in the build before anything boots.\nexercise = {names:?}\n"
        ),
    });
    if !brought.rebuild.is_empty() {
        text.push_str(&format!("rebuild = {:?}\n", brought.rebuild));
    }
    text.push_str(&match brought.load.as_slice() {
        [] => "# load = [\"modules to load before the tests, and to prove by build id\"]\n".to_string(),
        // Every step runs all smoke tests unless it says otherwise, so each needs all the drivers.
        load => format!("load = {load:?}\n"),
    });
    if brought.stands_alone {
        text.push_str("# No later patch needs this one: where it fails, the others are tested without it.\non-failure = \"continue-without\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::file::{Campaign, OnFailure};
    use crate::campaign::foresight::proposal::Wanted;

    fn patch(lines: &str) -> Patch {
        let count = lines.lines().count();
        let mail = format!(
            "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: [PATCH] media: x: \"y\"\n\nWhy.\n---\n\
             diff --git a/drivers/f.c b/drivers/f.c\n--- a/drivers/f.c\n+++ b/drivers/f.c\n@@ -1,0 +1,{count} @@\n{lines}"
        );
        Patch::parse("0007-x.patch", mail.as_bytes()).unwrap()
    }

    fn told(patches: &[Patch], proposal: &Proposal) -> (String, Campaign) {
        let text = text(&New {
            name: "mine",
            board: "virtual",
            series: "patches/x",
            patches,
            proposal,
            fragments: &[],
        });
        let campaign = Campaign::parse(&text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
        (text, campaign)
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_patch_without_functions_is_declared_to_show_nothing() {
        let (text, _) = told(&[patch("+#define A 1\n")], &Proposal::default());
        assert!(text.contains("expect = \"not-exercised\""), "{text}");
    }

    #[test]
    fn all_that_is_proposed_for_a_step_stands_in_it() {
        let proposal = Proposal {
            kernel: None,
            steps: vec![Brought {
                rebuild: names(&["vim2m"]),
                load: names(&["core", "vim2m"]),
                new_modules: names(&["vim2m"]),
                exercise: names(&["x_publish"]),
                fragment: Some(Wanted {
                    path: "kconfig-fragments/mine-0007.config".into(),
                    text: None,
                }),
                not_built: vec![("arch/arm64/x.c".into(), "CONFIG_X cannot be on here".into())],
                stands_alone: true,
            }],
        };
        let (text, campaign) = told(&[patch("+int a;\n")], &proposal);
        let step = &campaign.steps[0];
        assert_eq!(
            (step.rebuild.clone(), step.load.clone()),
            (names(&["vim2m"]), names(&["core", "vim2m"]))
        );
        assert_eq!(step.exercise, ["x_publish"]);
        assert_eq!(
            step.fragments,
            [std::path::Path::new("kconfig-fragments/mine-0007.config")]
        );
        assert_eq!(step.not_built, [std::path::Path::new("arch/arm64/x.c")]);
        assert_eq!(step.on_failure, OnFailure::ContinueWithout);
        assert_eq!(step.smoke, ["replace-me", "vim2m"]);
        let baseline = campaign.tests_of_baseline();
        let baseline: Vec<&str> = baseline
            .tests
            .iter()
            .map(|(test, _)| test.name.as_str())
            .collect();
        assert_eq!(baseline, ["replace-me"], "the module is not there yet\n{text}");
    }
}
