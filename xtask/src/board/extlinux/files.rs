//! Whether the files that an extlinux.conf names are there: the rule is pure, the looking is the
//! caller's.

use super::lint::{Finding, Severity};
use super::{Config, Label};
use std::collections::BTreeSet;

/// A path as U-Boot has it, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The path as U-Boot asks for it; overlays one by one.
    pub path: String,
    /// Line of its label.
    pub line: usize,
    /// What it is.
    pub role: Role,
    /// The label; empty for an include.
    pub label: String,
}

/// What a path of an extlinux.conf is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `kernel` or `linux`.
    Kernel,
    /// `initrd`.
    Initrd,
    /// `fdt`.
    Tree,
    /// The folder of `fdtdir`.
    TreeFolder,
    /// The device tree that U-Boot looks for in the folder of `fdtdir`.
    TreeInFolder,
    /// One of `fdtoverlays`.
    Overlay,
    /// `include`.
    Include,
}

impl Role {
    /// What U-Boot does where it is not there.
    fn consequence(self) -> &'static str {
        match self {
            Role::Kernel | Role::Initrd => "U-Boot skips the label",
            Role::Tree => {
                "U-Boot skips the label, or boots with its own device tree where `fdt_addr_r` is not set"
            }
            Role::TreeFolder | Role::TreeInFolder => "U-Boot boots with its own device tree",
            Role::Overlay => "U-Boot boots without it",
            Role::Include => "U-Boot gives up the whole file (\"Couldn't retrieve\")",
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Role::TreeFolder | Role::TreeInFolder => "fdtdir-miss",
            _ => "missing-file",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::Kernel => "kernel",
            Role::Initrd => "initrd",
            Role::Tree => "fdt",
            Role::TreeFolder => "fdtdir",
            Role::TreeInFolder => "device tree in `fdtdir`",
            Role::Overlay => "fdtoverlays",
            Role::Include => "include",
        }
    }
}

/// The file that U-Boot asks for in a `fdtdir` (`label_boot`).
pub fn tree_in(folder: &str, tree: &str) -> String {
    let slash = if folder.ends_with('/') { "" } else { "/" };
    format!("{folder}{slash}{tree}")
}

/// Every path that U-Boot would ask for, and the folders of `fdtdir`: what is looked for, and what
/// [`missing`] then judges. `tree` is the device tree that U-Boot looks for in a `fdtdir` (its own
/// `fdtfile`, or SoC and board), where it is known.
pub fn wanted(config: &Config, tree: Option<&str>) -> Vec<Wanted> {
    let includes = config.menu.includes.iter().map(|include| Wanted {
        path: include.value.clone(),
        line: include.line,
        role: Role::Include,
        label: String::new(),
    });
    let of_labels = config.menu.labels.iter().flat_map(|label| of_label(label, tree));
    includes
        .chain(of_labels)
        .filter(|wanted| !wanted.path.trim().is_empty())
        .collect()
}

fn of_label(label: &Label, tree: Option<&str>) -> Vec<Wanted> {
    let one = |role, path: &str| Wanted {
        path: path.to_string(),
        line: label.line,
        role,
        label: label.name.clone(),
    };
    let mut all = Vec::new();
    if label.localboot.is_some() {
        return all;
    }
    // Since v2023.04 the initramfs and the tree of a FIT are named by the same words as its kernel.
    let fit = match (&label.kernel, &label.fit) {
        (Some(kernel), Some(configuration)) => Some(format!("{kernel}{configuration}")),
        _ => None,
    };
    let apart = |path: &Option<String>| path.clone().filter(|path| Some(path) != fit.as_ref());
    all.extend(label.kernel.as_deref().map(|path| one(Role::Kernel, path)));
    all.extend(apart(&label.initrd).map(|path| one(Role::Initrd, &path)));
    // `label_boot`: `fdt` is taken, `fdtdir` only without it.
    match (&label.fdt, &label.fdtdir) {
        (Some(_), _) => all.extend(apart(&label.fdt).map(|path| one(Role::Tree, &path))),
        (None, Some(folder)) => {
            all.push(one(Role::TreeFolder, folder));
            all.extend(tree.map(|tree| one(Role::TreeInFolder, &tree_in(folder, tree))));
        }
        (None, None) => {}
    }
    let overlays = label.fdtoverlays.iter().flat_map(|list| list.split(' '));
    all.extend(overlays.map(|path| one(Role::Overlay, path)));
    all
}

/// Findings for what is missing. `there` holds the paths of [`wanted`] that exist.
pub fn missing(wanted: &[Wanted], there: &BTreeSet<String>) -> Vec<Finding> {
    let is_missing = |wanted: &&Wanted| !there.contains(&wanted.path);
    // Without its folder, a tree is not worth a second finding.
    let missing_folders: BTreeSet<usize> = wanted
        .iter()
        .filter(is_missing)
        .filter(|wanted| wanted.role == Role::TreeFolder)
        .map(|wanted| wanted.line)
        .collect();
    let missing = wanted.iter().filter(is_missing);
    missing
        .filter(|wanted| wanted.role != Role::TreeInFolder || !missing_folders.contains(&wanted.line))
        .map(|wanted| {
            let of = match wanted.role {
                Role::Include => String::new(),
                _ => format!(" of label `{}`", wanted.label),
            };
            Finding {
                severity: Severity::Error,
                line: wanted.line,
                rule: wanted.role.rule(),
                what: format!(
                    "{} `{}`{of} is not there: {}",
                    wanted.role.name(),
                    wanted.path,
                    wanted.role.consequence()
                ),
                label: Some(wanted.label.clone()).filter(|_| wanted.role != Role::Include),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "default a\nlabel a\n kernel /I\n initrd /i\n fdt /t.dtb\n fdtoverlays /o1 \
     /o2\nlabel b\n kernel /J\n fdtdir /dtbs\n";
    const ALL: [&str; 7] = ["/I", "/i", "/t.dtb", "/o1", "/o2", "/J", "/dtbs"];

    /// What is found where just these are there, as whoever looks for [`wanted`] sees it.
    fn rules(conf: &str, there: &[&str], tree: Option<&str>) -> Vec<(usize, &'static str)> {
        let wanted = wanted(&Config::parse(conf.as_bytes()), tree);
        let seen = wanted.iter().map(|wanted| wanted.path.clone());
        let seen = seen.filter(|path| there.contains(&path.as_str())).collect();
        missing(&wanted, &seen)
            .iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn every_file_that_is_asked_for_has_to_be_there() {
        assert_eq!(rules(CONF, &ALL, None), []);
        let no_overlay: Vec<&str> = ALL.iter().copied().filter(|path| *path != "/o2").collect();
        assert_eq!(rules(CONF, &no_overlay, None), [(2, "missing-file")]);
        assert_eq!(rules(CONF, &["/dtbs"], None).len(), 6);
        let include = "include /more.conf\nlabel a\n kernel /${x}\n";
        assert_eq!(
            rules(include, &[], None),
            [(1, "missing-file"), (2, "missing-file")]
        );
        assert_eq!(rules(include, &["/more.conf", "/${x}"], None), []);
        let fit = "label a\n kernel /f#c\n initrd /f#c\n fdt /f#c\n";
        assert_eq!(rules(fit, &["/f"], None), []);
    }

    #[test]
    fn a_device_tree_that_a_folder_lacks_is_a_silent_miss() {
        let there = [&ALL[..], &["/dtbs/rockchip/x.dtb"]].concat();
        assert_eq!(rules(CONF, &there, Some("rockchip/x.dtb")), []);
        let slash = CONF.replace("/dtbs", "/dtbs/");
        let with_slash = [&there[..], &["/dtbs/"]].concat();
        assert_eq!(rules(&slash, &with_slash, Some("rockchip/x.dtb")), []);
        assert_eq!(rules(CONF, &there, Some("rockchip/y.dtb")), [(7, "fdtdir-miss")]);
        assert_eq!(
            rules(CONF, &ALL[..6], Some("rockchip/x.dtb")),
            [(7, "fdtdir-miss")]
        );
    }
}
