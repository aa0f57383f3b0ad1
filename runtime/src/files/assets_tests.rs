use super::*;

fn wanted(headers: &[(&str, &'static str)]) -> Wanted {
    let field = |name: &str| {
        let found = headers.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| HeaderValue::from_static(value))
    };
    Wanted {
        name: Relative::of("a"),
        head_only: false,
        slash: false,
        with_slash: String::new(),
        path: String::new(),
        codings: Vec::new(),
        if_match: field("if-match"),
        if_unmodified_since: field("if-unmodified-since"),
        if_none_match: field("if-none-match"),
        if_modified_since: field("if-modified-since"),
        range: field("range"),
        if_range: field("if-range"),
    }
}

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const MODIFIED: i64 = 784_111_777;

#[test]
fn conditions_are_looked_at_in_their_order() {
    for (headers, condition) in [
        (&[][..], Condition::Met),
        (&[("if-match", "\"a\", \"b\"")], Condition::Met),
        (&[("if-match", "*")], Condition::Met),
        (&[("if-match", "W/\"a\"")], Condition::Failed),
        (&[("if-match", "\"x\"")], Condition::Failed),
        (&[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)], Condition::Met),
        (&[("if-unmodified-since", BEFORE)], Condition::Failed),
        (&[("if-unmodified-since", THEN)], Condition::Met),
        (&[("if-unmodified-since", "nonsense")], Condition::Met),
        (&[("if-none-match", "\"x\", W/\"a\"")], Condition::NotModified),
        (&[("if-none-match", " * ")], Condition::NotModified),
        (&[("if-none-match", "\"x\""), ("if-modified-since", THEN)], Condition::Met),
        (&[("if-modified-since", THEN)], Condition::NotModified),
        (&[("if-modified-since", BEFORE)], Condition::Met),
        (&[("if-modified-since", "nonsense")], Condition::Met),
    ] {
        assert_eq!(wanted(headers).condition("\"a\"", MODIFIED), condition, "{headers:?}");
    }
}

#[test]
fn a_range_is_for_the_file_that_the_client_knows() {
    for (validator, is_used) in
        [("\"a\"", true), ("W/\"a\"", false), (THEN, true), (BEFORE, false), ("x", false)]
    {
        assert_eq!(wanted(&[("if-range", validator)]).uses_range("\"a\"", MODIFIED), is_used, "{validator}");
    }
    assert!(wanted(&[]).uses_range("\"a\"", MODIFIED));
}

#[test]
fn patterns_of_names() {
    for (pattern, name, does_fit) in [
        ("*", "a/b.js", true),
        ("*.js", "a/b.js", true),
        ("*.js", "a/b.js.map", false),
        ("app-????????.js", "app-0123abcd.js", true),
        ("app-????????.js", "app-0123abc.js", false),
        ("static/*/x*", "static/a/b/xyz", true),
        ("*a*b*c", "aabbcc", true),
        ("*a*b*c", "aabb", false),
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
    ] {
        assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), does_fit, "{pattern} {name}");
    }
    // No time beyond measure for a pattern of many asterisks.
    assert!(!fits("*a".repeat(50).as_bytes(), "a".repeat(49).as_bytes()));
}
