use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Wake, Waker};

use flate2::read::MultiGzDecoder;

use super::*;
use crate::ErrorKind;

fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Bytes that do not compress to nothing.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Parts(Vec<Result<Bytes, Error>>);

impl Stream for Parts {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

/// What a stream gives, and how often it let others have their turn.
fn drained(mut stream: GzipStream) -> (Vec<Result<Bytes, Error>>, usize) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    let mut items = Vec::new();
    let mut pauses = 0;
    loop {
        match Pin::new(&mut stream).poll_next(&mut cx) {
            Poll::Ready(Some(item)) => items.push(item),
            Poll::Ready(None) => return (items, count.0.load(Ordering::Relaxed)),
            Poll::Pending => {
                pauses += 1;
                assert_eq!(count.0.load(Ordering::Relaxed), pauses, "it waits for nobody but itself");
            }
        }
    }
}

#[test]
fn what_was_flushed_can_be_read() {
    let mut gzip = Gzip::new(6);
    let mut sent = gzip.flushed(b"first");
    let mut plain = Vec::new();
    // There is no end yet, but the first part is there.
    let _ = flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut plain);
    assert_eq!(plain, b"first");
    sent.extend(gzip.flushed(b""));
    sent.extend(gzip.finished(b" last"));
    assert_eq!(unzipped(&sent), b"first last");
}

#[test]
fn every_level_compresses() {
    for level in 0..=9 {
        for plain in [&b""[..], b"x", &[b'x'; 10_000], &noise(10_000)] {
            assert_eq!(unzipped(&Gzip::new(level).finished(plain)), plain, "{level}");
        }
    }
    assert!(Gzip::new(9).finished(&[b'x'; 10_000]).len() < 100);
}

#[test]
fn large_bodies_are_compressed_slice_by_slice() {
    let plain = noise(5 * SLICE + 1);
    let (items, pauses) = drained(GzipStream::of_bytes(1, plain.clone().into()));
    assert_eq!(pauses, 5);
    let sent: Vec<u8> = items.into_iter().flat_map(|item| item.unwrap().to_vec()).collect();
    assert_eq!(unzipped(&sent), plain);
}

#[test]
fn each_part_of_a_stream_is_flushed() {
    let parts: Vec<Bytes> = vec!["one".into(), "".into(), noise(2 * SLICE + 5).into(), "two".into()];
    let source = Box::pin(Parts(parts.iter().cloned().map(Ok).collect()));
    let (items, _) = drained(GzipStream::of_stream(9, source));
    let items: Vec<Bytes> = items.into_iter().map(Result::unwrap).collect();
    let mut plain = Vec::new();
    let _ = flate2::read::GzDecoder::new(&items[0][..]).read_to_end(&mut plain);
    assert_eq!(plain, b"one");
    assert_eq!(unzipped(&items.concat()), parts.concat());
}

#[test]
fn a_broken_stream_has_no_end() {
    let broken = Error::new(ErrorKind::Handler, "broken");
    let (items, _) = drained(GzipStream::of_stream(9, Box::pin(Parts(vec![Ok("one".into()), Err(broken)]))));
    let sent: Vec<u8> = items[..1].iter().flat_map(|item| item.as_ref().unwrap().to_vec()).collect();
    assert!(items.len() == 2 && items[1].is_err());
    assert!(MultiGzDecoder::new(&sent[..]).read_to_end(&mut Vec::new()).is_err());
}
