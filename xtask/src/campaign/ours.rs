//! What in a trace is a patch's own: the functions that its diff changes or adds.

/// Functions of C files that a diff in git's format changes or adds, in their order, each once. A hunk names the function that it
/// begins in behind its `@@` (git-diff(1)); the ones that begin inside it are read from their first line, which stands at
/// the first column (Documentation/process/coding-style.rst). Macros and declarations are none.
pub fn functions(diff: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(diff);
    let mut found: Vec<String> = Vec::new();
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
            if let Some(name) = definition(code) {
                current = Some(name);
            }
            if mark != " "
                && let Some(name) = &current
                && !found.contains(name)
            {
                found.push(name.clone());
            }
            if code.starts_with('}') {
                current = None;
            }
        }
    }
    found
}

/// The name of the function whose definition begins with this line.
fn definition(line: &str) -> Option<String> {
    let line = line.trim_end();
    let (head, _) = line.split_once('(')?;
    let begins = head.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // A declaration or a macro's use ends with a semicolon; a call or a condition is indented.
    if !begins || line.ends_with(';') || head.contains(['=', '"']) {
        return None;
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
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
