//! The architectures that a kernel tree knows: their names, compilers and boot images.
//!
//! The list is that of `arch/` of Linux 7.3. `um` (a kernel as a user program) is left out: no board boots it. A tree has the last
//! word: an architecture whose folder it lacks is refused by [`Architecture::require_in`].

use anyhow::{Result, bail};
use std::path::Path;

/// One architecture.
#[derive(Debug, PartialEq, Eq)]
pub struct Architecture {
    /// `ARCH` of the kernel's Makefile, and what `--arch` takes.
    pub kernel: &'static str,
    /// Its folder below `arch/` (`SRCARCH`; "Additional ARCH settings" of the Makefile).
    pub folder: &'static str,
    /// Other names that people know it by: those of `uname -m`, Debian and rustc.
    pub aliases: &'static [&'static str],
    /// gcc as a cross compiler, under the names that distributions give it, Debian's first. Empty: only LLVM builds it.
    pub gcc: &'static [&'static str],
    /// Debian's package with the first of them.
    pub package: &'static str,
    /// What the `cc` crate and rustc call it, where they know it.
    pub rust: Option<&'static str>,
    /// What `clang --target=` takes (scripts/Makefile.clang); empty where that file has none.
    pub clang: &'static str,
    /// `e_machine` of its objects (include/uapi/linux/elf-em.h); more than one where `-m` of the same compiler decides.
    pub machines: &'static [u16],
    /// The image that a board boots, below `arch/<folder>/boot/`. `None`: what `make image_name` says.
    pub image: Option<&'static str>,
}

/// The one that is built where nobody says another.
pub const DEFAULT: &Architecture = &ARM64;

const ARM64: Architecture = Architecture {
    rust: Some("aarch64-unknown-linux-gnu"),
    clang: "aarch64-linux-gnu",
    // `booti` of U-Boot takes the plain one; `make image_name` would name Image.gz.
    image: Some("Image"),
    ..of(
        "arm64",
        "arm64",
        &["aarch64"],
        &["aarch64-linux-gnu-gcc"],
        "gcc-aarch64-linux-gnu",
        &[183],
    )
};

/// Every one of them, by name.
pub const ARCHITECTURES: &[Architecture] = &[
    of(
        "alpha",
        "alpha",
        &[],
        &["alpha-linux-gnu-gcc"],
        "gcc-alpha-linux-gnu",
        &[0x9026],
    ),
    of(
        "arc",
        "arc",
        &["arcv2"],
        &["arc-linux-gnu-gcc", "arc-linux-gcc"],
        "gcc-arc-linux-gnu",
        &[93, 195],
    ),
    Architecture {
        rust: Some("armv7-unknown-linux-gnueabihf"),
        clang: "arm-linux-gnueabi",
        ..of(
            "arm",
            "arm",
            &["armhf", "armel", "armv7l", "armv6l"],
            &[
                "arm-linux-gnueabihf-gcc",
                "arm-linux-gnueabi-gcc",
                "arm-linux-gnu-gcc",
            ],
            "gcc-arm-linux-gnueabihf",
            &[40],
        )
    },
    ARM64,
    of(
        "csky",
        "csky",
        &[],
        &["csky-linux-gnuabiv2-gcc", "csky-linux-gcc"],
        "gcc-csky-linux",
        &[252],
    ),
    Architecture {
        clang: "hexagon-linux-musl",
        ..of("hexagon", "hexagon", &[], &[], "clang", &[164])
    },
    Architecture {
        rust: Some("loongarch64-unknown-linux-gnu"),
        clang: "loongarch64-linux-gnusf",
        ..of(
            "loongarch",
            "loongarch",
            &["loongarch64", "loong64"],
            &["loongarch64-linux-gnu-gcc"],
            "gcc-loongarch64-linux-gnu",
            &[258],
        )
    },
    Architecture {
        clang: "m68k-linux-gnu",
        ..of(
            "m68k",
            "m68k",
            &[],
            &["m68k-linux-gnu-gcc"],
            "gcc-m68k-linux-gnu",
            &[4],
        )
    },
    of(
        "microblaze",
        "microblaze",
        &[],
        &["microblaze-linux-gnu-gcc", "microblaze-linux-gcc"],
        "gcc-microblaze-linux-gnu",
        &[189],
    ),
    Architecture {
        rust: Some("mips64el-unknown-linux-gnuabi64"),
        clang: "mipsel-linux-gnu",
        ..of(
            "mips",
            "mips",
            &["mips64", "mipsel", "mips64el"],
            &[
                "mips64el-linux-gnuabi64-gcc",
                "mipsel-linux-gnu-gcc",
                "mips64-linux-gnu-gcc",
                "mips-linux-gnu-gcc",
            ],
            "gcc-mips64el-linux-gnuabi64",
            &[8],
        )
    },
    of(
        "nios2",
        "nios2",
        &[],
        &["nios2-linux-gnu-gcc", "nios2-linux-gcc"],
        "gcc-nios2-linux-gnu",
        &[113],
    ),
    of(
        "openrisc",
        "openrisc",
        &["or1k"],
        &["or1k-linux-gcc", "or1k-elf-gcc"],
        "gcc-or1k-elf",
        &[92],
    ),
    of(
        "parisc",
        "parisc",
        &["hppa"],
        &["hppa-linux-gnu-gcc"],
        "gcc-hppa-linux-gnu",
        &[15],
    ),
    of(
        "parisc64",
        "parisc",
        &["hppa64"],
        &["hppa64-linux-gnu-gcc"],
        "gcc-hppa64-linux-gnu",
        &[15],
    ),
    Architecture {
        rust: Some("powerpc64le-unknown-linux-gnu"),
        clang: "powerpc64le-linux-gnu",
        ..of(
            "powerpc",
            "powerpc",
            &["ppc64le", "ppc64el", "ppc64", "ppc"],
            &[
                "powerpc64le-linux-gnu-gcc",
                "powerpc64-linux-gnu-gcc",
                "powerpc-linux-gnu-gcc",
            ],
            "gcc-powerpc64le-linux-gnu",
            &[20, 21],
        )
    },
    Architecture {
        rust: Some("riscv64gc-unknown-linux-gnu"),
        clang: "riscv64-linux-gnu",
        image: Some("Image"),
        ..of(
            "riscv",
            "riscv",
            &["riscv64", "riscv32"],
            &["riscv64-linux-gnu-gcc"],
            "gcc-riscv64-linux-gnu",
            &[243],
        )
    },
    Architecture {
        rust: Some("s390x-unknown-linux-gnu"),
        clang: "s390x-linux-gnu",
        ..of(
            "s390",
            "s390",
            &["s390x"],
            &["s390x-linux-gnu-gcc"],
            "gcc-s390x-linux-gnu",
            &[22],
        )
    },
    of(
        "sh",
        "sh",
        &["sh4"],
        &["sh4-linux-gnu-gcc", "sh-linux-gnu-gcc"],
        "gcc-sh4-linux-gnu",
        &[42],
    ),
    Architecture {
        clang: "sparc64-linux-gnu",
        ..of(
            "sparc64",
            "sparc",
            &[],
            &["sparc64-linux-gnu-gcc"],
            "gcc-sparc64-linux-gnu",
            &[43],
        )
    },
    of(
        "sparc",
        "sparc",
        &["sparc32"],
        &["sparc-linux-gnu-gcc", "sparc64-linux-gnu-gcc"],
        "gcc-sparc64-linux-gnu",
        &[2, 18, 43],
    ),
    Architecture {
        rust: Some("x86_64-unknown-linux-gnu"),
        clang: "x86_64-linux-gnu",
        ..of(
            "x86_64",
            "x86",
            &["x86", "amd64"],
            &["x86_64-linux-gnu-gcc"],
            "gcc-x86-64-linux-gnu",
            &[62],
        )
    },
    Architecture {
        rust: Some("i686-unknown-linux-gnu"),
        clang: "x86_64-linux-gnu",
        ..of(
            "i386",
            "x86",
            &["i686", "x86_32"],
            &["i686-linux-gnu-gcc", "x86_64-linux-gnu-gcc"],
            "gcc-i686-linux-gnu",
            &[3, 62],
        )
    },
    of(
        "xtensa",
        "xtensa",
        &[],
        &["xtensa-linux-gnu-gcc", "xtensa-linux-gcc", "xtensa-lx106-elf-gcc"],
        "gcc-xtensa-lx106",
        &[94],
    ),
];

const fn of(
    kernel: &'static str,
    folder: &'static str,
    aliases: &'static [&'static str],
    gcc: &'static [&'static str],
    package: &'static str,
    machines: &'static [u16],
) -> Architecture {
    Architecture {
        kernel,
        folder,
        aliases,
        gcc,
        package,
        rust: None,
        clang: "",
        machines,
        image: None,
    }
}

impl Architecture {
    /// The architecture of a name or of one of its aliases. Errors: none has it; names all.
    pub fn named(name: &str) -> Result<&'static Architecture> {
        let found = ARCHITECTURES
            .iter()
            .find(|arch| arch.kernel == name || arch.aliases.contains(&name));
        let Some(arch) = found else {
            let all: Vec<&str> = ARCHITECTURES.iter().map(|arch| arch.kernel).collect();
            bail!(
                "there is no architecture `{name}`; the kernel has {}",
                all.join(", ")
            );
        };
        Ok(arch)
    }

    /// Whether a program for it runs on this machine, so that the machine's own compiler builds it.
    pub fn is_native(&self) -> bool {
        self.is_of_host(std::env::consts::ARCH)
    }

    /// [`Architecture::is_native`] on a machine that rustc calls `host`.
    fn is_of_host(&self, host: &str) -> bool {
        self.kernel == host || self.aliases.contains(&host)
    }

    /// Errors if the tree has no such architecture.
    pub fn require_in(&self, tree: &Path) -> Result<()> {
        if tree.join("arch").join(self.folder).join("Makefile").is_file() {
            return Ok(());
        }
        bail!(
            "the kernel tree {} has no architecture `{}`: there is no arch/{}/Makefile",
            tree.display(),
            self.kernel,
            self.folder
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_lead_to_one_architecture() {
        assert_eq!(DEFAULT.kernel, "arm64");
        for (name, kernel) in [
            ("arm64", "arm64"),
            ("aarch64", "arm64"),
            ("amd64", "x86_64"),
            ("ppc64le", "powerpc"),
        ] {
            assert_eq!(Architecture::named(name).unwrap().kernel, kernel);
        }
        let error = Architecture::named("arm46").unwrap_err().to_string();
        assert!(
            error.contains("no architecture `arm46`") && error.contains("riscv"),
            "{error}"
        );
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names: Vec<&str> = ARCHITECTURES
            .iter()
            .flat_map(|arch| arch.aliases.iter().copied().chain([arch.kernel]))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_machine_itself_is_native_and_others_are_not() {
        let native = |name: &str, host: &str| Architecture::named(name).unwrap().is_of_host(host);
        assert!(native("arm64", "aarch64") && native("x86_64", "x86_64") && native("riscv", "riscv64"));
        assert!(!native("arm64", "x86_64") && !native("arm64", "arm"));
    }

    #[test]
    fn a_tree_without_it_is_told() {
        let tree = tempfile::tempdir().unwrap();
        let error = DEFAULT.require_in(tree.path()).unwrap_err().to_string();
        assert!(
            error.contains("no architecture `arm64`: there is no arch/arm64/Makefile"),
            "{error}"
        );
    }
}
