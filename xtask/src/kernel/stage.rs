//! What a build made, put together in a folder of its own (never straight into `/lib/modules`), with its manifest.

mod reuse;

use super::build::Builder;
use super::debug_files::{DebugFiles, has_debug_info};
use super::module;
use super::symbols::{self, Wants};
use super::{Event, Report};
use crate::host::bounded;
use crate::host::files;
use crate::host::files::{sha256, write_atomic};
use crate::host::one_line;
use crate::host::process;
use crate::manifest::{File, Kind, Manifest, SCHEMA_VERSION};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use walkdir::WalkDir;
use xshell::{Shell, cmd};

/// Name of the manifest in a staging folder.
pub const MANIFEST: &str = "manifest.json";
pub use crate::manifest::CONFIG;
const LIMIT: Duration = Duration::from_secs(1800);

impl Builder {
    /// Puts Image, modules (stripped of debug information) and dtbs into `dest` and writes `dest/manifest.json`. Made beside
    /// `dest` and renamed into place: a `dest` from before is gone only when the new one is whole. `commit` is what was built, full hex.
    ///
    /// Errors: modules_install fails; depmod has something to say (a symbol that no module gives); a module whose vermagic is not this
    /// release (left over from another build). Dies half-way: `dest` is old or new, or for an instant
    /// not there with the old one beside it as `<dest>.old`; `<dest>.new` may be left, and is removed by the next call.
    pub fn stage(&self, dest: &Path, commit: &str, report: Report) -> Result<Manifest> {
        let doing = || format!("staging {} in {}", self.profile.name, dest.display());
        let dest = std::path::absolute(dest).with_context(doing)?;
        if let Some(manifest) = self.already_staged(&dest, commit) {
            let manifest = manifest.with_context(doing)?;
            self.keep_debug_files(&manifest)?;
            return Ok(manifest);
        }
        report(Event::Step(format!("staging {}", self.profile.name)));
        let new = beside(&dest, "new");
        remove(&new)?;
        fs::create_dir_all(&new).with_context(doing)?;
        let release = self.release().with_context(doing)?;
        if self.has_modules() {
            self.install_modules(&new, &release).with_context(doing)?;
        }
        let image = self.image().with_context(doing)?;
        let image_name = image.file_name().context("the boot image has no name")?;
        fs::copy(self.out.join(&image), new.join(image_name))
            .with_context(|| format!("{}: no {} was built", doing(), image.display()))?;
        copy_dtbs(&self.out.join(self.dts()), &new.join("dtbs")).with_context(doing)?;
        let vmlinux = fs::read(self.out.join("vmlinux")).with_context(doing)?;
        let (files, wants) = describe(&new, &release).with_context(doing)?;
        self.refuse_misfits(&wants).with_context(doing)?;
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            build_id: module::build_id(&vmlinux).with_context(|| format!("{}: reading vmlinux", doing()))?,
            profile: self.profile.name.clone(),
            append: self.profile.append(),
            commit: commit.to_string(),
            files,
            root: dest.clone(),
            release,
        };
        let text = serde_json::to_vec_pretty(&manifest)?;
        write_atomic(&new.join(MANIFEST), &text)?;
        fs::copy(self.out.join(".config"), new.join(CONFIG)).with_context(doing)?;
        put_in_place(&new, &dest).with_context(doing)?;
        self.remember_staged(&dest, &image).with_context(doing)?;
        self.keep_debug_files(&manifest)?;
        Ok(manifest)
    }

    /// What a trace of this build is decoded with, for when the build folder holds the next one.
    fn keep_debug_files(&self, manifest: &Manifest) -> Result<()> {
        if has_debug_info(&self.out) {
            DebugFiles::of(&self.cache).keep(&self.out, manifest)?;
        }
        Ok(())
    }

    /// Puts what was staged in `from` in the place of `dest`. Dies half-way: `dest` is old or new, or for an instant not there with the old one
    /// beside it as `<dest>.old`.
    pub fn stage_moves(&self, from: &Path, dest: &Path) -> Result<Manifest> {
        let doing = || format!("putting {} in the place of {}", from.display(), dest.display());
        let dest = std::path::absolute(dest).with_context(doing)?;
        let mut manifest = read_manifest(from).with_context(doing)?;
        manifest.root.clone_from(&dest);
        write_atomic(&from.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?).with_context(doing)?;
        put_in_place(from, &dest).with_context(doing)?;
        self.remember_moved(&dest).with_context(doing)?;
        Ok(manifest)
    }

    /// Errors if a module wants what neither the kernel nor another module of the set gives, in the version that it was compiled
    /// against. Nothing has left this machine then.
    fn refuse_misfits(&self, wants: &[Wants]) -> Result<()> {
        if wants.is_empty() {
            return Ok(());
        }
        let file = self.out.join("Module.symvers");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let misfits = symbols::misfits(wants, &symbols::parse_symvers(&text));
        if misfits.is_empty() {
            return Ok(());
        }
        bail!(
            "the modules do not fit together, {} in all:{}\nbuild all of it: `cargo xtask build --scope kernel`",
            misfits.len(),
            one_line::list(misfits.iter().map(ToString::to_string), 20)
        )
    }

    /// `modules_install` and depmod. The kernel's own depmod call ends with success whatever it says, so depmod runs once more,
    /// with `-e`, and has to be silent.
    fn install_modules(&self, new: &Path, release: &str) -> Result<()> {
        let sh = Shell::new()?;
        let mut path = std::ffi::OsString::from("INSTALL_MOD_PATH=");
        path.push(new);
        let install = cmd!(sh, "nice -n 5 make -s modules_install {path} INSTALL_MOD_STRIP=1");
        process::run(self.environment(install), LIMIT)?;
        let folder = new.join("lib/modules").join(release);
        if !folder.is_dir() {
            bail!("modules_install did not make {}", folder.display());
        }
        // Links into the build folder: a board has no use for them.
        for link in ["build", "source"] {
            let _ = fs::remove_file(folder.join(link));
        }
        let map = self.out.join("System.map");
        let said = process::run(cmd!(sh, "depmod -e -F {map} -b {new} {release}"), LIMIT)?;
        let words = [said.stdout, said.stderr].concat();
        if !words.is_empty() {
            bail!(
                "depmod is not content with the modules:\n{}",
                String::from_utf8_lossy(&words).trim_end()
            );
        }
        Ok(())
    }
}

/// Reads the manifest of a staging folder. Errors: none there, written by a newer Lockstep.
pub fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let doing = || format!("reading {}", path.display());
    Manifest::parse(&bounded::read(&path, bounded::RECORD)?).with_context(doing)
}

/// [`read_manifest`]; `None` where there is no such file.
pub fn read_manifest_if_there(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(MANIFEST);
    let doing = || format!("reading {}", path.display());
    let bytes = bounded::read_if_there(&path, bounded::RECORD)?;
    bytes
        .map(|bytes| Manifest::parse(&bytes).with_context(doing))
        .transpose()
}

/// Removes a staging folder, and what a staging that died left beside it.
pub fn discard(folder: &Path) -> Result<()> {
    remove(folder)?;
    remove(&beside(folder, "new"))?;
    remove(&beside(folder, "old"))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn put_in_place(new: &Path, dest: &Path) -> Result<()> {
    let old = beside(dest, "old");
    remove(&old)?;
    if files::is_there(dest)? {
        fs::rename(dest, &old)?;
    }
    fs::rename(new, dest)?;
    remove(&old)
}

/// Copies `*.dtb`, keeping folders. (`dtbs_install` would do the same in a make call of its own.)
fn copy_dtbs(from: &Path, to: &Path) -> Result<()> {
    if !files::is_folder(from)? {
        return Ok(());
    }
    for entry in WalkDir::new(from) {
        let entry = entry?;
        if entry.path().extension().is_some_and(|ending| ending == "dtb") {
            let target = to.join(entry.path().strip_prefix(from)?);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Every file of a staging folder, sorted.
fn describe(root: &Path, release: &str) -> Result<(Vec<File>, Vec<Wants>)> {
    let mut files = Vec::new();
    let mut wants = Vec::new();
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_dir() {
            continue;
        }
        let source = entry.path().strip_prefix(root)?.to_path_buf();
        let kind = kind_of(&source)
            .with_context(|| format!("{} does not belong in a staging folder", source.display()))?;
        let bytes = fs::read(entry.path()).with_context(|| format!("reading {}", entry.path().display()))?;
        let mut file = File {
            kind,
            size: bytes.len() as u64,
            sha256: sha256(&bytes),
            mode: entry.metadata()?.permissions().mode() & 0o7777,
            source,
            build_id: None,
            content_sha256: None,
        };
        if kind == Kind::Module {
            let reading = || format!("reading {}", file.source.display());
            let plain = module::unpacked(&bytes).with_context(reading)?;
            let info = module::module_info(&plain).with_context(reading)?;
            let name = file.module_name().unwrap_or_default();
            wants.push(symbols::wants(&name, &plain).with_context(reading)?);
            let magic = info.vermagic.unwrap_or_default();
            if magic.split(' ').next() != Some(release) {
                bail!(
                    "{} was built for `{magic}`, not for {release}",
                    file.source.display()
                );
            }
            file.build_id = info.build_id;
            file.content_sha256 = Some(info.content_sha256);
        }
        files.push(file);
    }
    files.sort_by(|a, b| a.source.cmp(&b.source));
    Ok((files, wants))
}

fn kind_of(source: &Path) -> Option<Kind> {
    let name = source.file_name()?.to_str()?;
    let module = [".ko", ".ko.zst", ".ko.xz", ".ko.gz"]
        .iter()
        .any(|ending| name.ends_with(ending));
    match source.iter().next()?.to_str()? {
        "dtbs" => Some(Kind::Dtb),
        "lib" if module => Some(Kind::Module),
        "lib" => Some(Kind::ModuleIndex),
        // `Image`, `bzImage`, `zImage`, `vmlinux`: whatever the architecture boots is the one file at the top.
        _ if source.components().count() == 1 => Some(Kind::Image),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_paths() {
        assert_eq!(kind_of(Path::new("Image")), Some(Kind::Image));
        assert_eq!(kind_of(Path::new("dtbs/rockchip/a.dtb")), Some(Kind::Dtb));
        assert_eq!(
            kind_of(Path::new("lib/modules/r/kernel/a.ko.zst")),
            Some(Kind::Module)
        );
        assert_eq!(
            kind_of(Path::new("lib/modules/r/modules.dep")),
            Some(Kind::ModuleIndex)
        );
        assert_eq!(kind_of(Path::new("bzImage")), Some(Kind::Image));
        assert_eq!(kind_of(Path::new("boot/vmlinux")), None);
    }

    #[test]
    fn a_staging_folder_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (new, dest) = (folder.path().join("s.new"), folder.path().join("s"));
        for (text, old) in [("1", "0"), ("2", "1")] {
            fs::create_dir(&new).unwrap();
            fs::write(new.join("f"), text).unwrap();
            put_in_place(&new, &dest).unwrap();
            assert_eq!(
                fs::read_to_string(dest.join("f")).unwrap(),
                text,
                "instead of {old}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_manifest_of_a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST), "{\"schema-version\": 99}").unwrap();
        let error = format!("{:#}", read_manifest(folder.path()).unwrap_err());
        assert!(
            error.contains("format 99, newer than this program reads (1)"),
            "{error}"
        );
    }
}
