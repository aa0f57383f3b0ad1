//! Headers of both versions, whole and broken, in pieces of every size.

use std::io::ErrorKind;

use tokio::io::{duplex, AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

use super::{read, Ends};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What is read of `bytes` where they come `size` at a time, and what is left.
fn read_in_pieces(bytes: &[u8], size: usize) -> (Result<Option<Ends>, ErrorKind>, Vec<u8>) {
    Builder::new_current_thread().build().unwrap().block_on(async {
        let (mut near, mut far) = duplex(size);
        let bytes = bytes.to_vec();
        let sent = tokio::spawn(async move {
            let _ = near.write_all(&bytes).await;
        });
        let found = read(&mut far).await.map_err(|error| error.kind());
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        sent.await.unwrap();
        (found, rest)
    })
}

fn v2(version_and_command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_and_command, family], &length, content].concat()
}

fn ends(client: &str, server: &str) -> Option<Ends> {
    Some(Ends { client: client.parse().unwrap(), server: server.parse().unwrap() })
}

#[test]
fn headers_name_the_client_and_nothing_behind_them_is_read() {
    let v4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    let v6 = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[7, 0xfd], &[0; 14], &[1, 0x12, 0x67, 1, 0xbb]].concat();
    let with_extensions = [v4, &[4, 0, 3, 1, 2, 3]].concat();
    let cases: [(Vec<u8>, Option<Ends>); 10] = [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(), ends("192.0.2.7:4711", "10.0.0.1:80")),
        (
            b"PROXY TCP6 2001:db8::7 fd00::1 4711 443\r\n".to_vec(),
            ends("[2001:db8::7]:4711", "[fd00::1]:443"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
        (v2(0x21, 0x11, v4), ends("192.0.2.7:4711", "10.0.0.1:80")),
        (v2(0x21, 0x21, &v6), ends("[2001:db8::7]:4711", "[fd00::1]:443")),
        (v2(0x21, 0x11, &with_extensions), ends("192.0.2.7:4711", "10.0.0.1:80")),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x21, 0x00, &[]), None),
        (v2(0x21, 0x31, &[b'x'; 216]), None),
    ];
    for (header, expected) in cases {
        for size in [1, 2, 7, 13, 16, 1000] {
            let (found, rest) = read_in_pieces(&[&header, &b"GET / HTTP/1.1\r\n"[..]].concat(), size);
            assert_eq!(found, Ok(expected), "{header:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        }
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let v4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    let too_long = [b"PROXY UNKNOWN ", &[b'x'; 100][..], b"\r\n"].concat();
    let cases: [Vec<u8>; 14] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"proxy TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 65536\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80 1\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 fd00::1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 1.2.3 10.0.0.1 4711 80\r\n".to_vec(),
        too_long,
        v2(0x11, 0x11, v4),
        v2(0x22, 0x11, v4),
        v2(0x21, 0x12, v4),
        v2(0x21, 0x11, &v4[..8]),
        v2(0x21, 0x11, &[0; 5000]),
    ];
    for header in cases {
        for size in [1, 13, 10_000] {
            let (found, _) = read_in_pieces(&header, size);
            assert_eq!(found, Err(ErrorKind::InvalidData), "{:?}", String::from_utf8_lossy(&header));
        }
    }
    for short in [&b""[..], b"PROXY TCP4 1.2.3.4", SIGNATURE, &v2(0x21, 0x11, v4)[..20]] {
        assert_eq!(read_in_pieces(short, 5).0, Err(ErrorKind::UnexpectedEof));
    }
}
