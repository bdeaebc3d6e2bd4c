//! Every parser on hostile input: nothing panics, nothing hangs, nothing grows without bound. The same entries are what the targets
//! of `fuzz/` call; here a small mutator with a fixed seed drives them, so that a stable toolchain does it in seconds.

#[path = "hostile_input/entries.rs"]
mod entries;

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// So long may all mutants of one parser take.
const BUDGET: Duration = Duration::from_secs(2);
/// So long may one input take for each byte, and at least: a debug build on a busy machine, far from anything quadratic.
const PER_BYTE: Duration = Duration::from_micros(60);
const AT_LEAST: Duration = Duration::from_secs(3);
/// Longest mutant.
const LONGEST: usize = 48 << 10;

/// A small generator with a fixed seed: the same mutants in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Words on which the parsers decide something.
const WORDS: [&[u8]; 48] = [
    b"BUG: ",
    b"WARNING: ",
    b"INFO: ",
    b"[    1.000000]",
    b"[  T12]",
    b"<4>",
    b"+0x1/0x2",
    b"Call trace:\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\x1b[",
    b"RIP: ",
    b"pc : ",
    b"KASAN: ",
    b"1,2,3,-,caller=T1;",
    b"{\"MESSAGE\":",
    b"){",
    b"at: ",
    b"-> #1 (",
    b"Panic#1 Part1\n",
    b"** 9 printk messages dropped **",
    b"** replaying previous printk message **",
    b"====D 1.0 \n",
    b"label x\n",
    b"default ",
    b"append ",
    b"include ",
    b"menu ",
    b"From x Mon Sep 17 00:00:00 2001\n",
    b"diff --git a/x b/x\n",
    b"--- a/x\n+++ b/x\n",
    b"@@ -1,9999999 +1 @@\n",
    b"GIT binary patch\n",
    b"Subject: =?utf-8?q?x?=\n",
    b"CONFIG_A=y\n",
    b"# CONFIG_A is not set\n",
    b"config A\n\tbool \"a\"\n",
    b"source \"Kconfig\"\n",
    b"$(shell,x)$(",
    b"((((((((",
    b"[[",
    b"= \"",
    b"18446744073709551615",
    b"-",
    b"\xf0\x9f\x99\x82",
];

fn mutant(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.next(seeds.len())].clone();
    let other = &seeds[random.next(seeds.len())];
    for _ in 0..1 + random.next(12) {
        let at = random.next(bytes.len() + 1);
        let length = random.next(64);
        match random.next(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(..at.min(bytes.len()))),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.next(8),
            3 if at < bytes.len() => bytes[at] = random.next(256) as u8,
            4 => drop(bytes.drain(at..(at + length).min(bytes.len()))),
            5 => {
                let from = random.next(other.len() + 1);
                let piece = other[from..(from + 8 * length).min(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                // The same piece many times: what is quadratic shows.
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                let times = random.next(200);
                bytes.splice(at..at, piece.repeat(times));
            }
            7 => {
                let word = WORDS[random.next(WORDS.len())].repeat(1 + random.next(3) * random.next(300));
                bytes.splice(at..at, word);
            }
            _ => drop(bytes.splice(at..at, WORDS[random.next(WORDS.len())].to_vec())),
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// A module as small as it can be: an ELF header, `.modinfo`, a build id, names of sections (System V ABI, ELF-64).
fn small_module() -> Vec<u8> {
    let names = b"\0.modinfo\0.note.gnu.build-id\0.shstrtab\0";
    let modinfo = b"name=vim2m\0vermagic=7.3.4 SMP preempt mod_unload aarch64\0depends=videobuf2\0";
    let note = [
        &4u32.to_le_bytes()[..],
        &4u32.to_le_bytes(),
        &3u32.to_le_bytes(),
        b"GNU\0",
        &[1, 2, 3, 4],
    ]
    .concat();
    let parts: [(&[u8], u32, u32); 3] = [(modinfo, 1, 1), (&note, 10, 7), (names, 29, 3)];
    let mut bytes = vec![0u8; 64];
    let mut headers = vec![0u8; 64];
    for (part, name, kind) in parts {
        let mut header = Vec::new();
        header.extend(name.to_le_bytes());
        header.extend(kind.to_le_bytes());
        header.extend(
            [2u64, 0, bytes.len() as u64, part.len() as u64]
                .iter()
                .flat_map(|field| field.to_le_bytes()),
        );
        header.extend([0u8; 8]);
        header.extend([1u64, 0].iter().flat_map(|field| field.to_le_bytes()));
        headers.extend(header);
        bytes.extend(part);
    }
    let at = bytes.len() as u64;
    bytes.extend(headers);
    bytes[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xb7\0");
    bytes[20] = 1;
    bytes[40..48].copy_from_slice(&at.to_le_bytes());
    bytes[52..54].copy_from_slice(&64u16.to_le_bytes());
    bytes[58..64].copy_from_slice(b"\x40\0\x04\0\x03\0");
    bytes
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut seeds = entries::seeds(root(), name, 24);
    match name {
        "module" => seeds.extend([small_module(), zstd::encode_all(&small_module()[..], 1).unwrap()]),
        "extlinux" => seeds.push(
            b"default vanilla\nmenu title Boot\ntimeout 30\n\nlabel vanilla\n\tkernel /Image\n\tfdt /x.dtb\n\tinitrd /initrd.img\n\tappend root=/dev/vda1 ro\n".to_vec(),
        ),
        "kconfig_language" => seeds.push(
            b"mainmenu \"x\"\nconfig A\n\tbool \"a\" if B\n\tdepends on B && (C || !D)\n\tselect E if F\n\tdefault y\n\thelp\n\t  Text.\nmenu \"m\"\n\tvisible if A\nendmenu\nchoice\n\tprompt \"p\"\nconfig B\n\ttristate\nendchoice\nif A\nsource \"Kconfig.x\"\nendif\n".to_vec(),
        ),
        "kmsg" => seeds.push(b"6,0,0,-,caller=T0;Booting Linux\\x0a\n SUBSYSTEM=x\n4,2,99,c;y\n".to_vec()),
        // The first byte parts the packets; and a frame.
        "netconsole" => seeds.extend([
            b"\x006,8,1,-;a\n\x006,9,2,-,ncfrag=3/6;def\x006,9,2,-,ncfrag=0/6;abc\x007.3.4,6,12,3,-,caller=T1;b\n\x006,0,0,-;c\n".to_vec(),
            b"RT\0lohRT\0log\x08\0E\0\0&\0\x01\0\0@\x11\0\0\xc0\0\x02\x01\xc0\0\x02\x02\x1a\x09\x1a\x0a\0\x12\0\x006,8,1,-;a\n".to_vec(),
        ]),
        "journal" => seeds.push(b"{\"MESSAGE\":[104,105,255],\"PRIORITY\":\"4\",\"_BOOT_ID\":\"ab\",\"__REALTIME_TIMESTAMP\":\"7\"}\n".to_vec()),
        "pstore" => seeds.push(b"Panic#2 Part1\n<4>[    1.000000] x\n".to_vec()),
        "inventory" => seeds.push(
            format!(
                "d\t755\t0\t0\t4096\t1.5\text4\t\0/lib/modules/r\0f\t644\t0\t0\t3\t1.0\text4\t\0/lib/modules/r/a b.ko\0\
                 l\t777\t0\t0\t3\t1.0\text4\t/usr/src\0/boot/x\0{}  /lib/modules/r/a b.ko\0end\0",
                "c".repeat(64)
            )
            .into_bytes(),
        ),
        "reviews" => seeds.push(b"schema-version = 1\n".to_vec()),
        _ => {}
    }
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds
}

/// Runs one input in a thread of its own, which is left behind when it takes too long: a parser that hangs fails its test.
fn timed(name: &str, parse: fn(&[u8]), bytes: &[u8]) {
    let allowed = AT_LEAST + PER_BYTE * bytes.len() as u32;
    let (done, ended) = mpsc::channel();
    let input = bytes.to_vec();
    let thread = std::thread::spawn(move || {
        parse(&input);
        done.send(()).ok();
    });
    match ended.recv_timeout(allowed) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => {
            panic!("{name} takes more than {allowed:?} for {} bytes", bytes.len())
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn drive(name: &str) {
    let (_, parse) = entries::ENTRIES.iter().find(|(known, _)| *known == name).unwrap();
    let seeds = seeds(name);
    for seed in &seeds {
        timed(name, *parse, seed);
    }
    let mut random = Random(0x5eed_1234_5678_9abc);
    let start = Instant::now();
    let mut mutants = 0;
    while start.elapsed() < BUDGET && mutants < 2000 {
        let bytes = mutant(&mut random, &seeds);
        let failed = std::panic::catch_unwind(|| timed(name, *parse, &bytes)).is_err();
        if failed {
            let kept = std::env::temp_dir().join(format!("hostile-{name}.bin"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!("{name} fails on mutant {mutants}, kept as {}", kept.display());
        }
        mutants += 1;
    }
    assert!(mutants > 10, "{name}: only {mutants} mutants in {BUDGET:?}");
}

/// A test for each parser, so that they run beside one another.
macro_rules! drive {
    ($($name:ident)*) => { $(#[test] fn $name() { drive(stringify!($name)); })* };
}

drive! {
    kernel_log pstore kmsg netconsole journal serial extlinux mail diff kconfig_fragment kconfig_language campaign board reviews module documents inventory
}

#[test]
fn each_parser_has_a_target_for_cargo_fuzz() {
    for (name, _) in entries::ENTRIES {
        let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text =
            std::fs::read_to_string(&target).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
        assert!(
            text.contains(&format!("entries::call(\"{name}\"")),
            "{}",
            target.display()
        );
        let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "fuzz/Cargo.toml lacks {name}"
        );
    }
}

/// Input that is not random but mean: each shape is one that makes a careless parser quadratic or deep.
#[test]
fn mean_shapes_take_no_longer() {
    let shapes: [Vec<u8>; 14] = [
        vec![b'\n'; LONGEST],
        vec![b'['; LONGEST],
        vec![b'('; LONGEST],
        vec![b' '; LONGEST],
        vec![0; LONGEST],
        vec![0xff; LONGEST],
        b"BUG: +0x1/0x2 ".repeat(LONGEST / 14),
        b"[    1.000000][  T1] BUG: x\n".repeat(LONGEST / 28),
        b"-> #1 (a){+.+.}:\n".repeat(LONGEST / 17),
        b"source \"Kconfig\"\n".repeat(200),
        b"if A\n".repeat(LONGEST / 5),
        b"menu \"x\"\n".repeat(LONGEST / 9),
        [b"config A\n\tdepends on ".to_vec(), b"!(".repeat(LONGEST / 2)].concat(),
        [b"a = ".to_vec(), b"[".repeat(LONGEST)].concat(),
    ];
    let mut failed = Vec::new();
    for (name, parse) in entries::ENTRIES {
        for (at, shape) in shapes.iter().enumerate() {
            if std::panic::catch_unwind(|| timed(name, *parse, shape)).is_err() {
                failed.push(format!("{name} on shape {at}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
