//! Invariant 5 on FAT: every write of the board's disk during a deploy is recorded, and the power is cut between any two of them, with any part of what
//! was not flushed lost. Vanilla can be read each time, and our label is there only with its own Image.
//!
//! Needs the virtual board (`cargo xtask setup`) and a debug kernel (`cargo xtask build-debug-kernel`), and fails without them.

use crate::virtual_bench;
use crate::write_log;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virtual_bench::{Bench, LABEL};
use write_log::{Chance, Event};
use xshell::{Shell, cmd};
use xtask::board::Board as _;
use xtask::board::extlinux::{self, Config};
use xtask::host::files::sha256;
use xtask::host::folders::Folders;
use xtask::host::process;
use xtask::manifest::{Kind, Manifest};

/// Where U-Boot looks from: the mount point of the FAT on the board.
const BOOT: &str = "/boot/firmware";
const LIMIT: Duration = Duration::from_secs(60);

/// The FAT of a disk image, in memory; its number in the list of partitions is 1.
struct Fat {
    image: PathBuf,
    begins: u64,
    length: u64,
}

impl Fat {
    fn of(disk: &Path, image: PathBuf) -> Self {
        let sh = Shell::new().unwrap();
        let table = process::run(cmd!(sh, "sfdisk --json {disk}"), LIMIT)
            .unwrap()
            .text();
        let table: serde_json::Value = serde_json::from_str(&table).unwrap();
        let first = &table["partitiontable"]["partitions"][0];
        let bytes = |name: &str| first[name].as_u64().unwrap() * 512;
        let fat = Fat {
            image,
            begins: bytes("start"),
            length: bytes("size"),
        };
        let mut content = vec![0; fat.length as usize];
        fs::File::open(disk)
            .unwrap()
            .read_exact_at(&mut content, fat.begins)
            .unwrap();
        fs::write(&fat.image, content).unwrap();
        fat
    }

    /// The part of a write that is inside, and where.
    fn inside<'a>(&self, at: u64, bytes: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let from = at.max(self.begins);
        let to = (at + bytes.len() as u64).min(self.begins + self.length);
        (from < to).then(|| {
            (
                from - self.begins,
                &bytes[(from - at) as usize..(to - at) as usize],
            )
        })
    }

    /// Writes, and gives what was there.
    fn write(&self, at: u64, bytes: &[u8]) -> Vec<u8> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(&self.image)
            .unwrap();
        let mut before = vec![0; bytes.len()];
        file.read_exact_at(&mut before, at).unwrap();
        file.write_all_at(bytes, at).unwrap();
        before
    }

    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let sh = Shell::new().unwrap();
        let (image, source) = (&self.image, format!("::{path}"));
        let copying = cmd!(sh, "mcopy -n -i {image} {source} -").env("MTOOLS_SKIP_CHECK", "1");
        let done = process::finish(copying, LIMIT).unwrap();
        done.status.success().then_some(done.stdout)
    }
}

/// What has to hold on the FAT at any instant.
struct Promise {
    /// Vanilla's files, by their path on the FAT.
    vanilla: BTreeMap<String, String>,
    /// extlinux.conf without our label.
    foreign: Vec<u8>,
    /// SHA-256 of the Image that belongs to each nonce.
    images: BTreeMap<String, String>,
}

impl Promise {
    /// What the FAT shows of our label: its nonce. Panics where the promise is broken.
    fn check(&self, fat: &Fat, when: &str) -> Option<String> {
        for (path, hash) in &self.vanilla {
            let found = fat.file(path).map(|bytes| sha256(&bytes));
            assert_eq!(found.as_ref(), Some(hash), "{when}: vanilla's {path}");
        }
        let conf = fat
            .file("/extlinux/extlinux.conf")
            .unwrap_or_else(|| panic!("{when}: there is no extlinux.conf"));
        let config = Config::parse(&conf);
        assert_eq!(
            extlinux::foreign(&config, LABEL).unwrap(),
            self.foreign,
            "{when}: extlinux.conf: {}",
            String::from_utf8_lossy(&conf)
        );
        assert_ne!(config.default_label().unwrap().name, LABEL, "{when}");
        let label = config.label(LABEL)?;
        let append = &label.append.as_ref().unwrap().value;
        let nonce = append
            .split(' ')
            .find_map(|word| word.strip_prefix("lockstep.nonce="))
            .unwrap();
        let image = fat
            .file(label.kernel.as_ref().unwrap())
            .map(|bytes| sha256(&bytes));
        assert_eq!(
            image.as_ref(),
            self.images.get(nonce),
            "{when}: our label is there without its Image"
        );
        // The record is on the medium before the label, and goes behind it.
        let record = fat.file(&format!("/lockstep-{LABEL}.json"));
        let record: serde_json::Value = serde_json::from_slice(&record.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{when}: our label is there without its record: {error}"));
        assert_eq!(
            (record["nonce"].as_str(), record["state"].as_str()),
            (Some(nonce), Some("whole")),
            "{when}"
        );
        Some(nonce.to_string())
    }
}

/// The same build with another Image: as long as it is, and different in its last byte.
fn another_image(manifest: &Manifest, folder: &Path) -> Manifest {
    let sh = Shell::new().unwrap();
    let from = &manifest.root;
    process::run(cmd!(sh, "cp -a {from}/. {folder}"), LIMIT).unwrap();
    let mut other = manifest.clone();
    other.root = folder.to_path_buf();
    let image = other
        .files
        .iter_mut()
        .find(|file| file.kind == Kind::Image)
        .unwrap();
    let path = folder.join(&image.source);
    let mut bytes = fs::read(&path).unwrap();
    // Behind what the header calls the image's size nobody reads.
    bytes.extend([7; 4096]);
    image.size = bytes.len() as u64;
    image.sha256 = sha256(&bytes);
    fs::write(path, bytes).unwrap();
    other
}

fn image_of(manifest: &Manifest) -> String {
    manifest.of_kind(Kind::Image).next().unwrap().sha256.clone()
}

#[test]
fn vanilla_can_be_read_wherever_the_power_goes_in_a_deploy() {
    let mut bench = Bench::open();
    let folders = Folders::find().unwrap();
    let old = bench.deploy();
    let mut images = BTreeMap::from([(old.as_str().to_string(), image_of(&bench.manifest))]);
    bench.board.down(&folders).unwrap();
    let work = tempfile::tempdir_in("/dev/shm").unwrap();
    let fat = Fat::of(&bench.board.disk(), work.path().join("fat.img"));

    let log = work.path().join("writes.log");
    fs::write(&log, "").unwrap();
    bench.board.up_recording(&folders, Some(&log)).unwrap();
    bench.board.wait_for_ssh(Duration::from_secs(180)).unwrap();
    let staging = work.path().join("staging");
    fs::create_dir(&staging).unwrap();
    bench.manifest = another_image(&bench.manifest, &staging);
    let new = bench.deploy();
    images.insert(new.as_str().to_string(), image_of(&bench.manifest));
    bench.board.cut_power().unwrap();
    // The board goes on as the tests after this one expect it.
    bench.board.up(&folders).unwrap();

    let on_fat = |path: &Path| Some(format!("/{}", path.strip_prefix(BOOT).ok()?.to_str()?));
    let promise = Promise {
        vanilla: bench
            .protected
            .inventory
            .iter()
            .filter_map(|(path, entry)| Some((on_fat(path)?, entry.sha256()?.to_string())))
            .filter(|(path, _)| path != "/extlinux/extlinux.conf")
            .collect(),
        foreign: bench.protected.foreign().unwrap(),
        images,
    };
    assert!(promise.vanilla.len() >= 2, "{:?}", promise.vanilla);
    let bytes = fs::read(&log).unwrap();
    let seen = replay(&fat, &write_log::read(&bytes), &bytes, &promise);
    eprintln!("{seen:?}");
    // It was cut before, in the middle and after.
    for nonce in [Some(old.as_str()), None, Some(new.as_str())] {
        assert!(
            seen.contains_key(&nonce.map(str::to_string)),
            "{nonce:?}: {seen:?}"
        );
    }
    bench.board.wait_for_ssh(Duration::from_secs(180)).unwrap();
    bench.protected.check(&bench.board).unwrap();
    assert!(bench.board.answers(Duration::from_secs(20)));
}

/// Cuts the power all over the recording; gives how often which label was found.
fn replay(fat: &Fat, events: &[Event], log: &[u8], promise: &Promise) -> BTreeMap<Option<String>, usize> {
    let mut chance = Chance(0x5eed);
    let mut pending: Vec<(u64, &[u8])> = Vec::new();
    let mut seen = BTreeMap::new();
    let bursts = 1 + events.iter().filter(|event| **event == Event::Flush).count();
    let mut burst = 0;
    let closing = [Event::Flush];
    for event in events.iter().chain(&closing) {
        match event {
            Event::Write { at, bytes } => pending.extend(fat.inside(*at, &log[bytes.clone()])),
            Event::Flush => {
                burst += 1;
                if pending.is_empty() {
                    continue;
                }
                for survived in write_log::survivors(pending.len(), &mut chance) {
                    let when = format!("burst {burst} of {bursts}, {survived:?} of {}", pending.len());
                    let undo: Vec<(u64, Vec<u8>)> = survived
                        .iter()
                        .map(|number| {
                            (
                                pending[*number].0,
                                fat.write(pending[*number].0, pending[*number].1),
                            )
                        })
                        .collect();
                    *seen.entry(promise.check(fat, &when)).or_insert(0) += 1;
                    for (at, before) in undo.iter().rev() {
                        fat.write(*at, before);
                    }
                }
                for (at, bytes) in pending.drain(..) {
                    fat.write(at, bytes);
                }
            }
        }
    }
    seen
}
