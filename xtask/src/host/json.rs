//! JSON that can always be written.
//!
//! JSON is UTF-8, and a path need not be. serde refuses such a path, and `serde_json::json!` makes a panic of that, which would end a verb
//! behind its work. What is printed or told goes through [`json!`] and, where it is a field of a type, [`named`]: a path is shown by
//! its name then, with U+FFFD in the place of what is not UTF-8. Documents that are read again keep serde's refusal: a path in them has
//! to be exact. `tests/tidy.rs` holds every source to this.

use anyhow::{Result, ensure};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The name of a path as it is shown: what is not UTF-8 is replaced.
pub fn path_name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// [`path_name`] of each.
pub fn path_names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path_name(path)).collect()
}

/// Refuses a path that a document could not hold, before anything is done there. Errors: it is not UTF-8.
pub fn require_utf8(path: &Path) -> Result<()> {
    ensure!(
        path.to_str().is_some(),
        "the name of {path:?} is not UTF-8, and the records of runs and builds are JSON, which cannot hold it: rename it"
    );
    Ok(())
}

/// A path, or a collection of paths.
pub trait Named {
    /// The names.
    fn named(&self) -> Value;
}

impl Named for Path {
    fn named(&self) -> Value {
        Value::String(path_name(self))
    }
}

impl Named for PathBuf {
    fn named(&self) -> Value {
        self.as_path().named()
    }
}

impl<T: Named + ?Sized> Named for &T {
    fn named(&self) -> Value {
        (**self).named()
    }
}

impl<T: Named> Named for Option<T> {
    fn named(&self) -> Value {
        self.as_ref().map_or(Value::Null, Named::named)
    }
}

impl<T: Named> Named for Vec<T> {
    fn named(&self) -> Value {
        self.iter().map(Named::named).collect()
    }
}

impl<A: Named, B: Named> Named for (A, B) {
    fn named(&self) -> Value {
        Value::Array(vec![self.0.named(), self.1.named()])
    }
}

/// `#[serde(serialize_with = "named")]` for a field with paths of a type that is only ever printed.
pub fn named<T: Named, S: Serializer>(paths: &T, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    paths.named().serialize(serializer)
}

/// A value of [`json!`].
#[derive(Debug)]
pub struct Of<'a, T: ?Sized>(pub &'a T);

/// How [`json!`] writes paths; it takes precedence, since its receiver needs one reference less than that of [`OfAny`].
pub trait OfPaths {
    /// The names.
    fn value(&self) -> Value;
}

impl<T: Named + ?Sized> OfPaths for Of<'_, T> {
    fn value(&self) -> Value {
        self.0.named()
    }
}

/// How [`json!`] writes everything else.
pub trait OfAny {
    /// The value; a sentence in its place where JSON cannot hold it.
    fn value(&self) -> Value;
}

impl<T: Serialize + ?Sized> OfAny for &Of<'_, T> {
    fn value(&self) -> Value {
        serde_json::to_value(self.0)
            .unwrap_or_else(|why| Value::String(format!("(cannot be shown as JSON: {why})")))
    }
}

/// A JSON value: `json!({ "key": value, … })` or `json!(value)`, where a value is an expression. It never panics.
macro_rules! json {
    ({}) => { serde_json::Value::Object(serde_json::Map::new()) };
    ({ $($key:literal : $value:expr),+ $(,)? }) => {{
        let mut fields = serde_json::Map::new();
        $(fields.insert($key.into(), $crate::host::json::json!($value));)+
        serde_json::Value::Object(fields)
    }};
    ($value:expr) => {{
        #[allow(unused_imports, reason = "one of the two is used, by the type of the value")]
        use $crate::host::json::{OfAny, OfPaths};
        (&$crate::host::json::Of(&$value)).value()
    }};
}
pub(crate) use json;

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(serialize_with = "named")]
        file: &'a Path,
        #[serde(serialize_with = "named")]
        moved: Vec<(PathBuf, Option<PathBuf>)>,
    }

    #[derive(Serialize)]
    struct Document<'a> {
        file: &'a Path,
    }

    #[test]
    fn no_path_keeps_an_answer_from_being_written() {
        let path = Path::new(OsStr::from_bytes(b"/a\xff"));
        let owned = path.to_path_buf();
        let shown = Shown {
            file: path,
            moved: vec![(owned.clone(), Some(owned.clone())), (owned.clone(), None)],
        };
        let answer = json!({
            "path": path, "owned": owned, "maybe": Some(&owned), "all": vec![owned.clone()], "shown": shown, "none": (),
            "number": 1 + 1, "list": [path_name(path)], "inner": json!({})
        });
        let name = "/a\u{fffd}";
        assert_eq!(
            answer,
            serde_json::json!({
                "path": name, "owned": name, "maybe": name, "all": [name], "none": null, "number": 2, "list": [name], "inner": {},
                "shown": { "file": name, "moved": [[name, name], [name, null]] }
            })
        );
        let refused = json!({ "document": Document { file: path }, "other": 1 });
        assert_eq!(refused["other"], 1);
        assert!(
            refused["document"]
                .as_str()
                .is_some_and(|said| said.contains("UTF-8")),
            "{refused}"
        );
    }
}
