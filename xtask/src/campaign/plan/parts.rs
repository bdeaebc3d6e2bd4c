//! What the rows of a plan are made of, with the numbers that people use for them.

use super::{Action, Part};
use crate::campaign::file::{Campaign, Step};

/// The parts of a row.
pub fn of(campaign: &Campaign, action: Action) -> Vec<Part> {
    match action {
        Action::Preflight => preflight(campaign),
        Action::BuildBaseline => build(campaign),
        Action::BootBaseline => boot(campaign),
        Action::Patch(index) => patch(campaign, &campaign.steps[index]),
        Action::Close => Vec::new(),
    }
}

fn part(id: &str, title: impl Into<String>, verified_by: impl Into<String>) -> Part {
    Part {
        id: id.into(),
        title: title.into(),
        verified_by: verified_by.into(),
    }
}

fn preflight(campaign: &Campaign) -> Vec<Part> {
    let modules: Vec<String> = campaign
        .preflight
        .modules
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let modules = match modules.is_empty() {
        true => "all of vanilla's modules".to_string(),
        false => format!("vanilla's modules in {}", modules.join(", ")),
    };
    vec![
        part(
            "0.1",
            "the display manager logs nobody in by itself",
            "its files as they are now",
        ),
        part(
            "0.2",
            format!(
                "back up {modules}: on the board, on this host, and on the second host that the board's file names"
            ),
            "all copies exist, hashes match",
        ),
        part(
            "0.3",
            "back up vanilla's Image, initramfs, device tree and extlinux.conf the same way",
            "all copies exist, hashes match",
        ),
        part(
            "0.4",
            "capture across a reset: pstore, ramoops; vanilla is reset once by each way back",
            "a record that was written before a reset is there after it",
        ),
        part(
            "0.5",
            "the serial console",
            "bytes seen, or the record that there is no cable",
        ),
    ]
}

fn build(campaign: &Campaign) -> Vec<Part> {
    let fragments: Vec<String> = campaign
        .kernel
        .fragments
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    vec![
        part(
            "1.1",
            format!("keep the .config that is there as .config.pre-{}", campaign.name),
            "the file exists, same bytes",
        ),
        part(
            "1.2",
            format!(
                "merge {} onto {}; olddefconfig",
                fragments.join(", "),
                campaign.base_text()
            ),
            "each symbol that they ask for is so in the final .config; each that is not is explained",
        ),
        part("1.3", "build Image, modules, dtbs", "exit 0; the time is kept"),
        part(
            "1.5",
            "modules_install into a staging folder, never into /lib/modules",
            "the folder is populated, depmod clean",
        ),
    ]
}

fn boot(campaign: &Campaign) -> Vec<Part> {
    let kernel = &campaign.kernel;
    let asks = campaign.tests_of_baseline();
    let tests: Vec<&str> = asks.tests.iter().map(|(test, _)| test.name.as_str()).collect();
    let mut log: Vec<String> = Vec::new();
    for (test, _) in &asks.tests {
        log.extend(
            test.log
                .expect
                .iter()
                .map(|word| format!("{word:?} in the kernel log")),
        );
    }
    log.dedup();
    vec![
        part(
            "1.4",
            format!(
                "install Image and device tree beside vanilla's under names of their own; add the label {}",
                kernel.label
            ),
            "the new label is there; vanilla's is untouched and still the default",
        ),
        part(
            "1.6",
            "copy the staged modules to /lib/modules/<new release>/",
            "hashes on the board; the release is not vanilla's",
        ),
        part(
            "1.7",
            format!("boot {} once", kernel.label),
            "the release, the build ids and the nonce of this deploy: this build and no other",
        ),
        part(
            "1.8",
            match tests.is_empty() {
                true => "the debug kernel alone: no smoke test".to_string(),
                false => format!("smoke-test the debug kernel alone: {}", tests.join(", ")),
            },
            match log.is_empty() {
                true => "exit, output, no splat: the baseline is recorded".to_string(),
                false => format!(
                    "exit, output, {}, no splat: the baseline is recorded",
                    log.join(", ")
                ),
            },
        ),
    ]
}

/// A patch's row has one number; what is worth a line are its configuration and what is rebuilt.
fn patch(campaign: &Campaign, step: &Step) -> Vec<Part> {
    let fragments: Vec<String> = step
        .fragments
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut parts = Vec::new();
    if !fragments.is_empty() {
        parts.push(part(
            &step.id,
            format!("merge {} after applying", fragments.join(", ")),
            "each symbol that they ask for is so in the final .config",
        ));
    }
    let rebuilt = match step.rebuild.as_slice() {
        [all] if all == crate::campaign::file::ALL => {
            "the kernel and every module that depends on what changed".to_string()
        }
        modules => format!(
            "{} (what else changed by content ships, too, and is told)",
            modules.join(", ")
        ),
    };
    let when = match campaign.kernel.prefetch {
        true => ", while the board tests the step before it",
        false => "",
    };
    parts.push(part(
        &step.id,
        format!("rebuild {rebuilt}{when}"),
        "what changed by content",
    ));
    if step.reload {
        parts.push(part(
            &step.id,
            "reload: where only modules changed, boot the step before once, unload and load them there, run each smoke test once",
            "nothing: it is an early warning; the reboot gives the verdict",
        ));
    }
    if !campaign.kernel.escalate.is_empty() {
        parts.push(part(
            &step.id,
            format!(
                "where it wedges without a finding: do it again on the kernels of {}, one at a time, each without {patch} and with it",
                campaign.kernel.escalate.join(", "),
                patch = step.patch
            ),
            "a finding that the same kernel without the patch lacks",
        ));
    }
    parts
}
