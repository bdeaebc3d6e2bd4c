//! What in a trace is a patch's own: the functions that its diff changes or adds.

/// Functions of C files that a diff in git's format changes or adds, in their order, each once. A hunk names the function that it
/// begins in behind its `@@` (git-diff(1)); the ones that begin inside it are read from their first line, which stands at
/// the first column (Documentation/process/coding-style.rst). Macros and declarations are none.
pub fn functions(diff: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(diff);
    let changed = lines(&text).into_iter().filter(|line| line.mark != " ");
    each_once(changed.filter_map(|line| line.inside))
}

/// Functions of C files that a diff adds and that a tracer can see, in their order, each once: of an `inline` one nothing may be left. What the
/// compiler puts into its caller by itself is not known here.
pub fn added(diff: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(diff);
    let mut found = Vec::new();
    let mut before = "";
    for line in lines(&text).into_iter().filter(|line| line.mark == "+") {
        // The type may stand on a line of its own.
        if let Some(name) = definition(line.code).filter(|_| !is_inline(line.code) && !is_inline(before)) {
            found.push(name);
        }
        before = line.code;
    }
    each_once(found.into_iter())
}

/// A line of a hunk in a C file.
struct Line<'d> {
    /// ` `, `+` or `-`.
    mark: &'d str,
    /// What stands behind the mark.
    code: &'d str,
    /// The function that it is a part of.
    inside: Option<String>,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let mut in_c = false;
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("+++ ") {
            in_c = path.trim_end().ends_with(".c") || path.trim_end().ends_with(".h");
            current = None;
        } else if line.starts_with("diff ") || line.starts_with("--- ") {
            in_c = false;
        } else if let Some(context) = line.strip_prefix("@@ ").and_then(|rest| rest.split_once("@@")) {
            current = definition(context.1.trim_start());
        } else if let Some((mark, code)) = line.split_at_checked(1)
            && in_c
            && matches!(mark, " " | "+" | "-")
        {
            current = definition(code).or(current);
            found.push(Line {
                mark,
                code,
                inside: current.clone(),
            });
            if code.starts_with('}') {
                current = None;
            }
        }
    }
    found
}

fn each_once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Whether the line says so in a word of its own (`noinline` is the contrary).
pub(super) fn is_inline(code: &str) -> bool {
    code.split(|c: char| !is_word(c))
        .any(|word| matches!(word, "inline" | "__inline" | "__always_inline"))
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The name of the function whose definition begins with this line.
pub(super) fn definition(line: &str) -> Option<String> {
    let line = line.trim_end();
    let (head, _) = line.split_once('(')?;
    let begins = head.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // A declaration or a macro's use ends with a semicolon; a call or a condition is indented.
    if !begins || line.ends_with(';') || head.contains(['=', '"']) {
        return None;
    }
    let name = head.rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
    let lower = name.contains(|c: char| c.is_ascii_lowercase());
    let keyword = [
        "if",
        "for",
        "while",
        "switch",
        "return",
        "sizeof",
        "__attribute__",
    ]
    .contains(&name);
    (lower && !keyword).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "\
diff --git a/drivers/media/x.c b/drivers/media/x.c
--- a/drivers/media/x.c
+++ b/drivers/media/x.c
@@ -10,6 +10,9 @@ static int before(struct a *a)
 	int i;
 
 	use(i);
+	lock(&a->lock);
 	return 0;
 }
 
@@ -30,7 +33,12 @@ MODULE_LICENSE(\"GPL\");
 EXPORT_SYMBOL_GPL(before);
 
 static void untouched(void)
 {
 }
 
+static bool
+added(struct a *a,
+      int b)
+{
+	if (b)
+		return true;
+}
+
+#define WRAP(x) added(x, 0)
+MODULE_ALIAS(\"x\");
+static struct ops ops = {
+};
diff --git a/Documentation/x.rst b/Documentation/x.rst
--- a/Documentation/x.rst
+++ b/Documentation/x.rst
@@ -1,1 +1,2 @@
+call(me) now
";

    #[test]
    fn changed_and_added_functions_are_named_and_nothing_else() {
        assert_eq!(functions(DIFF.as_bytes()), ["before", "added"]);
    }

    #[test]
    fn what_a_tracer_can_see_of_it_is_told_from_what_it_cannot() {
        let lines = "static noinline void kept(void)\n{\n\tWRITE_ONCE(x, x + 1);\n}\nstatic inline void gone(void)\n{\n}\n\
                     static __always_inline bool\ngone_too(int a)\n{\n}\nvoid declared(void);\nstatic struct a *split(struct a *a,\n\t\tint b)\n{\n}";
        let added_lines: String = lines.lines().map(|line| format!("+{line}\n")).collect();
        let diff = format!(
            "--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,14 @@ static int before(void)\n \tuse(i);\n-static void old(void)\n{added_lines}"
        );
        assert_eq!(added(diff.as_bytes()), ["kept", "split"]);
        assert_eq!(added(DIFF.as_bytes()), ["added"]);
    }

    #[test]
    fn any_bytes_are_a_diff_without_functions() {
        assert!(functions(b"\xff\xfe@@ -\n+++ \n+\n@@ @@ (\n").is_empty());
    }

    #[test]
    fn our_own_patches() {
        let series = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../patches/rehearsal");
        let patch = crate::kernel::series::Series::open(&series).unwrap();
        let index = patch.find("0008").unwrap();
        let named = functions(&patch.patches[index].diff);
        assert!(
            named.contains(&"vim2m_publish_release_fence".to_string()),
            "{named:?}"
        );
    }
}
