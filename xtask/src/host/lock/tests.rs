use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

fn name(key: &str) -> Alias {
    Alias {
        key: key.into(),
        shown: format!("its {key}"),
    }
}

fn purpose(command: &str) -> Purpose {
    Purpose {
        command: command.into(),
        board: "ampere".into(),
        campaign: Some("iter6".into()),
        run: None,
    }
}

fn place() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::at(folder.path()).unwrap();
    (folder, place)
}

/// [`look`] once no other process has the lock's file: a program that another test starts has all of our open files until it is executed.
fn looked(place: &Place, names: &[Alias]) -> State {
    eventually(|| match look(place, names) {
        State::Held { .. } => None,
        found => Some(found),
    })
}

/// [`take`], likewise.
fn taken(place: &Place, names: &[Alias], command: &str) -> Held {
    eventually(|| take(place, names, &purpose(command)).ok())
}

fn eventually<T>(what: impl Fn() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "it stays held");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn busy(error: &anyhow::Error) -> &Busy {
    error.downcast_ref().unwrap_or_else(|| panic!("{error:#}"))
}

#[test]
fn two_who_know_one_name_in_common_meet_and_the_refusal_says_who_holds_it() {
    let (_folder, place) = place();
    let mut first = take(&place, &[name("address a"), name("host key")], &purpose("one")).unwrap();
    first.is_for_run(Path::new("/runs/1")).unwrap();
    let error = take(&place, &[name("address b"), name("host key")], &purpose("two")).unwrap_err();
    assert_eq!(busy(&error).name, name("host key"));
    let text = error.to_string();
    let user = place::user_name(rustix::process::getuid().as_raw());
    for part in [
        &format!("process {} of user {user} (`one`) since 2", std::process::id()),
        "as board `ampere`, campaign iter6, run /runs/1",
        "by its host key",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The refused one keeps nothing.
    assert_eq!(looked(&place, &[name("address b")]), State::Free);
    let mut other = take(&place, &[name("address b")], &purpose("three")).unwrap();
    assert!(
        other.add(&[name("host key")]).is_err(),
        "known later, refused then"
    );
    assert!(
        matches!(look(&place, &[name("address b")]), State::Held { holder: Some(holder) } if holder.purpose.command == "three")
    );
    drop(first);
    other.add(&[name("host key"), name("address b")]).unwrap();
    assert!(other.stale.is_empty());
}

#[test]
fn a_holder_that_died_is_named_and_a_note_that_a_power_cut_left_is_not_one() {
    let (_folder, place) = place();
    let key = name("k");
    let held = take(&place, std::slice::from_ref(&key), &purpose("killed")).unwrap();
    let holder = held.holder.clone();
    let path = place.path(&key);
    drop(held);
    assert_eq!(looked(&place, std::slice::from_ref(&key)), State::Free);
    std::fs::write(&path, serde_json::to_vec(&holder).unwrap()).unwrap();
    assert_eq!(
        looked(&place, std::slice::from_ref(&key)),
        State::Stale {
            holder: holder.clone()
        }
    );
    let held = taken(&place, std::slice::from_ref(&key), "next");
    assert_eq!(held.stale, [holder]);
    drop(held);
    for left in [&b""[..], &[0; 300], b"{\"process\":nul", b"[[[[\xff"] {
        std::fs::write(&path, left).unwrap();
        assert_eq!(looked(&place, std::slice::from_ref(&key)), State::Free);
        assert!(taken(&place, std::slice::from_ref(&key), "next").stale.is_empty());
    }
}

#[test]
fn nothing_that_another_user_puts_into_the_folder_is_written_to_or_waited_for() {
    let (folder, place) = place();
    let key = name("k");
    let path = place.path(&key);
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let tricks: [(&str, &dyn Fn()); 4] = [
        ("a symbolic link", &|| symlink(&victim, &path).unwrap()),
        ("plain file with one name", &|| {
            std::fs::hard_link(&victim, &path).unwrap()
        }),
        ("plain file with one name", &|| {
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        }),
        ("directory", &|| std::fs::create_dir(&path).unwrap()),
    ];
    for (said, trick) in tricks {
        trick();
        let error = take(&place, std::slice::from_ref(&key), &purpose("c")).unwrap_err();
        let text = format!("{error:#}").to_lowercase();
        assert!(text.contains(said), "{said}: {text}");
        assert!(
            matches!(look(&place, std::slice::from_ref(&key)), State::Unknown { .. }),
            "{said}"
        );
        std::fs::remove_file(&path)
            .or_else(|_| std::fs::remove_dir(&path))
            .unwrap();
    }
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    // A note cannot make a second line, however long it is.
    let note = Holder {
        user: "ann\nboard is free\u{1b}[2J".into(),
        ..Holder::this(&purpose(&"x".repeat(10_000)))
    };
    let text = note.sentence();
    assert!(
        !text.contains(char::is_control) && text.chars().count() <= 640,
        "{text}"
    );
}

#[test]
fn a_folder_in_which_others_can_replace_files_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = place();
    let mode = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    for (bits, allowed) in [(0o700, true), (0o1777, true), (0o777, false), (0o770, false)] {
        mode(bits);
        assert_eq!(Place::at(folder.path()).is_ok(), allowed, "{bits:o}");
    }
}

#[test]
fn a_lock_ends_with_its_process_and_is_not_inherited() {
    let (_folder, place) = place();
    let key = name("k");
    let held = take(&place, std::slice::from_ref(&key), &purpose("c")).unwrap();
    let sh = xshell::Shell::new().unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    // What outlives this process (a recorder) must not keep the board.
    let outlives =
        crate::host::process::spawn_detached(xshell::cmd!(sh, "setsid sleep 300"), log.path()).unwrap();
    drop(held);
    drop(taken(&place, &[key], "c"));
    let outlives = rustix::process::Pid::from_raw(outlives as i32).unwrap();
    rustix::process::test_kill_process(outlives).unwrap();
    rustix::process::kill_process(outlives, rustix::process::Signal::KILL).unwrap();
}
