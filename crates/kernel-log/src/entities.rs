//! HTML's escapes in logs that were copied out of a page.

use std::borrow::Cow;

/// HTML's escapes: a log that was copied out of a page. No kernel writes them.
pub(super) fn without_entities(line: Cow<'_, str>) -> Cow<'_, str> {
    const ENTITIES: [(&str, &str); 7] = [
        ("&gt;", ">"),
        ("&lt;", "<"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&nbsp;", " "),
        // The last one: what it makes is not an escape again.
        ("&amp;", "&"),
    ];
    if memchr::memchr(b'&', line.as_bytes()).is_none()
        || !ENTITIES.iter().any(|(entity, _)| line.contains(entity))
    {
        return line;
    }
    let plain = ENTITIES.iter().fold(line.into_owned(), |line, (entity, plain)| {
        line.replace(entity, plain)
    });
    Cow::Owned(plain)
}
