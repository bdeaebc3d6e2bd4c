use super::*;

/// A board as far as its name is read from it, in a cache of its own.
fn board(known_hosts: Option<&str>) -> Result<VirtualBoard> {
    let cache = tempfile::tempdir().unwrap();
    let folders = Folders {
        project: cache.path().into(),
        found: crate::host::project::Found::BuiltFrom,
        state: cache.path().into(),
        cache: cache.path().into(),
    };
    let folder = folder(&folders);
    fs::create_dir_all(&folder).unwrap();
    let state = State {
        schema_version: SCHEMA_VERSION,
        key: "9a1dc53312e1c6d9".into(),
        release: "7.3.4-devices".into(),
        qemu: "QEMU".into(),
    };
    state.write(&folder).unwrap();
    if let Some(text) = known_hosts {
        fs::write(folder.join(KNOWN_HOSTS), text).unwrap();
    }
    VirtualBoard::open(&folders)
}

#[test]
fn a_board_that_is_made_again_is_another_one() {
    let name = |keys| board(Some(keys)).unwrap().instance().to_string();
    assert_eq!(name("board ssh-ed25519 AAAA").len(), 8);
    assert_eq!(name("board ssh-ed25519 AAAA"), name("board ssh-ed25519 AAAA"));
    assert_ne!(name("board ssh-ed25519 AAAA"), name("board ssh-ed25519 BBBB"));
    let error = format!("{:#}", board(None).unwrap_err());
    assert!(
        error.contains("known_hosts") && error.contains("board destroy"),
        "{error}"
    );
}
