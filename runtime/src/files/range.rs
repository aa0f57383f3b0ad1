//! Ranges of a file: what a `Range` header asks for, by Starlette's rules and by those of RFC 9110.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;

use super::body::Part;

/// The most ranges that a request may ask for; with more it gets the whole file.
const MOST: usize = 100;

/// What is asked for of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// This.
    One(Range<u64>),
    /// These, in order and apart from each other.
    Many(Vec<Range<u64>>),
    /// A part that there is not.
    Unsatisfiable,
    /// Nothing that can be read; Starlette says this of it.
    Malformed(&'static str),
    /// Only Python knows how it reads a number of this form.
    Doubtful,
}

/// What Starlette's `FileResponse` makes of a header.
pub(super) fn as_starlette(header: &[u8], size: u64) -> Asked {
    let Some(text) = std::str::from_utf8(header).ok().filter(|text| text.is_ascii()) else {
        return Asked::Doubtful;
    };
    let Some((units, list)) = text.split_once('=') else {
        return Asked::Malformed("Malformed range header.");
    };
    if !trimmed(units).eq_ignore_ascii_case("bytes") {
        return Asked::Malformed("Only support bytes range");
    }
    if list.matches(',').count() + 1 > MOST {
        return Asked::Whole;
    }
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for part in list.split(',').map(trimmed) {
        // What is no range is left out.
        let Some((start, end)) = part.split_once('-') else { continue };
        let (start, end) = (Number::of(trimmed(start)), Number::of(trimmed(end)));
        match (start, end) {
            (Number::Doubtful, _) | (_, Number::Doubtful) => return Asked::Doubtful,
            (Number::None, _) | (_, Number::None) | (Number::Missing, Number::Missing) => {}
            (Number::Missing, Number::Some(last)) => ranges.push(size.saturating_sub(last)..size),
            (Number::Some(start), Number::Missing) => ranges.push(start..size),
            (Number::Some(start), Number::Some(last)) => ranges.push(start..size.min(last.saturating_add(1))),
        }
    }
    if ranges.is_empty() {
        return Asked::Malformed("Range header: range must be requested");
    }
    if ranges.iter().any(|range| range.start >= size) {
        return Asked::Unsatisfiable;
    }
    if ranges.iter().any(Range::is_empty) {
        return Asked::Malformed("Range header: start must be less than end");
    }
    merged(ranges)
}

/// What RFC 9110 makes of a header: one that cannot be read is not there, and so is one that asks for nothing but work.
pub(super) fn as_rfc9110(header: &[u8], size: u64) -> Asked {
    let Ok(text) = std::str::from_utf8(header) else { return Asked::Whole };
    let Some((units, list)) = text.split_once('=') else { return Asked::Whole };
    if !units.eq_ignore_ascii_case("bytes") || list.matches(',').count() + 1 > MOST {
        return Asked::Whole;
    }
    let mut ranges = Vec::new();
    let mut any = false;
    for part in list.split(',').map(trimmed).filter(|part| !part.is_empty()) {
        let Some((start, end)) = part.split_once('-') else { return Asked::Whole };
        let range = match (Number::of(start), Number::of(end)) {
            (Number::Missing, Number::Some(last)) => size.saturating_sub(last)..size,
            (Number::Some(start), Number::Missing) => start..size,
            (Number::Some(start), Number::Some(last)) if start <= last => {
                start..size.min(last.saturating_add(1))
            }
            _ => return Asked::Whole,
        };
        any = true;
        if !range.is_empty() {
            ranges.push(range);
        }
    }
    match (any, ranges.is_empty()) {
        (false, _) => Asked::Whole,
        (true, true) => Asked::Unsatisfiable,
        (true, false) => merged(ranges),
    }
}

/// In order, those that overlap or touch made one.
fn merged(mut ranges: Vec<Range<u64>>) -> Asked {
    if ranges.len() > 1 {
        ranges.sort_by_key(|range| (range.start, range.end));
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
    }
    if ranges.len() > 1 {
        return Asked::Many(ranges);
    }
    ranges.pop().map_or(Asked::Whole, Asked::One)
}

#[derive(Clone, Copy)]
enum Number {
    Missing,
    Some(u64),
    None,
    /// Python's `int` may take it: it has a sign, an underscore, or very many digits.
    Doubtful,
}

impl Number {
    fn of(text: &str) -> Number {
        if text.is_empty() {
            return Number::Missing;
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|_| text.len() < 19).map_or(Number::Doubtful, Number::Some);
        }
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            Number::Doubtful
        } else {
            Number::None
        }
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A body of several ranges, each with a head of its own.
pub(super) struct Multipart {
    /// What stands between them.
    pub(super) boundary: String,
    /// The whole of it, in order.
    pub(super) parts: Vec<Part>,
    /// In bytes.
    pub(super) length: u64,
}

impl Multipart {
    /// `ranges` of a file of `size` bytes of this type.
    pub(super) fn new(ranges: Vec<Range<u64>>, size: u64, content_type: &[u8]) -> Multipart {
        let boundary = boundary();
        let (mut parts, mut length) = (Vec::new(), 0);
        let mut text = Vec::new();
        for range in ranges {
            text.extend_from_slice(format!("--{boundary}\r\nContent-Type: ").as_bytes());
            text.extend_from_slice(content_type);
            let last = range.end - 1;
            text.extend_from_slice(
                format!("\r\nContent-Range: bytes {}-{last}/{size}\r\n\r\n", range.start).as_bytes(),
            );
            length += text.len() as u64 + range.end - range.start;
            parts.push(Part::Text(Bytes::from(std::mem::take(&mut text))));
            parts.push(Part::Span(range));
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("--{boundary}--").as_bytes());
        length += text.len() as u64;
        parts.push(Part::Text(Bytes::from(text)));
        Multipart { boundary, parts, length }
    }
}

/// 26 hexadecimal digits, as Starlette has them: nobody can put into a file what will stand between its ranges.
fn boundary() -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static MADE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut text = format!("{:016x}{:016x}", KEY.hash_one(number), KEY.hash_one((number, 1_u8)));
    text.truncate(26);
    text
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
