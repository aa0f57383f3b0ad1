use super::*;
use proptest::prelude::*;

fn agreement(offer: &str) -> Agreement {
    Agreement::of_field(offer)
}

fn deflate(deflater: &mut Deflater, message: &[u8]) -> (Bytes, bool) {
    deflater.begin(Bytes::copy_from_slice(message));
    loop {
        if let Some(sent) = deflater.step() {
            return sent;
        }
    }
}

fn inflate(inflater: &mut Inflater, data: &[u8], limit: usize) -> Result<Vec<u8>, Uninflatable> {
    inflater.begin(false, data.to_vec(), limit);
    loop {
        if let Some((_, message)) = inflater.step()? {
            return Ok(message);
        }
    }
}

/// The other end: one stream for all messages, as zlib is meant to be used.
struct Peer {
    compress: Compress,
    decompress: Decompress,
}

impl Peer {
    fn new(bits: u8) -> Peer {
        Peer {
            compress: Compress::new_with_window_bits(Compression::best(), false, bits),
            decompress: Decompress::new_with_window_bits(false, bits),
        }
    }

    fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 1024);
        let start = self.compress.total_in();
        while (self.compress.total_in() - start) < message.len() as u64 || out.len() == out.capacity() {
            out.reserve(1024);
            let at = (self.compress.total_in() - start) as usize;
            self.compress.compress_vec(&message[at..], &mut out, FlushCompress::Sync).unwrap();
        }
        if message.is_empty() {
            self.compress.compress_vec(&[], &mut out, FlushCompress::Sync).unwrap();
        }
        assert_eq!(out.split_off(out.len() - 4), TAIL);
        out
    }

    fn decompress(&mut self, data: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size + 1);
        let data = [data, &TAIL].concat();
        let start = self.decompress.total_in();
        self.decompress.decompress_vec(&data, &mut out, FlushDecompress::Sync).unwrap();
        assert_eq!(self.decompress.total_in() - start, data.len() as u64);
        out
    }
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Few letters, so that messages repeat each other, and all bytes, which cannot be compressed.
    let text = prop::collection::vec(prop::sample::select(b"abcdefgh ".to_vec()), 1..9000);
    let noise = prop::collection::vec(any::<u8>(), 1..9000);
    let long =
        (1..70_000usize).prop_map(|size| b"0123456789abcdef".iter().copied().cycle().take(size).collect());
    prop::collection::vec(prop_oneof![4 => text, 1 => noise, 1 => long], 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_peer_with_one_stream_reads_what_is_sent(messages in messages(), bits in 9..=12u8, takeover: bool) {
        let agreement = agreement(&format!("permessage-deflate; server_max_window_bits={bits}{}",
            if takeover { "" } else { "; server_no_context_takeover" }));
        let mut deflater = Deflater::new(&agreement);
        let mut peer = Peer::new(bits);
        for message in messages {
            let (sent, is_compressed) = deflate(&mut deflater, &message);
            prop_assert!(sent.len() <= message.len());
            if is_compressed {
                prop_assert_eq!(peer.decompress(&sent, message.len()), message);
            } else {
                prop_assert_eq!(&sent[..], message);
            }
        }
    }

    #[test]
    fn what_a_peer_with_one_stream_sends_is_read(messages in messages(), bits in 9..=15u8) {
        let agreement = agreement(&match bits {
            15 => "permessage-deflate".to_owned(),
            bits => format!("permessage-deflate; client_max_window_bits={bits}"),
        });
        let mut inflater = Inflater::new(&agreement);
        let mut peer = Peer::new(agreement.client_bits);
        for message in messages {
            let sent = peer.compress(&message);
            prop_assert_eq!(inflate(&mut inflater, &sent, message.len()), Ok(message));
        }
    }

    #[test]
    fn no_data_does_harm(data in prop::collection::vec(any::<u8>(), 0..3000), before: Vec<u8>) {
        let mut inflater = Inflater::new(&agreement("permessage-deflate"));
        let mut peer = Peer::new(15);
        inflate(&mut inflater, &peer.compress(&before), usize::MAX).unwrap();
        let _ = inflate(&mut inflater, &data, 1 << 20);
    }
}

#[test]
fn the_examples_of_the_standard_are_read() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    let mut inflater = Inflater::new(&agreement("permessage-deflate"));
    for data in [&hello[..], &again, &stored, &last, &two, &again] {
        assert_eq!(inflate(&mut inflater, data, 5).as_deref(), Ok(&b"Hello"[..]), "{data:x?}");
    }
    assert_eq!(inflate(&mut inflater, &[0x00], 0).as_deref(), Ok(&b""[..]));
    // Without the message before it refers to nothing.
    let mut inflater = Inflater::new(&agreement("permessage-deflate; client_no_context_takeover"));
    assert_eq!(inflate(&mut inflater, &hello, 5).as_deref(), Ok(&b"Hello"[..]));
    assert_eq!(inflate(&mut inflater, &again, 5), Err(Uninflatable::Invalid));
}

#[test]
fn nothing_is_inflated_beyond_the_limit() {
    let mut peer = Peer::new(15);
    let bomb = peer.compress(&vec![0; 1 << 26]);
    let mut inflater = Inflater::new(&agreement("permessage-deflate"));
    inflater.begin(false, bomb, 100_000);
    let mut steps = 0;
    let error = loop {
        steps += 1;
        match inflater.step() {
            Ok(None) => {}
            Ok(Some(_)) => panic!("the bomb is inflated"),
            Err(error) => break error,
        }
    };
    assert_eq!((error, steps), (Uninflatable::TooBig, 4));
    assert!(inflater.current.unwrap().out.capacity() <= 200_000);
}

#[test]
fn blocks_that_say_they_are_the_last_are_bounded() {
    let blocks = |count| [&[0x03, 0x00].repeat(count)[..], &[0x00]].concat();
    let mut inflater = Inflater::new(&agreement("permessage-deflate"));
    assert_eq!(inflate(&mut inflater, &blocks(MOST_ENDS), 5).as_deref(), Ok(&b""[..]));
    assert_eq!(inflate(&mut inflater, &blocks(MOST_ENDS + 1), 5), Err(Uninflatable::Invalid));
}

#[test]
fn a_window_has_the_end_of_what_was_said() {
    let mut window = Window::new(9, true);
    for size in [100, 500, 600, 1, 511, 0] {
        window.extend(&(0..size).map(|n| n as u8).collect::<Vec<_>>());
        assert!(window.bytes.len() <= 512);
    }
    let expected: Vec<u8> = [0].into_iter().chain((0..511).map(|n| n as u8)).collect();
    assert_eq!(window.bytes, expected);
    assert!(window.bytes.capacity() <= 1024);
}
