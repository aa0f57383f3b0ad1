use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::*;
use crate::edge::coding_fixture::{decoded, noise, readable};
use crate::edge::Coding;
use crate::ErrorKind;

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
fn drained(mut stream: EncodedStream) -> (Vec<Result<Bytes, Error>>, usize) {
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

fn encoder(coding: Coding, size: Option<usize>) -> Encoder {
    Encoder::new(coding, coding.levels().2, size)
}

#[test]
fn large_bodies_are_compressed_slice_by_slice() {
    for coding in Coding::ALL {
        let plain = noise(5 * SLICE + 1);
        let stream = EncodedStream::of_bytes(encoder(coding, Some(plain.len())), plain.clone().into());
        let (items, pauses) = drained(stream);
        assert_eq!(pauses, 5, "{coding:?}");
        let sent: Vec<u8> = items.into_iter().flat_map(|item| item.unwrap().to_vec()).collect();
        assert_eq!(decoded(coding, &sent), Some(plain), "{coding:?}");
    }
}

#[test]
fn each_part_of_a_stream_is_flushed() {
    for coding in Coding::ALL {
        let parts: Vec<Bytes> = vec!["one".into(), "".into(), noise(2 * SLICE + 5).into(), "two".into()];
        let source = Box::pin(Parts(parts.iter().cloned().map(Ok).collect()));
        let (items, _) = drained(EncodedStream::of_stream(encoder(coding, None), source));
        let items: Vec<Bytes> = items.into_iter().map(Result::unwrap).collect();
        assert_eq!(readable(coding, &items[0]), b"one", "{coding:?}");
        assert_eq!(decoded(coding, &items.concat()), Some(parts.concat()), "{coding:?}");
    }
}

#[test]
fn a_broken_stream_has_no_end() {
    for coding in Coding::ALL {
        let broken = Error::new(ErrorKind::Handler, "broken");
        let source = Box::pin(Parts(vec![Ok("one".into()), Err(broken)]));
        let (items, _) = drained(EncodedStream::of_stream(encoder(coding, None), source));
        let sent: Vec<u8> = items[..1].iter().flat_map(|item| item.as_ref().unwrap().to_vec()).collect();
        assert!(items.len() == 2 && items[1].is_err(), "{coding:?}");
        assert_eq!(decoded(coding, &sent), None, "{coding:?}");
    }
}
