//! Installing Debian packages on the host, without removing any.

use super::process;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

const LIMIT: Duration = Duration::from_secs(1200);

/// Installs Debian packages through the machine's own apt, as root or with sudo. Nothing that is installed is
/// removed for it: where Debian's QEMU conflicts with one from the release's backports, QEMU is taken from there too.
///
/// If it dies half-way, dpkg's own state tells; running it again goes on.
pub fn install(packages: &[&str], log: &Path, mut on_line: impl FnMut(&str)) -> Result<()> {
    let sh = Shell::new()?;
    let root = root_prefix()?;
    let quiet = "DEBIAN_FRONTEND=noninteractive";
    process::run_logged(cmd!(sh, "{root} apt-get update"), log, LIMIT, &mut on_line)
        .context("refreshing apt's lists")?;
    let options = ["install", "-y", "--no-install-recommends", "--no-remove"];
    let plain = cmd!(sh, "{root} env {quiet} apt-get {options...} {packages...}");
    let Err(first) = process::run_logged(plain, log, LIMIT, &mut on_line) else {
        return Ok(());
    };
    let Some(suite) = backports_suite(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()) else {
        return Err(first).context("installing packages");
    };
    on_line(&format!(
        "trying again with {suite}, because a package of it stands in the way"
    ));
    let folder = super::scratch::folder()?;
    let sources = backports_sources(&sh, &suite, folder.path())?;
    let places = [
        format!("Dir::Etc::sourcelist={}", sources.display()),
        format!("Dir::State::Lists={}", folder.path().join("lists").display()),
        "Dir::Cache::pkgcache=".into(),
        "Dir::Cache::srcpkgcache=".into(),
    ];
    let places: Vec<&str> = places.iter().flat_map(|place| ["-o", place.as_str()]).collect();
    let again = &places;
    process::run_logged(
        cmd!(sh, "{root} apt-get {again...} update"),
        log,
        LIMIT,
        &mut on_line,
    )?;
    let qemu: Vec<String> = ["qemu-system-arm", "qemu-system-common", "qemu-system-data"]
        .iter()
        .map(|package| format!("{package}/{suite}"))
        .collect();
    let others = packages
        .iter()
        .filter(|package| !package.starts_with("qemu-system"));
    let retry = cmd!(
        sh,
        "{root} env {quiet} apt-get {places...} {options...} {others...} {qemu...}"
    );
    process::run_logged(retry, log, LIMIT, &mut on_line)
        .context("installing packages, with QEMU from backports")
}

/// The program to put before a command that needs root: `env`, which changes nothing, for root, else `sudo`.
/// Errors: neither root nor sudo.
pub fn root_prefix() -> Result<&'static str> {
    if rustix::process::geteuid().is_root() {
        return Ok("env");
    }
    if which::which("sudo").is_ok() {
        return Ok("sudo");
    }
    bail!("this needs root, and there is no sudo: run it as root")
}

/// `bookworm-backports` for `VERSION_CODENAME=bookworm`.
fn backports_suite(os_release: &str) -> Option<String> {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(format!("{}-backports", name.trim_matches('"')))
}

/// A sources.list with the release and its backports from the mirror that the machine already uses. The machine's own
/// configuration stays as it is.
fn backports_sources(sh: &Shell, suite: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let format = "$(SITE) $(ORIGIN) $(CODENAME)";
    let targets = process::read(
        cmd!(
            sh,
            "apt-get indextargets --format {format} 'Created-By: Packages'"
        ),
        LIMIT,
    )?;
    let release = suite.trim_end_matches("-backports");
    let site = targets
        .lines()
        .find_map(|line| line.strip_suffix(&format!(" Debian {release}")))
        .with_context(|| format!("finding the mirror of Debian {release} in apt's configuration"))?;
    let options = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    let list = folder.join("sources.list");
    std::fs::create_dir_all(folder.join("lists/partial"))?;
    std::fs::write(
        &list,
        format!("deb {options} {site} {release} main\ndeb {options} {site} {suite} main\n"),
    )?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_backports_suite_follows_the_release() {
        let os_release = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(
            super::backports_suite(os_release).as_deref(),
            Some("bookworm-backports")
        );
        assert_eq!(super::backports_suite("ID=debian\n"), None);
    }
}
