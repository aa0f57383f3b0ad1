use proptest::prelude::{prop, prop_oneof, proptest, Just, ProptestConfig, Strategy};
use proptest::{prop_assert, prop_assert_eq};

use super::{Index, Params, Pattern};

/// What a look through all patterns in order finds, with what they capture.
fn linear<'a>(patterns: &[String], path: &'a str, accepted: u32) -> Option<(usize, Vec<&'a str>)> {
    patterns.iter().enumerate().filter(|(route, _)| accepted & (1 << route) != 0).find_map(
        |(route, pattern)| {
            let params = Pattern::parse(pattern).expect("a good pattern").matches(path)?;
            let values = (0..params.len()).map(|index| &path[params.get(index).expect("is there")]).collect();
            Some((route, values))
        },
    )
}

fn indexed<'a>(index: &Index, path: &'a str, accepted: u32) -> Option<(usize, Vec<&'a str>)> {
    let mut params = Params::default();
    let route = index.first(path, &mut params, |route| accepted & (1 << route) != 0)?;
    let values = (0..params.len()).map(|index| &path[params.get(index).expect("is there")]).collect();
    Some((route, values))
}

fn index(patterns: &[String]) -> Index {
    Index::new(patterns.iter().map(String::as_str)).expect("good patterns")
}

#[test]
fn the_first_registered_route_wins() {
    let patterns = ["/users/{id}", "/users/me", "/{any:path}", "/users/{name}"].map(str::to_owned);
    let index = index(&patterns);
    assert_eq!(indexed(&index, "/users/me", !0), Some((0, vec!["me"])));
    assert_eq!(indexed(&index, "/users/me", !1), Some((1, vec![])));
    assert_eq!(indexed(&index, "/users/me", 0b1000), Some((3, vec!["me"])));
    assert_eq!(indexed(&index, "/users/7", !1), Some((2, vec!["users/7"])));
    assert_eq!(indexed(&index, "/", !0), Some((2, vec![""])));
}

#[test]
fn many_parameters_are_all_captured() {
    let pattern: String = (0..12).map(|index| format!("/{{p{index}}}")).collect();
    let path: String = (0..12).map(|index| format!("/v{index}")).collect();
    let (_, values) = indexed(&index(&[pattern]), &path, !0).expect("matches");
    let expected: Vec<String> = (0..12).map(|index| format!("v{index}")).collect();
    assert_eq!(values, expected);
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("a"),
        4 => Just("b"),
        6 => Just("{P}"),
        1 => Just(""),
        1 => Just("{P:int}"),
        1 => Just("{P}.json"),
        1 => Just("{P}-{Q}"),
        1 => Just("{P:path}"),
        1 => Just("*"),
        1 => Just("{1}"),
        1 => Just(":a"),
        1 => Just("a-segment-of-25-bytes-or-so"),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..5).prop_map(|segments| {
        let mut text = String::new();
        for (index, segment) in segments.iter().enumerate() {
            text += "/";
            text += &segment.replace('P', &format!("p{index}")).replace('Q', &format!("q{index}"));
        }
        text
    })
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => Just("a"),
        4 => Just("b"),
        2 => Just("7"),
        1 => Just(""),
        1 => Just("x.json"),
        1 => Just("x-y-z"),
        1 => Just("{1}"),
        1 => Just("*"),
        1 => Just(":a"),
        1 => Just("{p0}"),
        1 => Just("a\n"),
        1 => Just("\n"),
        1 => Just("a-segment-of-25-bytes-or-so"),
        1 => Just("a-segment-of-25-octets-or-so"),
    ];
    prop::collection::vec(segment, 1..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn finds_what_a_look_through_all_routes_finds(
        patterns in prop::collection::vec(pattern(), 1..12),
        paths in prop::collection::vec(path(), 1..8),
        accepted in 0u32..4096,
    ) {
        let index = index(&patterns);
        for path in paths.iter().chain(&patterns) {
            for accepted in [!0, accepted] {
                prop_assert_eq!(
                    indexed(&index, path, accepted),
                    linear(&patterns, path, accepted),
                    "{:?} in {:?}",
                    path,
                    patterns
                );
            }
        }
    }

    #[test]
    fn patterns_that_match_one_path_overlap(a in pattern(), b in pattern(), path in path()) {
        let (a, b) = (Pattern::parse(&a).expect("good"), Pattern::parse(&b).expect("good"));
        if a.matches(&path).is_some() && b.matches(&path).is_some() && !path.contains('\n') {
            prop_assert!(a.may_overlap(&b) && b.may_overlap(&a));
        }
    }
}
