//! A folder as a page.

use std::fmt::Write;

use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

use super::stamp::http_date;

/// The most names on a page.
pub(super) const MOST: usize = 10_000;

/// What may stand in a link to a name.
const IN_LINK: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One line.
pub(super) struct Entry {
    pub(super) name: String,
    /// The bytes of a file; none for a folder.
    pub(super) size: Option<u64>,
    /// When it was modified, in seconds.
    pub(super) modified: i64,
}

/// The page of a folder that clients know as `path`: folders first. `has_parent`: the folder above it is served, too. `is_cut`: names
/// are missing on it.
pub(super) fn page(path: &str, mut entries: Vec<Entry>, has_parent: bool, is_cut: bool) -> String {
    entries.sort_by(|one, other| (one.size.is_some(), &one.name).cmp(&(other.size.is_some(), &other.name)));
    let title = escaped(path);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Index of {title}</title>\n\
         <style>body{{font:16px sans-serif;margin:2em}}td{{padding:.1em 2em .1em 0}}td+td{{color:#666}}</style>\n\
         </head>\n<body>\n<h1>Index of {title}</h1>\n<table>\n"
    );
    if has_parent {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for Entry { name, size, modified } in &entries {
        let slash = if size.is_none() { "/" } else { "" };
        let link = utf8_percent_encode(name, &IN_LINK);
        let size = size.map(|size| size.to_string()).unwrap_or_default();
        let date = http_date(*modified);
        let date = date.as_ref().and_then(|date| date.to_str().ok()).unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{link}{slash}\">{}{slash}</a></td><td>{size}</td><td>{date}</td></tr>",
            escaped(name)
        );
    }
    page.push_str("</table>\n");
    if is_cut {
        page.push_str("<p>More names are not shown.</p>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        let entry = |name: &str, size| Entry { name: name.to_owned(), size, modified: 0 };
        let odd = "\"><script>alert('1')</script>&.txt";
        let page = page(
            "/a<b>/",
            vec![entry("z.txt", Some(3)), entry(odd, Some(1)), entry("dir", None)],
            true,
            true,
        );
        assert!(!page.contains("<script") && !page.contains("/a<b>"), "{page}");
        assert!(
            page.contains("href=\"./%22%3E%3Cscript%3Ealert%28%271%27%29%3C%2Fscript%3E%26.txt\""),
            "{page}"
        );
        assert!(page.contains("<h1>Index of /a&lt;b&gt;/</h1>") && page.contains("More names are not shown"));
        assert!(page.find("dir/").unwrap() < page.find("z.txt").unwrap());
        assert!(page.contains("href=\"../\""));
    }

    #[test]
    fn a_name_with_a_colon_is_no_scheme() {
        let entry = Entry { name: "javascript:alert(1)".to_owned(), size: Some(1), modified: 0 };
        assert!(page("/", vec![entry], false, false).contains("href=\"./javascript%3Aalert%281%29\""));
    }
}
