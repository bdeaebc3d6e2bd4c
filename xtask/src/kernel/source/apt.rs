//! What apt prints, read; and Debian's order of versions. No programs and no files here.

use std::cmp::Ordering;

/// A package in a version, as `apt-cache madison` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// `linux-source-7.3`
    pub package: String,
    /// Debian version: `7.3.4-1~bpo13+1`.
    pub version: String,
}

/// The format for `apt-get indextargets` that [`mirror`] reads; apt ends each record with a newline.
pub const TARGETS: &str = "$(ORIGIN)|$(LABEL)|$(SITE)";

/// The Debian mirror that this machine uses: the first whose Release file says so (Origin and Label are `Debian`; the security
/// archive has another label). Where no index was fetched yet, apt does not know origins: then the first site that ends in
/// `/debian`.
pub fn mirror(targets: &str) -> Option<String> {
    let sites = || {
        targets.lines().filter_map(|line| {
            let mut fields = line.splitn(3, '|');
            Some((
                fields.next()?.trim(),
                fields.next()?.trim(),
                fields.next()?.trim().trim_end_matches('/'),
            ))
        })
    };
    let known = sites().find(|(origin, label, _)| *origin == "Debian" && *label == "Debian");
    let unknown =
        || sites().find(|(origin, _, site)| !matches!(*origin, "Debian") && site.ends_with("/debian"));
    known
        .or_else(unknown)
        .map(|(_, _, site)| site.to_string())
        .filter(|site| !site.is_empty())
}

/// The private sources.list: the suites that carry new kernels.
pub fn sources_list(mirror: &str, keyring: &str) -> String {
    ["sid", "trixie-backports"]
        .iter()
        .map(|suite| format!("deb [signed-by={keyring}] {mirror} {suite} main\n"))
        .collect()
}

/// Names like `linux-source-7.3` in the output of `apt-cache pkgnames`; nothing but the plain packages of the 7.x series.
pub fn source_packages(names: &str) -> Vec<String> {
    let wanted = |name: &&str| {
        name.strip_prefix("linux-source-7.")
            .is_some_and(|minor| !minor.is_empty() && minor.chars().all(|c| c.is_ascii_digit()))
    };
    let mut names: Vec<String> = names
        .lines()
        .map(str::trim)
        .filter(wanted)
        .map(String::from)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether a text is a version of Debian (deb-version(7)): it becomes the name of a folder and a
/// word of commands.
fn is_version(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+-~:".contains(c))
}

/// The newest line of `apt-cache madison` (`package | version | where`). A line whose package or
/// version cannot be one is passed over.
pub fn newest(madison: &str) -> Option<Available> {
    madison
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('|').map(str::trim);
            let (package, version, place) = (fields.next()?, fields.next()?, fields.next()?);
            let sound = is_version(version) && source_packages(package) == [package];
            (sound && !place.ends_with("Sources")).then(|| Available {
                package: package.to_string(),
                version: version.to_string(),
            })
        })
        .max_by(|a, b| compare_versions(&a.version, &b.version))
}

/// Debian's order of versions (deb-version(7)): epoch, upstream version, revision; `~` sorts before everything, even
/// the end.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = split_epoch(a);
    let (epoch_b, rest_b) = split_epoch(b);
    let (upstream_a, revision_a) = split_revision(rest_a);
    let (upstream_b, revision_b) = split_revision(rest_b);
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_part(upstream_a, upstream_b))
        .then_with(|| compare_part(revision_a, revision_b))
}

fn split_epoch(version: &str) -> (u64, &str) {
    version
        .split_once(':')
        .and_then(|(epoch, rest)| Some((epoch.parse().ok()?, rest)))
        .unwrap_or((0, version))
}

fn split_revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    // Letters before other characters, the end before both, a tilde before the end.
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(digit) if digit.is_ascii_digit() => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other).saturating_add(256),
    };
    loop {
        while !a.first().is_none_or(u8::is_ascii_digit) || !b.first().is_none_or(u8::is_ascii_digit) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        if a.is_empty() && b.is_empty() {
            return Ordering::Equal;
        }
        let (number_a, rest_a) = take_number(a);
        let (number_b, rest_b) = take_number(b);
        let order = number_a
            .len()
            .cmp(&number_b.len())
            .then_with(|| number_a.cmp(number_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The digits at the start, without leading zeros, and what follows.
fn take_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.get(zeros..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_debians_own_not_the_security_archive() {
        let targets = "Debian|Debian-Security|http://mirror.example/debian-security\n\
                       Node Source|Node Source|https://other.example/x\nDebian|Debian|http://mirror.example/debian/\n";
        assert_eq!(mirror(targets).as_deref(), Some("http://mirror.example/debian"));
    }

    #[test]
    fn without_indexes_the_address_tells() {
        let targets = "||http://mirror.example/debian-security\n||http://mirror.example/debian\n";
        assert_eq!(mirror(targets).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror("||http://mirror.example/ubuntu\n"), None);
        assert_eq!(mirror("Ubuntu|Ubuntu|http://mirror.example/ubuntu\n"), None);
        assert_eq!(mirror(""), None);
    }

    #[test]
    fn only_plain_source_packages_of_7_count() {
        let names = "linux-source-7.3\nlinux-source\nlinux-source-6.12\nlinux-source-7.10\nlinux-source-7.2-rt\nlinux-source-7.3\n";
        assert_eq!(source_packages(names), ["linux-source-7.10", "linux-source-7.3"]);
    }

    #[test]
    fn the_newest_version_wins_wherever_it_is() {
        let madison = "linux-source-7.2 |   7.2.13-1 | http://m/debian sid/main amd64 Packages\n\
                       linux-source-7.3 | 7.3.4-1~bpo13+1 | http://m/debian trixie-backports/main amd64 Packages\n\
                       linux-source-7.2 | 7.2.9-1~bpo13+1 | http://m/debian trixie-backports/main amd64 Packages\n";
        let newest = newest(madison).unwrap();
        assert_eq!(
            (newest.package.as_str(), newest.version.as_str()),
            ("linux-source-7.3", "7.3.4-1~bpo13+1")
        );
        assert_eq!(super::newest(""), None);
    }

    #[test]
    fn a_version_that_leads_elsewhere_is_none() {
        let line =
            |version: &str| format!("linux-source-7.3 | {version} | http://x sid/main amd64 Packages\n");
        for version in [
            "../../x",
            "7/../../x",
            "7.3 4",
            "-rf",
            "$(reboot)",
            "",
            "7\u{1b}[2J",
            &"7".repeat(200),
        ] {
            assert_eq!(newest(&line(version)), None, "{version}");
            let both = line(version) + &line("7.3.4-1~bpo13+1");
            assert_eq!(newest(&both).unwrap().version, "7.3.4-1~bpo13+1", "{version}");
        }
        assert_eq!(newest("linux-source-7.3/../x | 7.3 | http://x\n"), None);
        assert_eq!(newest(&line("1:7.3.4-1")).unwrap().version, "1:7.3.4-1");
    }

    #[test]
    fn versions_have_debians_order() {
        let ascending = [
            "7.2~rc1-1",
            "7.2-1",
            "7.2-1+b1",
            "7.2.9-1",
            "7.2.13-1~bpo13+1",
            "7.2.13-1",
            "7.2.13-2",
            "7.3.4-1~exp1",
            "7.3.4-1",
            "7.10.1-1",
            "1:0.1-1",
        ];
        for (at, small) in ascending.iter().enumerate() {
            assert_eq!(compare_versions(small, small), Ordering::Equal);
            for large in &ascending[at + 1..] {
                assert_eq!(
                    compare_versions(small, large),
                    Ordering::Less,
                    "{small} < {large}"
                );
                assert_eq!(
                    compare_versions(large, small),
                    Ordering::Greater,
                    "{large} > {small}"
                );
            }
        }
        assert_eq!(compare_versions("1.00", "1.0"), Ordering::Equal);
        assert_eq!(compare_versions("1.a", "1.+"), Ordering::Less);
    }
}
