//! Rules about the system on the board: what a silent wedge leads to, what the kernel can do, what may put the board to sleep, what the test kernel
//! will lack, and who else writes boot files.

use super::super::file::Method;
use super::super::file::Root;
use super::rules::{check, pass_if};
use super::{Check, Facts, Status};

/// What happens when the kernel wedges without a word (invariant 4): a pure reading of panic, oops, lockup and watchdog settings
/// (Documentation/admin-guide/sysctl/kernel.rst, Documentation/admin-guide/lockup-watchdogs.rst).
pub(super) fn silent_wedge(facts: &Facts) -> Check {
    let is = |key: &str, value: &str| facts.get(key).trim() == value;
    let fed = !matches!(facts.get("runtime_watchdog").trim(), "" | "0" | "infinity");
    let dog = fed && !facts.all("watchdog").is_empty();
    let mut meaning = Vec::new();
    if is("kernel_panic", "0") {
        meaning.push("a panic waits for ever");
    }
    if is("kernel_panic_on_oops", "0") {
        meaning.push("an oops kills one process and goes on");
    }
    if is("kernel_panic_on_oops", "1") && is("kernel_panic", "0") {
        meaning.push("an oops is a panic, which waits for ever");
    }
    if !is("kernel_softlockup_panic", "1") {
        meaning.push("a lockup is only told");
    }
    meaning.push(if dog {
        "a wedge that stops PID 1 is reset by the watchdog; one in which PID 1 goes on feeding it is not"
    } else {
        "nothing ends a wedge but a person"
    });
    let bad = is("kernel_panic_on_oops", "1") && is("kernel_panic", "0");
    check(
        "wedge",
        "a wedge of vanilla ends by itself",
        pass_if((dog && !bad).into(), Status::Warning),
        meaning.join("; "),
        "the test label boots with panic=10; a fed watchdog (RuntimeWatchdogSec=20) ends most of the rest",
    )
}

/// What the boot methods that the board's file allows need of vanilla's kernel.
pub(super) fn kernel_features(facts: &Facts, methods: &[Method]) -> Check {
    let on = |symbol: &str| matches!(facts.get(&format!("config_{symbol}")).trim(), "y" | "m");
    let title = "vanilla's kernel has what the boot methods need";
    if facts.get("noconfig") == "yes" {
        let reason = "neither /proc/config.gz nor a config file of this kernel is there, so it is not known";
        return check(
            "features",
            title,
            Status::Warning,
            reason,
            "build vanilla with CONFIG_IKCONFIG_PROC",
        );
    }
    let kexec = on("KEXEC_FILE") && facts.get("kexec_disabled").trim() != "1";
    let wanted = methods.contains(&Method::Kexec);
    let mut reason = vec![
        match (on("KEXEC_FILE"), on("KEXEC"), facts.get("kexec_disabled").trim()) {
            (_, _, "1") => "kexec is switched off until the next boot (kexec_load_disabled)".to_string(),
            (true, _, _) => "kexec: yes (KEXEC_FILE)".into(),
            (false, true, _) => {
                "kexec: only the older call (KEXEC without KEXEC_FILE), which is not used".into()
            }
            (false, false, _) => "kexec: no".into(),
        },
    ];
    for (symbol, what) in [
        ("PSTORE_RAM", "ramoops"),
        ("PSTORE_CONSOLE", "console in pstore"),
        ("PSTORE_PMSG", "pmsg"),
        ("MAGIC_SYSRQ", "sysrq"),
    ] {
        reason.push(format!("{what}: {}", if on(symbol) { "yes" } else { "no" }));
    }
    let status = match (wanted && !kexec, on("MAGIC_SYSRQ")) {
        (true, _) if methods == [Method::Kexec] => Status::Fail,
        (true, _) | (_, false) => Status::Warning,
        _ => Status::Pass,
    };
    check(
        "features",
        title,
        status,
        reason.join(", "),
        "use another boot method (`methods` in the board's file), or a vanilla with CONFIG_KEXEC_FILE and CONFIG_MAGIC_SYSRQ",
    )
}

/// Which boot methods are left on this board as it is, and why each other one is not. `named` are those that the board's file names (none:
/// whatever the board can do).
pub(super) fn boot_methods(found: &[(Method, Option<String>)], named: &[Method]) -> Check {
    let left: Vec<&str> = found
        .iter()
        .filter(|(_, refusal)| refusal.is_none())
        .map(|(method, _)| method.name())
        .collect();
    let unattended = found
        .iter()
        .any(|(method, refusal)| refusal.is_none() && method.is_unattended());
    let disappointed = found
        .iter()
        .any(|(method, refusal)| refusal.is_some() && named.contains(method));
    let mut reason = vec![format!(
        "left: {}",
        if left.is_empty() {
            "none".into()
        } else {
            left.join(", ")
        }
    )];
    reason.extend(found.iter().filter_map(|(method, refusal)| {
        // What the file leaves out is its author's own choice.
        let refusal = refusal
            .as_ref()
            .filter(|_| named.is_empty() || named.contains(method))?;
        Some(format!("not {}: {refusal}", method.name()))
    }));
    let status = match (left.is_empty(), unattended && !disappointed) {
        (true, _) => Status::Fail,
        (false, false) => Status::Warning,
        (false, true) => Status::Pass,
    };
    let fix = match unattended {
        true => "do what the reason says, or take the method out of `methods` in the board's file",
        false => {
            "a campaign needs one of serial-menu, kexec and uboot-env: what is left needs a person at the board"
        }
    };
    check(
        "methods",
        "a boot method is left that needs nobody at the board",
        status,
        reason.join("; "),
        fix,
    )
}

/// Vanilla's files are protected against us; nothing protects a file system from the kernel that writes it. Said before each consent to a test
/// boot, too.
pub fn root_at_risk(root: Root) -> Check {
    let (status, reason) = match root {
        Root::Own => (
            Status::Warning,
            "the test kernel writes vanilla's own root file system: one that damages it damages vanilla's, and a rollback restores boot \
             files and modules only",
        ),
        Root::Overlay => (
            Status::Pass,
            "an overlay in memory, gone with each test boot; the boot folder and what else fstab mounts are written as ever",
        ),
    };
    check(
        "root-fs",
        "what a test kernel writes to the root file system",
        status,
        reason,
        "`root = \"overlay\"` under [boot] in the board's file, and a kernel built with `--fragment \
         kconfig-fragments/overlay-root.config`; or a backup of the whole disk",
    )
}

/// A board that runs out of power in the middle of a deploy.
pub(super) fn power(facts: &Facts) -> Check {
    let supplies: Vec<Vec<String>> = facts
        .all("supply")
        .iter()
        .map(|line| line.split('|').map(|field| field.trim().to_string()).collect())
        .collect();
    let field = |supply: &Vec<String>, index: usize| supply.get(index).cloned().unwrap_or_default();
    let batteries: Vec<&Vec<String>> = supplies
        .iter()
        .filter(|supply| field(supply, 0) == "Battery")
        .collect();
    let mains = supplies
        .iter()
        .any(|supply| field(supply, 0) != "Battery" && field(supply, 1) == "1");
    let discharging = batteries.iter().any(|battery| field(battery, 2) == "Discharging");
    let lowest = batteries
        .iter()
        .filter_map(|battery| field(battery, 3).parse::<u8>().ok())
        .min();
    let shown = lowest.map_or("no battery".to_string(), |percent| {
        format!("battery at {percent} %")
    });
    let (status, reason) = match (batteries.is_empty(), mains && !discharging, lowest) {
        (true, _, _) => (
            Status::Pass,
            "no battery: it runs as long as it has mains".to_string(),
        ),
        (false, true, _) => (Status::Pass, format!("on mains, {shown}")),
        // A kernel under test may not know the charger: a campaign takes hours.
        (false, false, Some(percent)) if percent >= 50 => (Status::Warning, format!("not on mains, {shown}")),
        (false, false, _) => (Status::Fail, format!("not on mains, {shown}")),
    };
    check(
        "power",
        "it has power for the whole campaign",
        status,
        reason,
        "connect its power supply",
    )
}

/// A board that falls asleep answers nothing and looks dead.
pub(super) fn sleep(facts: &Facts) -> Check {
    let masked = facts.get("sleep").trim() == "masked";
    let inhibited = facts
        .all("inhibitor")
        .iter()
        .any(|line| line.contains("Lockstep") && line.contains("sleep") && line.contains("block"));
    let lid = facts.get("lid") == "yes";
    let (status, reason) = match (masked, inhibited, lid) {
        (true, _, _) => (Status::Pass, "sleep.target is masked".to_string()),
        (_, true, _) => (Status::Pass, "inhibited while the campaign lasts".into()),
        (false, false, true) => (Status::Warning, "it has a lid and may sleep".into()),
        (false, false, false) => (Status::Warning, "it may sleep when nobody uses it".into()),
    };
    check(
        "sleep",
        "it does not fall asleep",
        status,
        reason,
        "`cargo xtask preflight --fix` holds it awake, through each boot of ours, until the rollback (systemd-inhibit); for longer: systemctl \
         mask sleep.target",
    )
}

/// Modules that are not of vanilla's own tree: the test kernel will not have them.
pub(super) fn out_of_tree(facts: &Facts) -> Check {
    let mut loaded = facts.all("out_of_tree");
    loaded.sort();
    let mut there = facts.all("external");
    there.sort();
    there.dedup();
    let reason = match (loaded.is_empty(), there.is_empty()) {
        (true, true) => "vanilla uses none".to_string(),
        (false, _) => format!("loaded now: {}", loaded.join(", ")),
        (true, false) => format!("installed and not loaded: {}", there.join(", ")),
    };
    check(
        "modules",
        "the test kernel lacks no module that vanilla has from elsewhere (DKMS, out of tree)",
        pass_if(loaded.is_empty().into(), Status::Warning),
        reason,
        "what they drive (graphics, network?) will be missing under the test kernel: make sure that ssh does not need them",
    )
}

/// Invariant 1: others write too.
pub(super) fn hooks(facts: &Facts) -> Check {
    let (hooks, upgrades) = (facts.all("hook"), facts.all("upgrades"));
    let short = |path: &String| path.rsplit('/').next().unwrap_or(path).to_string();
    let mut reason = Vec::new();
    if !hooks.is_empty() {
        let names: Vec<String> = hooks.iter().take(8).map(short).collect();
        let more = if hooks.len() > 8 {
            format!(" and {} more", hooks.len().saturating_sub(8))
        } else {
            String::new()
        };
        reason.push(format!(
            "a package upgrade rewrites boot files by {}{more}",
            names.join(", ")
        ));
    }
    if !upgrades.is_empty() {
        reason.push(format!("upgrades run by themselves ({})", upgrades.join(", ")));
    }
    if reason.is_empty() {
        reason.push("no hook of a package writes boot files".into());
    }
    // No reason to stop: protected hashes are compared before every reboot, and who did it is then known.
    let status = pass_if((hooks.is_empty() && upgrades.is_empty()).into(), Status::Warning);
    check(
        "hooks",
        "nobody else rewrites boot files during the campaign",
        status,
        reason.join("; "),
        "install no packages while the campaign runs; stop automatic upgrades: systemctl disable --now with the name of the unit",
    )
}

/// Units that the board's file names.
pub(super) fn services(facts: &Facts) -> Option<Check> {
    let states = facts.all("service");
    let failed: Vec<&String> = states.iter().filter(|state| state.ends_with(" failed")).collect();
    (!states.is_empty()).then(|| {
        check(
            "services",
            "the services that the board's file names have not failed",
            pass_if(failed.is_empty().into(), Status::Warning),
            states.join(", "),
            "look at them before the campaign: systemctl status with the name of the unit",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(rule: impl Fn(&Facts) -> Check, text: &str) -> (Status, String) {
        let found = rule(&Facts::of(text));
        assert_eq!(
            found.fix.is_empty(),
            found.status == Status::Pass,
            "what is wrong has a fix"
        );
        (found.status, found.reason)
    }

    #[test]
    fn what_a_silent_wedge_leads_to_is_said() {
        let dog = "watchdog=dw_wdt active timeout 44\nruntime_watchdog=20s\n";
        let (state, reason) = status(
            silent_wedge,
            &format!("{dog}kernel_panic=10\nkernel_panic_on_oops=1\n"),
        );
        assert!(
            state == Status::Pass && reason.contains("reset by the watchdog"),
            "{reason}"
        );
        let (state, reason) = status(silent_wedge, "kernel_panic=0\nkernel_panic_on_oops=1\n");
        assert!(
            state == Status::Warning && reason.contains("an oops is a panic, which waits for ever"),
            "{reason}"
        );
        assert!(reason.contains("nothing ends a wedge but a person"), "{reason}");
    }

    #[test]
    fn kexec_is_asked_of_the_kernel_that_runs() {
        let debian = "config_KEXEC=y\nconfig_KEXEC_FILE=\nconfig_MAGIC_SYSRQ=y\n";
        let only = |facts: &Facts| kernel_features(facts, &[Method::Kexec]);
        assert_eq!(status(only, debian).0, Status::Fail);
        let both = |facts: &Facts| kernel_features(facts, &[Method::SerialMenu, Method::Kexec]);
        assert_eq!(status(both, debian).0, Status::Warning);
        assert_eq!(
            status(both, "config_KEXEC_FILE=y\nconfig_MAGIC_SYSRQ=y\n").0,
            Status::Pass
        );
        assert_eq!(
            status(
                only,
                "config_KEXEC_FILE=y\nconfig_MAGIC_SYSRQ=y\nkexec_disabled=1\n"
            )
            .0,
            Status::Fail
        );
        assert_eq!(status(both, "noconfig=yes\n").0, Status::Warning);
    }

    #[test]
    fn the_methods_that_are_left_are_told_with_the_reasons_against_the_others() {
        let found = |refused: &[Method]| -> Vec<(Method, Option<String>)> {
            let refusal = |method| refused.contains(&method).then(|| "off".to_string());
            Method::ALL.map(|method| (method, refusal(method))).into()
        };
        let row = boot_methods(&found(&[Method::Kexec]), &[]);
        assert_eq!(row.status, Status::Pass);
        assert_eq!(
            row.reason,
            "left: serial-menu, uboot-env, default-swap, manual; not kexec: off"
        );
        let named = [Method::Kexec, Method::SerialMenu];
        let row = boot_methods(&found(&[Method::Kexec]), &named);
        assert!(
            row.status == Status::Warning && row.fix.contains("`methods`"),
            "{row:?}"
        );
        let people = boot_methods(
            &found(&[Method::Kexec, Method::SerialMenu, Method::UbootEnv]),
            &[],
        );
        assert!(
            people.status == Status::Warning && people.fix.contains("person"),
            "{people:?}"
        );
        assert_eq!(boot_methods(&found(&Method::ALL), &[]).status, Status::Fail);
    }

    #[test]
    fn the_risk_for_the_root_file_system_is_told_before_anybody_agrees() {
        let shared = root_at_risk(Root::Own);
        assert_eq!(shared.status, Status::Warning);
        assert!(shared.reason.contains("damages vanilla's") && shared.fix.contains("root = \"overlay\""));
        let thrown_away = root_at_risk(Root::Overlay);
        assert_eq!((thrown_away.status, thrown_away.fix.as_str()), (Status::Pass, ""));
        assert!(thrown_away.reason.contains("fstab"), "{}", thrown_away.reason);
    }

    #[test]
    fn a_battery_must_last() {
        assert_eq!(status(power, "").0, Status::Pass);
        let battery = "supply=Battery||Charging|30\n";
        assert_eq!(
            status(power, &format!("{battery}supply=Mains|1||\n")).0,
            Status::Pass
        );
        assert_eq!(
            status(power, &format!("{battery}supply=USB|1||\n")).0,
            Status::Pass
        );
        assert_eq!(
            status(power, "supply=Battery||Discharging|80\nsupply=Mains|0||\n").0,
            Status::Warning
        );
        assert_eq!(status(power, "supply=Battery||Discharging|30\n").0, Status::Fail);
    }

    #[test]
    fn sleep_hooks_and_modules_are_told() {
        assert_eq!(status(sleep, "sleep=masked\n").0, Status::Pass);
        assert_eq!(status(sleep, "sleep=static\nlid=yes\n").0, Status::Warning);
        let held = "sleep=static\ninhibitor=Lockstep 0 root 77 systemd-inhibit sleep:idle:handle-lid-switch campaign block\n";
        assert_eq!(status(sleep, held).0, Status::Pass);
        assert_eq!(status(hooks, "").0, Status::Pass);
        assert_eq!(
            status(hooks, "hook=/etc/kernel/postinst.d/zz-u-boot-menu\n").0,
            Status::Warning
        );
        let (state, reason) = status(hooks, "hook=flash-kernel\nupgrades=unattended-upgrades.service\n");
        assert!(
            state == Status::Warning && reason.contains("flash-kernel"),
            "{reason}"
        );
        assert_eq!(status(out_of_tree, "").0, Status::Pass);
        assert_eq!(status(out_of_tree, "external=x.ko\n").0, Status::Pass);
        assert_eq!(
            status(out_of_tree, "out_of_tree=nvidia\n"),
            (Status::Warning, "loaded now: nvidia".into())
        );
        assert!(services(&Facts::of("")).is_none());
        assert_eq!(
            services(&Facts::of("service=a.service failed\n")).unwrap().status,
            Status::Warning
        );
    }
}
