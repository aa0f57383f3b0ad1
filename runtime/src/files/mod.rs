//! Files of a folder, sent from the I/O worker.
//!
//! A route of files is a pattern that ends with `{path:path}`, and a handler of this module: [`StaticFiles::handler`], which
//! answers as Starlette's does, or [`Assets::handler`], which answers by the rules of HTTP.
//!
//! A request is answered at once, on the I/O worker, where the kernel has everything in its caches: it is asked in a way that
//! makes it refuse where it would have to wait (`RESOLVE_CACHED`, `RWF_NOWAIT`). Otherwise a thread of the [`Disk`] asks
//! again and waits. The decisions are the same code either way.
//!
//! | module | its one job |
//! |---|---|
//! | [`starlette`](StaticFiles) | what Starlette's `StaticFiles` answers |
//! | [`assets`](Assets) | conditions, ranges, packed variants, as RFC 9110 has them |
//! | [`disk`](Disk) | threads and descriptors, and their bounds |
//! | `path`, `root` | names below a folder; finding what they name, and nothing else |
//! | `content`, `body` | a file, or parts of it, as a response |
//! | `listing`, `accept` | a folder as a page; which variants a client takes |
//! | `range`, `stamp`, [`mime`](MimeTypes) | header fields: ranges, dates, types |

mod accept;
mod assets;
mod body;
mod content;
mod disk;
mod listing;
mod mime;
mod path;
mod range;
mod root;
mod stamp;
mod starlette;

use std::sync::Arc;

use tokio::time::timeout;

use crate::http::{header, HeaderValue, Request, Response, StatusCode};
use crate::lane::{Answer, Handler};
use root::Patience;

pub use assets::{Assets, AssetsOptions};
pub use disk::{Disk, DiskLimits};
pub use mime::MimeTypes;
pub use starlette::{StaticFiles, StaticFilesOptions};

/// What comes of a look at a request.
enum Verdict<T> {
    /// This answer.
    Answer(Response),
    /// Not known without looking further.
    Look(T),
    /// The handler behind this one answers.
    Python,
}

/// A folder that answers requests.
trait Site: Send + Sync + 'static {
    /// What the answer depends on.
    type Wanted: Send + 'static;

    /// Takes that from a request, and answers what needs no look at the disk.
    fn read(&self, request: &mut Request) -> Verdict<Self::Wanted>;

    /// Answers; `Look` only where there was no patience to wait.
    fn decide(&self, wanted: &Self::Wanted, patience: Patience) -> Verdict<()>;

    /// What reads the files.
    fn disk(&self) -> &Arc<Disk>;

    /// What it is, for the log.
    fn describe(&self) -> String;
}

/// The handler of a site.
struct Served<S> {
    site: Arc<S>,
    /// What answers where the site leaves that to Python.
    behind: Option<Arc<dyn Handler>>,
}

impl<S: Site> Served<S> {
    fn new(site: S, behind: Option<Arc<dyn Handler>>) -> Served<S> {
        Served { site: Arc::new(site), behind }
    }

    fn behind(&self, request: Request) -> Answer {
        match &self.behind {
            Some(behind) => behind.call(request),
            None => Answer::Now(failed()),
        }
    }
}

impl<S: Site> Handler for Served<S> {
    fn call(&self, mut request: Request) -> Answer {
        let wanted = match self.site.read(&mut request) {
            Verdict::Answer(response) => return Answer::Now(response),
            Verdict::Python => return self.behind(request),
            Verdict::Look(wanted) => wanted,
        };
        match self.site.decide(&wanted, Patience::Cached) {
            Verdict::Answer(response) => return Answer::Now(response),
            Verdict::Python => return self.behind(request),
            Verdict::Look(()) => {}
        }
        let site = Arc::clone(&self.site);
        let disk = self.site.disk();
        let Ok(decided) = disk.run(move || site.decide(&wanted, Patience::Waits)) else {
            return Answer::Now(overloaded());
        };
        let (patience, behind) = (disk.patience(), self.behind.clone());
        Answer::Later(Box::pin(async move {
            match (timeout(patience, decided).await, behind) {
                (Ok(Ok(Verdict::Answer(response))), _) => response,
                (Ok(Ok(_)), Some(behind)) => match behind.call(request) {
                    Answer::Now(response) => response,
                    Answer::Later(response) => response.await,
                },
                (Ok(_), _) => failed(),
                (Err(_), _) => late(),
            }
        }))
    }

    fn describe(&self) -> Option<String> {
        Some(self.site.describe())
    }
}

fn failed() -> Response {
    Response::detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").unhandled()
}

fn late() -> Response {
    Response::detail(StatusCode::GATEWAY_TIMEOUT, "The disk did not answer in time")
}

fn overloaded() -> Response {
    Response::detail(StatusCode::SERVICE_UNAVAILABLE, "Too many files are being sent, or waited for")
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
#[path = "served_tests.rs"]
mod tests;
