use super::print::Told;
use super::*;
use std::path::Path;

fn load(name: &str) -> Campaign {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns");
    Campaign::load(&folder.join(name)).unwrap()
}

fn text_of(campaign: &Campaign) -> (Vec<Planned>, String) {
    let plan = plan(campaign, |patch| format!("subject of {patch}"));
    let told = Told {
        campaign,
        plan: &plan,
    };
    let text = told.lines().join("\n");
    (plan, text)
}

/// Every row of the example campaign by its number, with words that its text has to have.
const ROWS: &[(&str, &[&str])] = &[
    ("0.1", &["logs nobody in by itself", "files as they are now"]),
    (
        "0.2",
        &[
            "kernel/drivers/media/common/videobuf2",
            "kernel/drivers/media/platform/verisilicon",
            "kernel/drivers/media/platform/rockchip/rga",
            "kernel/drivers/media/platform/rockchip/rkvdec",
            "second host",
            "hashes match",
        ],
    ),
    (
        "0.3",
        &[
            "Image",
            "initramfs",
            "device tree",
            "extlinux.conf",
            "hashes match",
        ],
    ),
    ("0.4", &["pstore", "ramoops", "there after it"]),
    ("0.5", &["serial console", "no cable"]),
    ("1.1", &[".config.pre-iter6", "same bytes"]),
    ("1.2", &["lockdep.config", "olddefconfig", "explained"]),
    ("1.3", &["Image, modules, dtbs", "exit 0", "time is kept"]),
    ("1.4", &["arch_devices_lockdep", "still the default"]),
    ("1.5", &["staging folder", "depmod clean"]),
    ("1.6", &["/lib/modules/<new release>/", "hashes on the board"]),
    (
        "1.7",
        &["boot arch_devices_lockdep once", "this build and no other"],
    ),
    ("1.8", &["hevc-decode", "DEC_RDY=1", "baseline is recorded"]),
    (
        "2.1",
        &[
            "0004",
            "release-fences.config",
            "every module that depends",
            "released after",
            "is locked",
            "take back 0004",
        ],
    ),
    (
        "2.2",
        &["0005", "hantro_vpu", "logged in on the desktop", "take back 0005"],
    ),
    ("2.3", &["0006", "rockchip_rga", "take back 0006"]),
    (
        "2.4",
        &[
            "0007",
            "rockchip_vdec",
            "a review approves exactly this patch",
            "take back 0007",
            "as a control",
        ],
    ),
];

#[test]
fn the_example_campaign_has_every_row_of_its_plan() {
    let campaign = load("iter6.toml");
    let (plan, _) = text_of(&campaign);
    for (number, words) in ROWS {
        let mut text = String::new();
        for row in &plan {
            let parts = row.parts.iter().filter(|part| part.id == *number);
            text.extend(parts.map(|part| format!("{} {}\n", part.title, part.verified_by)));
            if row.id == *number {
                text.push_str(&format!(
                    "{} {} {} {}",
                    row.title,
                    row.verified_by,
                    row.needs.join(" "),
                    row.on_failure
                ));
            }
        }
        assert!(!text.is_empty(), "the plan has no row {number}");
        for word in *words {
            assert!(text.contains(word), "row {number} does not say {word:?}:\n{text}");
        }
    }
}

#[test]
fn the_example_campaign_has_its_estimates_ends_and_risks() {
    let campaign = load("iter6.toml");
    let (plan, text) = text_of(&campaign);
    let minutes: Vec<u64> = plan.iter().map(|row| row.estimate.as_secs() / 60).collect();
    let soak = 40;
    assert_eq!(
        minutes,
        [10, 45, 15 + soak, 50 + soak, 10 + soak, 10 + soak, 10 + soak, 1]
    );
    for word in [
        "iter6_attempt2_close.md",
        "all four boots pass",
        "0004-0006 pass",
        "0004 itself regresses",
        "the debug kernel does not boot",
        "overwrites working modules",
        "watchdog fires before a splat",
        "0007 has another bug",
        "the owner wants to use the board",
    ] {
        assert!(text.contains(word), "the plan does not say {word:?}:\n{text}");
    }
    let person: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("`--yes` does not answer this"))
        .collect();
    assert_eq!(person.len(), 2, "the review and the login: {person:?}");
}

#[test]
fn the_plan_is_the_same_in_every_form() {
    let campaign = load("rehearsal.toml");
    let (plan, text) = text_of(&campaign);
    let told = Told {
        campaign: &campaign,
        plan: &plan,
    };
    let (json, markdown) = (told.json(), told.markdown());
    for (index, row) in plan.iter().enumerate() {
        assert!(
            text.contains(&row.title) && markdown.contains(&row.title),
            "{}",
            row.title
        );
        assert_eq!(json["plan"][index]["id"], row.id.as_str());
        assert_eq!(json["plan"][index]["title"], row.title.as_str());
    }
}

#[test]
fn a_step_that_is_tried_by_reloading_says_so_and_that_it_judges_nothing() {
    let mut campaign = load("rehearsal.toml");
    assert!(!text_of(&campaign).1.contains("reload"));
    campaign.steps[1].reload = true;
    let (plan, text) = text_of(&campaign);
    let part = plan.iter().find(|row| row.id == "2.2").unwrap();
    let part = part.parts.iter().find(|part| part.title.starts_with("reload: "));
    assert!(part.unwrap().verified_by.contains("early warning"));
    assert!(text.contains("the reboot gives the verdict"), "{text}");
}
