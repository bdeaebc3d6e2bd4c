//! The real kernel source of the cache: configurations and verdicts. Fails, and says what to do, where `cargo xtask setup`
//! has not been run.

use crate::imported_kernel;

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::board::lease::{Built, End};
use xtask::host::folders::Folders;
use xtask::kernel::Event;
use xtask::kernel::build::{Base, Builder, Configured, NotTaken};
use xtask::kernel::kconfig::Outcome;
use xtask::kernel::profile::{Below, KNOWN, Profile};
use xtask::kernel::toolchain::Toolchain;

struct Rig {
    folders: Folders,
    source: PathBuf,
    out: TempDir,
}

impl Rig {
    fn new() -> Self {
        let folders = Folders::find().unwrap();
        let place = imported_kernel::place(&folders);
        let builds = folders.cache.join("build");
        fs::create_dir_all(&builds).unwrap();
        Rig {
            source: place.worktree,
            out: tempfile::Builder::new()
                .prefix("test-")
                .tempdir_in(builds)
                .unwrap(),
            folders,
        }
    }

    fn builder(&self, profile: Profile) -> Builder {
        Builder {
            source: self.source.clone(),
            out: self.out.path().to_path_buf(),
            cache: self.folders.cache.clone(),
            profile,
            toolchain: Toolchain::find().unwrap(),
            jobs: 2,
            timestamp: 1_767_225_600,
            patched: Vec::new(),
        }
    }

    fn configure(&self, profile: Profile, base: &Base, vanilla: &[&str]) -> anyhow::Result<Configured> {
        let vanilla: Vec<String> = vanilla.iter().map(|release| release.to_string()).collect();
        let mut warnings = Vec::new();
        let result = self
            .builder(profile)
            .configure(base, "test", &vanilla, &mut |event| {
                if let Event::Warning(text) = event {
                    warnings.push(text);
                }
            });
        assert_eq!(warnings, [""; 0]);
        result
    }

    fn fragment(&self, text: &str) -> PathBuf {
        let path = self.out.path().join("extra.config");
        fs::write(&path, text).unwrap();
        path
    }

    /// The board's kernel with nothing to debug.
    fn plain(&self) -> Profile {
        Profile::of(self.project(), "vanilla", &["virtual-board", "vanilla"])
    }

    fn project(&self) -> &Path {
        &self.folders.project
    }
}

fn bytes_and_time(path: &Path) -> (Vec<u8>, std::time::SystemTime) {
    (
        fs::read(path).unwrap(),
        fs::metadata(path).unwrap().modified().unwrap(),
    )
}

#[test]
fn a_configuration_that_is_in_force_is_not_made_again_until_something_changes() {
    let rig = Rig::new();
    let configure = |profile: Profile| {
        let mut steps = 0;
        let configured = rig
            .builder(profile)
            .configure(&Base::AllNo, "test", &[], &mut |event| {
                steps += usize::from(matches!(event, Event::Step(_)));
            })
            .unwrap();
        (configured, steps)
    };
    let (first, steps) = configure(rig.plain());
    assert_eq!(steps, 1);
    let (second, steps) = configure(rig.plain());
    assert_eq!(steps, 0, "nothing changed");
    assert_eq!(
        (&second.release, second.verdicts.len()),
        (&first.release, first.verdicts.len())
    );
    // One more request, and somebody's hand in .config.
    let more = rig.fragment("CONFIG_BLK_DEV_LOOP=y\n");
    assert_eq!(configure(rig.plain().with(more.clone())).1, 1);
    assert_eq!(configure(rig.plain().with(more.clone())).1, 0);
    let config = rig.out.path().join(".config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("CONFIG_BLK_DEV_LOOP=y", "# CONFIG_BLK_DEV_LOOP is not set"),
    )
    .unwrap();
    let (again, steps) = configure(rig.plain().with(more));
    assert_eq!(steps, 1, "an edited .config is not believed");
    assert!(again.config.is_yes("BLK_DEV_LOOP"));
}

#[test]
fn the_plan_of_a_build_is_what_the_makefiles_list() {
    let rig = Rig::new();
    rig.configure(Profile::lockdep(rig.project()), &Base::AllNo, &[])
        .unwrap();
    let builder = rig.builder(Profile::lockdep(rig.project()));
    let targets = |goals: &[&str]| -> Vec<String> {
        let planned = builder.planned(goals).unwrap();
        planned.into_iter().map(|work| work.target).collect()
    };
    let all = targets(&["Image", "modules", "dtbs"]);
    // Plain, in a library, part of a module, chosen by the configuration; device trees.
    for one in [
        "init/main.o",
        "lib/string.o",
        "arch/arm64/lib/memset.o",
        "kernel/locking/lockdep.o",
        "drivers/media/common/videobuf2/videobuf2-core.o",
        "arch/arm64/boot/dts/rockchip/rk3588-evb1-v10.dtb",
    ] {
        assert!(all.iter().any(|target| target == one), "{one} of {}", all.len());
    }
    assert!(
        !all.iter()
            .any(|target| target.starts_with("drivers/gpu/drm/amd/"))
    );
    assert!(all.len() > 1_200, "{}", all.len());
    let without = targets(&["Image", "modules"]);
    assert!(without.len() < all.len() && !without.iter().any(|target| target.ends_with(".dtb")));
}

#[test]
fn both_profiles_get_every_symbol_and_their_own_release() {
    let rig = Rig::new();
    let config = rig.out.path().join(".config");
    let vanilla = rig.configure(rig.plain(), &Base::AllNo, &[]).unwrap();
    assert!(vanilla.verdicts.len() > 130);
    assert!(vanilla.release.ends_with("-devices"), "{}", vanilla.release);
    assert_eq!(vanilla.kept, None);
    let first = bytes_and_time(&config);

    // The same again leaves the file alone, so that nothing would be built anew.
    rig.configure(rig.plain(), &Base::AllNo, &[]).unwrap();
    assert_eq!(bytes_and_time(&config), first);

    let lockdep = rig
        .configure(Profile::lockdep(rig.project()), &Base::AllNo, &[&vanilla.release])
        .unwrap();
    assert!(
        lockdep.release.ends_with("-lockdep") && !lockdep.release.contains('+'),
        "{}",
        lockdep.release
    );
    assert!(lockdep.config.is_yes("PROVE_LOCKING") && lockdep.config.is_yes("DYNAMIC_FTRACE"));
    // What was there before the campaign is kept, and the next run does not overwrite it.
    let kept = rig.out.path().join(".config.pre-test");
    assert_eq!(fs::read(&kept).unwrap(), first.0);
    rig.configure(Profile::lockdep(rig.project()), &Base::AllNo, &[])
        .unwrap();
    assert_eq!(fs::read(&kept).unwrap(), first.0);

    // Invariant 10: vanilla's own release is refused, and the configuration in force stays.
    let before = bytes_and_time(&config);
    let error = rig
        .configure(Profile::lockdep(rig.project()), &Base::AllNo, &[&lockdep.release])
        .unwrap_err();
    assert!(format!("{error:#}").contains("which vanilla needs"), "{error:#}");
    assert_eq!(bytes_and_time(&config), before);
}

#[test]
fn symbols_that_do_not_come_are_explained_and_nothing_is_put_in_force() {
    let rig = Rig::new();
    let extra = rig.fragment(
        "CONFIG_PROVE_RCU=y\nCONFIG_DEBUG_WW_MUTEX_SLOPATH=y\nCONFIG_ROCKCHIP_PM_DOMAINS=m\nCONFIG_VIDEO_VIVID=m\nCONFIG_PROC_FS=n\n",
    );
    let profile = rig.plain().with(extra);
    let error = rig.configure(profile, &Base::AllNo, &[]).unwrap_err();
    let failed = error
        .downcast_ref::<NotTaken>()
        .expect("the error carries the verdicts");
    let why = |symbol: &str| {
        let verdict = failed
            .verdicts
            .iter()
            .find(|verdict| verdict.request.symbol == symbol)
            .unwrap();
        assert!(!verdict.is_good(), "{symbol}");
        verdict.why.join("\n")
    };
    assert!(
        why("PROVE_RCU").contains("kernel/rcu/Kconfig.debug:"),
        "{}",
        why("PROVE_RCU")
    );
    assert!(
        why("PROVE_RCU").contains("has no prompt: it cannot be asked for")
            && why("PROVE_RCU").ends_with("would come with CONFIG_PROVE_LOCKING=y"),
        "{}",
        why("PROVE_RCU")
    );
    assert!(why("DEBUG_WW_MUTEX_SLOPATH").contains("did you mean DEBUG_WW_MUTEX_SLOWPATH?"));
    assert!(!rig.out.path().join(".config").exists());
}

#[test]
fn every_profile_gets_all_that_it_asks_for() {
    let mut releases = Vec::new();
    for known in KNOWN {
        let rig = Rig::new();
        let profile = Profile::named(rig.project(), known.name, Below::Nothing)
            .unwrap()
            .with(rig.project().join("kconfig-fragments/ramoops.config"));
        let configured = rig.configure(profile, &Base::AllNo, &[]).unwrap();
        let selected = |symbol: &str| {
            configured
                .verdicts
                .iter()
                .any(|verdict| verdict.request.symbol == symbol && verdict.outcome == Outcome::Selected)
        };
        match known.name {
            "lockdep" => assert!(selected("LOCKDEP") && selected("PROVE_RCU")),
            "kasan" => assert!(selected("KASAN_VMALLOC") && !configured.config.is_yes("KCSAN")),
            "kcsan" => assert!(configured.config.is_yes("KCSAN") && !configured.config.is_yes("KASAN")),
            _ => {}
        }
        releases.push(configured.release);
    }
    let count = releases.len();
    releases.sort();
    releases.dedup();
    assert_eq!(releases.len(), count, "{releases:?}");
}

#[test]
fn a_configuration_of_the_users_is_the_base() {
    let rig = Rig::new();
    let base = rig.configure(rig.plain(), &Base::AllNo, &[]).unwrap();
    let mine = rig.out.path().join("my.config");
    fs::rename(rig.out.path().join(".config"), &mine).unwrap();
    let text = fs::read(&mine).unwrap();
    let debug = Profile::of(
        rig.project(),
        "lockdep",
        &["lockdep", "function-trace", "lockups", "debug-info", "test-boot"],
    );
    let configured = rig
        .configure(debug, &Base::File(mine.clone()), &[&base.release])
        .unwrap();
    assert!(configured.config.is_yes("PROVE_LOCKING"));
    // Asked for is not got: what ends a test boot, by the final `.config`.
    let built = Built::of(&fs::read_to_string(rig.out.path().join(".config")).unwrap());
    assert_eq!((built.ends, built.panic_timeout), (End::ALL.to_vec(), 10));
    assert!(
        configured.config.get("VIDEO_VIM2M").is_some(),
        "what the base had stays"
    );
    assert_eq!(fs::read(&mine).unwrap(), text, "the user's file is only read");
    assert_eq!(fs::read(rig.out.path().join(".config.pre-test")).unwrap(), text);
}

#[test]
fn a_static_program_for_the_board_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("p.c"), folder.path().join("p"));
    let toolchain = Toolchain::find().unwrap();
    fs::write(
        &source,
        "#include <stdio.h>\nint main(void) { puts(\"x\"); return 0; }\n",
    )
    .unwrap();
    toolchain.compile_probe(&[&source], &out).unwrap();
    let bytes = fs::read(&out).unwrap();
    // e_machine of an ELF header: 183 is EM_AARCH64 (elf(5)).
    assert_eq!((&bytes[..4], bytes[18]), (b"\x7fELF".as_slice(), 183));
    fs::write(&source, "int main(void) { int unused; return 0; }\n").unwrap();
    let error = format!("{:#}", toolchain.compile_probe(&[&source], &out).unwrap_err());
    assert!(error.contains("unused variable"), "{error}");
    assert_eq!(fs::read(&out).unwrap(), bytes, "a failure leaves the old program");
}
