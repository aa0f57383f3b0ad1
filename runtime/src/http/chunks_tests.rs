use super::{Chunks, MAX_ANCILLARY};
use crate::http::Refusal;

/// Where the body ends, the same however the bytes are cut.
fn end(wire: &[u8]) -> Result<Option<usize>, Refusal> {
    let whole = Chunks::new().pass(wire);
    for size in [1, 2, 7] {
        let mut chunks = Chunks::new();
        let mut at = 0;
        let by_pieces = wire.chunks(size).find_map(|piece| match chunks.pass(piece) {
            Ok(None) => {
                at += piece.len();
                None
            }
            Ok(Some(length)) => Some(Ok(Some(at + length))),
            Err(refusal) => Some(Err(refusal)),
        });
        assert_eq!(by_pieces.unwrap_or(Ok(None)), whole, "{:?} by {size}", String::from_utf8_lossy(wire));
    }
    whole
}

#[test]
fn a_chunked_body_ends_behind_its_trailer() {
    for body in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "0003\r\nabc\r\n000\r\n\r\n",
        "A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        "3;a=b\r\nabc\r\n0;last\r\n\r\n",
        "3 \t; a=\"b c\"\r\nabc\r\n0\r\n\r\n",
        "0\r\nx-sum: 1\r\ny:\r\n\r\n",
        "0\r\nhos: 1\r\nhosts: 1\r\nx-host: 1\r\ncontent-lengthy: 1\r\nhost-encoding: 1\r\n\r\n",
    ] {
        for rest in ["", "GET / HTTP/1.1\r\n\r\n", "\n"] {
            assert_eq!(end(format!("{body}{rest}").as_bytes()), Ok(Some(body.len())), "{body:?}");
        }
        for length in 0..body.len() {
            assert_eq!(end(&body.as_bytes()[..length]), Ok(None), "{body:?} {length}");
        }
    }
    assert_eq!(end(b"ffffffffffffffff\r\nabc"), Ok(None));
}

#[test]
fn wrong_framing_is_refused() {
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\na",
        "1 2\r\n",
        ";a\r\n",
        "1\n",
        "1\r\r\n",
        "1\ra",
        "1;a\nb\r\n",
        "1;a\0\r\n",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\r1",
        "1\r\na\r\n\r\n",
        "fffffffffffffffff\r\n",
        "00000000000000000\r\n",
        "0\r\n\n",
        "0\r\n\r\r",
        "0\r\na: b\n\n",
        "0\r\na: b\n\r\n",
        "0\r\na\r\n",
        "0\r\n: a\r\n",
        "0\r\na : b\r\n",
        "0\r\n a: b\r\n",
        "0\r\na: b\r\n c\r\n",
        "0\r\na: \0\r\n",
        "0\r\na: b\rc\r\n",
        "0\r\nGET / HTTP/1.1\r\n",
        "0\r\nContent-Length: 1\r\n",
        "0\r\na: b\r\ntransfer-encoding:\r\n",
        "0\r\nHOST: a\r\n",
    ] {
        assert_eq!(end(body.as_bytes()), Err(Refusal::Chunk), "{body:?}");
    }
}

#[test]
fn extensions_and_trailers_are_bounded_together() {
    let most = usize::from(MAX_ANCILLARY);
    let body = |extension: usize, trailer: usize| {
        format!("1;{}\r\na\r\n0\r\nt:{}\r\n\r\n", "e".repeat(extension), "v".repeat(trailer))
    };
    for (extension, trailer) in [(most - 1, 0), (0, most - 1), (100, most - 101)] {
        let right = body(extension, trailer);
        assert_eq!(end(right.as_bytes()), Ok(Some(right.len())));
        assert_eq!(end(body(extension + 1, trailer).as_bytes()), Err(Refusal::Chunk));
        assert_eq!(end(body(extension, trailer + 1).as_bytes()), Err(Refusal::Chunk));
    }
}
