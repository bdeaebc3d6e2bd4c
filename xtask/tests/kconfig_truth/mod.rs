//! The real kernel tree and its own `conf`, in an `O=` folder of the test's.

use super::imported_kernel;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use xshell::{Shell, cmd};
use xtask::host::folders::Folders;
use xtask::host::process;
use xtask::kernel::profile::{Below, Profile};
use xtask::kernel::toolchain::Toolchain;

pub const LIMIT: Duration = Duration::from_secs(600);

/// The real tree, and make for it in an `O=` folder of our own.
pub struct Truth {
    pub source: PathBuf,
    pub out: TempDir,
    pub toolchain: Toolchain,
}

impl Truth {
    pub fn new() -> Self {
        let folders = Folders::find().unwrap();
        let place = imported_kernel::place(&folders);
        fs::create_dir_all(&place.builds).unwrap();
        Truth {
            out: tempfile::Builder::new()
                .prefix("test-")
                .tempdir_in(&place.builds)
                .unwrap(),
            source: place.worktree,
            toolchain: Toolchain::find().unwrap(),
        }
    }

    pub fn make(&self, goal: &str, variables: &[(&str, &str)]) {
        let sh = Shell::new().unwrap();
        let (source, out) = (&self.source, self.out.path());
        let (prefix, cc) = (&self.toolchain.prefix, &self.toolchain.compiler);
        let mut cmd = cmd!(
            sh,
            "make -s -C {source} O={out} ARCH=arm64 CROSS_COMPILE={prefix} CC={cc} {goal}"
        )
        .env_remove("KCONFIG_CONFIG")
        .env_remove("KCONFIG_ALLCONFIG");
        for (name, value) in variables {
            cmd = cmd.env(name, value);
        }
        process::run(cmd, LIMIT).unwrap();
    }

    pub fn config(&self) -> String {
        fs::read_to_string(self.out.path().join(".config")).unwrap()
    }

    /// What becomes of `base` with `requests` behind it.
    pub fn olddefconfig(&self, base: &str, requests: &str) -> String {
        fs::write(self.out.path().join(".config"), format!("{base}\n{requests}")).unwrap();
        self.make("olddefconfig", &[]);
        self.config()
    }

    /// What becomes of many configurations: one run of make, in which a script in the place of `conf` runs it once for each.
    pub fn olddefconfig_each(&self, configs: &[String]) -> Vec<String> {
        let folder = tempfile::tempdir_in(self.out.path()).unwrap();
        let path = |at: usize| folder.path().join(format!("{at:05}"));
        for (at, config) in configs.iter().enumerate() {
            // conf leaves a file that is as it would write it; a line of ours at its end is not.
            fs::write(path(at), format!("{config}\n# untouched\n")).unwrap();
        }
        let conf = self.out.path().join("scripts/kconfig/conf");
        let real = conf.with_file_name("conf-of-the-tree");
        fs::rename(&conf, &real).unwrap();
        let script = format!(
            "#!/bin/sh\nls '{}'/* | xargs -P 2 -I @ env KCONFIG_CONFIG=@ '{}' \"$@\"\n",
            folder.path().display(),
            real.display()
        );
        fs::write(&conf, script).unwrap();
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o755)).unwrap();
        self.make("olddefconfig", &[]);
        fs::rename(&real, &conf).unwrap();
        let after: Vec<String> = (0..configs.len())
            .map(|at| fs::read_to_string(path(at)).unwrap())
            .collect();
        let untouched = after.iter().filter(|after| after.ends_with("# untouched\n"));
        assert_eq!(untouched.count(), 0, "conf wrote each of them");
        after
    }

    pub fn of_profile(&self, name: &str) -> String {
        let profile = Profile::named(&Folders::find().unwrap().project, name, Below::Nothing).unwrap();
        let requests = self.out.path().join("requests.config");
        fs::write(&requests, profile.merged().unwrap().to_config()).unwrap();
        let requests = requests.to_str().unwrap();
        self.make("allnoconfig", &[("KCONFIG_ALLCONFIG", requests)]);
        self.config()
    }
}

/// xorshift64: the same symbols for the same seed, on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

pub fn setting(name: &str, or: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(or)
}

/// The line that a `.config` has for a symbol, read without Lockstep's parser: `y`, `m`, a value, or `n` where there is none.
pub fn raw(config: &str, symbol: &str) -> String {
    let start = format!("CONFIG_{symbol}=");
    config
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or("n")
        .to_string()
}
