use super::*;

const CHANGE: &str =
    "diff --git a/f b/f\nindex 1234567..89abcde 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@ fn\n a\n+b\n c\n";

fn error(text: &str) -> String {
    scan("p.patch", text.as_bytes(), 10).unwrap_err().to_string()
}

#[test]
fn notes_and_signature_are_left_out() {
    let text = format!("---\n notes\n f | 1 +\n\n{CHANGE}-- \n2.39.2\n\n");
    let scanned = scan("p.patch", text.as_bytes(), 10).unwrap();
    assert_eq!(String::from_utf8(scanned.text).unwrap(), CHANGE);
    assert_eq!(scanned.files[0].line, 14);
    assert_eq!(scanned.files[0].hunks.len(), 1);
    assert_eq!(scanned.files[0].blobs, Some(("1234567".into(), "89abcde".into())));
}

#[test]
fn a_short_hunk_is_named_with_its_lines() {
    let error = error("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n a\n+b\n-- \n2.39\n");
    // `-- ` is taken for a removed line, as git takes it; what is missing then shows at the line after it.
    assert!(error.starts_with("p.patch:17: found `2.39`"), "{error}");
    assert!(
        error.contains("the hunk of line 13 still needs 0 old and 1 new lines"),
        "{error}"
    );
}

/// git ends a hunk where its counts end, and passes over what stands between two files.
#[test]
fn lines_behind_a_hunk_are_words() {
    let scanned = scan("p", format!("{CHANGE}+d\n x\n{CHANGE}").as_bytes(), 1).unwrap();
    assert_eq!(scanned.files.len(), 2);
    assert_eq!(scanned.text, format!("{CHANGE}{CHANGE}").as_bytes());
}

#[test]
fn a_diff_with_converted_line_ends_is_of_a_file_with_such_line_ends() {
    let scanned = scan("p", CHANGE.replace('\n', "\r\n").as_bytes(), 1).unwrap();
    assert_eq!(scanned.files[0].new, Some(PathBuf::from("f")));
    assert_eq!(scanned.files[0].hunks[0].lines[1].text, b"b\r\n");
}

#[test]
fn diff_git_in_a_text_is_text() {
    let scanned = scan(
        "p",
        format!("diff --git a/f b/f\nis how it begins\n\n{CHANGE}").as_bytes(),
        1,
    )
    .unwrap();
    assert_eq!(scanned.files.len(), 1);
    assert_eq!(scanned.text, CHANGE.as_bytes());
}

#[test]
fn names_without_a_folder_are_taken_as_git_guesses_them() {
    let flat = "--- f.orig\n+++ f\n@@ -1 +1 @@\n-a\n+b\n--- a/g.orig\n+++ a/g\n@@ -1 +1 @@\n-a\n+b\n";
    let files = scan("p", flat.as_bytes(), 1).unwrap().files;
    let names: Vec<_> = files.iter().map(|file| file.new.as_deref().unwrap()).collect();
    assert_eq!(names, [std::path::Path::new("f"), std::path::Path::new("a/g")]);
    assert!(error("--- f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n").contains("name no file below a folder"));
}

#[test]
fn a_carriage_return_inside_a_line_of_the_file_is_no_damage() {
    scan("p", CHANGE.replace("+b\n", "+b\r\n").as_bytes(), 1).unwrap();
}

#[test]
fn emptied_context_lines_get_their_space_back() {
    let text = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n\n+b\n c\n";
    let scanned = scan("p", text.as_bytes(), 1).unwrap();
    assert!(
        String::from_utf8(scanned.text)
            .unwrap()
            .contains("@@\n \n+b\n c\n")
    );
}

#[test]
fn renames_new_deleted_and_quoted_files_are_known() {
    let text = "diff --git a/x y b/z\nsimilarity index 100%\nrename from x y\nrename to z\n\
                diff --git a/new b/new\nnew file mode 100644\nindex 0000000..e69de29\n\
                diff --git a/gone b/gone\ndeleted file mode 100644\nindex e69de29..0000000\n\
                diff --git \"a/\\303\\244\" \"b/\\303\\244\"\nold mode 100644\nnew mode 100755\n";
    let files = scan("p", text.as_bytes(), 1).unwrap().files;
    let paths: Vec<_> = files.iter().map(|f| (f.old.clone(), f.new.clone())).collect();
    let path = |p: &str| Some(PathBuf::from(p));
    assert_eq!(paths[0], (path("x y"), path("z")));
    assert_eq!(paths[1], (None, path("new")));
    assert_eq!(paths[2], (path("gone"), None));
    assert_eq!(paths[3], (path("ä"), path("ä")));
}

#[test]
fn a_path_that_leaves_the_tree_is_refused() {
    let error = error("diff --git a/../f b/../f\n--- a/../f\n+++ b/../f\n@@ -1 +1 @@\n-a\n+b\n");
    assert!(error.contains("leaves the tree"), "{error}");
}

#[test]
fn a_patch_without_a_diff_changes_nothing() {
    assert!(error("some text\n").contains("holds no diff"));
}

#[test]
fn diffs_that_git_did_not_write_get_its_header() {
    let text = "Index: x\n=====\n--- linux.orig/f c.orig\t2026-01-01\n+++ linux/f c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n\
                --- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+a\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";
    let scanned = scan("p", text.as_bytes(), 1).unwrap();
    let path = |p: &str| Some(PathBuf::from(p));
    let paths: Vec<_> = scanned
        .files
        .iter()
        .map(|f| (f.old.clone(), f.new.clone()))
        .collect();
    assert_eq!(
        paths,
        [
            (path("f c"), path("f c")),
            (None, path("new")),
            (path("gone"), None)
        ]
    );
    let text = String::from_utf8(scanned.text).unwrap();
    assert!(text.starts_with("diff --git a/f c b/f c\n--- a/f c\n"), "{text}");
    assert!(
        text.contains("new file mode 100644\n--- /dev/null\n+++ b/new\n"),
        "{text}"
    );
}

#[test]
fn what_git_apply_refuses_is_refused() {
    let header = "diff --git a/f b/f\n";
    assert!(error(&format!("{header}new file mode 160000\n")).contains("found the mode `160000`"));
    for (text, said) in [
        (
            "index 1..2\nBinary files a/f and b/f differ\n",
            "the content of this binary file",
        ),
        (
            "index 1..2\nGIT binary patch\nliteral 1\nIcmZPo000620RR91\n\n",
            "needs the full ids",
        ),
        ("index 1..2\n--- a/f\n+++ b/f\n", "followed by no hunk"),
        (
            "new file mode 100644\n--- /dev/null\n+++ b/f\n@@ -1 +1,2 @@\n a\n+b\n",
            "makes a new file, but",
        ),
        (
            "deleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1,2 +1 @@\n a\n-b\n",
            "takes a file away, but",
        ),
    ] {
        let error = error(&format!("{header}{text}"));
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_broken_hunk_header_is_shown() {
    let error = error("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,x +1 @@\n");
    assert!(error.starts_with("p.patch:13: found `@@ -1,x +1 @@`"), "{error}");
}
