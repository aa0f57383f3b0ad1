//! What is written into the lent buffer is what sonic-rs writes elsewhere.

use std::collections::BTreeMap;
use std::ptr;

use bimetal_abi::{BmResponse, BmSlice, RESPONSE_LEASED};
use serde::Serialize;

use super::text::{copy, is_plain, SHORT};
use crate::ResponseWriter;

/// `value` as a handler's answer has it, in a buffer of `cap` bytes that no host enlarges; `None` where it does not fit.
fn written<T: Serialize + ?Sized>(value: &T, cap: usize) -> Option<String> {
    let mut buffer = vec![0xff; cap + 1];
    let mut raw = BmResponse {
        size: size_of::<BmResponse>() as u32,
        status: 200,
        kind: RESPONSE_LEASED,
        n_headers: 0,
        content_type: BmSlice::EMPTY,
        headers: ptr::null(),
        buf: buffer.as_mut_ptr(),
        cap,
        len: 0,
        lease: ptr::null_mut(),
        owner: ptr::null_mut(),
        release: None,
        next: None,
    };
    // SAFETY: a response with a buffer of its own, used by nobody else.
    let mut response = unsafe { ResponseWriter::new(&mut raw) };
    response.write_json(value);
    let failed = response.has_failed();
    let len = raw.len;
    assert_eq!(buffer[cap], 0xff, "it wrote behind the buffer");
    (!failed).then(|| String::from_utf8(buffer[..len].to_vec()).expect("JSON is text"))
}

fn same<T: Serialize + ?Sized>(value: &T) {
    assert_eq!(written(value, 4096), Some(sonic_rs::to_string(value).unwrap()));
}

#[test]
fn text_of_every_length_with_every_byte_at_every_place_is_escaped_as_by_the_library() {
    for len in 0..=SHORT + 9 {
        let plain = "x".repeat(len);
        same(&plain);
        for place in 0..len {
            for byte in 0..=0x7f_u8 {
                let mut text = plain.clone().into_bytes();
                text[place] = byte;
                let text = String::from_utf8(text).unwrap();
                same(&text);
                assert_eq!(
                    is_plain(text.as_bytes()),
                    byte >= b' ' && !matches!(byte, b'"' | b'\\'),
                    "{text:?}"
                );
            }
        }
    }
}

#[test]
fn text_that_is_not_ascii_stays_as_it_is() {
    for text in [
        "é",
        "żółć",
        "日本語",
        "\u{7f}",
        "\u{80}",
        "€\"",
        "𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞",
        "\u{2028}a\\",
        "ÿ\u{1f}",
        "  \u{a0}  !",
    ] {
        same(text);
        same(&text.repeat(5));
    }
}

#[test]
fn every_kind_of_value_is_written_as_by_the_library() {
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct New(f64);
    #[derive(Serialize)]
    struct Pair(i8, String);
    #[derive(Serialize)]
    enum Sum {
        Unit,
        New(u64),
        Pair(bool, char),
        Fields { a: Option<i32>, long_name_of_a_field_beyond_what_is_copied: () },
    }
    #[derive(Serialize)]
    struct Empty {}
    #[derive(Serialize)]
    struct Nested {
        id: i64,
        #[serde(rename = "with \"quotes\"\n")]
        odd: &'static str,
        list: Vec<Nested>,
        map: BTreeMap<i32, f32>,
    }
    struct Shown;
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}\t{:?}", 1.5, "quoted"))
        }
    }
    same(&Unit);
    same(&New(0.1));
    same(&Pair(-128, "p".into()));
    same(&[Sum::Unit, Sum::New(u64::MAX), Sum::Pair(true, '"'), Sum::Pair(false, '€')]);
    same(&Sum::Fields { a: None, long_name_of_a_field_beyond_what_is_copied: () });
    same(&Empty {});
    let leaf =
        || Nested { id: i64::MIN, odd: "\\", list: vec![], map: BTreeMap::from([(-7, 1e-7), (8, 3e30)]) };
    same(&Nested { id: 4711, odd: "", list: vec![leaf(), leaf()], map: BTreeMap::new() });
    same(&Shown);
    same(&(u8::MAX, i128::MIN, u128::MAX, 0, -1, 9, 10, 99, 100, 999, 1000, 9999, 10_000));
    same(&[f64::NAN, f64::INFINITY, -0.0, 1.0, 1e16, 1e-5, 5e-324, f64::MAX, 123_456_789.125]);
    same(&[f32::NEG_INFINITY, 0.1, 1e10, f32::MIN_POSITIVE]);
    same(&serde_json::json!({"a": [1, 2.5, null, true, "text"], "b": {"c": {}}, "": []}));
    same(&BTreeMap::from([("k\u{1}", Some("v")), ("key", None)]));
    same(&BTreeMap::from([(Some(1), 2)]).into_keys().collect::<Vec<_>>());
    same(&BTreeMap::<String, ()>::new());
    same(&BTreeMap::from([(true, 'x'), (false, '\\')]));
    same(&BTreeMap::from([('"', vec![BTreeMap::from([(-1_i8, ())]), BTreeMap::new()])]));
    same(&[0_u8, 255]);
    same(&Vec::<u8>::new());
    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        none: Option<u8>,
    }
    same(&Flat { a: 1, rest: BTreeMap::from([("b".into(), 2), ("\n".into(), 3)]), none: None });
    // Types of the library's own, which are JSON already.
    let given = r#"{"n": 1.50, "l": [1, {"k" : "v"}], "t": "a\tb"}"#;
    same(&sonic_rs::from_str::<sonic_rs::Value>(given).unwrap());
    same(&sonic_rs::from_str::<BTreeMap<String, sonic_rs::LazyValue<'_>>>(given).unwrap());
    same(&[sonic_rs::from_str::<sonic_rs::RawNumber>("1.500").unwrap()]);
    same(&sonic_rs::from_str::<sonic_rs::OwnedLazyValue>(given).unwrap());
}

#[test]
fn what_cannot_be_a_key_is_refused_as_by_the_library() {
    let value = BTreeMap::from([(vec![1], 2)]);
    assert!(sonic_rs::to_string(&value).is_err());
    assert_eq!(written(&value, 4096), None);
}

#[test]
fn nothing_is_written_beyond_the_buffer() {
    #[derive(Serialize)]
    struct Answer {
        id: u64,
        name: &'static str,
        tags: [&'static str; 2],
    }
    let value = Answer { id: 123_456_789_012, name: "eleven chars and a few more", tags: ["a\n", ""] };
    let whole = sonic_rs::to_string(&value).unwrap();
    for cap in 0..whole.len() {
        assert_eq!(written(&value, cap), None, "{cap}");
    }
    // What needs escapes is given more room than it fills.
    assert_eq!(written(&value, whole.len() + 2 * 6 + 35).as_ref(), Some(&whole));
}

#[test]
fn pieces_of_every_length_are_copied_whole() {
    let from: Vec<u8> = (1..=100).collect();
    for len in 0..=from.len() {
        let mut to = vec![0; len + 2];
        // SAFETY: so many bytes are there, and behind the first one, too.
        unsafe { copy(from.as_ptr(), to.as_mut_ptr().add(1), len) };
        assert_eq!((to[0], to[len + 1], &to[1..=len]), (0, 0, &from[..len]));
    }
}
