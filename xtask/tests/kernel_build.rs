//! Building with a real make, on trees of a few lines that look like a kernel to the tool: what fails is told, and what is stopped is gone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xtask::host::interrupt::Stop;
use xtask::kernel::Event;
use xtask::kernel::arch::Architecture;
use xtask::kernel::build::{Base, Builder, Cause, Failed, Made, Profile, alone_in};
use xtask::kernel::ships::refuse_stale_image;
use xtask::kernel::stage;
use xtask::kernel::toolchain::{Family, Toolchain, Wanted, Wrapper};
use xtask::manifest::Manifest;

struct Bench {
    folder: tempfile::TempDir,
    builder: Builder,
}

/// A tree whose only goal, `all`, runs `recipe`; the machine's own compiler.
fn bench(recipe: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tree");
    let own = Architecture::named(std::env::consts::ARCH).unwrap();
    fs::create_dir_all(source.join("arch").join(own.folder)).unwrap();
    fs::write(source.join("arch").join(own.folder).join("Makefile"), "").unwrap();
    fs::write(source.join("Kconfig"), "").unwrap();
    let makefile = format!(
        "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nall:\n\t{}\n",
        recipe.replace('\n', "\n\t")
    );
    fs::write(source.join("Makefile"), makefile).unwrap();
    let wanted = Wanted {
        arch: own,
        family: Family::Gnu,
        wrapper: Wrapper::None,
    };
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let builder = Builder {
        source,
        out,
        cache: folder.path().join("cache"),
        profile: Profile {
            name: "test".into(),
            fragments: Vec::new(),
        },
        toolchain: Toolchain::look(&wanted).unwrap(),
        jobs: 2,
        timestamp: 0,
        patched: Vec::new(),
    };
    Bench { folder, builder }
}

impl Bench {
    fn make(&self) -> anyhow::Result<Made> {
        self.builder.make(&["all"], &mut |_| {})
    }

    fn failed(&self) -> (Cause, String) {
        let error = self.make().unwrap_err();
        let failed = error
            .downcast_ref::<Failed>()
            .unwrap_or_else(|| panic!("{error:#}"));
        (failed.failure.cause, format!("{error:#}"))
    }
}

#[test]
fn a_failure_names_the_first_fault_the_command_and_the_log() {
    let bench = bench(
        "@echo '  CC      mm/a.o'\n@echo \"mm/a.c:3:1: error: 'y' undeclared\" >&2; echo '    3 | y;' >&2; exit 1",
    );
    let (cause, text) = bench.failed();
    assert_eq!(cause, Cause::Compiler);
    assert!(text.contains("a file does not compile: all"), "{text}");
    assert!(
        text.contains("mm/a.c:3:1: error: 'y' undeclared\n        3 | y;"),
        "{text}"
    );
    let log = bench.builder.log();
    assert!(
        text.contains(&log.display().to_string()) && text.contains("lockstep-make.sh"),
        "{text}"
    );
    assert!(fs::read_to_string(log).unwrap().contains("undeclared"));
    // The script is the same build by hand.
    let again = Command::new("sh").arg(bench.builder.script()).output().unwrap();
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("undeclared"));
}

#[test]
fn a_disk_that_fills_up_is_one_clear_error() {
    let bench = bench("@echo '  LD      vmlinux.o'; /bin/echo x > /dev/full");
    let (cause, text) = bench.failed();
    assert_eq!(cause, Cause::DiskFull, "{text}");
    assert!(
        text.contains("the disk is full") && text.contains("are free there now; make room"),
        "{text}"
    );
}

#[test]
fn work_and_warnings_are_counted_and_the_log_before_is_kept() {
    let bench =
        bench("@echo '  CC      mm/a.o'\n@echo 'mm/a.c:3:1: warning: old [-Wx]'\n@echo '  CC      mm/b.o'");
    let made = bench.make().unwrap();
    assert_eq!(
        (made.pieces, made.warnings.list.len(), made.warnings.new),
        (2, 1, None)
    );
    let mut builder = bench.builder.clone();
    builder.patched = vec![PathBuf::from("mm/b.c")];
    let text = fs::read_to_string(builder.source.join("Makefile")).unwrap();
    fs::write(
        builder.source.join("Makefile"),
        format!("{text}\t@echo 'mm/b.c:9:1: warning: mine'\n"),
    )
    .unwrap();
    let mut told = Vec::new();
    let made = builder
        .make(&["all"], &mut |event| {
            if let Event::Warning(text) = event {
                told.push(text);
            }
        })
        .unwrap();
    assert_eq!(told, ["new, in a file of the patch: mm/b.c:9: mine"]);
    assert_eq!((made.warnings.new, made.warnings.in_patch), (Some(1), 1));
    let before = PathBuf::from(format!("{}.1", builder.log().display()));
    assert!(!fs::read_to_string(before).unwrap().contains("mm/b.c:9"));
}

#[test]
fn a_tree_without_a_makefile_and_one_without_the_architecture_are_refused() {
    let bench = bench("@true");
    let mut builder = bench.builder.clone();
    let configure = |builder: &Builder| {
        let error = builder
            .configure(&Base::AllNo, "test", &[], &mut |_| {})
            .unwrap_err();
        format!("{error:#}")
    };
    builder.source = bench.folder.path().join("empty");
    fs::create_dir(&builder.source).unwrap();
    let error = configure(&builder);
    assert!(
        error.contains("is no kernel tree: a Makefile with VERSION"),
        "{error}"
    );
    builder.source = bench.builder.source.clone();
    fs::remove_dir_all(builder.source.join("arch")).unwrap();
    let error = configure(&builder);
    assert!(error.contains("has no architecture"), "{error}");
    assert!(!builder.out.join(".config").exists());
}

#[test]
fn a_compiler_that_the_tree_finds_too_old_is_refused_before_anything_is_made() {
    let bench = bench("@true");
    let scripts = bench.builder.source.join("scripts");
    fs::create_dir(&scripts).unwrap();
    fs::write(scripts.join("min-tool-version.sh"), "echo 99.1.0\n").unwrap();
    let error = bench
        .builder
        .configure(&Base::AllNo, "test", &[], &mut |_| {})
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("is too old: it is version") && text.contains("takes 99.1.0 or newer"),
        "{text}"
    );
}

#[test]
fn modules_alone_are_refused_when_the_image_itself_would_be_another() {
    let bench = bench("@true");
    let (source, out) = (&bench.builder.source, &bench.builder.out);
    let header = PathBuf::from("include/linux/x.h");
    let refuse = || {
        refuse_stale_image(&bench.builder, std::slice::from_ref(&header)).map_err(|error| error.to_string())
    };
    assert!(refuse().unwrap_err().contains("there is no kernel image in"));
    fs::create_dir_all(source.join("include/linux")).unwrap();
    fs::create_dir_all(out.join("mm")).unwrap();
    fs::write(source.join(&header), "").unwrap();
    for file in ["vmlinux", "vmlinux.o", "mm/a.o", "mm/m.o"] {
        fs::write(out.join(file), "").unwrap();
    }
    // Both include it; the one is in the image, the other in a module.
    for object in ["a", "m"] {
        let text = format!(
            "deps_mm/{object}.o := \\\n  {} \\\n\n",
            source.join(&header).display()
        );
        fs::write(out.join(format!("mm/.{object}.o.cmd")), text).unwrap();
    }
    fs::write(out.join("modules.order"), "mm/m.o\n").unwrap();
    refuse().unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    let file = fs::File::options()
        .write(true)
        .open(source.join(&header))
        .unwrap();
    file.set_modified(later).unwrap();
    let error = refuse().unwrap_err();
    assert!(
        error.contains("1 object of the kernel image itself")
            && error.contains("mm/a.o for one, since include/linux/x.h changed"),
        "{error}"
    );
    fs::remove_file(out.join("mm/.a.o.cmd")).unwrap();
    refuse().unwrap();
}

/// Runs in a process of its own, started by the test below: signals are for whole processes.
#[test]
#[ignore = "the other half of ctrl_c_ends_make_and_all_its_children"]
fn builds_something_that_sleeps() {
    let place = PathBuf::from(std::env::var_os("LOCKSTEP_TEST_SLEEPER").expect("started by the other test"));
    let mut bench = bench("@sleep 977 & echo $$! > child; echo '  CC      a.o'; wait");
    let out = std::mem::replace(&mut bench.builder.out, place);
    let started = bench.builder.source.join("child");
    fs::write(bench.builder.out.join("where"), started.display().to_string()).unwrap();
    let error = format!("{:#}", bench.make().unwrap_err());
    fs::write(bench.builder.out.join("error"), error).unwrap();
    drop(out);
}

/// A process that builds something that sleeps in `folder`, and the sleeper.
fn sleeping_in(folder: &Path) -> (Child, i32) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "kernel_build::builds_something_that_sleeps",
        ])
        .env("LOCKSTEP_TEST_SLEEPER", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let sleeper = wait_for(|| {
        let file = fs::read_to_string(folder.join("where")).ok()?;
        fs::read_to_string(file).ok()?.trim().parse::<i32>().ok()
    });
    assert!(is_alive(sleeper));
    (child, sleeper)
}

/// The make that is at work in a build folder.
fn make_in(out: &Path) -> Option<rustix::process::Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|process| {
        let words = fs::read(process.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let is_it = words.starts_with("make\0") && words.contains(&format!("O={}", out.display()));
        is_it.then(|| process.file_name().to_string_lossy().parse().ok())?
    });
    // It may have started another one, which is younger.
    found.min().and_then(rustix::process::Pid::from_raw)
}

#[test]
fn a_make_whose_starter_was_killed_ends_and_keeps_the_next_one_out_until_then() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let (mut child, sleeper) = sleeping_in(folder.path());
    let make = wait_for(|| make_in(folder.path()));
    // A make that is slow to end.
    kill_process(make, Signal::STOP).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let next = {
        let out = folder.path().to_path_buf();
        std::thread::spawn(move || alone_in(&out).map(drop))
    };
    std::thread::sleep(Duration::from_millis(500));
    assert!(!next.is_finished());
    kill_process(make, Signal::CONT).unwrap();
    next.join().unwrap().unwrap();
    wait_for(|| make_in(folder.path()).is_none().then_some(()));
    // What the recipe had put into the background is not make's.
    let _ = kill_process(Pid::from_raw(sleeper).unwrap(), Signal::TERM);
    let source = fs::read_to_string(folder.path().join("where")).unwrap();
    drop(fs::remove_dir_all(Path::new(&source).ancestors().nth(2).unwrap()));
}

#[test]
fn ctrl_c_ends_make_and_all_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, sleeper) = sleeping_in(folder.path());
    // As a terminal does it: to the program's process group, which make is not in.
    let group = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    let error = wait_for(|| {
        fs::read_to_string(folder.path().join("error"))
            .ok()
            .filter(|text| !text.is_empty())
    });
    assert!(
        error.contains("stopped as asked") && error.contains("lockstep-make.log"),
        "{error}"
    );
    assert!(!is_alive(sleeper), "what make started is gone");
    child.wait().unwrap();
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process runs; one that ended and was not waited for is gone, too (state Z of proc_pid_stat(5)).
fn is_alive(process: i32) -> bool {
    let stat =
        fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn a_build_on_a_thread_is_broken_off_alone_and_make_is_ended_with_it() {
    let bench = bench("@echo $$PPID > pid; sleep 100");
    let pid = bench.builder.out.join("pid");
    let stop = Stop::default();
    let build = {
        let (stop, builder) = (stop.clone(), bench.builder.clone());
        std::thread::spawn(move || {
            stop.rule_this_thread();
            builder.make(&["all"], &mut |_| {}).map(|_| ())
        })
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let begun = |folder: &Path| {
        let found = fs::read_to_string(folder.join("pid")).or_else(|_| fs::read_to_string(&pid));
        found.ok().filter(|text| text.ends_with('\n'))
    };
    while begun(&bench.builder.source).is_none() {
        assert!(Instant::now() < deadline, "make did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.ask();
    let error = build.join().unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("stopped as asked"), "{error:#}");
    let make = begun(&bench.builder.source).unwrap();
    assert!(!Path::new("/proc").join(make.trim()).exists(), "make is gone");
}

#[test]
fn what_was_staged_beside_takes_the_place_of_what_was_staged_whole() {
    let bench = bench("");
    let [ahead, staged] = ["test.ahead", "test"].map(|name| bench.folder.path().join("staging").join(name));
    for (folder, release) in [(&staged, "old"), (&ahead, "new")] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(release), "").unwrap();
        let manifest = Manifest {
            schema_version: 1,
            release: release.into(),
            build_id: String::new(),
            profile: "test".into(),
            commit: String::new(),
            append: Vec::new(),
            files: Vec::new(),
            root: folder.clone(),
        };
        fs::write(
            folder.join("manifest.json"),
            serde_json::to_vec(&manifest).unwrap(),
        )
        .unwrap();
    }
    let manifest = bench.builder.stage_moves(&ahead, &staged).unwrap();
    assert_eq!((manifest.release.as_str(), &manifest.root), ("new", &staged));
    assert_eq!(stage::read_manifest(&staged).unwrap(), manifest);
    assert!(staged.join("new").exists() && !staged.join("old").exists() && !ahead.exists());
    fs::create_dir(bench.folder.path().join("staging/test.ahead.new")).unwrap();
    stage::discard(&ahead).unwrap();
    assert_eq!(
        fs::read_dir(bench.folder.path().join("staging")).unwrap().count(),
        1
    );
}
