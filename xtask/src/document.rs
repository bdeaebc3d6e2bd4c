//! JSON documents that this program writes and reads again: which versions are read, and what is refused before anything is made of one.
//!
//! Every format has a version of its own. A newer one is refused by its number and never by whatever key happens to be unknown, and so
//! is one inside another ([`known`]). The types themselves refuse unknown keys (`deny_unknown_fields`).

use anyhow::{Context, Result, ensure};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

/// A format, as far as it has to be known before its content is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// What such a document is, for a person: `the manifest of a backup`.
    pub what: &'static str,
    /// The oldest version that is read.
    pub oldest: u32,
    /// The newest version that is read, which is the one that is written.
    pub newest: u32,
}

/// Most bytes of a document. Larger ones are refused unread: the longest that is known, the inventory of a distribution's modules, has 3 MB.
const LONGEST: usize = 64 << 20;

/// What every document has.
#[derive(Deserialize)]
struct Head {
    #[serde(alias = "schema-version")]
    schema_version: u32,
}

impl Format {
    /// The value of a document. Errors: it is too long, no JSON, nested more than 128 deep, without a version or of one that is not read, or not
    /// what the type promises: unknown, missing and repeated keys, numbers out of range.
    pub fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        let Format { what, oldest, newest } = *self;
        ensure!(
            bytes.len() <= LONGEST,
            "{what} has {} bytes, and {LONGEST} are the most that is read",
            bytes.len()
        );
        let Head { schema_version } =
            serde_json::from_slice(bytes).with_context(|| format!("this is not {what}"))?;
        ensure!(
            schema_version <= newest,
            "{what} has format {schema_version}, newer than this program reads ({newest}): use the program that wrote it, or a newer one"
        );
        ensure!(
            schema_version >= oldest,
            "{what} has format {schema_version}, older than this program reads ({oldest})"
        );
        serde_json::from_slice(bytes)
            .with_context(|| format!("{what} is damaged, or not of format {schema_version}"))
    }
}

/// The version of a format that lies inside of another, for `deserialize_with`. Errors: it is not one from 1 to `NEWEST`.
pub fn known<'de, const NEWEST: u32, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if (1..=NEWEST).contains(&version) {
        return Ok(version);
    }
    Err(D::Error::custom(format_args!(
        "schema-version is {version}, and this program reads 1 to {NEWEST}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Inner {
        #[serde(deserialize_with = "known::<2, _>")]
        schema_version: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Outer {
        schema_version: u32,
        inner: Inner,
    }

    const FORMAT: Format = Format {
        what: "a test",
        oldest: 2,
        newest: 3,
    };

    #[test]
    fn versions_are_told_before_keys_and_inner_ones_count() {
        let read = |text: &str| {
            FORMAT
                .read::<Outer>(text.as_bytes())
                .map_err(|error| format!("{error:#}"))
        };
        for version in [2, 3] {
            let text = format!("{{\"schema-version\":{version},\"inner\":{{\"schema-version\":2}}}}");
            assert_eq!(read(&text).unwrap().inner.schema_version, 2);
        }
        for (text, said) in [
            (
                r#"{"schema-version":4,"new":1}"#,
                "format 4, newer than this program reads (3)",
            ),
            (r#"{"schema_version":1,"inner":{}}"#, "format 1, older"),
            (
                r#"{"schema-version":3,"inner":{"schema-version":3}}"#,
                "schema-version is 3, and this program reads 1 to 2",
            ),
            (
                r#"{"schema-version":3,"inner":{"schema-version":0}}"#,
                "schema-version is 0",
            ),
            (
                r#"{"schema-version":3,"inner":{"schema-version":1,"x":1}}"#,
                "unknown field `x`",
            ),
            (
                r#"{"schema-version":3,"schema-version":2,"inner":{"schema-version":1}}"#,
                "duplicate field",
            ),
            (
                r#"{"schema-version":3,"schema_version":3,"inner":{"schema-version":1}}"#,
                "duplicate field",
            ),
            (r#"{"inner":{"schema-version":1}}"#, "missing field"),
            (r#"{"schema-version":99999999999}"#, "this is not a test"),
            (r#"{"schema-version":-1}"#, "this is not a test"),
            ("", "this is not a test"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        let deep = [&b"{\"schema-version\":3,\"inner\":"[..], &b"[".repeat(1 << 20)].concat();
        assert!(FORMAT.read::<Outer>(&deep).is_err());
        let long = FORMAT.read::<Outer>(&vec![b' '; LONGEST + 1]).unwrap_err();
        assert!(long.to_string().contains("the most that is read"), "{long}");
    }
}
