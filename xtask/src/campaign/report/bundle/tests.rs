use super::super::tests::{regression, run};
use super::*;
use std::collections::BTreeMap;

/// Paths and contents of a bundle.
fn unpack(bundle: &Path) -> BTreeMap<String, String> {
    let bytes = zstd::decode_all(File::open(bundle).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        let path = entry.path().unwrap().display().to_string();
        files.insert(path, String::from_utf8_lossy(&text).into_owned());
    }
    files
}

#[test]
fn texts_are_masked_and_what_cannot_be_masked_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("20260101T000000");
    let evidence = run_folder.join("evidence/2.2");
    std::fs::create_dir_all(&evidence).unwrap();
    run(vec![regression()]).save(&run_folder).unwrap();
    std::fs::write(
        evidence.join("serial.log"),
        "\0\0garbage ampere login: \nalice@ampere 10.1.2.3\n",
    )
    .unwrap();
    std::fs::write(evidence.join("journal.log"), "{\"_HOSTNAME\":\"ampere\"}\n").unwrap();
    std::fs::write(evidence.join("core.bin"), [0_u8; 300]).unwrap();
    let mut inner = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("dmesg-ramoops-0", &b"ampere panics"[..]),
        ("x.enc.z", &[0x80; 64][..]),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        inner.append_data(&mut header, name, bytes).unwrap();
    }
    std::fs::write(evidence.join("pstore.tar"), inner.into_inner().unwrap()).unwrap();

    let out = folder.path().join("bundle.tar.zst");
    let packed = write(&run_folder, &[(Kind::User, "alice".into())], &out).unwrap();
    let files = unpack(&out);
    let file = |name: &str| &files[&format!("small-attempt1/{name}")];
    assert_eq!(
        file("evidence/2.2/serial.log"),
        "\0\0garbage host-1 login: \nuser-1@host-1 ip-1\n"
    );
    assert_eq!(file("evidence/2.2/pstore.tar.d/dmesg-ramoops-0"), "host-1 panics");
    assert!(file("report.html").contains("<!DOCTYPE html>"));
    assert!(
        files
            .values()
            .all(|text| !text.contains("ampere") && !text.contains("alice"))
    );
    let left: Vec<&str> = packed.left_out.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        left,
        [
            "evidence/2.2/core.bin",
            "evidence/2.2/pstore.tar",
            "evidence/2.2/pstore.tar.d/x.enc.z"
        ]
    );
    for path in left {
        assert!(file(NOTE).contains(path), "{}", file(NOTE));
    }
    assert!(file(NOTE).contains("| host-1 |"), "{}", file(NOTE));
    let again = write(&run_folder, &[], &out).unwrap_err();
    assert!(format!("{again}").contains("it is there already"), "{again}");
}

#[test]
fn names_of_files_are_masked_and_stay_straight_and_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("20260101T000000");
    let evidence = run_folder.join("evidence/alice");
    std::fs::create_dir_all(&evidence).unwrap();
    run(vec![regression()]).save(&run_folder).unwrap();
    for name in ["log-52:54:00:12:34:56", "log-52-54-00-12-34-56", "id_alice"] {
        std::fs::write(evidence.join(name), "x\n").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", evidence.join("link")).unwrap();
    let out = folder.path().join("bundle.tar.zst");
    write(&run_folder, &[(Kind::User, "alice".into())], &out).unwrap();
    let files = unpack(&out);
    for name in ["log-mac-1", "log-mac-1.2", "id_user-1"] {
        assert!(
            files.contains_key(&format!("small-attempt1/evidence/user-1/{name}")),
            "{:?}",
            files.keys()
        );
    }
    let note = &files[&format!("small-attempt1/{NOTE}")];
    assert!(note.contains("- evidence/user-1/link: a symbolic link"), "{note}");
    assert!(
        files
            .keys()
            .chain(files.values())
            .all(|text| !text.contains("alice"))
    );
}

#[test]
fn a_file_of_any_length_is_read_in_pieces_that_cut_neither_a_line_nor_a_key() {
    let line = "x".repeat(99) + "\n";
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n",
        line.repeat(20)
    );
    let text = line.repeat(BLOCK / 100 - 2) + &key + &line.repeat(BLOCK / 100) + "no end";
    let mut pieces = Vec::new();
    let each = |block: &[u8]| {
        pieces.push(String::from_utf8_lossy(block).into_owned());
        Ok(())
    };
    blocks(&mut text.as_bytes(), each).unwrap();
    assert_eq!(pieces.concat(), text);
    assert!(
        pieces.len() > 2 && pieces.iter().any(|piece| piece.contains(&key)),
        "{}",
        pieces.len()
    );
    let mut longest = 0;
    let endless = "word ".repeat(LONGEST_LINE);
    let each = |block: &[u8]| {
        longest = longest.max(block.len());
        Ok(())
    };
    blocks(&mut endless.as_bytes(), each).unwrap();
    assert!(longest <= LONGEST_LINE + BLOCK, "{longest}");
}

#[test]
fn an_archive_that_is_cut_off_is_left_out_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("20260101T000000");
    std::fs::create_dir_all(&run_folder).unwrap();
    run(vec![regression()]).save(&run_folder).unwrap();
    let mut inner = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(4096);
    inner
        .append_data(&mut header, "password", &b"hunter2 ".repeat(512)[..])
        .unwrap();
    let bytes = inner.into_inner().unwrap();
    std::fs::write(run_folder.join("pstore"), &bytes[..2000]).unwrap();
    let out = folder.path().join("bundle.tar.zst");
    let packed = write(&run_folder, &[], &out).unwrap();
    assert!(
        packed.left_out[0].1.starts_with("an archive that cannot be read"),
        "{:?}",
        packed.left_out
    );
    assert!(unpack(&out).values().all(|text| !text.contains("hunter2")));
}
