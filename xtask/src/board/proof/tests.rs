use super::*;
use crate::manifest::File;

fn manifest() -> Manifest {
    let module = |name: &str, build_id: &str| File {
        kind: Kind::Module,
        source: format!("lib/modules/r/{name}.ko").into(),
        size: 1,
        sha256: String::new(),
        mode: 0o644,
        build_id: Some(build_id.into()),
        content_sha256: None,
    };
    Manifest {
        schema_version: 1,
        release: "r".into(),
        build_id: "aa".into(),
        profile: "lockdep".into(),
        append: Vec::new(),
        commit: "c".into(),
        root: "/x".into(),
        files: vec![module("v4l2-mem2mem", "01"), module("vim2m", "02")],
    }
}

fn note(id: &str) -> String {
    format!("0400000002000000{}474e5500{id}0000", "03000000").replace("02000000", "01000000")
}

fn answer(module: &str, id: &str) -> String {
    let pax = "040000000400000002010000474e550001020304";
    let head = hex::encode("==> /sys/kernel/notes <==\n");
    let named = hex::encode(format!(
        "\n==> /sys/module/mc/notes/.note.gnu.build-id <==\n\n==> /sys/module/{module}/notes/.note.gnu.build-id <==\n"
    ));
    format!(
        "release=r\nboot_id=new\ncmdline=root=/dev/x lockstep.nonce=n1\nuptime=5.25 1.00\ntaint=0\ndebug_locks=1\n\
         module={module}\nnotes={head}{pax}{}{named}{}\nwho=root ttyAMA0\nend=1\n",
        note("aa"),
        note(id)
    )
}

#[test]
fn each_module_has_its_own_note() {
    let notes = b"==> /sys/module/a/notes/.note.gnu.build-id <==\n1\n==> /sys/module/b/notes/.note.gnu.build-id <==\n2\n\n\n\
                  ==> /sys/module/ab/notes/.note.gnu.build-id <==\n";
    let note_of = |file: &str, notes| -> Vec<u8> {
        each_note(notes)
            .get(file.as_bytes())
            .copied()
            .unwrap_or_default()
            .to_vec()
    };
    let of = |module| note_of(&format!("/sys/module/{module}/notes/.note.gnu.build-id"), notes);
    assert_eq!(
        [of("a"), of("b"), of("ab"), of("c")],
        [b"1" as &[u8], b"2\n\n", b"", b""]
    );
    // A head that cannot, and what came in its place.
    let twice = [notes as &[u8], notes].concat();
    assert_eq!(
        note_of("/sys/module/b/notes/.note.gnu.build-id", &twice),
        b"2\n\n"
    );
    assert_eq!(parse(&answer("v", "01")).unwrap().uptime, Some(5));
}

fn prove_it(text: &str) -> Proof {
    let manifest = manifest();
    let expected = Expected {
        manifest: &manifest,
        nonce: "n1",
        boot_id_before: Some("old"),
        lockdep: Lockdep::Alive,
        modules: &["v4l2-mem2mem".into()],
    };
    prove(&expected, &parse(text).unwrap())
}

fn open(text: &str) -> Vec<(String, State)> {
    prove_it(text)
        .open()
        .map(|fact| (fact.what.to_string(), fact.state))
        .collect()
}

#[test]
fn everything_as_wanted_is_proven() {
    let proof = prove_it(&answer("v4l2_mem2mem", "01"));
    assert!(proof.holds(), "{proof:?}");
    assert_eq!(proof.facts.len(), 6);
}

/// It says what ends this boot by itself, and never takes that for a proof of the build.
#[test]
fn the_lease_is_told_apart_from_the_build() {
    let none = answer("v4l2_mem2mem", "01");
    assert_eq!(prove_it(&none).lease, None);
    let held =
        "lockstep_lease=lockstep-says\nlockstep_lease=lockstep-lease\nlockstep_lease_end=0000000240\nwho=";
    let proof = prove_it(&none.replace("who=", held));
    let lease = proof.lease.as_ref().unwrap();
    assert!(
        proof.holds() && lease.ends == [lease::End::Restart] && !lease.is_complete(),
        "{lease:?}"
    );
}

#[test]
fn each_thing_that_is_wrong_is_named() {
    let good = answer("v4l2_mem2mem", "01");
    let check = |from: &str, to: &str, what: &str, state: State| {
        assert!(good.contains(from));
        assert_eq!(
            open(&good.replace(from, to)),
            [(what.to_string(), state)],
            "{from} -> {to}"
        );
    };
    check("release=r", "release=vanilla", "release", State::Mismatch);
    check("nonce=n1", "nonce=n0", "nonce of this deploy", State::Mismatch);
    check("boot_id=new", "boot_id=old", "new boot id", State::Mismatch);
    check(
        "debug_locks=1",
        "debug_locks=0",
        "lockdep alive (debug_locks)",
        State::Mismatch,
    );
    check(
        "debug_locks=1",
        "debug_locks=",
        "lockdep alive (debug_locks)",
        State::Unknown,
    );
    let head = hex::encode("==> /sys/kernel/notes");
    check(
        &head,
        &hex::encode("==> /sys/kernel/n0tes"),
        "kernel build id",
        State::Unknown,
    );
    assert_eq!(
        open(&answer("v4l2_mem2mem", "09")),
        [("module v4l2_mem2mem".into(), State::Mismatch)]
    );
    assert_eq!(
        open(&answer("vim2m", "02")),
        [("loading of module v4l2_mem2mem".into(), State::Mismatch)],
        "a wanted module is missing"
    );
    assert!(open(&answer("stranger", "02")).contains(&("module stranger".into(), State::Mismatch)));
}

/// A debug build on a busy machine; what is quadratic takes minutes.
#[test]
fn a_board_with_any_number_of_modules_is_judged_soon() {
    let begun = std::time::Instant::now();
    let names: Vec<String> = (0..100_000).map(|number| format!("m{number}")).collect();
    let mut text = String::new();
    let mut notes = Vec::new();
    for name in &names {
        text += &format!("module={name}\n");
        let one = format!("\n==> /sys/module/{name}/notes/.note.gnu.build-id <==\n");
        notes.extend_from_slice(one.as_bytes());
        notes.extend(hex::decode(note("ab")).unwrap());
    }
    text += &format!("notes={}\nend=1\n", hex::encode(notes));
    let seen = parse(&text).unwrap();
    assert_eq!(seen.modules.len(), names.len());
    assert!(
        seen.modules
            .values()
            .all(|build_id| build_id.as_deref() == Some("ab"))
    );
    let mut built = manifest();
    let model = built.files[0].clone();
    built.files = (0..10_000)
        .map(|number| File {
            source: format!("lib/modules/r/m{number}.ko").into(),
            build_id: Some("ab".into()),
            ..model.clone()
        })
        .collect();
    let expected = Expected {
        manifest: &built,
        nonce: "n1",
        boot_id_before: None,
        lockdep: Lockdep::NotAsked,
        modules: &names,
    };
    let proof = prove(&expected, &seen);
    assert_eq!(proof.open().count(), 3 + 90_000);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn an_answer_that_is_cut_off_proves_nothing() {
    assert!(parse("release=r\n").is_err());
    let nothing = Proof {
        facts: vec![],
        lease: None,
    };
    assert!(!nothing.holds());
}
