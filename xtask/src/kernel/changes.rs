//! What really changed between two builds, by content (invariant 12).

use crate::manifest::{File, Kind, Manifest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The difference of two manifests: what has to ship so that the older one's files become the newer one's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changes {
    /// The release differs: nothing of the old slot can be kept.
    pub release: bool,
    /// The Image differs. Time, user, host and number of the build are fixed, so that linking it anew from the same
    /// objects gives the same bytes. It holds the build id, and that is a hash over debug information, too: a line number of built-in code
    /// makes another Image.
    pub image: bool,
    /// Device tree blobs that differ or are new, as paths below the staging folder.
    #[serde(serialize_with = "crate::host::json::named")]
    pub dtbs: Vec<PathBuf>,
    /// Names of modules whose content differs or that are new, sorted.
    pub modules: Vec<String>,
    /// Modules that were linked anew without a change of content: another build id, as when debug information names other line numbers of a
    /// header, or another signature. They are sent all the same: a loaded module is proven, and its trace decoded, by its build id.
    pub relinked: Vec<String>,
    /// Paths that the newer one does not have.
    #[serde(serialize_with = "crate::host::json::named")]
    pub gone: Vec<PathBuf>,
    /// Whether modules.dep and its companions differ.
    pub index: bool,
}

impl Changes {
    /// Whether the two are the same for a board.
    pub fn is_empty(&self) -> bool {
        *self
            == Changes {
                relinked: self.relinked.clone(),
                ..Changes::default()
            }
    }
}

/// Compares two manifests.
pub fn changed(old: &Manifest, new: &Manifest) -> Changes {
    let before: BTreeMap<_, _> = old.files.iter().map(|file| (&file.source, file)).collect();
    let mut changes = Changes {
        release: old.release != new.release,
        ..Changes::default()
    };
    for file in &new.files {
        let earlier = before.get(&file.source).copied();
        if earlier.is_some_and(|earlier| earlier.sha256 == file.sha256) {
            continue;
        }
        match file.kind {
            Kind::Image => changes.image = true,
            Kind::Dtb => changes.dtbs.push(file.source.clone()),
            Kind::ModuleIndex => changes.index = true,
            Kind::Module => {
                let name = file.module_name().unwrap_or_default();
                if same_content(earlier, file) {
                    changes.relinked.push(name)
                } else {
                    changes.modules.push(name)
                }
            }
        }
    }
    changes.gone = old
        .files
        .iter()
        .filter(|file| !new.files.iter().any(|other| other.source == file.source))
        .map(|file| file.source.clone())
        .collect();
    changes.modules.sort();
    changes.relinked.sort();
    changes
}

fn same_content(earlier: Option<&File>, file: &File) -> bool {
    earlier.is_some_and(|earlier| {
        earlier.content_sha256.is_some() && earlier.content_sha256 == file.content_sha256
    })
}

/// What a plan's list of modules and the build disagree about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// Changed, but not named by the plan: they ship all the same.
    pub unexpected: Vec<String>,
    /// Named by the plan, but not changed.
    pub unchanged: Vec<String>,
}

/// Compares what a step said that it would change with what changed.
pub fn compare_with_plan(planned: &[String], changes: &Changes) -> Disagreement {
    let planned: Vec<String> = planned.iter().map(|name| name.replace('-', "_")).collect();
    Disagreement {
        unexpected: changes
            .modules
            .iter()
            .filter(|name| !planned.contains(name))
            .cloned()
            .collect(),
        unchanged: planned
            .iter()
            .filter(|name| !changes.modules.contains(name))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::SCHEMA_VERSION;

    fn file(kind: Kind, source: &str, sha256: &str, content: Option<&str>) -> File {
        File {
            kind,
            source: source.into(),
            size: 1,
            sha256: sha256.into(),
            mode: 0o644,
            build_id: None,
            content_sha256: content.map(String::from),
        }
    }

    fn manifest(files: Vec<File>) -> Manifest {
        Manifest {
            schema_version: SCHEMA_VERSION,
            release: "7.3.4-lockdep".into(),
            build_id: "00".into(),
            profile: "lockdep".into(),
            append: Vec::new(),
            commit: "00".into(),
            root: "/stage".into(),
            files,
        }
    }

    #[test]
    fn content_decides_about_modules_and_bytes_about_the_rest() {
        let old = manifest(vec![
            file(Kind::Image, "Image", "1", None),
            file(Kind::Dtb, "dtbs/a.dtb", "1", None),
            file(
                Kind::Module,
                "lib/modules/r/kernel/same-thing.ko",
                "1",
                Some("c1"),
            ),
            file(
                Kind::Module,
                "lib/modules/r/kernel/hantro-vpu.ko",
                "1",
                Some("c2"),
            ),
            file(Kind::Module, "lib/modules/r/kernel/gone.ko", "1", Some("c3")),
        ]);
        let new = manifest(vec![
            file(Kind::Image, "Image", "1", None),
            file(Kind::Dtb, "dtbs/a.dtb", "2", None),
            file(
                Kind::Module,
                "lib/modules/r/kernel/same-thing.ko",
                "2",
                Some("c1"),
            ),
            file(
                Kind::Module,
                "lib/modules/r/kernel/hantro-vpu.ko",
                "2",
                Some("c9"),
            ),
            file(Kind::Module, "lib/modules/r/kernel/added.ko", "1", Some("c4")),
        ]);
        let changes = changed(&old, &new);
        assert_eq!(changes.modules, ["added", "hantro_vpu"]);
        assert_eq!(changes.relinked, ["same_thing"]);
        assert_eq!(changes.gone, [PathBuf::from("lib/modules/r/kernel/gone.ko")]);
        assert_eq!(changes.dtbs, [PathBuf::from("dtbs/a.dtb")]);
        assert!(!changes.image && !changes.release && !changes.index && !changes.is_empty());
        assert!(changed(&old, &old).is_empty());
        let told = compare_with_plan(&["hantro-vpu".into(), "same_thing".into()], &changes);
        assert_eq!(told.unexpected, ["added"]);
        assert_eq!(told.unchanged, ["same_thing"]);
    }

    #[test]
    fn a_module_without_a_known_content_counts_as_changed() {
        let old = manifest(vec![file(Kind::Module, "m.ko", "1", None)]);
        let new = manifest(vec![file(Kind::Module, "m.ko", "2", None)]);
        assert_eq!(changed(&old, &new).modules, ["m"]);
    }
}
