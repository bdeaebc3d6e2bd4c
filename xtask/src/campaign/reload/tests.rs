use super::*;
use crate::board::inventory::{BoardPath, Content, Entry};
use serde_json::json;

const MODULES: &str = "/usr/lib/modules/r";

fn file(kind: Kind, source: &str, content: &str) -> File {
    File {
        kind,
        source: source.into(),
        size: 1,
        sha256: content.into(),
        mode: 0o644,
        build_id: None,
        content_sha256: (kind == Kind::Module).then(|| content.to_string()),
    }
}

fn build(files: &[(Kind, &str, &str)]) -> Manifest {
    Manifest {
        schema_version: 1,
        release: "r".into(),
        build_id: "b1".into(),
        profile: "lockdep".into(),
        append: Vec::new(),
        commit: "c1".into(),
        root: "/stage".into(),
        files: files
            .iter()
            .map(|(kind, source, content)| file(*kind, source, content))
            .collect(),
    }
}

const IMAGE: (Kind, &str, &str) = (Kind::Image, "Image", "i1");
const COMMON: (Kind, &str, &str) = (Kind::Module, "lib/modules/r/kernel/common.ko", "m1");
const VIM2M: (Kind, &str, &str) = (Kind::Module, "lib/modules/r/kernel/vim2m.ko", "m1");

fn other<'a>(of: (Kind, &'a str, &str)) -> (Kind, &'a str, &'static str) {
    (of.0, of.1, "other")
}

fn names(files: &[&File]) -> Vec<String> {
    files.iter().filter_map(|file| file.module_name()).collect()
}

#[test]
fn only_a_step_that_changed_modules_and_nothing_else_is_tried() {
    let before = build(&[IMAGE, COMMON, VIM2M, (Kind::Dtb, "dtbs/a.dtb", "d1")]);
    let says = |now: &[(Kind, &str, &str)]| changed(&before, &build(now)).map(|files| names(&files));
    let dtb = (Kind::Dtb, "dtbs/a.dtb", "d1");
    assert_eq!(
        says(&[IMAGE, COMMON, other(VIM2M), dtb]),
        Ok(vec!["vim2m".into()])
    );
    let added = (Kind::Module, "lib/modules/r/kernel/new-one.ko", "n");
    assert_eq!(
        says(&[IMAGE, COMMON, VIM2M, dtb, added]),
        Ok(vec!["new_one".into()])
    );
    let refused = |now: &[(Kind, &str, &str)]| says(now).unwrap_err();
    assert!(refused(&[other(IMAGE), COMMON, other(VIM2M), dtb]).contains("Image"));
    assert!(refused(&[IMAGE, COMMON, other(VIM2M), other(dtb)]).contains("dtbs/a.dtb"));
    assert!(refused(&[IMAGE, other(VIM2M), dtb]).contains("common.ko is not built any more"));
    assert!(refused(&[IMAGE, COMMON, VIM2M, dtb]).contains("no module"));
    let mut another = build(&[IMAGE, COMMON, other(VIM2M), dtb]);
    another.release = "s".into();
    assert!(changed(&before, &another).unwrap_err().contains("release"));
}

#[test]
fn the_journal_gets_what_it_depends_on() {
    let (before, now) = (build(&[IMAGE, VIM2M]), build(&[IMAGE, other(VIM2M)]));
    let told = inputs(&changed(&before, &now).unwrap(), &before);
    assert_eq!(told, json!({ "modules": { "vim2m": "other" }, "in": "c1" }));
}

#[test]
fn only_the_slot_of_the_step_before_is_booted_for_it() {
    let before = build(&[IMAGE, VIM2M]);
    let on_board = |content: &str| {
        let entry = Entry {
            content: Content::File {
                size: 1,
                sha256: content.into(),
            },
            mode: 0o644,
            owner: (0, 0),
            modified: 0,
            filesystem: String::new(),
        };
        let path = BoardPath::new(Path::new(MODULES).join("kernel/vim2m.ko")).unwrap();
        Inventory::from_iter([(path, entry)])
    };
    let slot = Record {
        schema_version: 1,
        label: "l".into(),
        release: "r".into(),
        build_id: "b1".into(),
        commit: "c1".into(),
        nonce: "n".into(),
        state: State::Whole,
        inventory: on_board("m1"),
        sequence: 1,
        initramfs: None,
    };
    let why = |slot: &Record| another_slot(Some(slot), &before, Path::new(MODULES));
    assert_eq!(why(&slot), None);
    let with = |change: &dyn Fn(&mut Record)| {
        let mut slot = slot.clone();
        change(&mut slot);
        why(&slot).unwrap()
    };
    assert!(with(&|slot| slot.state = State::Incomplete).contains("not whole"));
    assert!(with(&|slot| slot.commit = "c2".into()).contains("commit c2"));
    assert!(with(&|slot| slot.build_id = "b2".into()).contains("not of the step before"));
    assert!(with(&|slot| slot.inventory = on_board("other")).contains("another vim2m"));
    assert!(with(&|slot| slot.inventory.clear()).contains("another vim2m"));
    assert!(another_slot(None, &before, Path::new(MODULES)).is_some());
}

/// As a kernel with vim2m and vicodec in use by nobody prints it, in its order.
const LOADED: &str = "vicodec 86016 0 - Live 0xffffa1f4c8a1a000\n\
    v4l2_fwht 20480 1 vicodec, Live 0xffffa1f4c8a10000 (E)\n\
    vim2m 40960 0 - Live 0xffffa1f4c8a00000\n\
    v4l2_mem2mem 53248 2 vicodec,vim2m, Live 0xffffa1f4c89f0000\n\
    videobuf2_common 143360 3 vicodec,vim2m,v4l2_mem2mem, Live 0xffffa1f4c89a0000\n\
    ramoops 40960 1 - Live 0xffffa1f4c8980000\n\
    ext 40960 1 [permanent], Live 0xffffa1f4c8980000\n\
    still 40960 - - Live 0xffffa1f4c8980000\n";

fn order(modules: &[&str]) -> Result<Vec<String>, String> {
    let modules: Vec<String> = modules.iter().map(|name| name.to_string()).collect();
    unloading(&modules, &loaded(LOADED))
}

#[test]
fn users_are_unloaded_first_and_what_is_not_loaded_is_none_of_them() {
    assert_eq!(order(&["vim2m"]).unwrap(), ["vim2m"]);
    assert_eq!(
        order(&["videobuf2_common", "vim2m"]).unwrap(),
        ["vicodec", "vim2m", "v4l2_mem2mem", "videobuf2_common"]
    );
    assert!(order(&["hantro_vpu"]).unwrap().is_empty());
}

#[test]
fn what_is_held_by_something_else_ends_the_try_before_it_begins() {
    assert!(
        order(&["vim2m", "ramoops"])
            .unwrap_err()
            .contains("ramoops cannot be unloaded: it is held 1 times")
    );
    assert!(order(&["ext"]).unwrap_err().contains("permanent"));
    assert!(order(&["still"]).unwrap_err().contains("unloads no module"));
    let in_use = LOADED.replace("vicodec 86016 0", "vicodec 86016 2");
    let why = unloading(&["videobuf2_common".into()], &loaded(&in_use)).unwrap_err();
    assert!(
        why.starts_with("vicodec cannot be unloaded: it is held 2 times"),
        "a user of it: {why}"
    );
    let circle = "a 1 1 b, Live 0x0\nb 1 1 a, Live 0x0\n";
    assert!(
        unloading(&["a".into()], &loaded(circle))
            .unwrap_err()
            .contains("used by itself")
    );
}

#[test]
fn a_module_is_loaded_behind_what_it_needs_and_what_stays_is_left_alone() {
    let dep = "kernel/vicodec.ko: kernel/v4l2-fwht.ko kernel/v4l2-mem2mem.ko kernel/vb2.ko\n\
        kernel/v4l2-fwht.ko:\nkernel/v4l2-mem2mem.ko: kernel/vb2.ko\nkernel/vb2.ko:\nkernel/vim2m.ko: kernel/v4l2-mem2mem.ko kernel/vb2.ko\n";
    let order = |stays: &[&str]| {
        let stays: Vec<String> = stays.iter().map(|name| name.to_string()).collect();
        loading(
            &["vim2m".into(), "vicodec".into(), "built_in".into()],
            dep,
            &stays,
        )
    };
    assert_eq!(
        order(&["vb2"]),
        [
            "kernel/v4l2-mem2mem.ko",
            "kernel/vim2m.ko",
            "kernel/v4l2-fwht.ko",
            "kernel/vicodec.ko"
        ]
    );
    assert_eq!(
        order(&["vb2", "v4l2_mem2mem", "v4l2_fwht", "vicodec"]),
        ["kernel/vim2m.ko"]
    );
    assert_eq!(order(&[])[0], "kernel/vb2.ko");
}

#[test]
fn the_exchange_marks_the_log_and_tells_what_it_did() {
    let script = exchange(
        &["vim2m".into()],
        &["/run/x/kernel/v4l2-fwht.ko".into(), "/run/a b.ko".into()],
    );
    let at = |words: &str| {
        script
            .find(words)
            .unwrap_or_else(|| panic!("{words} in {script}"))
    };
    assert!(
        at("/dev/kmsg") < at("rmmod vim2m") && at("rmmod vim2m") < at("insmod /run/x/kernel/v4l2-fwht.ko")
    );
    assert!(script.contains("insmod '/run/a b.ko'"), "{script}");
    let answer = format!("{DID}unloaded vim2m\nnoise\n{DID}loaded v4l2_fwht\n");
    assert_eq!(did(&answer), ["vim2m unloaded", "v4l2_fwht loaded"]);
}

#[test]
fn only_what_the_kernel_said_behind_the_mark_counts() {
    let log = format!("6,1,1,-;before\n12,2,2,-;{MARK}\n6,3,3,-;after\n");
    assert_eq!(behind_mark(log.as_bytes()), Some(&b"6,3,3,-;after\n"[..]));
    assert_eq!(behind_mark(b"6,1,1,-;before\n"), None);
}

#[test]
fn the_folder_has_to_be_in_memory() {
    let answer = |on: &str| format!("{ON}{on}\n{LOADED}");
    assert!(is_in_memory(&answer("tmpfs")) && !is_in_memory(&answer("ext2/ext3")) && !is_in_memory(LOADED));
    assert_eq!(loaded(&answer("tmpfs")).len(), 8, "the first line is no module");
}

#[test]
fn a_warning_names_what_failed_and_what_is_new() {
    let mut booted = Booted::default();
    assert!(warnings(&booted, &[]).is_empty());
    booted
        .seen
        .failed_tests
        .push("vim2m-fence: exit 1, expected 0".into());
    let told = warnings(&booted, &["possible circular locking".into()]);
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("vim2m-fence") && told[1].ends_with("possible circular locking"));
}
