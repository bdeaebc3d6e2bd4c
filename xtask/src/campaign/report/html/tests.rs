use super::super::tests::{HOSTILE, check_characters, hostile, regression, run};
use super::*;

fn material(run: RunRecord) -> Material {
    let folder = tempfile::tempdir().unwrap();
    Material::of(run, folder.path())
}

#[test]
fn the_page_has_what_a_person_looks_for() {
    let mut earlier = regression();
    earlier.id = "2.1".into();
    earlier.findings.clear();
    let mut material = material(run(vec![earlier, regression()]));
    material.captured[0].config = Some("CONFIG_A=y\nCONFIG_B=m\n".into());
    material.captured[1].config = Some("CONFIG_A=y\nCONFIG_B=y\n".into());
    material.captured[1].graphs = vec![Some("<svg id=\"locks\"></svg>".into())];
    let page = page(&material);
    for words in [
        "partial success",
        "stopped the campaign",
        "<div class=\"timeline\">",
        "<mark class=\"line\"> take_b+0x10/0x20 <span class=\"place\">drivers/media/test-drivers/vim2m.c:612</span> [vim2m] (P)",
        "◀ a line of 0008",
        "module of 0008",
        "<dt><code>drivers/media/test-drivers/vim2m.c:612</code></dt><dd><code>spin_lock(&amp;ctx-&gt;b);</code></dd>",
        "│ spin_lock(&amp;ctx-&gt;b);",
        "<svg id=\"locks\">",
        " B m -&gt; y",
        "not reached",
    ] {
        assert!(page.contains(words), "{words} in\n{page}");
    }
    assert!(!page.contains("<mark> device_run"), "{page}");
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let page = page(&material(run(vec![regression()])));
    for words in ["http://", "https://", "<script", "@import", "url(", "src="] {
        assert!(!page.contains(words), "{words}");
    }
}

#[test]
fn hostile_text_is_text() {
    let mut material = material(hostile());
    let log = format!("U-Boot 2024.01\n{HOSTILE}\n");
    material.captured[0] = Captured {
        files: vec![CapturedFile {
            path: format!("evidence/{HOSTILE}"),
            size: 1,
            sha256: HOSTILE.into(),
        }],
        log: Some(log::Excerpt::new(HOSTILE.into(), 1, log.as_bytes(), b"")),
        config: Some(HOSTILE.into()),
        unread: vec![HOSTILE.into()],
        ..Captured::default()
    };
    let page = page(&material);
    check_characters(&page);
    // Every tag is one of the template's.
    let known = regex::Regex::new(
        r"^/?(html|head|meta|title|style|body|header|main|section|footer|p|h[123]|span|dl|div|dt|dd|ul|li|a|b|strong|svg|line|text|tspan|rect|i|table|thead|tbody|tfoot|tr|th|td|pre|mark|details|summary|code|progress|figure|figcaption)$",
    )
    .unwrap();
    let tag = regex::Regex::new(r"<(/?[A-Za-z!-][^\s>]*)").unwrap();
    for found in tag.captures_iter(&page) {
        assert!(
            &found[1] == "!DOCTYPE" || known.is_match(&found[1]),
            "{}",
            &found[1]
        );
    }
    // Quotes cannot end an attribute.
    assert!(!page.contains("&\"'"), "{page}");
}

#[test]
fn an_address_is_never_a_scheme() {
    assert_eq!(href("javascript:alert(1)"), "./javascript%3Aalert%281%29");
    assert_eq!(href("a b/ü"), "./a%20b/%C3%BC");
}
