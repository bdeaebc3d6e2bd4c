//! What a patch makes make build anew, as far as the files that it touches and the Makefiles beside them tell. The
//! build decides in the end (what depends on a change ships with it); this is for the eye, before anything is
//! built.

use super::makefile::{Condition, Makefiles, is_makefile, module_name};
use crate::kernel::diff::{FileChange, hunks};
use crate::kernel::patch::Patch;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// What is rebuilt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// Modules, with the Kconfig symbol that each hangs on (built-in where that is `y`): `hantro_vpu`,
    /// `CONFIG_VIDEO_HANTRO`.
    pub modules: BTreeMap<String, String>,
    /// Files in `include/` and built-in objects: whatever uses them, the kernel itself included.
    pub kernel: bool,
    /// Folders of which the Makefiles do not say what comes of the file.
    pub folders: BTreeSet<String>,
    /// Kconfig files: the configuration is made anew.
    pub configuration: bool,
    /// Device trees.
    pub device_trees: bool,
}

impl Scope {
    /// Nothing is rebuilt.
    pub const fn nothing() -> Self {
        Scope {
            modules: BTreeMap::new(),
            kernel: false,
            folders: BTreeSet::new(),
            configuration: false,
            device_trees: false,
        }
    }

    /// In few words: `hantro_vpu`, `kernel`, `nothing`.
    pub fn short(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        if self.kernel {
            parts.push("kernel".into());
        }
        parts.extend(self.modules.keys().cloned());
        parts.extend(self.folders.iter().map(|folder| format!("{folder}/")));
        if self.device_trees {
            parts.push("dtbs".into());
        }
        if self.configuration && parts.is_empty() {
            parts.push("configuration".into());
        }
        if parts.is_empty() {
            "nothing".into()
        } else {
            parts.join(", ")
        }
    }
}

/// The scope of a patch; `read` gives a text file of the tree. A Makefile is taken as the patch makes it.
pub fn of(patch: &Patch, read: impl Fn(&Path) -> Option<String>) -> Scope {
    // The first change of a file that is changed twice.
    let changes: HashMap<&Path, &FileChange> = patch
        .files
        .iter()
        .rev()
        .filter_map(|change| Some((change.new.as_deref()?, change)))
        .collect();
    let read = |path: &Path| {
        let text = read(path);
        let Some(change) = changes.get(path) else {
            return text;
        };
        let before = text.clone().unwrap_or_default();
        match hunks::apply(&change.hunks, before.as_bytes()) {
            Ok(after) => Some(String::from_utf8_lossy(&after).into_owned()),
            Err(_) => text,
        }
    };
    let mut scope = Scope::default();
    let makefiles = Makefiles::new(&read);
    let files = patch.touched_files();
    let mut in_folder: HashMap<Option<&Path>, usize> = HashMap::new();
    for path in files.iter().filter(|path| !is_kconfig(path)) {
        let count = in_folder.entry(path.parent()).or_default();
        *count = count.saturating_add(1);
    }
    for path in &files {
        // What a Makefile's change makes is seen by the files that it lists, where the patch has some in its folder.
        let others = in_folder.get(&path.parent()).is_some_and(|count| *count > 1);
        if !(is_makefile(path) && others) {
            add(&mut scope, path, &makefiles);
        }
    }
    scope
}

fn is_kconfig(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("Kconfig"))
}

fn add(scope: &mut Scope, path: &Path, makefiles: &Makefiles) {
    let folder = path.parent().unwrap_or(Path::new(""));
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let top = path
        .iter()
        .next()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let in_include = path.iter().any(|part| part == "include");
    if ["Documentation", "tools", "samples", "LICENSES"].contains(&top.as_str()) || extension == "rst" {
        return;
    }
    match extension.as_str() {
        _ if is_kconfig(path) => scope.configuration = true,
        "dts" | "dtsi" | "dtso" => scope.device_trees = true,
        "h" if in_include => scope.kernel = true,
        "c" | "S" | "rs" => {
            let ways = makefiles.ways(path);
            if ways.is_empty() {
                scope.folders.insert(folder.to_string_lossy().into_owned());
            }
            for way in ways {
                match way.module() {
                    Some(module) => drop(scope.modules.insert(module, hangs_on(&way.condition))),
                    None => scope.kernel = true,
                }
            }
        }
        // A header of a folder, its Makefile: whatever is built there, if it is one thing.
        _ => match only_product(folder, makefiles) {
            Some((module, symbol)) => drop(scope.modules.insert(module, symbol)),
            None if folder.as_os_str().is_empty() => scope.kernel = true,
            None => drop(scope.folders.insert(folder.to_string_lossy().into_owned())),
        },
    }
}

/// The one module of a folder.
fn only_product(folder: &Path, makefiles: &Makefiles) -> Option<(String, String)> {
    match makefiles.of(folder)?.objects.as_slice() {
        [(object, condition)] if *condition != Condition::Always => {
            Some((module_name(object), hangs_on(condition)))
        }
        _ => None,
    }
}

/// What a module hangs on, as it is printed.
fn hangs_on(condition: &Condition) -> String {
    match condition {
        Condition::Symbol(symbol) => format!("CONFIG_{symbol}"),
        Condition::Always => "y".into(),
        Condition::Module => "m".into(),
        Condition::Unknown => "something that is not read".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::path::PathBuf;

    fn scope(files: &[&str]) -> Scope {
        let read = |path: &Path| {
            let text = match path.to_str()? {
                "drivers/v/Makefile" => {
                    "obj-$(CONFIG_V_HANTRO) += hantro-vpu.o\n\nhantro-vpu-y += \\\n\t\thantro_drv.o \\\n\t\tsub/vp9.o\n\
                     hantro-vpu-$(CONFIG_V_ROCKCHIP) += rockchip_hw.o\n"
                }
                "mm/Makefile" => "obj-y := memory.o # core\nobj-$(CONFIG_X) += x.o y.o\n",
                _ => return None,
            };
            Some(text.to_string())
        };
        let mut scope = Scope::default();
        let makefiles = Makefiles::new(&read);
        files
            .iter()
            .for_each(|file| add(&mut scope, Path::new(file), &makefiles));
        scope
    }

    #[test]
    fn makefiles_tell_the_module() {
        let module = |scope: Scope| scope.modules.into_iter().next().unwrap();
        let hantro = ("hantro_vpu".to_string(), "CONFIG_V_HANTRO".to_string());
        for file in [
            "drivers/v/hantro_drv.c",
            "drivers/v/rockchip_hw.c",
            "drivers/v/sub/vp9.c",
            "drivers/v/hantro.h",
        ] {
            assert_eq!(module(scope(&[file])), hantro, "{file}");
        }
        assert_eq!(module(scope(&["mm/y.c"])).0, "y");
    }

    /// The cost of a patch grows with its files and not with their square: no Makefile is read for each file of its
    /// folder, and no list is searched for each of them.
    #[test]
    fn each_makefile_is_read_once_however_many_files_of_its_folder_change() {
        const FILES: usize = 20_000;
        let mut mail = "From: A <a@b.c>\nSubject: x\n\n---\n".to_string();
        for number in 0..FILES {
            mail.push_str(&format!(
                "diff --git a/many/{number}.c b/many/{number}.c\nnew file mode 100644\n--- /dev/null\n\
                 +++ b/many/{number}.c\n@@ -0,0 +1 @@\n+x\n"
            ));
        }
        let patch = Patch::parse("p", mail.as_bytes()).unwrap();
        let files = patch.touched_files();
        assert_eq!(
            (files.len(), files[FILES - 1]),
            (FILES, Path::new("many/19999.c"))
        );
        let lists: String = (0..FILES)
            .map(|number| format!("obj-m += {number}.o\n"))
            .collect();
        let reads = RefCell::new(Vec::new());
        let scope = of(&patch, |path| {
            reads.borrow_mut().push(path.to_path_buf());
            (path == Path::new("many/Makefile")).then(|| lists.clone())
        });
        assert_eq!(scope.modules.len(), FILES);
        let read = ["many/Kbuild", "many/Makefile", "Kbuild", "Makefile"].map(PathBuf::from);
        assert_eq!(reads.into_inner(), read);
    }

    #[test]
    fn a_new_object_is_found_in_the_makefile_that_the_patch_makes() {
        let mail = "From: A <a@b.c>\nSubject: x\n\n---\ndiff --git a/mm/Makefile b/mm/Makefile\n--- a/mm/Makefile\n+++ b/mm/Makefile\n\
            @@ -1 +1,2 @@\n obj-y := a.o\n+obj-m += b.o\ndiff --git a/mm/b.c b/mm/b.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/b.c\n\
            @@ -0,0 +1 @@\n+int b;\n";
        let patch = Patch::parse("p", mail.as_bytes()).unwrap();
        let scope = of(&patch, |path| {
            (path == Path::new("mm/Makefile")).then(|| "obj-y := a.o\n".to_string())
        });
        assert_eq!(scope.short(), "b");
    }

    #[test]
    fn what_is_no_module_is_told_as_such() {
        for (file, short) in [
            ("include/media/videobuf2-core.h", "kernel"),
            ("mm/memory.c", "kernel"),
            ("mm/internal.h", "mm/"),
            ("drivers/w/w.c", "drivers/w/"),
            ("Documentation/x.rst", "nothing"),
            ("drivers/media/Kconfig", "configuration"),
            ("arch/arm64/boot/dts/rockchip/a.dts", "dtbs"),
            ("Makefile", "kernel"),
        ] {
            assert_eq!(scope(&[file]).short(), short, "{file}");
        }
    }
}
