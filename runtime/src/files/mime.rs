//! The type of a file by its name, as Python's `mimetypes` has it.

use std::collections::{HashMap, HashSet};

use crate::http::HeaderValue;

/// The tables of `mimetypes.MimeTypes`.
#[derive(Clone, Debug)]
pub struct MimeTypes {
    types: HashMap<String, HeaderValue>,
    suffixes: HashMap<String, String>,
    encodings: HashSet<String>,
    other: HeaderValue,
}

impl MimeTypes {
    /// `types` has for each extension, in lower case and with its dot, the value of `Content-Type`; `suffixes` what one
    /// stands for (`.tgz`: `.tar.gz`); `encodings` those that say how something is packed (`.gz`).
    pub fn new(
        types: HashMap<String, HeaderValue>,
        suffixes: HashMap<String, String>,
        encodings: HashSet<String>,
    ) -> MimeTypes {
        MimeTypes { types, suffixes, encodings, other: HeaderValue::from_static("application/octet-stream") }
    }

    /// The type of what is in a file of this name: a packed one is a file of bytes.
    pub(super) fn of_content(&self, name: &str) -> HeaderValue {
        let mut base = name.to_owned();
        match split_off(&mut base).as_str() {
            ".gz" | ".tgz" => HeaderValue::from_static("application/gzip"),
            packed if self.encodings.contains(packed) || packed == ".zst" => self.other.clone(),
            _ => self.of(name),
        }
    }

    /// The type of a file of this name, as Python guesses it.
    pub(super) fn of(&self, name: &str) -> HeaderValue {
        let mut base = name.rsplit('/').next().unwrap_or(name).to_owned();
        let mut extension = split_off(&mut base);
        // A suffix stands for others. In a table of Python's it could stand for itself, without an end.
        for _ in 0..=self.suffixes.len() {
            let Some(full) = self.suffixes.get(&extension.to_lowercase()) else { break };
            base.push_str(full);
            extension = split_off(&mut base);
        }
        if self.encodings.contains(&extension) {
            extension = split_off(&mut base);
        }
        self.types.get(&extension.to_lowercase()).unwrap_or(&self.other).clone()
    }
}

/// Takes the extension off a name, with its dot: `posixpath.splitext`. Dots at the beginning begin none.
fn split_off(name: &mut String) -> String {
    let leading = name.len() - name.trim_start_matches('.').len();
    match name.rfind('.') {
        Some(dot) if dot >= leading => name.split_off(dot),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn types_are_found_as_python_finds_them() {
        let types =
            [(".css", "text/css; charset=utf-8"), (".tar", "application/x-tar"), (".js", "text/javascript")];
        let types = types.map(|(key, value)| (key.to_owned(), HeaderValue::from_static(value))).into();
        let suffixes = text(&[(".tgz", ".tar.gz"), (".svgz", ".svg.gz")]);
        let table = MimeTypes::new(types, suffixes, HashSet::from([".gz".to_owned(), ".Z".to_owned()]));
        let other = "application/octet-stream";
        for (name, found) in [
            ("a.css", "text/css; charset=utf-8"),
            ("a.b.CSS", "text/css; charset=utf-8"),
            ("a.css.gz", "text/css; charset=utf-8"),
            ("a.css.GZ", other),
            ("a.css.Z", "text/css; charset=utf-8"),
            ("a.tgz", "application/x-tar"),
            ("a.TGZ", "application/x-tar"),
            (".css", other),
            ("..css", other),
            (".a.css", "text/css; charset=utf-8"),
            ("css", other),
            ("a.", other),
            ("", other),
            ("folder.css/a", other),
        ] {
            assert_eq!(table.of(name), found, "{name:?}");
        }
    }

    #[test]
    fn a_suffix_that_stands_for_itself_has_an_end() {
        let table = MimeTypes::new(HashMap::new(), text(&[(".a", ".a")]), HashSet::new());
        assert_eq!(table.of("x.a"), "application/octet-stream");
    }
}
