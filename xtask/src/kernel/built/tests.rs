use super::*;
use std::time::{Duration, SystemTime};

/// A tree and its build folder: `a.c` is on, `b.c` off and never built, `old.c` off with the object
/// of an earlier configuration, `part.c` is included by `a.c`, `free.c` stands in no list.
struct Folder {
    root: tempfile::TempDir,
}

const MAKEFILE: &str = "obj-$(CONFIG_A) += a.o\nobj-$(CONFIG_B) += b.o\nobj-$(CONFIG_OLD) += old.o\n";
const KCONFIG: &str = "config MODULES\n\tbool \"Modules\"\n\tmodules\n\nconfig A\n\ttristate \"A\"\n\nconfig BUS\n\tbool \"Bus\"\n\n\
    config B\n\ttristate \"B\"\n\tdepends on BUS\n\nconfig OLD\n\tbool \"Old\"\n";

impl Folder {
    fn new() -> Self {
        let folder = Folder {
            root: tempfile::tempdir().unwrap(),
        };
        folder.write("tree/Kbuild", "obj-y += d/\n");
        folder.write("tree/Kconfig", KCONFIG);
        folder.write("tree/d/Makefile", MAKEFILE);
        for name in ["a", "b", "old", "part", "free"] {
            folder.write(&format!("tree/d/{name}.c"), "");
        }
        folder.write(
            "out/.config",
            "CONFIG_MODULES=y\nCONFIG_A=m\n# CONFIG_BUS is not set\n# CONFIG_OLD is not set\n",
        );
        folder.record("a", &["d/a.c", "d/part.c"]);
        folder.record("old", &["d/old.c"]);
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn record(&self, name: &str, files: &[&str]) {
        let lines: String = files
            .iter()
            .skip(1)
            .map(|file| format!("  ../tree/{file} \\\n"))
            .collect();
        let text = format!(
            "savedcmd_d/{name}.o := gcc\n\nsource_d/{name}.o := ../tree/{}\n\ndeps_d/{name}.o := \\\n{lines}\n",
            files[0]
        );
        self.write(&format!("out/d/.{name}.o.cmd"), &text);
        self.write(&format!("out/d/{name}.o"), "");
    }

    fn absent(&self, names: &[&str]) -> Vec<String> {
        let root = self.root.path().canonicalize().unwrap();
        let built = BuiltIn {
            tree: &root.join("tree"),
            out: &root.join("out"),
            arch: "arm64",
        };
        let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        built.absent(&files).iter().map(Absent::to_string).collect()
    }
}

#[test]
fn code_that_is_off_is_named_with_the_lines_that_bring_it() {
    let told = Folder::new().absent(&["d/a.c", "d/b.c"]);
    assert_eq!(
        told,
        ["d/b.c is not in this build: CONFIG_B is off; to have it: CONFIG_B=m, CONFIG_BUS=y"]
    );
}

#[test]
fn an_object_of_an_earlier_configuration_is_not_in_the_build() {
    let told = Folder::new().absent(&["d/old.c"]);
    assert_eq!(
        told,
        ["d/old.c is not in this build: CONFIG_OLD is off; to have it: CONFIG_OLD=y"]
    );
}

#[test]
fn what_another_object_includes_is_built_with_it() {
    assert_eq!(Folder::new().absent(&["d/part.c"]), [""; 0]);
}

#[test]
fn what_no_list_names_is_told_by_the_records_alone() {
    let folder = Folder::new();
    let told = folder.absent(&["d/free.c"]);
    assert!(
        told[0].starts_with("d/free.c is not in this build: make compiled no object"),
        "{told:?}"
    );
    folder.record("other", &["d/free.c"]);
    assert_eq!(folder.absent(&["d/free.c"]), [""; 0]);
}

#[test]
fn an_object_that_is_older_than_its_source_does_not_count() {
    let folder = Folder::new();
    let object = folder.root.path().join("out/d/a.o");
    let earlier = SystemTime::now() - Duration::from_secs(3600);
    fs::File::open(object).unwrap().set_modified(earlier).unwrap();
    assert_eq!(folder.absent(&["d/a.c"]).len(), 1);
}

#[test]
fn what_is_no_code_of_this_kernel_is_not_looked_for() {
    for file in [
        "d/a.h",
        "d/Kconfig",
        "Documentation/x.c",
        "tools/x.c",
        "scripts/x.c",
        "arch/x86/kernel/x.c",
        "d/gone.c",
    ] {
        assert_eq!(Folder::new().absent(&[file]), [""; 0], "{file}");
    }
    assert!(is_code(Path::new("arch/arm64/kernel/x.S"), "arm64"));
}
