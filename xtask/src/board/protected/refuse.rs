//! Which paths must not be written (invariant 1), by their letters. What they are on the board, symlinks resolved, is looked at by the script
//! that writes (`board::writer`).

use super::Protected;
use std::path::{Component, Path, PathBuf};

impl Protected {
    /// Why a path must not be written or removed; `None` if it may. The path has to be absolute; dots are resolved here,
    /// symlinks by the caller. Case never makes a difference: FAT has none, and elsewhere it costs nothing.
    pub fn refuses(&self, path: &Path) -> Option<String> {
        let Some(path) = normalise(path) else {
            return Some("it is no absolute path".into());
        };
        if path.starts_with(&self.boot_mount)
            && let Some(reason) = fat_alias(&path)
        {
            return Some(reason);
        }
        let path = lower(&path);
        let extlinux = [self.extlinux.clone()];
        self.roots().iter().chain(&extlinux).find_map(|protected| {
            let one = lower(protected);
            let shown = protected.display();
            if path == one {
                Some(format!("{shown} is protected"))
            } else if path.starts_with(&one) {
                Some(format!("it is inside the protected {shown}"))
            } else if one.starts_with(&path) {
                Some(format!("the protected {shown} is inside it"))
            } else {
                None
            }
        })
    }
}

/// An absolute path without `.` and `..`, by its letters alone; `None` if it is relative.
pub fn normalise(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(clean)
}

fn lower(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().to_lowercase())
}

/// Names that reach another file on FAT: 8.3 aliases (`IMAGE-~1`), and trailing dots or blanks, which vfat drops
/// (fs/fat/namei_vfat.c, `vfat_striptail_len`).
fn fat_alias(path: &Path) -> Option<String> {
    path.components().find_map(|component| {
        let name = component.as_os_str().to_string_lossy().into_owned();
        let alias = name.contains('~') || (name.len() > 1 && (name.ends_with('.') || name.ends_with(' ')));
        alias.then(|| format!("`{name}` may be another name of a file on FAT"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn every_way_to_a_protected_path_is_refused() {
        let protected = example();
        for path in [
            "/boot/firmware/Image-7.3.4",
            "/boot/firmware/image-7.3.4",
            "/boot/firmware/x/../Image-7.3.4",
            "/boot/firmware/./virt.dtb",
            "/boot/firmware/VIRT.DTB",
            "/boot/firmware/IMAGE-~1",
            "/boot/firmware/Image-7.3.4.",
            "/boot/firmware/Image-7.3.4 ",
            "/boot/firmware",
            "/boot/firmware/extlinux/extlinux.conf",
            "/usr/lib/modules/7.3.4",
            "/usr/lib/modules/7.3.4/kernel/x.ko",
            "/usr/lib/modules/7.3.4-lockdep/../7.3.4/x.ko",
            "/usr/lib",
            "/",
            "boot/firmware/anything",
        ] {
            assert!(protected.refuses(Path::new(path)).is_some(), "{path}");
        }
    }

    #[test]
    fn what_is_ours_may_be_written() {
        let protected = example();
        for path in [
            "/boot/firmware/Image-7.3.4-lockdep+",
            "/boot/firmware/virt-7.3.4-lockdep+.dtb",
            "/usr/lib/modules/7.3.4-lockdep+/kernel/x.ko",
            "/var/lib/lockstep/backups/iter6",
        ] {
            assert_eq!(protected.refuses(Path::new(path)), None, "{path}");
        }
    }
}
