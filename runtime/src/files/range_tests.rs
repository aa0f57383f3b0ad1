use super::*;

#[test]
fn starlettes_ranges() {
    for (header, asked) in [
        ("bytes=0-9", Asked::One(0..10)),
        (" BYTES = 0 - 9 ", Asked::One(0..10)),
        ("bytes=90-", Asked::One(90..100)),
        ("bytes=-5", Asked::One(95..100)),
        ("bytes=-500", Asked::One(0..100)),
        ("bytes=95-500", Asked::One(95..100)),
        ("bytes=0-0,-1", Asked::Many(vec![0..1, 99..100])),
        ("bytes=5-6,0-4", Asked::One(0..7)),
        ("bytes=50-60,0-1,55-70", Asked::Many(vec![0..2, 50..71])),
        ("bytes=x-y,1-2,-,,-a", Asked::One(1..3)),
        ("bytes=100-", Asked::Unsatisfiable),
        ("bytes=0-1,100-", Asked::Unsatisfiable),
        ("bytes=-0", Asked::Unsatisfiable),
        ("bytes=5-2", Asked::Malformed("Range header: start must be less than end")),
        ("bytes=x", Asked::Malformed("Range header: range must be requested")),
        ("bytes=", Asked::Malformed("Range header: range must be requested")),
        ("items=0-1", Asked::Malformed("Only support bytes range")),
        ("bytes", Asked::Malformed("Malformed range header.")),
        ("bytes=1_0-20", Asked::Doubtful),
        ("bytes=+1-2", Asked::Doubtful),
        ("bytes=--2", Asked::Doubtful),
        ("bytes=99999999999999999999-", Asked::Doubtful),
        ("bytes=\u{a0}1-2", Asked::Doubtful),
    ] {
        assert_eq!(as_starlette(header.as_bytes(), 100), asked, "{header:?}");
    }
    assert_eq!(as_starlette(b"bytes=0-", 0), Asked::Unsatisfiable);
    let many = format!("bytes={}", vec!["0-0"; 101].join(","));
    assert_eq!(as_starlette(many.as_bytes(), 100), Asked::Whole);
}

#[test]
fn ranges_of_rfc_9110() {
    for (header, asked) in [
        ("bytes=0-9", Asked::One(0..10)),
        ("bytes=-5", Asked::One(95..100)),
        ("bytes=0-0, 99-", Asked::Many(vec![0..1, 99..100])),
        ("bytes=0-0,500-", Asked::One(0..1)),
        ("bytes=100-", Asked::Unsatisfiable),
        ("bytes=-0", Asked::Unsatisfiable),
        ("bytes=5-2", Asked::Whole),
        ("bytes=x", Asked::Whole),
        ("bytes=+1-2", Asked::Whole),
        ("bytes=", Asked::Whole),
        ("bytes = 0-1", Asked::Whole),
        ("items=0-1", Asked::Whole),
        ("bytes=99999999999999999999-", Asked::Whole),
    ] {
        assert_eq!(as_rfc9110(header.as_bytes(), 100), asked, "{header:?}");
    }
}

#[test]
fn the_length_of_a_multipart_body_is_what_its_parts_are() {
    let body = Multipart::new(vec![0..1, 50..60], 100, b"text/plain");
    let sum: u64 = body
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Span(span) => span.end - span.start,
        })
        .sum();
    assert_eq!((body.length, body.boundary.len()), (sum, 26));
    assert_ne!(body.boundary, Multipart::new(vec![0..1, 2..3], 3, b"").boundary);
}
