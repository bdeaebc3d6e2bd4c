//! Programs that only some configurations of the kernel want (Documentation/process/changes.rst, and the `cmd_` that run them in
//! scripts/Makefile.lib and scripts/Makefile.modinst).

use super::{Probe, Purpose, Requirement, need};

const fn program(
    name: &'static str,
    debian: &'static str,
    fedora: Option<&'static str>,
    arch: Option<&'static str>,
) -> Requirement {
    need(Probe::Program(name), debian, fedora, arch, Purpose::Kernel)
}

/// Kconfig symbols, and what a kernel with one of them needs of the machine that builds it.
const CONFIGURED: &[(&[&str], Requirement)] = &[
    (
        &["DEBUG_INFO_BTF"],
        program("pahole", "pahole", Some("dwarves"), Some("pahole")),
    ),
    (
        &["MODULE_SIG", "SYSTEM_TRUSTED_KEYRING", "MODULE_SIG_ALL"],
        program("openssl", "openssl", Some("openssl"), Some("openssl")),
    ),
    (
        &["MODULE_COMPRESS_ZSTD", "KERNEL_ZSTD", "RD_ZSTD"],
        program("zstd", "zstd", Some("zstd"), Some("zstd")),
    ),
    (
        &["MODULE_COMPRESS_XZ", "KERNEL_XZ", "IKHEADERS"],
        program("xz", "xz-utils", Some("xz"), Some("xz")),
    ),
    (
        &["KERNEL_GZIP", "MODULE_COMPRESS_GZIP", "IKCONFIG"],
        program("gzip", "gzip", Some("gzip"), Some("gzip")),
    ),
    (&["KERNEL_LZ4"], program("lz4", "lz4", Some("lz4"), Some("lz4"))),
    (
        &["KERNEL_LZO"],
        program("lzop", "lzop", Some("lzop"), Some("lzop")),
    ),
    (
        &["KERNEL_LZMA"],
        program("lzma", "xz-utils", Some("xz-lzma-compat"), Some("xz")),
    ),
    (
        &["KERNEL_BZIP2"],
        program("bzip2", "bzip2", Some("bzip2"), Some("bzip2")),
    ),
    (&["RUST"], program("rustc", "rustc", Some("rust"), Some("rust"))),
    (
        &["RUST"],
        program("bindgen", "bindgen", Some("bindgen-cli"), Some("rust-bindgen")),
    ),
    (
        &["GCC_PLUGINS"],
        need(
            Probe::File("/usr/include/gmp.h"),
            "libgmp-dev",
            Some("gmp-devel"),
            Some("gmp"),
            Purpose::Kernel,
        ),
    ),
];

/// What a configuration needs beyond every kernel; `is_on` says whether a symbol (without `CONFIG_`) is set.
pub fn required_by(is_on: impl Fn(&str) -> bool) -> Vec<Requirement> {
    CONFIGURED
        .iter()
        .filter(|(symbols, _)| symbols.iter().any(|symbol| is_on(symbol)))
        .map(|(_, requirement)| *requirement)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_configuration_wants_is_asked_for() {
        let names = |on: &[&str]| -> Vec<&str> {
            required_by(|symbol| on.contains(&symbol))
                .iter()
                .map(Requirement::name)
                .collect()
        };
        assert!(names(&["LOCKDEP"]).is_empty());
        assert_eq!(
            names(&["DEBUG_INFO_BTF", "MODULE_COMPRESS_ZSTD"]),
            ["pahole", "zstd"]
        );
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let gone = |name| need(Probe::Program(name), "a-package", None, None, Purpose::Kernel);
        let more = [gone("lockstep-no-such-flex"), gone("lockstep-no-such-bison")];
        let error = super::super::require_with(&[Purpose::Source], &more)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("lockstep-no-such-flex, lockstep-no-such-bison"),
            "{error}"
        );
    }
}
