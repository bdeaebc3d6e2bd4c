//! The files that U-Boot reads for vanilla's label, and for every other label that is not ours.

use super::resolve;
use super::running::{Running, on_board};
use crate::board::Board;
use crate::board::extlinux::{Config, Label};
use crate::host::one_line::one_line;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Paths on the running board. Vanilla's own have their symlinks resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BootFiles {
    pub image: PathBuf,
    pub dtb: Option<PathBuf>,
    pub initramfs: Option<PathBuf>,
    /// What else the labels name, and what the links among it lead to; sorted.
    pub others: Vec<PathBuf>,
}

impl BootFiles {
    /// Looks on the board where each name leads. Errors: one of vanilla's leads out of the file system that U-Boot reads; vanilla has no kernel.
    pub fn find(board: &dyn Board, running: &Running, config: &Config, vanilla: &Label) -> Result<Self> {
        let all: Vec<String> = config.menu.labels.iter().flat_map(files_of).collect();
        let named: Vec<PathBuf> = own_files(vanilla)
            .chain(&all)
            .map(|path| on_board(&running.boot_mount, &running.extlinux, path))
            .collect();
        let real = resolve(board, &named)?;
        Self::sort(vanilla, &running.boot_mount, &named, &real)
    }

    /// Which is which. `named` begins with vanilla's own files; `real` is what they are, in the same order.
    fn sort(vanilla: &Label, boot_mount: &Path, named: &[PathBuf], real: &[PathBuf]) -> Result<Self> {
        let inside = |path: &&PathBuf| path.starts_with(boot_mount);
        for (name, path) in own_files(vanilla).zip(real) {
            ensure!(
                inside(&path),
                "vanilla's label names `{}`, which leads to {}, outside of {}",
                one_line(name),
                path.display(),
                boot_mount.display()
            );
        }
        let own = real.get(..own_files(vanilla).count()).unwrap_or(real);
        // A link that leads out of the partition is not U-Boot's: what it points at is nobody's boot file, and is not followed.
        let all: BTreeSet<&PathBuf> = named.iter().chain(real.iter().filter(inside)).collect();
        // A label that names the partition itself names no file of it.
        let others = all
            .into_iter()
            .filter(|path| !own.contains(path) && *path != boot_mount)
            .cloned()
            .collect();
        let mut own = own.iter().cloned();
        let mut of = |name: &Option<String>| name.as_ref().and_then(|_| own.next());
        // In the order of `own_files`.
        let (image, dtb, initramfs) = (of(&vanilla.kernel), of(&vanilla.fdt), of(&vanilla.initrd));
        Ok(BootFiles {
            image: image.context("vanilla's label has no kernel")?,
            dtb,
            initramfs,
            others,
        })
    }
}

/// Kernel, device tree and initramfs, as far as a label names them.
fn own_files(label: &Label) -> impl Iterator<Item = &String> {
    [&label.kernel, &label.fdt, &label.initrd].into_iter().flatten()
}

fn files_of(label: &Label) -> Vec<String> {
    let overlays = label.fdtoverlays.iter().flat_map(|list| list.split(' '));
    let files = own_files(label).cloned().chain(overlays.map(String::from));
    files.filter(|path| !path.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(label: &str, leads: &[(&str, &str)]) -> Result<BootFiles> {
        let config = Config::parse(format!("label v\n{label}").as_bytes());
        let (named, real): (Vec<PathBuf>, Vec<PathBuf>) = leads
            .iter()
            .map(|(named, real)| (PathBuf::from(named), PathBuf::from(real)))
            .unzip();
        BootFiles::sort(config.label("v").unwrap(), Path::new("/boot"), &named, &real)
    }

    #[test]
    fn links_are_kept_beside_what_they_lead_to_and_none_leads_out() {
        let own = [("/boot/Image", "/boot/Image-7"), ("/boot/rd", "/boot/rd")];
        let rescue = [("/boot/rescue", "/boot/rescue-6"), ("/boot/out", "/etc/passwd")];
        let all = [&own[..], &own, &rescue].concat();
        let found = sorted("kernel /Image\ninitrd /rd\n", &all).unwrap();
        assert_eq!(found.image, Path::new("/boot/Image-7"));
        assert_eq!((found.dtb, found.initramfs), (None, Some("/boot/rd".into())));
        let others = ["/boot/Image", "/boot/out", "/boot/rescue", "/boot/rescue-6"];
        assert_eq!(found.others, others.map(PathBuf::from));
    }

    #[test]
    fn a_name_of_vanillas_that_leads_elsewhere_is_refused() {
        let leads = [("/boot/Image", "/boot/Image"), ("/boot/t.dtb", "/usr/t.dtb")];
        let error = sorted("kernel /Image\nfdt /t.dtb\n", &leads)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("names `/t.dtb`, which leads to /usr/t.dtb, outside of /boot"),
            "{error}"
        );
        let kernelless = sorted("fdt /t.dtb\n", &[("/boot/t.dtb", "/boot/t.dtb")]).unwrap_err();
        assert!(kernelless.to_string().contains("no kernel"), "{kernelless}");
    }

    #[test]
    fn every_word_of_a_label_that_is_a_file_counts() {
        let config = Config::parse(b"label v\nkernel /a\ninitrd /b\nfdt /c\nfdtoverlays /d  /e\n");
        assert_eq!(
            files_of(config.label("v").unwrap()),
            ["/a", "/c", "/b", "/d", "/e"]
        );
    }
}
