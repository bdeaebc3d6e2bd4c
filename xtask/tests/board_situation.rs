//! What boot methods ask of a board before one is chosen: the real script, with stand-ins for the programs that a kernel answers through.

use crate::local_board;

use local_board::{LABEL, LocalBoard};
use xtask::board::boot::{self, Method};
use xtask::board::protected::Protected;

/// Why kexec cannot be used, with a `kexec` that behaves like this.
fn kexec_is_refused(kexec: &str, loaded: Option<&str>, symbols: &str) -> Option<String> {
    let board = LocalBoard::new();
    let log = "echo \"$@\" >>/tmp/asked";
    board.file(
        "/usr/local/bin/kexec",
        &format!("#!/bin/sh\n{log}\n{kexec}\n"),
        0o755,
    );
    if let Some(loaded) = loaded {
        board.file("/sys/kernel/kexec_loaded", loaded, 0o444);
    }
    // /proc is this machine's own: its symbols are asked through a `grep` of the board's.
    let grep = format!(
        "#!/bin/sh\ncase $* in *kallsyms*) printf '%s\\n' '{symbols}' | /usr/bin/grep -q \"$2\"; exit $? ;; esac\nexec /usr/bin/grep \"$@\"\n"
    );
    board.file("/usr/local/bin/grep", &grep, 0o755);
    let protected = Protected::compute(&board, LABEL).unwrap();
    let found = boot::every_method(&board, &protected).unwrap();
    let asked = std::fs::read_to_string(board.at("/tmp/asked")).unwrap_or_default();
    assert!(
        !asked.contains("-l") && !asked.contains("-e"),
        "nothing is loaded or started: {asked}"
    );
    assert!(
        loaded != Some("1\n") || asked.is_empty(),
        "what somebody loaded stays: {asked}"
    );
    let (_, refusal) = found
        .into_iter()
        .find(|(method, _)| *method == Method::Kexec)
        .unwrap();
    refusal
}

#[test]
fn the_system_call_itself_says_whether_kexec_can_be_used() {
    // What kexec-tools does with the answers of a kernel: 0; ENOSYS, of a newer and of an older version; EPERM.
    let works = kexec_is_refused("exit 0", Some("0\n"), "");
    assert_eq!(works, None);
    let off = "CONFIG_KEXEC_FILE is off";
    for silent in [
        "exit 218",
        "echo 'kexec_file_load failed: Function not implemented' >&2; exit 255",
        "echo 'syscall kexec_file_load not available.' >&2; exit 218",
        "echo 'kexec: unrecognized option: s' >&2; exit 1",
    ] {
        for loaded in [None, Some("0\n")] {
            let refusal = kexec_is_refused(silent, loaded, "");
            assert!(
                refusal.as_ref().is_some_and(|why| why.contains(off)),
                "{silent}: {refusal:?}"
            );
        }
    }
    let locked = "echo 'kexec_file_unload failed: Operation not permitted' >&2; exit 255";
    let refusal = kexec_is_refused(locked, Some("0\n"), "");
    assert!(
        refusal.is_none_or(|why| !why.contains(off)),
        "it is there, and what locks it is told by itself"
    );
    // Something is loaded: it is not touched, and the kernel's own symbols tell.
    let symbol = "0000000000000000 T kexec_add_buffer";
    assert_eq!(kexec_is_refused("exit 9", Some("1\n"), symbol), None);
    let refusal = kexec_is_refused("exit 9", Some("1\n"), "0000000000000000 T kexec_add_buffer_not");
    assert!(refusal.is_some_and(|why| why.contains(off)));
}
