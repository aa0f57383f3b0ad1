use proptest::prelude::{any, prop, prop_oneof, proptest, Just, Strategy};
use proptest::{prop_assert, prop_assert_eq};
use regex::Regex;

use super::Pattern;
use crate::ErrorKind;

fn captures<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let params = Pattern::parse(pattern).expect("a good pattern").matches(path)?;
    Some((0..params.len()).map(|index| &path[params.get(index).expect("is there")]).collect())
}

#[test]
fn parameters_capture_what_starlette_captures() {
    let cases: &[(&str, &str, Option<&[&str]>)] = &[
        ("/", "/", Some(&[])),
        ("/users/{id}", "/users/7", Some(&["7"])),
        ("/users/{id}", "/users/", None),
        ("/users/{id}", "/users/7/", None),
        ("/users/{id:str}", "/users/a b", Some(&["a b"])),
        ("/files/{path:path}", "/files/", Some(&[""])),
        ("/files/{path:path}", "/files/a/b.txt", Some(&["a/b.txt"])),
        ("/files/{path:path}", "/files", None),
        ("/{path:path}/edit", "/a/edit/edit", Some(&["a/edit"])),
        ("/n/{i:int}", "/n/42", Some(&["42"])),
        ("/n/{i:int}", "/n/-1", None),
        ("/n/{i:int}", "/n/4a", None),
        ("/n/{i:int}", "/n/٣", None),
        ("/n/{x:float}", "/n/4.25", Some(&["4.25"])),
        ("/n/{x:float}", "/n/4.", None),
        ("/n/{x:float}.5", "/n/4.5.5", Some(&["4.5"])),
        ("/n/{x:float}.5", "/n/4.5", Some(&["4"])),
        ("/u/{u:uuid}", "/u/0123456789abcdef0123456789ABCDEF", Some(&["0123456789abcdef0123456789ABCDEF"])),
        (
            "/u/{u:uuid}",
            "/u/01234567-89ab-cdef-0123-456789abcdef",
            Some(&["01234567-89ab-cdef-0123-456789abcdef"]),
        ),
        ("/u/{u:uuid}", "/u/01234567-89ab-cdef-0123-456789abcdeg", None),
        ("/files/{name}.json", "/files/a.json.json", Some(&["a.json"])),
        ("/files/{name}.json", "/files/.json", None),
        ("/{a}-{b}", "/x-y-z", Some(&["x-y", "z"])),
        ("/{a}-{b}", "/-", None),
        ("/{a}{b}", "/äö", Some(&["ä", "ö"])),
        ("/{a:int}{b:int}", "/1234", Some(&["123", "4"])),
        // A trailing newline: `$` looks past it, `.` does not take it, `[^/]` does.
        ("/users", "/users\n", Some(&[])),
        ("/users", "/users\n\n", None),
        ("/users/{id}", "/users/7\n", Some(&["7\n"])),
        ("/files/{path:path}", "/files/a\n", Some(&["a"])),
        ("/files/{path:path}", "/files/a\nb", None),
        // Not parameters for Starlette: text.
        ("/{1}", "/{1}", Some(&[])),
        ("/{a-b}", "/x", None),
        ("/{}/{a}", "/{}/x", Some(&["x"])),
    ];
    for (pattern, path, expected) in cases {
        assert_eq!(captures(pattern, path).as_deref(), *expected, "{pattern} on {path:?}");
    }
}

#[test]
fn errors_name_the_pattern_and_what_is_wrong() {
    let cases = [
        ("users", "must start with a slash"),
        ("/users/{id", "is never closed"),
        ("/{a}/{a}", "parameter \"a\" is there twice"),
        ("/{a:date}", "unknown converter \"date\""),
    ];
    for (pattern, what) in cases {
        let error = Pattern::parse(pattern).expect_err(pattern);
        assert_eq!(error.kind(), ErrorKind::Route);
        let message = error.to_string();
        assert!(message.contains(pattern) && message.contains(what), "{message}");
    }
}

#[test]
fn a_long_path_that_almost_matches_is_refused_soon() {
    let path = format!("/{}", "-".repeat(20_000));
    assert_eq!(captures("/{a}-{b}.json", &path), None);
    let path = format!("/{}x", "1".repeat(2_000));
    assert_eq!(captures("/{a:int}{b:int}{c:int}{d:int}", &path), None);
}

/// The regular expression Starlette compiles, for an engine with the same preference of matches.
fn reference(source: &str) -> Regex {
    let parameter = Regex::new("[{]([a-zA-Z_][a-zA-Z0-9_]*)(:[a-zA-Z_][a-zA-Z0-9_]*)?[}]").expect("a regex");
    let mut text = "^".to_owned();
    let mut at = 0;
    for found in parameter.captures_iter(source) {
        let whole = found.get(0).expect("the match");
        text += &regex::escape(&source[at..whole.start()]);
        text += match found.get(2).map_or(":str", |converter| converter.as_str()) {
            ":str" => "([^/]+)",
            ":path" => "(.*)",
            ":int" => "([0-9]+)",
            ":float" => "([0-9]+(?:\\.[0-9]+)?)",
            ":uuid" => "([0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12})",
            other => panic!("no converter {other}"),
        };
        at = whole.end();
    }
    text += &regex::escape(&source[at..]);
    // Python's `$` also matches before a newline at the end.
    text += "\n?$";
    Regex::new(&text).expect("a regex")
}

fn pattern_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just("a".to_owned()),
        Just("1".to_owned()),
        Just("-".to_owned()),
        Just(".".to_owned()),
        Just("ä".to_owned()),
        prop_oneof![Just(""), Just(":str"), Just(":path"), Just(":int"), Just(":float")]
            .prop_map(|converter| format!("{{P{converter}}}")),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| {
        let mut text = "/".to_owned();
        for (index, piece) in pieces.iter().enumerate() {
            text += &piece.replace('P', &format!("p{index}"));
        }
        text
    })
}

fn path_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("a"),
        Just("1"),
        Just("-"),
        Just("."),
        Just("ä"),
        Just("1.5"),
        Just("\n"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn matches_like_the_regular_expression(pattern in pattern_text(), path in path_text()) {
        let expected = reference(&pattern).captures(&path).map(|found| {
            found.iter().skip(1).map(|group| group.expect("every group takes part").as_str()).collect::<Vec<_>>()
        });
        prop_assert_eq!(captures(&pattern, &path), expected);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), path in any::<String>()) {
        if let Ok(pattern) = Pattern::parse(&format!("/{text}")) {
            let _ = pattern.matches(&path);
            prop_assert!(pattern.may_overlap(&pattern));
        }
    }
}
