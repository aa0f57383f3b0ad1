//! A request that a handler's arguments cannot be read from.

use crate::response::ResponseWriter;
use crate::validate::{detail, Item};
use crate::{HttpError, IntoResponse};

/// Where a value comes from. FastAPI lists errors in this order, whatever the order of the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Path,
    Query,
    Header,
    Cookie,
    Body,
}

impl Source {
    /// The first step of the location of what is wrong there.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Source::Path => "path",
            Source::Query => "query",
            Source::Header => "header",
            Source::Cookie => "cookie",
            Source::Body => "body",
        }
    }
}

/// Why an argument could not be read.
/// In a box: an argument that can be read is moved with the room for it.
#[derive(Debug)]
pub struct Rejection(Box<Kind>);

#[derive(Debug)]
pub(crate) enum Kind {
    /// Entries of the 422 that all arguments share.
    Invalid(Source, Vec<Item>),
    /// A 422 of its own, whatever is wrong with the other arguments.
    Alone(Box<Item>),
    /// Another answer.
    Error(HttpError),
}

impl Rejection {
    pub(crate) fn new(kind: Kind) -> Rejection {
        Rejection(Box::new(kind))
    }

    pub(crate) fn invalid(source: Source, items: Vec<Item>) -> Rejection {
        Rejection::new(Kind::Invalid(source, items))
    }
}

/// Answers for arguments of which at least one was not read.
pub fn reject(rejections: impl IntoIterator<Item = Option<Rejection>>, response: &mut ResponseWriter<'_>) {
    let mut invalid: Vec<(Source, Vec<Item>)> = Vec::new();
    for rejection in rejections.into_iter().flatten() {
        match *rejection.0 {
            Kind::Invalid(source, items) => invalid.push((source, items)),
            Kind::Alone(item) => return unprocessable(&[*item], response),
            Kind::Error(error) => return error.into_response(response),
        }
    }
    invalid.sort_by_key(|(source, _)| *source);
    let items: Vec<Item> = invalid.into_iter().flat_map(|(_, items)| items).collect();
    unprocessable(&items, response);
}

fn unprocessable(items: &[Item], response: &mut ResponseWriter<'_>) {
    response.set_status(422);
    response.set_content_type("application/json");
    response.write(detail(items).as_bytes());
}
