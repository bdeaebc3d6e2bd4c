use super::*;
use std::io::Write as _;

const LOG: &[u8] = b"[    0.000000] Linux version 7\n";

fn logs(name: &str, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    stream(name, &mut &*bytes, &mut |name, _, source| {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        found.push((name.to_string(), bytes));
        Ok(())
    })?;
    Ok(found)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tarred(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer
            .start_file(*name, ::zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_packing_gives_the_log() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(LOG).unwrap();
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(LOG).unwrap();
    let mut xz = Vec::new();
    lzma_rs::xz_compress(&mut &*LOG, &mut xz).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(LOG).unwrap();
    let zlib = zlib.finish().unwrap();
    // A log that is shorter than any window, said to have one of 4 KiB.
    let small = [&[0x48, 0x0d], zlib.get(2..).unwrap()].concat();
    let text = [b"x ", LOG].concat();
    assert_eq!(logs("x", &text).unwrap(), [("x".to_string(), text.clone())]);
    for (name, bytes) in [
        ("plain", LOG.to_vec()),
        ("dmesg-ramoops-1.enc.z", zlib.clone()),
        ("dmesg-ramoops-2.enc.z", small),
        ("a.gz", gzip(LOG)),
        ("two.gz.gz", gzip(&gzip(LOG))),
        ("dmesg-ramoops-0.z", zlib),
        ("dmesg-ramoops-0.enc.z", deflate.finish().unwrap()),
        ("a.xz", xz),
        ("a.zst", zstd::encode_all(LOG, 3).unwrap()),
        ("a.bz2", bzip2.finish().unwrap()),
    ] {
        assert_eq!(logs(name, &bytes).unwrap(), [(name.to_string(), LOG.to_vec())]);
    }
}

#[test]
fn every_member_of_an_archive_is_a_log() {
    let members: &[(&str, &[u8])] = &[("a.log", LOG), ("d/b.log.gz", &gzip(LOG)), ("empty", b"")];
    for packed in [
        tarred(members),
        gzip(&tarred(members)),
        zipped(members),
        gzip(&zipped(members)),
    ] {
        let found = logs("x", &packed).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x:a.log", "x:d/b.log.gz", "x:empty"]);
        assert!(found[0].1 == LOG && found[1].1 == LOG && found[2].1.is_empty());
    }
}

#[test]
fn a_directory_is_bounded_before_a_member_is_read() {
    let names: Vec<String> = (0..=MEMBERS).map(|number| format!("{number}")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), LOG)).collect();
    let packed = zipped(&members);
    let read = Rc::new(Cell::new(0));
    let count = read.clone();
    let visit = &mut |_: &str, _: Packed, _: &mut dyn Read| {
        count.set(count.get() + 1);
        Ok(())
    };
    let error = stream("x", &mut packed.as_slice(), visit).unwrap_err();
    assert!(
        format!("{error:#}").contains("more than 10000 members"),
        "{error:#}"
    );
    let long = "x".repeat(60_000);
    let names: Vec<String> = (0..200).map(|number| format!("{long}{number}")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), LOG)).collect();
    let error = stream("x", &mut zipped(&members).as_slice(), visit).unwrap_err();
    assert!(
        format!("{error:#}").contains("its directory has more than"),
        "{error:#}"
    );
    assert_eq!(read.get(), 0);
}

#[test]
fn what_becomes_too_much_is_refused() {
    let zeros = vec![0; 100 << 20];
    let bomb = zstd::encode_all(zeros.as_slice(), 1).unwrap();
    assert!(bomb.len() < 50_000);
    let error = format!("{:#}", logs("x", &bomb).unwrap_err());
    assert!(error.contains("refused"), "{error}");
    let deep = (0..6).fold(LOG.to_vec(), |bytes, _| gzip(&bytes));
    let error = format!("{:#}", logs("x", &deep).unwrap_err());
    assert!(error.contains("packed more than 4 times"), "{error}");
}

#[test]
fn damage_is_an_error_and_no_panic() {
    for packed in [
        gzip(LOG),
        zipped(&[("a", LOG)]),
        zstd::encode_all(LOG, 3).unwrap(),
    ] {
        let cut = packed.get(..packed.len() - 5).unwrap();
        assert!(logs("x", cut).is_err());
        for at in 0..packed.len() {
            let mut bytes = packed.clone();
            bytes[at] ^= 0x55;
            let _ = logs("x", &bytes);
        }
    }
}

/// A directory that names the same bytes for each of its members.
#[test]
fn members_in_the_same_place_count_once() {
    let one = zipped(&[("a", &vec![0; 10 << 20])]);
    let end = one.len() - 22;
    let word = |at: usize| u32::from_le_bytes(one[at..at + 4].try_into().unwrap()) as usize;
    let (size, start) = (word(end + 12), word(end + 16));
    let mut many = one[..start].to_vec();
    for name in b"abcdefghi" {
        many.extend_from_slice(&one[start..start + size]);
        // The name stands behind 46 bytes.
        let at = many.len() - size + 46;
        many[at] = *name;
    }
    let mut tail = one[end..].to_vec();
    for at in [8, 10] {
        tail[at..at + 2].copy_from_slice(&9_u16.to_le_bytes());
    }
    tail[12..16].copy_from_slice(&(9 * size as u32).to_le_bytes());
    many.extend_from_slice(&tail);
    assert_eq!(logs("x", &one).unwrap().len(), 1);
    let many = logs("x", &many).map(|logs| logs.len());
    assert!(
        many.as_ref()
            .is_err_and(|error| format!("{error:#}").contains("refused")),
        "{many:?}"
    );
}
