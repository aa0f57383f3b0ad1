//! Streams, as they cross the ABI.

mod support;

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use bimetal::prelude::*;
use bimetal_abi::CAP_RESPONSE_STREAM;
use futures_core::Stream;
use support::{call, Call};

bimetal::plugin! { name: "demo" }

thread_local! {
    /// What this test has dropped: all of it happens on its own thread.
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// Numbers down from this one; then an error, unless there is none.
struct Down(usize, Option<&'static str>);

impl Stream for Down {
    type Item = Result<String, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0 == 0 {
            assert_ne!(self.1, Some("panic"));
            return Poll::Ready(self.1.map(|error| Err(error.into())));
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok((self.0 + 1).to_string())))
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

#[native_handler]
fn down(Path(from): Path<usize>) -> Body {
    Body::from_stream(Down(from, None))
}

type Fields = [(&'static str, String); 1];

#[native_handler]
fn fails() -> Result<(u16, Fields, Body), HttpError> {
    let body = Body::from_stream(Down(1, Some("the well is dry"))).content_type("text/x-down");
    Ok((201, [("x-from", "1".to_owned())], body))
}

#[native_handler(content_type = "text/x-declared")]
fn declared(Query(from): Query<usize>) -> Result<Body, HttpError> {
    match from {
        0 => Err(HttpError::not_found("none")),
        1 => Ok(Body::from_stream(Down(1, None)).content_type("text/x-one")),
        from => Ok(Body::from_stream(Down(from, None))),
    }
}

#[native_handler]
fn panics() -> Body {
    Body::from_stream(Down(2, Some("panic")))
}

#[test]
fn a_stream_is_asked_for_its_chunks_and_dropped() {
    let answer = call(&Call { handler: "demo.down", params: &["3"], ..Call::default() });
    assert_eq!((answer.status, &*answer.content_type), (200, ""));
    assert_eq!(answer.chunks.unwrap(), ["3", "2", "1"].map(|text| Ok(text.to_owned())));

    let answer = call(&Call { handler: "demo.fails", ..Call::default() });
    assert_eq!((answer.status, &*answer.content_type), (201, "text/x-down"));
    assert_eq!(answer.headers, [("x-from".to_owned(), "1".to_owned())]);
    assert_eq!(answer.chunks.unwrap(), [Ok("1".to_owned()), Err("the well is dry".to_owned())]);

    let answer = call(&Call { handler: "demo.panics", ..Call::default() });
    let panic = Err("panic".to_owned());
    assert_eq!(answer.chunks.unwrap(), [Ok("2".to_owned()), Ok("1".to_owned()), panic]);

    // A host of ABI 1.0, if it called the handler all the same: nothing is written behind its response.
    let answer = call(&Call { handler: "demo.down", params: &["3"], response_size: 88, ..Call::default() });
    assert_eq!((answer.status, answer.text()), (500, r#"{"detail":"Internal Server Error"}"#));
    assert_eq!(DROPPED.get(), 4);
}

#[test]
fn whoever_streams_asks_for_a_host_that_can() {
    let (plugin, _) = support::plugin();
    assert_eq!(plugin.required_caps & CAP_RESPONSE_STREAM, CAP_RESPONSE_STREAM);
}

#[test]
fn a_stream_has_no_content_in_its_description() {
    // SAFETY: text of a table is static.
    let meta = unsafe { support::handler("demo.down").meta_json.text() }.unwrap();
    assert!(meta.contains(r#""response":{"status":200,"content_type":null,"schema":null}"#), "{meta}");
}

#[test]
fn a_declared_content_type_is_that_of_streams_that_name_none() {
    for (query, status, content_type) in [
        ("from=2", 200, "text/x-declared"),
        ("from=1", 200, "text/x-one"),
        ("from=0", 404, "application/json"),
        ("", 422, "application/json"),
    ] {
        let answer = call(&Call { handler: "demo.declared", query, ..Call::default() });
        assert_eq!((answer.status, &*answer.content_type), (status, content_type), "{query}");
    }
    // SAFETY: text of a table is static.
    let meta = unsafe { support::handler("demo.declared").meta_json.text() }.unwrap();
    let described =
        r#""response":{"status":200,"content_type":"text/x-declared","schema":{"type":"string"}}"#;
    assert!(meta.contains(described), "{meta}");
}
