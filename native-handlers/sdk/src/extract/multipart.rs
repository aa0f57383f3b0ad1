//! Forms of type `multipart/form-data`, whole in memory: their texts, and the names under which files were sent.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream;
use multer::{Error, Multipart};

use super::form::{Entry, Sent, MAX_FIELDS, MAX_FIELD_SIZE, TOO_LARGE_A_PART, TOO_MANY_FIELDS};

const INVALID: &str = "Invalid multipart data.";
const MAX_FILES: usize = 1000;

/// The fields of a form, or why Starlette refuses it.
pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return Err("Missing boundary in multipart.");
    };
    // The parser passes over what precedes the first boundary; Starlette's refuses it.
    let begun = body.trim_ascii_start().strip_prefix(b"--");
    if !body.is_empty() && !begun.is_some_and(|rest| rest.starts_with(boundary.as_bytes())) {
        return Err(INVALID);
    }
    let chunks = stream::iter([Ok::<_, Infallible>(Bytes::copy_from_slice(body))]);
    let parsed = pin!(read(Multipart::new(chunks, boundary)));
    // All of the body is there, so there is nothing to wait for.
    match parsed.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(parsed) => parsed,
        Poll::Pending => Err(INVALID),
    }
}

async fn read(mut multipart: Multipart<'_>) -> Result<Vec<Entry>, &'static str> {
    let mut entries = Vec::new();
    let mut files = 0;
    loop {
        let field = match multipart.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) | Err(Error::IncompleteStream | Error::IncompleteHeaders) => return Ok(entries),
            Err(_) => return Err(INVALID),
        };
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(r#"The Content-Disposition header field "name" must be provided."#);
        };
        let file = field.file_name().map(str::to_owned);
        match file {
            Some(_) if files == MAX_FILES => return Err("Too many files. Maximum number of files is 1000."),
            None if entries.len() - files == MAX_FIELDS => return Err(TOO_MANY_FIELDS),
            _ => {}
        }
        let bytes = match field.bytes().await {
            Ok(bytes) => bytes,
            // A part that does not end is none.
            Err(Error::IncompleteFieldData { .. } | Error::IncompleteStream) => return Ok(entries),
            Err(_) => return Err(INVALID),
        };
        let sent = match file {
            Some(name) => {
                files += 1;
                Sent::File(name)
            }
            None if bytes.len() > MAX_FIELD_SIZE => return Err(TOO_LARGE_A_PART),
            None => Sent::Text(text(&bytes)),
        };
        entries.push((name, sent));
    }
}

/// UTF-8; bytes that are not are characters of Latin-1, as for Starlette.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, Sent, INVALID};

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn part(disposition: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn texts_and_files_are_told_apart() {
        let body = part(r#"name="a""#, "é+1") + &part("name=a; filename=\"x\"", "bytes") + "--b--\r\n";
        let entries = parse(TYPE, body.as_bytes()).unwrap();
        assert_eq!(
            entries,
            [("a".to_owned(), Sent::Text("é+1".to_owned())), ("a".to_owned(), Sent::File("x".to_owned()))]
        );
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert_eq!(parse("multipart/form-data", b"--b--\r\n").unwrap_err(), "Missing boundary in multipart.");
        assert_eq!(parse(TYPE, b"garbage").unwrap_err(), INVALID);
        let nameless = part("", "1") + "--b--\r\n";
        assert!(parse(TYPE, nameless.as_bytes()).unwrap_err().contains(r#""name" must be provided"#));
        let many = part("name=a", "1").repeat(1001) + "--b--\r\n";
        assert!(parse(TYPE, many.as_bytes()).unwrap_err().starts_with("Too many fields"));
        let many = part("name=a; filename=x", "1").repeat(1001) + "--b--\r\n";
        assert!(parse(TYPE, many.as_bytes()).unwrap_err().starts_with("Too many files"));
        let large = part("name=a", &"x".repeat(1024 * 1024 + 1)) + "--b--\r\n";
        assert!(parse(TYPE, large.as_bytes()).unwrap_err().starts_with("Part exceeded"));
    }

    #[test]
    fn a_form_that_breaks_off_has_the_parts_that_ended() {
        assert_eq!(parse(TYPE, b"").unwrap(), []);
        assert_eq!(parse(TYPE, b"--b--\r\n").unwrap(), []);
        let body = part("name=a", "1") + &part("name=b", "2");
        let entries = parse(TYPE, &body.as_bytes()[..body.len() - 5]).unwrap();
        assert_eq!(entries, [("a".to_owned(), Sent::Text("1".to_owned()))]);
    }
}
