//! Which paths can be a board's protected ones: all of them come from the board, or from a file that was written about it.

use super::super::extlinux::check_foreign_name;
use super::super::inventory::BoardPath;
use super::Protected;
use anyhow::{Context, Result, ensure};
use std::path::Path;

impl Protected {
    /// Errors: a path is not straight, or is where no such file is: boot files outside of the file system that U-Boot reads, modules around
    /// other things. A board that names `/` or `/etc` as its modules would have a rollback restore, and clear, all that is there.
    pub(in crate::board) fn check_paths(&self) -> Result<()> {
        check_foreign_name(&self.vanilla_label).context("vanilla's label")?;
        let mount = &self.boot_mount;
        if mount != Path::new("/") {
            BoardPath::new(mount).context("the mount point of the boot files")?;
        }
        let own = [&self.dtb, &self.initramfs].into_iter().flatten();
        for path in own.chain([&self.image, &self.extlinux]).chain(&self.others) {
            let path = BoardPath::new(path).context("a boot file")?;
            ensure!(
                path.starts_with(mount) && path.as_path() != mount,
                "the boot file {path} is not below {}, the file system that U-Boot reads",
                mount.display()
            );
        }
        let modules = BoardPath::new(&self.modules).context("the folder of vanilla's modules")?;
        // `/lib/modules/<release>` or deeper; `/` is a component, too.
        ensure!(
            modules.components().count() > 3,
            "{modules} cannot be the folder of vanilla's modules: it is too near to the root"
        );
        let boot_files = [&self.image, &self.extlinux, mount];
        let inside = boot_files.into_iter().find(|path| path.starts_with(&modules));
        ensure!(
            inside.is_none(),
            "{modules} cannot be the folder of vanilla's modules: boot files lie in it"
        );
        self.inventory
            .check(&self.roots())
            .context("the list of protected files")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_board_cannot_name_what_it_likes() {
        example().check_paths().unwrap();
        let said = |change: &dyn Fn(&mut Protected)| {
            let mut protected = example();
            change(&mut protected);
            format!("{:#}", protected.check_paths().unwrap_err())
        };
        for path in [
            "/",
            "/etc",
            "/usr/lib",
            "/boot",
            "/usr/lib/modules/..",
            "lib/modules/7",
            "/usr/lib/modules/7/../../../etc",
        ] {
            let error = said(&|protected| protected.modules = path.into());
            assert!(error.contains("modules"), "{path}: {error}");
        }
        for path in [
            "/etc/shadow",
            "/boot/firmware",
            "/boot/firmware/../../etc/shadow",
            "x",
            "",
        ] {
            for change in [
                (|protected, path| protected.image = path) as fn(&mut Protected, std::path::PathBuf),
                |protected, path| protected.extlinux = path,
                |protected, path| protected.dtb = Some(path),
                |protected, path| protected.initramfs = Some(path),
                |protected, path| protected.others = vec![path],
            ] {
                let error = said(&|protected| change(protected, path.into()));
                assert!(error.contains("boot file"), "{path}: {error}");
            }
        }
        assert!(said(&|protected| protected.boot_mount = "boot".into()).contains("mount point"));
    }
}
