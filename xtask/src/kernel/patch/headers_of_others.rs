//! Patches with the headers of StGit and Mercurial, as mails: `git am` takes them, too (builtin/am.c:
//! `detect_patch_format`, `stgit_patch_to_mail`, `hg_patch_to_mail`).

use std::borrow::Cow;

/// The patch as a mail; as it is where it is one already.
pub(super) fn as_mail(bytes: &[u8]) -> Cow<'_, [u8]> {
    let text = bytes.trim_ascii_start();
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let second = lines.next().unwrap_or_default();
    let third = lines.next().unwrap_or_default();
    if first.trim_ascii_end() == b"# HG changeset patch" {
        return Cow::Owned(of_mercurial(text));
    }
    let is_header = |line: &[u8]| {
        [b"From:".as_slice(), b"Author:", b"Date:"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    if second.trim_ascii().is_empty() && is_header(third) && !first.starts_with(b"From") {
        return Cow::Owned(of_stgit(text));
    }
    Cow::Borrowed(bytes)
}

fn of_mercurial(text: &[u8]) -> Vec<u8> {
    let mut mail = Vec::with_capacity(text.len());
    let mut in_header = true;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !in_header {
            mail.extend_from_slice(line);
        } else if let Some(user) = line.strip_prefix(b"# User ") {
            mail.extend_from_slice(&[b"From: ", user].concat());
        } else if let Some(date) = line.strip_prefix(b"# Date ").and_then(date_of_mercurial) {
            mail.extend_from_slice(format!("Date: {date}\n").as_bytes());
        } else if !line.starts_with(b"# ") {
            in_header = false;
            mail.extend_from_slice(&[b"\n", line].concat());
        }
    }
    mail
}

/// `1772529072 -3600`: seconds since 1970, and how far the clock is behind UTC, in seconds.
fn date_of_mercurial(date: &[u8]) -> Option<String> {
    let (seconds, behind) = std::str::from_utf8(date).ok()?.trim().split_once(' ')?;
    let (seconds, behind): (i64, i32) = (seconds.parse().ok()?, behind.trim().parse().ok()?);
    let minutes = behind.checked_neg()?.checked_div(60)?;
    let (hours, rest) = (minutes.checked_div(60)?, minutes.checked_rem(60)?);
    let sign = if minutes < 0 { '-' } else { '+' };
    Some(format!("@{seconds} {sign}{:02}{:02}", hours.abs(), rest.abs()))
}

fn of_stgit(text: &[u8]) -> Vec<u8> {
    let mut mail = Vec::with_capacity(text.len());
    let (mut in_header, mut has_subject) = (true, false);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !in_header {
            mail.extend_from_slice(line);
        } else if line.trim_ascii().is_empty() {
        } else if let Some(author) = line.strip_prefix(b"Author:") {
            mail.extend_from_slice(&[b"From:", author].concat());
        } else if line.starts_with(b"From") || line.starts_with(b"Date") {
            mail.extend_from_slice(line);
        } else if !has_subject {
            has_subject = true;
            mail.extend_from_slice(&[b"Subject: ", line].concat());
        } else {
            in_header = false;
            mail.extend_from_slice(&[b"\n", line].concat());
        }
    }
    mail
}
