use super::*;
use crate::campaign::file::Campaign;
use std::fs;
use std::time::Duration;

/// A module whose `inner` the compiler puts into its caller.
const LEAKY: &str = "#define noinline __attribute__((noinline))\nextern int sink(int x);\nint level __asm__(\"__param_level\");\n\n\
    static int inner(int a)\n{\n\treturn sink(a) + 1;\n}\n\n\
    static noinline int kept(int a)\n{\n\treturn sink(a) + 2;\n}\n\n\
    int outer(int a)\n{\n\treturn inner(a) + kept(a) + kept(a + 1);\n}\n\n\
    __attribute__((section(\".init.text\"))) int leaky_init(void)\n{\n\treturn level;\n}\n";

/// A build folder with a kernel and two modules, of which `leaky` is loaded.
struct Folder {
    root: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = Folder {
            root: tempfile::tempdir().unwrap(),
        };
        folder.write("tree/Kbuild", "obj-y += d/\n");
        folder.write(
            "tree/d/Makefile",
            "obj-$(CONFIG_LEAKY) += leaky.o\nobj-$(CONFIG_OTHER) += other.o\n",
        );
        folder.write(
            "tree/Kconfig",
            "config MODULES\n\tbool \"m\"\n\tmodules\n\nconfig LEAKY\n\ttristate \"l\"\n\nconfig OTHER\n\ttristate \"o\"\n",
        );
        folder.write("tree/d/leaky.c", LEAKY);
        folder.write("tree/d/other.c", "int other_run(void)\n{\n\treturn 1;\n}\n");
        folder.write(
            "out/.config",
            "CONFIG_MODULES=y\nCONFIG_LEAKY=m\nCONFIG_OTHER=m\n",
        );
        folder.write(
            "out/System.map",
            "ffff000000000000 T vb2_buffer_done\nffff000000000100 T end\nffff000000000200 D __tracepoint_vb2_buf_done\n",
        );
        folder.write("out/modules.order", "d/leaky.o\nd/other.o\n");
        folder.write("out/modules.builtin", "kernel/d/fixed.ko\n");
        for name in ["leaky", "other"] {
            folder.compile(name);
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn compile(&self, name: &str) {
        let root = self.root.path();
        let (source, module) = (
            root.join(format!("tree/d/{name}.c")),
            root.join(format!("out/d/{name}.ko")),
        );
        self.write(
            &format!("out/d/.{name}.o.cmd"),
            &format!("savedcmd_d/{name}.o := gcc\n\nsource_d/{name}.o := ../tree/d/{name}.c\n\ndeps_d/{name}.o := \\\n\n"),
        );
        self.write(&format!("out/d/{name}.o"), "");
        let sh = xshell::Shell::new().unwrap();
        let cmd = xshell::cmd!(sh, "gcc -O2 -c {source} -o {module}");
        crate::host::process::run(cmd, Duration::from_secs(60)).unwrap();
    }

    fn faults(&self, lines: &str) -> Faults {
        let text = format!(
            "schema-version = 1\nname = \"x\"\ngoal = \"x\"\nseries = \"x\"\n[[step]]\nid = \"2.1\"\npatch = \"0001\"\n{lines}"
        );
        let campaign = Campaign::parse(&text).unwrap();
        let root = self.root.path().canonicalize().unwrap();
        let build = BuiltIn {
            tree: &root.join("tree"),
            out: &root.join("out"),
            arch: "arm64",
        };
        of_step(&campaign.steps[0], &["d/leaky.c".into()], &build).unwrap()
    }

    /// The one fault of an entry of `exercise`; empty if there is none.
    fn of(&self, entry: &str) -> String {
        let faults = self.faults(&format!("load = [\"leaky\"]\nexercise = [{entry:?}]"));
        assert_eq!(faults.build, [""; 0]);
        faults.exercise.concat()
    }
}

#[test]
fn what_can_be_watched_is_no_fault() {
    let folder = Folder::new();
    for entry in [
        "outer",
        "kept",
        "vb2_buffer_done",
        "kprobe:outer",
        "kprobe:vb2_buffer_done+0x10",
        "tracepoint:vb2:vb2_buf_done",
        "tracepoint:syscalls:sys_enter_openat",
        "counter:/sys/module/leaky/parameters/level",
        "counter:/proc/interrupts",
    ] {
        assert_eq!(folder.of(entry), "", "{entry}");
    }
}

#[test]
fn a_function_that_was_put_into_its_caller_is_named_with_what_stands_for_it() {
    let told = Folder::new().of("inner");
    assert!(
        told.starts_with("step 2.1: `exercise` names inner: it is in d/leaky.c, and the build has no function of its own for it"),
        "{told}"
    );
    assert!(
        told.contains("name its caller (outer)")
            && told.contains("`kprobe:outer+0x…`")
            && told.contains("noinline"),
        "{told}"
    );
}

#[test]
fn each_entry_that_could_never_count_says_why() {
    let folder = Folder::new();
    for (entry, why) in [
        (
            "outerr",
            "neither the kernel nor a module has a function of this name; did you mean `outer`?",
        ),
        ("vb2_bufer_done", "did you mean `vb2_buffer_done`?"),
        ("leaky_init", "it is gone once its module has begun"),
        (
            "other_run",
            "it is in the module other, which the step does not load: add that to `load`",
        ),
        ("kprobe:inner", "name its caller (outer)"),
        ("kprobe:vb2_buffer_done+0x1000", "vb2_buffer_done has 256 bytes"),
        (
            "tracepoint:vb2:vb2_buf_don",
            "has a tracepoint vb2_buf_don; did you mean `vb2_buf_done`?",
        ),
        (
            "counter:/sys/module/leaky/parameters/levle",
            "leaky has no parameter levle; did you mean `level`?",
        ),
    ] {
        let told = folder.of(entry);
        assert!(told.contains(why), "{entry}: {told}");
    }
}

#[test]
fn a_module_that_the_build_lacks_is_named_and_one_that_is_built_in_is_a_fact() {
    let faults = Folder::new().faults("load = [\"leeky\", \"fixed\"]\nexpect = \"not-exercised\"");
    assert_eq!(
        faults.build,
        ["step 2.1: `load` names leeky, and this build has no module of that name; did you mean `leaky`?"]
    );
    assert_eq!(
        faults.facts,
        ["fixed is built into the kernel: there is nothing to load"]
    );
}

#[test]
fn code_that_is_not_built_is_a_fault_unless_the_file_declares_it() {
    let folder = Folder::new();
    folder.write("out/.config", "CONFIG_MODULES=y\n# CONFIG_LEAKY is not set\n");
    let faults = folder.faults("exercise = [\"outer\"]");
    assert_eq!(
        faults.build[0],
        "d/leaky.c is not in this build: CONFIG_LEAKY is off; to have it: CONFIG_LEAKY=m"
    );
    assert!(
        faults.build[1].contains("`not-built`") && faults.exercise.is_empty(),
        "{faults:?}"
    );
    let declared = |path: &str| folder.faults(&format!("not-built = [{path:?}]\nexpect = \"not-exercised\""));
    assert_eq!(declared("d/leaky.c"), Faults::default());
    assert_eq!(declared("d"), Faults::default());
    assert_eq!(
        declared("d/leaky").build.len(),
        2,
        "a part of a name declares nothing"
    );
}

#[test]
fn a_declaration_that_is_not_needed_is_a_fact() {
    let faults = Folder::new().faults("not-built = [\"d/leaky.c\"]\nexpect = \"not-exercised\"");
    assert_eq!(faults.build, [""; 0]);
    assert!(
        faults.facts[0].starts_with("named in `not-built`, and nothing of the patch"),
        "{faults:?}"
    );
}
