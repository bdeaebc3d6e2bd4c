//! What the result of a row depends on, by name and hash: where one of them changes, the result of an earlier run no longer holds.

use super::attempt::Asked;
use super::file::{Asks, Campaign, SmokeTest, Step};
use super::journal::Input;
use crate::board::boot::Method;
use crate::board::protected::Protected;
use crate::board::{Board, script};
use crate::host::files::{self, sha256};
use crate::kernel::profile;
use crate::manifest::Manifest;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What every row depends on beside the campaign.
#[derive(Debug, Clone)]
pub struct Around {
    /// Names this very program: its version and the hash of its file.
    pub tool: String,
    /// The commit that the series stands on, full hex.
    pub base: String,
    /// The compiler, as it names itself.
    pub compiler: String,
    /// What tells this board from another one of its name.
    pub board: String,
}

/// The inputs that all rows share: tool, tree, compiler, board, kernel, baseline and rules. `content` reads a file of the
/// project. Errors: it cannot be read.
pub fn shared(
    campaign: &Campaign,
    around: &Around,
    content: &dyn Fn(&Path) -> Result<Vec<u8>>,
) -> Result<Vec<Input>> {
    let mut inputs = vec![
        Input::new("the kernel tree's base", &around.base),
        Input::new("the compiler", &around.compiler),
        Input::new(&format!("board {}", campaign.board), &around.board),
    ];
    inputs.extend(of_campaign(campaign, &around.tool, content)?);
    Ok(inputs)
}

/// Those of them that are known without a tree, a compiler and a board.
pub fn of_campaign(
    campaign: &Campaign,
    tool: &str,
    content: &dyn Fn(&Path) -> Result<Vec<u8>>,
) -> Result<Vec<Input>> {
    let mut inputs = vec![
        Input::new("Lockstep itself", tool),
        Input::new("[kernel] of the campaign", &hash_of(&campaign.kernel)?),
        Input::new("[baseline] of the campaign", &hash_of(&campaign.baseline)?),
        Input::new("[log] of the campaign", &hash_of(&campaign.log)?),
        Input::new(
            "the smoke tests of the campaign",
            &hash_of(&campaign.smoke_tests)?,
        ),
    ];
    if let Some(base) = &campaign.kernel.base {
        inputs.push(file("the configuration", base, content)?);
    }
    for fragment in &campaign.kernel.fragments {
        inputs.push(file("fragment", fragment, content)?);
    }
    Ok(inputs)
}

/// The inputs of one step: the shared ones, its own lines of the campaign, its fragments, its patch.
pub fn of_step(
    step: &Step,
    patch_sha256: &str,
    shared: &[Input],
    content: &dyn Fn(&Path) -> Result<Vec<u8>>,
) -> Result<Vec<Input>> {
    let mut inputs = shared.to_vec();
    inputs.push(Input::new(
        &format!("step {} of the campaign", step.id),
        &hash_of(step)?,
    ));
    inputs.push(Input::new(&format!("patch {}", step.patch), patch_sha256));
    for fragment in &step.fragments {
        inputs.push(file("fragment", fragment, content)?);
    }
    Ok(inputs)
}

/// What another profile's kernel adds to the inputs of a step.
pub fn of_profile(
    campaign: &Campaign,
    name: &str,
    content: &dyn Fn(&Path) -> Result<Vec<u8>>,
) -> Result<Vec<Input>> {
    let fragments = {
        let kernel = &campaign.kernel;
        profile::instead_of(&kernel.profile, name, &kernel.fragments)
    };
    let mut inputs = vec![Input::new("profile", name)];
    for fragment in fragments
        .iter()
        .filter(|path| !campaign.kernel.fragments.contains(path))
    {
        inputs.push(file("fragment", fragment, content)?);
    }
    Ok(inputs)
}

/// One boot, as far as what it shows depends on it.
pub struct Boot<'a> {
    /// Build, modules, tests.
    pub asked: &'a Asked<'a>,
    /// Vanilla, as pre-flight has it.
    pub protected: &'a Protected,
    /// How it is booted.
    pub method: Method,
    /// The board, which answers.
    pub board: &'a dyn Board,
    /// Programs for the smoke tests: name and file on this host.
    pub programs: &'a [(String, PathBuf)],
    /// The slot's first user space, on this host.
    pub slot_init: &'a Path,
}

/// What tells this very board from another one with the same files: its machine id (machine-id(5)), and the serial number that firmware puts into
/// the device tree.
const WHICH: &str = "cat /etc/machine-id /proc/device-tree/serial-number 2>/dev/null; true";

/// The inputs of a boot beside those of its row. Errors: a program cannot be read; the board does not answer.
pub fn of_boot(boot: &Boot) -> Result<Vec<Input>> {
    let asked = boot.asked;
    let build = Manifest {
        // Where the files lie on this host is no part of them.
        root: PathBuf::new(),
        ..asked.manifest.clone()
    };
    let board = script::ask(boot.board, "looking which board this is", WHICH, script::LOOK)?;
    let mut inputs = vec![
        Input::new("the build of kernel and modules", &hash_of(&build)?),
        Input::new("vanilla on the board", &hash_of(boot.protected)?),
        Input::new("the board itself", &sha256(&board.stdout)),
        Input::new(
            "the description of the board",
            &sha256(format!("{:?}", boot.board.description()).as_bytes()),
        ),
        Input::new("the boot method", boot.method.name()),
    ];
    inputs.extend(of_tests(&asked.tests, asked.load));
    for (name, path) in boot.programs {
        inputs.push(Input::new(&format!("program {name}"), &files::sha256_file(path)?));
    }
    let slot_init = files::sha256_file(boot.slot_init)?;
    inputs.push(Input::new("the slot's first user space", &slot_init));
    Ok(inputs)
}

/// What is asked of a boot: which tests, with which exits, how long a soak, which modules. What the tests are is among the shared inputs.
pub fn of_tests(asks: &Asks, load: &[String]) -> Vec<Input> {
    let list = |tests: &[(&SmokeTest, i32)]| -> Vec<String> {
        let one = |(test, exit): &(&SmokeTest, i32)| format!("{} ends with {exit}", test.name);
        tests.iter().map(one).collect()
    };
    let soak = asks.soak.as_ref().map_or("none".into(), |soak| {
        format!(
            "{} s, {}: {:?}",
            soak.length.as_secs(),
            soak.parallel,
            list(&soak.tests)
        )
    });
    vec![
        Input::new("the tests", &list(&asks.tests).join(", ")),
        Input::new("the soak", &soak),
        Input::new("the modules that are loaded", &load.join(", ")),
    ]
}

/// What differs between the inputs of then and now, in words.
pub fn changed(then: &[Input], now: &[Input]) -> Vec<String> {
    let find = |among: &[Input], name: &str| among.iter().find(|input| input.name == name).cloned();
    let mut words = Vec::new();
    for input in then {
        match find(now, &input.name) {
            None => words.push(format!("{} is not used any more", input.name)),
            Some(other) if other.content != input.content => words.push(format!("{} changed", input.name)),
            Some(_) => {}
        }
    }
    let new = now.iter().filter(|input| find(then, &input.name).is_none());
    words.extend(new.map(|input| format!("{} is new", input.name)));
    words
}

fn file(what: &str, path: &Path, content: &dyn Fn(&Path) -> Result<Vec<u8>>) -> Result<Input> {
    let bytes = content(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Input::new(&format!("{what} {}", path.display()), &sha256(&bytes)))
}

/// The hash of a section as a value. What a step is thought to take, when it is built, and what follows when it fails decide nothing about its
/// result, so they are left out.
fn hash_of(section: &impl Serialize) -> Result<String> {
    let mut value = serde_json::to_value(section)?;
    if let Value::Object(fields) = &mut value {
        for decides_nothing in ["estimate-min", "prefetch", "escalate", "on-failure"] {
            fields.remove(decides_nothing);
        }
    }
    Ok(sha256(&serde_json::to_vec(&value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns/rehearsal.toml");
        Campaign::load(&path).unwrap()
    }

    fn around() -> Around {
        Around {
            tool: "1".into(),
            base: "2".into(),
            compiler: "3".into(),
            board: "4".into(),
        }
    }

    fn inputs_of(campaign: &Campaign, around: &Around, file: &[u8]) -> Vec<Input> {
        let content = |_: &Path| Ok(file.to_vec());
        let shared = shared(campaign, around, &content).unwrap();
        of_step(&campaign.steps[0], "p", &shared, &content).unwrap()
    }

    #[test]
    fn each_change_is_named_and_an_estimate_is_none() {
        let before = inputs_of(&campaign(), &around(), b"x");
        assert!(changed(&before, &before).is_empty());
        let mut other = campaign();
        other.steps[0].estimate_min += 1;
        other.kernel.estimate_min += 1;
        assert!(changed(&before, &inputs_of(&other, &around(), b"x")).is_empty());
        other.steps[0].load.push("x".into());
        assert_eq!(
            changed(&before, &inputs_of(&other, &around(), b"x")),
            ["step 2.1 of the campaign changed"]
        );
        let newer = Around {
            tool: "9".into(),
            ..around()
        };
        assert_eq!(
            changed(&before, &inputs_of(&campaign(), &newer, b"x")),
            ["Lockstep itself changed"]
        );
        let fragments = changed(&before, &inputs_of(&campaign(), &around(), b"y"));
        assert_eq!(
            fragments.len(),
            campaign().kernel.fragments.len() + 1,
            "{fragments:?}"
        );
        let mut without = campaign();
        let last = without.kernel.fragments.pop().unwrap();
        let words = changed(&before, &inputs_of(&without, &around(), b"x"));
        assert!(
            words.contains(&format!("fragment {} is not used any more", last.display())),
            "{words:?}"
        );
    }
}
