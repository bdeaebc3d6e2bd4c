//! Whether the files that an extlinux.conf names are there: the rule is pure, the looking is the caller's.

use super::lint::{Finding, Severity};
use super::{Config, Label};
use std::collections::BTreeSet;

/// A path as U-Boot has it, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The path as written; overlays one by one.
    pub path: String,
    /// Line of its label.
    pub line: usize,
    /// Key: `kernel`, `fdt`, `initrd`, `fdtdir`, `fdtoverlays`, `include`.
    pub key: &'static str,
    /// The label; empty for an include.
    pub label: String,
}

/// Every path that U-Boot would ask for, and the folders of `fdtdir`. A path with a variable of U-Boot's in it cannot be known here.
pub fn named(config: &Config) -> Vec<Named> {
    let includes = config.menu.includes.iter().map(|include| Named {
        path: include.value.clone(),
        line: include.line,
        key: "include",
        label: String::new(),
    });
    let of_labels = config.menu.labels.iter().flat_map(of_label);
    includes
        .chain(of_labels)
        .filter(|named| !named.path.trim().is_empty() && !named.path.contains("${"))
        .collect()
}

fn of_label(label: &Label) -> Vec<Named> {
    let one = |key, path: &str| Named {
        path: path.to_string(),
        line: label.line,
        key,
        label: label.name.trim_end().to_string(),
    };
    let mut all = Vec::new();
    if label.localboot.is_some() {
        return all;
    }
    all.extend(label.kernel.as_deref().map(|path| one("kernel", path)));
    all.extend(label.initrd.as_deref().map(|path| one("initrd", path)));
    // `label_boot`: `fdt` is taken, `fdtdir` only without it; `-` is a word for none.
    match (&label.fdt, &label.fdtdir) {
        (Some(fdt), _) if fdt != "-" => all.push(one("fdt", fdt)),
        (None, Some(folder)) => all.push(one("fdtdir", folder)),
        _ => {}
    }
    let overlays = label.fdtoverlays.iter().flat_map(|list| list.split(' '));
    all.extend(overlays.map(|path| one("fdtoverlays", path)));
    all
}

/// Findings for what is missing. `there` holds the paths (as U-Boot has them) that exist; `tree` is the device tree that U-Boot will look for in a
/// `fdtdir` (its own `fdtfile`, or SoC and board), where it is known.
pub fn missing(config: &Config, there: &BTreeSet<String>, tree: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for named in named(config) {
        let Named {
            path,
            line,
            key,
            label,
        } = &named;
        let finding = |severity, rule, what| Finding {
            severity,
            line: *line,
            rule,
            what,
        };
        if *key == "fdtdir" {
            findings.extend(
                fdtdir(path, label, there, tree)
                    .map(|(severity, what)| finding(severity, "fdtdir-miss", what)),
            );
        } else if !there.contains(path) {
            let consequence = match *key {
                "kernel" | "initrd" => "U-Boot skips the label",
                "fdtoverlays" => "U-Boot boots without it, in silence",
                "include" => "its labels are missing",
                _ => "U-Boot skips the label, or boots with its own device tree",
            };
            let of = if label.is_empty() {
                String::new()
            } else {
                format!(" of label `{label}`")
            };
            findings.push(finding(
                Severity::Error,
                "missing-file",
                format!("`{key} {path}`{of} is not there: {consequence}"),
            ));
        }
    }
    findings
}

fn fdtdir(
    folder: &str,
    label: &str,
    there: &BTreeSet<String>,
    tree: Option<&str>,
) -> Option<(Severity, String)> {
    if !there.contains(folder) {
        let what = format!(
            "`fdtdir {folder}` of label `{label}` is not there: U-Boot boots with its own device tree, in silence"
        );
        return Some((Severity::Error, what));
    }
    let tree = tree?;
    let file = format!("{}/{tree}", folder.trim_end_matches('/'));
    (!there.contains(&file)).then(|| {
        (
            Severity::Error,
            format!("`fdtdir {folder}` of label `{label}` has no {tree}: U-Boot boots with its own device tree, in silence"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "default a\nlabel a\n kernel /I\n initrd /i\n fdt /t.dtb\n fdtoverlays /o1 /o2\nlabel b\n kernel /${x}\n fdtdir /dtbs\n";

    fn rules(there: &[&str], tree: Option<&str>) -> Vec<(usize, &'static str)> {
        let there = there.iter().map(|path| path.to_string()).collect();
        missing(&Config::parse(CONF.as_bytes()), &there, tree)
            .iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn every_file_that_is_asked_for_has_to_be_there() {
        assert_eq!(rules(&["/I", "/i", "/t.dtb", "/o1", "/o2", "/dtbs"], None), []);
        assert_eq!(
            rules(&["/I", "/i", "/t.dtb", "/o1", "/dtbs"], None),
            [(2, "missing-file")]
        );
        assert_eq!(rules(&["/dtbs"], None).len(), 5, "a variable cannot be known");
    }

    #[test]
    fn a_device_tree_that_a_folder_lacks_is_a_silent_miss() {
        let all = [
            "/I",
            "/i",
            "/t.dtb",
            "/o1",
            "/o2",
            "/dtbs",
            "/dtbs/rockchip/x.dtb",
        ];
        assert_eq!(rules(&all, Some("rockchip/x.dtb")), []);
        assert_eq!(rules(&all, Some("rockchip/y.dtb")), [(7, "fdtdir-miss")]);
        assert_eq!(rules(&all[..5], Some("rockchip/x.dtb")), [(7, "fdtdir-miss")]);
    }
}
