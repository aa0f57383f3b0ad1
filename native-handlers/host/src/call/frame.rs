//! A request as the ABI shows it: borrowed slices, and a context for what is looked up lazily.

use std::ffi::c_void;

use super::Bound;
use crate::ServerState;
use bimetal_abi::{BmRequest, BmSlice};
use bimetal_runtime::{Head, Request};
use bytes::Bytes;

/// Path parameters that need no allocation; routes rarely have more.
const INLINE_PARAMS: usize = 4;

/// A request copied off its I/O worker.
pub(super) struct Detached {
    head: Head,
    params: Vec<String>,
    body: Bytes,
    errand_depth: u32,
}

impl Detached {
    pub(super) fn new(request: &Request) -> Self {
        let params = (0..request.param_count())
            .map(|index| request.param(index).unwrap_or_default().to_owned())
            .collect();
        let (body, errand_depth) = (request.body().clone(), request.errand_depth());
        Detached { head: request.to_head(), params, body, errand_depth }
    }
}

/// Where a request lies.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// On its I/O worker.
    Live(&'a Request),
    /// In a copy.
    Detached(&'a Detached),
}

impl<'a> Source<'a> {
    #[inline]
    pub(super) fn method(self) -> &'a str {
        match self {
            Source::Live(request) => request.method().as_str(),
            Source::Detached(copy) => copy.head.method.as_str(),
        }
    }

    #[inline]
    pub(super) fn path(self) -> &'a str {
        match self {
            Source::Live(request) => request.path(),
            Source::Detached(copy) => &copy.head.path,
        }
    }

    fn query(self) -> &'a str {
        match self {
            Source::Live(request) => request.query(),
            Source::Detached(copy) => &copy.head.query,
        }
    }

    fn body(self) -> &'a [u8] {
        match self {
            Source::Live(request) => request.body(),
            Source::Detached(copy) => &copy.body,
        }
    }

    pub(super) fn errand_depth(self) -> u32 {
        match self {
            Source::Live(request) => request.errand_depth(),
            Source::Detached(copy) => copy.errand_depth,
        }
    }

    /// `path` is what [`Source::path`] gives.
    #[inline]
    fn param(self, index: usize, path: &'a str) -> &'a str {
        match self {
            Source::Live(request) => request.params().get(index).and_then(|range| path.get(range)),
            Source::Detached(copy) => copy.params.get(index).map(String::as_str),
        }
        .unwrap_or_default()
    }

    pub(super) fn header(self, name: &str) -> Option<&'a [u8]> {
        match self {
            Source::Live(request) => request.header(name),
            Source::Detached(copy) => copy.head.header(name),
        }
        .map(|value| value.as_bytes())
    }

    pub(super) fn for_each_header(self, mut each: impl FnMut(&str, &[u8])) {
        match self {
            Source::Live(request) => request.for_each_header(each),
            Source::Detached(copy) => {
                copy.head.headers.iter().for_each(|(name, value)| each(name.as_str(), value.as_bytes()));
            }
        }
    }
}

/// What a [`BmRequest`] points to, apart from the request itself. It must stay where it is while that is in use.
pub(super) struct Frame<'a> {
    context: Context<'a>,
    params: [BmSlice; INLINE_PARAMS],
    /// In place of `params`, where these are too few.
    many: Vec<BmSlice>,
}

/// What [`BmRequest::ctx`] points to.
pub(super) struct Context<'a> {
    pub(super) source: Source<'a>,
    pub(super) bound: &'a Bound,
    /// As in [`BmRequest::deadline_ns`].
    pub(super) deadline_ns: u64,
}

impl Context<'_> {
    pub(super) fn server_state(&self) -> ServerState {
        self.bound.readiness.get()
    }
}

impl<'a> Frame<'a> {
    /// `deadline_ns` is 0 where nothing ends the call.
    pub(super) fn new(source: Source<'a>, bound: &'a Bound, deadline_ns: u64) -> Self {
        let context = Context { source, bound, deadline_ns };
        Frame { context, params: [BmSlice::EMPTY; INLINE_PARAMS], many: Vec::new() }
    }

    /// The request for the ABI: valid as long as this frame and its source stay where they are.
    #[inline(always)]
    pub(super) fn request(&mut self, order: &[usize], reads_body: bool) -> BmRequest {
        let source = self.context.source;
        let path = source.path();
        let values = order.iter().map(|index| BmSlice::borrow_str(source.param(*index, path)));
        let params = if order.len() <= INLINE_PARAMS {
            self.params.iter_mut().zip(values).for_each(|(place, value)| *place = value);
            self.params.as_ptr()
        } else {
            self.many = values.collect();
            self.many.as_ptr()
        };
        BmRequest {
            size: size_of::<BmRequest>() as u32,
            n_params: order.len() as u32,
            method: BmSlice::borrow_str(source.method()),
            path: BmSlice::borrow_str(path),
            query: BmSlice::borrow_str(source.query()),
            body: if reads_body { BmSlice::borrow(source.body()) } else { BmSlice::EMPTY },
            params,
            ctx: (&raw const self.context).cast::<c_void>(),
            deadline_ns: self.context.deadline_ns,
        }
    }
}
