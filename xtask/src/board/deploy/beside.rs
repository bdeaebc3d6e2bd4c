//! Labels of ours that other campaigns put there: a deploy of this one never changes what they boot (invariant 6).

use super::super::extlinux::{self, Config};
use super::super::ours::release_of_label;
use super::super::protected::Protected;
use super::super::slot::Place;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Errors: something that would be written or removed is part of what another label of ours boots.
pub(super) fn leave(config: &Config, protected: &Protected, place: &Place, remove: &[PathBuf]) -> Result<()> {
    let touched = place.roots();
    let others = extlinux::all_ours(config);
    for label in others.iter().filter(|label| **label != protected.test_label) {
        let Some(release) = release_of_label(config, label) else {
            continue;
        };
        let theirs = Place::of(protected, &release)?.roots();
        let within = |one: &Path| {
            theirs
                .iter()
                .any(|root| one.starts_with(root) || root.starts_with(one))
        };
        if let Some(path) = touched.iter().chain(remove).find(|path| within(path)) {
            bail!(
                "label `{label}` of another campaign boots release `{release}`, and this deploy would change its {}: deploy for that label, or \
                 take all of ours away first (`cargo xtask rollback`)",
                path.display()
            );
        }
    }
    Ok(())
}
