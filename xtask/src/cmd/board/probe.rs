//! `cargo xtask board probe`.

use super::super::Context;
use crate::board::probe::{self, Asked, Described};
use crate::board::ssh::{Rights, Ssh, Target};
use crate::exit::Outcome;
use crate::host::files;
use crate::host::json::json;
use crate::host::scratch;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `cargo xtask board probe`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask board probe --ssh me@192.168.1.7\n  cargo xtask board probe --ssh ampere --write boards/ampere.toml\n\n\
                  It looks, and changes nothing on the board."
)]
pub struct Probe {
    /// Where the board is: user@host, or a name from your ssh_config
    #[arg(long, value_name = "HOST")]
    ssh: String,
    /// Port of its sshd
    #[arg(long)]
    port: Option<u16>,
    /// The ssh_config that is read in the place of your own, as by `ssh -F`; the board file names it, too
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Write the board file there (never over one that exists)
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

impl Probe {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let name = self.name()?;
        if let Some(path) = &self.write
            && files::is_there(&context.folders.project.join(path))?
        {
            bail!(
                "{} exists: it is not overwritten; move it away, or choose another name",
                path.display()
            );
        }
        if context.global.dry_run {
            let step = format!("look at {} over ssh, and write what a board file has", self.ssh);
            context.ui.line(&step);
            context.ui.json(&json!({ "dry_run": true, "plan": [step] }))?;
            return Ok(Outcome::Success);
        }
        let described = self.look(&name)?;
        for note in &described.notes {
            context.ui.warn(note);
        }
        context.ui.json(&json!({
            "name": name, "text": described.text, "notes": described.notes, "written": self.write
        }))?;
        match &self.write {
            None => {
                context.ui.text(described.text.trim_end());
                context
                    .ui
                    .line(&format!("# next: the same with --write boards/{name}.toml"));
            }
            Some(path) => {
                files::write_atomic(&context.folders.project.join(path), described.text.as_bytes())?;
                context.ui.line(&format!("{} is written", path.display()));
                context.ui.line(&format!(
                    "next: read it, then `cargo xtask preflight --board {name}`"
                ));
            }
        }
        Ok(Outcome::Success)
    }

    /// The board's name: that of the file, or of the host.
    fn name(&self) -> Result<String> {
        ensure!(
            !self.ssh.starts_with('-') && !self.ssh.is_empty(),
            "`{}` is no host",
            self.ssh.escape_debug()
        );
        let Some(path) = &self.write else {
            let host = self.ssh.rsplit('@').next().unwrap_or(&self.ssh);
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            return Ok(host.chars().map(plain).collect());
        };
        match path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".toml"))
        {
            Some(name) => Ok(name.to_string()),
            None => bail!(
                "{} is no name of a board file: boards/<name>.toml",
                path.display()
            ),
        }
    }

    fn look(&self, name: &str) -> Result<Described> {
        let folder = scratch::folder().context("making a folder for the connection")?;
        let config = match &self.ssh_config {
            Some(path) => Some(std::path::absolute(path)?),
            None => None,
        };
        // ssh itself would go on with its defaults where the file is not there.
        if let Some(path) = &config
            && !files::is_file(path)?
        {
            bail!(
                "looking at {}: there is no ssh_config {}",
                self.ssh,
                path.display()
            );
        }
        let ssh = Ssh::new(Target {
            destination: self.ssh.clone(),
            port: self.port,
            jump: None,
            config: config.clone(),
            rights: Rights::Root,
            key: None,
            known_host: None,
            folder: folder.path().to_path_buf(),
        });
        let answer = ssh.run_with_input(&probe::script(), &[], Duration::from_secs(60));
        ssh.forget();
        let asked = Asked {
            name,
            host: &self.ssh,
            port: self.port,
            config: config.as_deref(),
        };
        probe::describe(&answer?.text(), &asked)
    }
}
