use proptest::prelude::{prop, prop_oneof, proptest, Just, ProptestConfig, Strategy};
use proptest::{prop_assert, prop_assert_eq};

use super::super::pattern::Segment;
use super::super::Params;
use super::{Draft, Flat, Tree, EMPTY};

fn shape(text: &str) -> Vec<Segment> {
    let segment = |part: &str| if part == "{}" { Segment::Param } else { Segment::Literal(part.into()) };
    text.split('/').skip(1).map(segment).collect()
}

fn tree(shapes: &[&str]) -> Tree {
    let shapes: Vec<_> = shapes.iter().map(|text| shape(text)).collect();
    Tree::new(shapes.iter().zip(0..).map(|(shape, given)| (shape.as_slice(), given)))
}

fn find<'p>(tree: &Tree, path: &'p str) -> Option<(u32, Vec<&'p str>)> {
    let mut params = Params::default();
    let given = tree.find(path.as_bytes(), &mut params)?;
    Some((given, (0..params.len()).map(|index| &path[params.get(index).expect("is there")]).collect()))
}

#[test]
fn a_literal_is_preferred_and_a_parameter_tried_after_it() {
    let tree = tree(&["/a/b/c", "/a/{}/d", "/{}/b/e", "/{}/{}/{}/f", "/a", "/a/"]);
    assert_eq!(find(&tree, "/a/b/c"), Some((0, vec![])));
    assert_eq!(find(&tree, "/a/b/d"), Some((1, vec!["b"])));
    assert_eq!(find(&tree, "/a/b/e"), Some((2, vec!["a"])));
    assert_eq!(find(&tree, "/a/b/c/f"), Some((3, vec!["a", "b", "c"])));
    assert_eq!(find(&tree, "/a"), Some((4, vec![])));
    assert_eq!(find(&tree, "/a/"), Some((5, vec![])));
    for nothing in ["", "a", "/", "//", "/b", "/a/b", "/a//d", "/a/b/c/", "/a/b/c/f/"] {
        assert_eq!(find(&tree, nothing), None, "{nothing}");
    }
}

#[test]
fn literals_are_told_apart_wherever_they_differ() {
    let long = "0123456789".repeat(5);
    let mut all = vec![];
    for length in 0..=long.len() {
        all.push(format!("/{}", &long[..length]));
        for at in 0..length {
            all.push(format!("/{}x{}", &long[..at], &long[at + 1..length]));
        }
    }
    let shapes: Vec<&str> = all.iter().map(String::as_str).collect();
    let tree = tree(&shapes);
    for (given, path) in (0..).zip(&all) {
        assert_eq!(find(&tree, path), Some((given, vec![])), "{path}");
        assert_eq!(find(&tree, &format!("{path}y")), None, "{path}");
    }
    assert_eq!(find(&tree, "/0\0"), None);
}

#[test]
fn literals_of_one_hash_are_found_one_after_the_other() {
    // Such as have the same length and ends: only their middles differ.
    let literals: Vec<Box<str>> =
        (0..50).map(|number| format!("abcdefgh{number:02}abcdefgh").into()).collect();
    let draft = Draft { literals: literals.iter().cloned().zip(1..).collect(), ..Draft::new() };
    let mut flat = Flat { slots: Vec::new(), middles: Vec::new() };
    let node = flat.node(&draft);
    assert_eq!(flat.slots.iter().filter(|slot| slot.length != EMPTY).count(), 50);
    assert_eq!(flat.slots.last().expect("a slot").length, EMPTY);
    assert!(node.table as usize + (1 << (64 - node.shift)) < flat.slots.len());
    let paths: Vec<String> = literals.iter().map(|literal| format!("/{literal}")).collect();
    let shapes: Vec<&str> = paths.iter().map(String::as_str).collect();
    let tree = tree(&shapes);
    for (given, path) in (0..).zip(&paths) {
        assert_eq!(find(&tree, path), Some((given, vec![])));
    }
    assert_eq!(find(&tree, "/abcdefgh50abcdefgh"), None);
}

fn text(literals: &'static [&'static str]) -> impl Strategy<Value = String> {
    let segment = prop_oneof![2 => Just("{}"), 5 => prop::sample::select(literals)];
    prop::collection::vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

const LITERALS: &[&str] = &[
    "",
    "a",
    "b",
    "exactly8",
    "exactly9!",
    "sixteen-bytes-16",
    "seventeen-bytes-1",
    "a-literal-of-many-bytes",
    "a-literal-of-other-bytes",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn finds_a_shape_of_the_path_if_there_is_one(
        mut shapes in prop::collection::vec(text(LITERALS), 1..20),
        paths in prop::collection::vec(text(LITERALS), 1..10),
    ) {
        shapes.sort();
        shapes.dedup();
        let tree = tree(&shapes.iter().map(String::as_str).collect::<Vec<_>>());
        for path in paths.iter().chain(&shapes) {
            let captures = |text: &str| {
                let (parts, shape): (Vec<&str>, _) = (path.split('/').skip(1).collect(), shape(text));
                let fits = |(segment, part): (&Segment, &&str)| match segment {
                    Segment::Param => !part.is_empty(),
                    Segment::Literal(text) => &**text == *part,
                };
                (shape.len() == parts.len() && shape.iter().zip(&parts).all(fits)).then(|| {
                    let params = shape.iter().zip(parts).filter(|(segment, _)| **segment == Segment::Param);
                    params.map(|(_, part)| part).collect::<Vec<_>>()
                })
            };
            match find(&tree, path) {
                Some((given, params)) => prop_assert_eq!(captures(&shapes[given as usize]), Some(params)),
                None => prop_assert!(shapes.iter().all(|shape| captures(shape).is_none()), "{:?}", path),
            }
        }
    }
}
