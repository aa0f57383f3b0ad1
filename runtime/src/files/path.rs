//! From the path of a request to a name below a folder.

/// A name relative to a folder, without empty and `.` segments: what Python's `normpath` makes of a path's segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relative {
    /// How many times it leaves the folder before it goes down.
    ups: usize,
    below: String,
}

impl Relative {
    /// Of a decoded path. A `..` takes the segment before it away, or leaves the folder where there is none.
    pub(super) fn of(path: &str) -> Relative {
        let mut ups = 0;
        let mut kept: Vec<&str> = Vec::new();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => ups += usize::from(kept.pop().is_none()),
                _ => kept.push(segment),
            }
        }
        Relative { ups, below: kept.join("/") }
    }

    /// How many times it leaves the folder.
    pub(super) fn ups(&self) -> usize {
        self.ups
    }

    /// What comes after that; empty for the folder itself.
    pub(super) fn below(&self) -> &str {
        &self.below
    }

    /// As a text for the file system: `../../a/b`.
    pub(super) fn written(&self) -> String {
        format!("{}{}", "../".repeat(self.ups), self.below)
    }

    /// What is called `name` in it.
    pub(super) fn child(&self, name: &str) -> Relative {
        let below = if self.below.is_empty() { name.to_owned() } else { format!("{}/{name}", self.below) };
        Relative { ups: self.ups, below }
    }

    /// The same name with `suffix` behind it.
    pub(super) fn with_suffix(&self, suffix: &str) -> Relative {
        Relative { ups: self.ups, below: format!("{}{suffix}", self.below) }
    }

    /// Whether it begins with a backslash: an absolute path on Windows, which Starlette looks at on every system.
    pub(super) fn has_leading_backslash(&self) -> bool {
        self.ups == 0 && self.below.starts_with('\\')
    }

    /// Whether no file can be called so.
    pub(super) fn has_nul(&self) -> bool {
        self.below.contains('\0')
    }

    /// Whether a segment of it is hidden by a dot, other than `.well-known`.
    pub(super) fn is_hidden(&self) -> bool {
        self.below.split('/').any(|segment| segment.starts_with('.') && segment != ".well-known")
    }
}

#[cfg(test)]
mod tests {
    use super::Relative;

    #[test]
    fn segments_are_resolved_as_normpath_does() {
        for (path, ups, below) in [
            ("", 0, ""),
            ("/", 0, ""),
            ("a.css", 0, "a.css"),
            ("/a.css/", 0, "a.css"),
            ("//etc/passwd", 0, "etc/passwd"),
            ("a/./b//c", 0, "a/b/c"),
            ("a/../b", 0, "b"),
            ("a/../../b", 1, "b"),
            ("../../b/..", 2, ""),
            ("../a/../../b", 2, "b"),
            ("..a/.../b..", 0, "..a/.../b.."),
            ("a\\..\\b", 0, "a\\..\\b"),
        ] {
            let found = Relative::of(path);
            assert_eq!((found.ups(), found.below()), (ups, below), "{path:?}");
        }
    }

    #[test]
    fn names_are_put_together() {
        assert_eq!(Relative::of("").child("index.html").written(), "index.html");
        assert_eq!(Relative::of("../a").child("b").with_suffix(".gz").written(), "../a/b.gz");
        assert!(Relative::of("\\etc").has_leading_backslash());
        assert!(!Relative::of("../\\etc").has_leading_backslash());
        assert!(Relative::of("a/.git/config").is_hidden());
        assert!(!Relative::of(".well-known/acme").is_hidden());
    }
}
