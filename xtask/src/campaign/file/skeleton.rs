//! The campaign file that `cargo xtask campaign new` writes: short, with what is known of the series put in, and what a person has to decide
//! said where it has to be said.

use crate::campaign::ours;
use crate::kernel::patch::Patch;
use crate::kernel::series::scope::Scope;

/// Functions of a patch that are put in, at most.
const FUNCTIONS: usize = 3;

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
    /// What each of them makes make build anew, in the same order; empty where there is no tree to ask yet.
    pub scopes: &'a [Scope],
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
         # A smoke test is a command on the board that has to end in time with the right exit status, and with the right output: an exit of 0\n\
         # with an empty file fails. `$LOCKSTEP` is its folder.\n\
         [[smoke]]\nname = \"replace-me\"\nrun = \"uname -r > out.txt\"\nlimit-s = 60\noutput = {{ file = \"out.txt\" }}\n\
         # prints = [\"a regular expression that a line has to match\"]\n\
         # output = {{ file = \"out.raw\", frames = {{ bytes = 460800, count = 30, distinct = 10 }} }}\n\
         # log = {{ expect = [\"words in the kernel log\"], forbid = [\"words that must not be there\"] }}\n\n\
         # The same tests at once, for as long as a fault may need to show.\n\
         # [soak]\n# minutes = 10\n",
        schema = super::schema::FILE,
        name = new.name,
        board = new.board,
        series = new.series,
    );
    let load = modules(new.scopes);
    for (index, patch) in new.patches.iter().enumerate() {
        let mut functions = ours::added(&patch.diff);
        functions.truncate(FUNCTIONS);
        text.push_str(&format!(
            "\n# {subject}\n[[step]]\nid = \"2.{number}\"\npatch = {patch:?}\n",
            subject = patch.subject.replace(char::is_control, " "),
            number = index.saturating_add(1),
            patch = patch.short_name(),
        ));
        text.push_str(&match functions.as_slice() {
            [] => "# The patch adds no function. Name one that has to run with it, and take `expect` out:\n\
                 # exercise = [\"function\", \"counter:/sys/module/x/parameters/y\"]\nexpect = \"not-exercised\"\n".to_string(),
            names => format!(
                "# What shows that its code ran: the functions that the patch adds. ftrace sees those that the compiler does not put into their caller; a\n\
                 # static one that is called once needs `noinline`, or name its caller here.\nexercise = {names:?}\n"
            ),
        });
        if let Some(scope) = new.scopes.get(index).filter(|scope| !scope.kernel) {
            let rebuild: Vec<&String> = scope.modules.keys().collect();
            if !rebuild.is_empty() {
                text.push_str(&format!("rebuild = {rebuild:?}\n"));
            }
        }
        text.push_str(&match load.as_slice() {
            [] => "# load = [\"modules to load before the tests, and to prove by build id\"]\n".to_string(),
            // Every step runs all smoke tests unless it says otherwise, so each needs all the drivers.
            load => format!("load = {load:?}\n"),
        });
    }
    text
}

/// The modules of all patches, each once, in the order in which they are first changed.
fn modules(scopes: &[Scope]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for module in scopes.iter().flat_map(|scope| scope.modules.keys()) {
        if !found.contains(module) {
            found.push(module.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::file::Campaign;

    fn patch(lines: &str) -> Patch {
        let count = lines.lines().count();
        let mail = format!(
            "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: [PATCH] media: x: \"y\"\n\nWhy.\n---\n\
             diff --git a/drivers/f.c b/drivers/f.c\n--- a/drivers/f.c\n+++ b/drivers/f.c\n@@ -1,0 +1,{count} @@\n{lines}"
        );
        Patch::parse("0007-x.patch", mail.as_bytes()).unwrap()
    }

    #[test]
    fn a_new_campaign_can_be_read_as_it_is() {
        let patches = [patch(
            "+static int x_publish(struct y *y)\n+{\n+}\n+int x_forward(struct y *y);\n+static inline void x_in(void)\n",
        )];
        let text = text(&New {
            name: "mine",
            board: "virtual",
            series: "patches/x",
            patches: &patches,
            scopes: &[],
        });
        let campaign = Campaign::parse(&text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
        assert_eq!(campaign.steps[0].exercise, ["x_publish"], "{text}");
        assert_eq!(campaign.steps[0].smoke, ["replace-me"]);
    }

    #[test]
    fn a_patch_without_functions_is_declared_to_show_nothing() {
        let text = text(&New {
            name: "mine",
            board: "virtual",
            series: "patches/x",
            patches: &[patch("+#define A 1\n")],
            scopes: &[],
        });
        assert!(text.contains("expect = \"not-exercised\""), "{text}");
        Campaign::parse(&text).unwrap();
    }

    #[test]
    fn the_modules_of_all_patches_are_loaded_in_each_step() {
        let scope = |module: &str, kernel| Scope {
            modules: [(module.to_string(), "CONFIG_X".to_string())].into(),
            kernel,
            ..Scope::default()
        };
        let patches = [patch("+#define A 1\n"), patch("+#define B 1\n")];
        let text = text(&New {
            name: "mine",
            board: "virtual",
            series: "patches/x",
            patches: &patches,
            scopes: &[scope("core", true), scope("vim2m", false)],
        });
        let campaign = Campaign::parse(&text.replacen("patch = \"0007\"", "patch = \"0006\"", 1)).unwrap();
        assert_eq!(campaign.steps[0].rebuild, ["*"], "a header: whatever uses it");
        assert_eq!(campaign.steps[1].rebuild, ["vim2m"]);
        for step in &campaign.steps {
            assert_eq!(step.load, ["core", "vim2m"]);
        }
    }
}
