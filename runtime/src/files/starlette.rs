//! `StaticFiles`, as Starlette has it: the same answers, header for header.
//!
//! What Starlette's code does here depends on Python in places: how it reads a number or a date, how it words an exception.
//! There nothing is guessed. The request goes to the application instead, whose own `StaticFiles` answers it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use md5::{Digest, Md5};

use super::content::{value, Extent, Source};
use super::disk::Disk;
use super::mime::MimeTypes;
use super::path::Relative;
use super::range::{as_starlette, Asked};
use super::root::{Miss, Node, Patience, Root};
use super::stamp::{fixed_form, http_date, PythonTime};
use super::{overloaded, Served, Site, Verdict};
use crate::edge::{fields::strip, plain_text, redirect, Arriving, Url};
use crate::http::{header, HeaderFields, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::Handler;

/// A longer name is left to Python, which looks for it by its absolute path, whose length has a limit as well.
const LONGEST: usize = 1024;

/// How often a file may change under the eyes of one request.
const TRIES: usize = 3;

/// What a `StaticFiles` was made with.
#[derive(Clone, Debug)]
pub struct StaticFilesOptions {
    /// The folders, in the order in which they are looked through.
    pub directories: Vec<PathBuf>,
    /// Whether `index.html` and `404.html` are sent.
    pub html: bool,
    /// Whether links may lead out of the folders.
    pub follow_symlink: bool,
    /// Whether the first folder must be there, and Starlette says so with the first request.
    pub checked: bool,
    /// Whether the application has FastAPI's own answer to `HTTPException`, so that it can be given here.
    pub plain_errors: bool,
    /// Whether the server sees the scheme that the application sees, so that it can give a redirect.
    pub knows_scheme: bool,
    /// What a proxy takes away from the path of every request.
    pub root_path: String,
}

/// One mounted `StaticFiles`.
pub struct StaticFiles {
    options: StaticFilesOptions,
    roots: Vec<Root>,
    types: Arc<MimeTypes>,
    disk: Arc<Disk>,
    /// Whether the folder has been there: Starlette looks once.
    checked: AtomicBool,
}

/// What the answer depends on.
pub(super) struct Wanted {
    name: Relative,
    head_only: bool,
    /// Whether the path ends with a slash, and where it leads with one; none where only Python can tell.
    slash: bool,
    with_slash: Option<String>,
    if_none_match: Option<HeaderValue>,
    if_modified_since: Option<HeaderValue>,
    range: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
}

/// Why a request is not answered by a file.
enum Other {
    Miss(Miss),
    /// By Python.
    Doubt,
}

impl From<Miss> for Other {
    fn from(miss: Miss) -> Other {
        Other::Miss(miss)
    }
}

impl StaticFiles {
    /// With files of `types`, read by `disk`.
    pub fn new(options: StaticFilesOptions, types: Arc<MimeTypes>, disk: Arc<Disk>) -> StaticFiles {
        let root = |directory: &PathBuf| Root::new(directory.clone(), options.follow_symlink);
        StaticFiles {
            roots: options.directories.iter().map(root).collect(),
            checked: AtomicBool::new(!options.checked),
            options,
            types,
            disk,
        }
    }

    /// Answers the requests of a route whose last parameter is the path below the folder, and leaves to `python`, the whole
    /// application, what is its to answer.
    pub fn handler(self, python: Arc<dyn Handler>) -> Arc<dyn Handler> {
        Arc::new(Served::new(self, Some(python)))
    }

    fn error(&self, status: StatusCode) -> Result<Response, Other> {
        if !self.options.plain_errors {
            return Err(Other::Doubt);
        }
        Ok(Response::detail(status, status.canonical_reason().unwrap_or_default()))
    }

    fn not_found(&self) -> Result<Response, Other> {
        self.error(StatusCode::NOT_FOUND)
    }

    /// `StaticFiles.lookup_path`.
    fn find(&self, name: &Relative, patience: Patience) -> Result<Option<Node>, Miss> {
        if name.has_leading_backslash() {
            return Ok(None);
        }
        for (place, root) in self.roots.iter().enumerate() {
            match root.find(name, patience) {
                Ok(node) => {
                    self.checked.store(true, Ordering::Relaxed);
                    return Ok(Some(node));
                }
                Err(Miss::NoRoot) if place > 0 || self.checked.load(Ordering::Relaxed) => {}
                Err(Miss::Absent) => self.checked.store(true, Ordering::Relaxed),
                Err(miss) => return Err(miss),
            }
        }
        Ok(None)
    }

    /// `StaticFiles.get_response`.
    fn respond(&self, wanted: &Wanted, patience: Patience) -> Result<Response, Other> {
        let name = &wanted.name;
        if name.has_nul() {
            return self.not_found();
        }
        let found = match self.find(name, patience) {
            Err(Miss::Denied) => return self.error(StatusCode::UNAUTHORIZED),
            Err(Miss::TooLong) => return self.not_found(),
            found => found?,
        };
        match found {
            Some(node) if node.is_file() => return self.file(&node, wanted, patience),
            Some(node) if node.is_folder() && self.options.html => {
                match self.find(&name.child("index.html"), patience)? {
                    Some(index) if index.is_file() && wanted.slash => {
                        return self.file(&index, wanted, patience);
                    }
                    Some(index) if index.is_file() => {
                        return wanted.with_slash.as_deref().map(redirect).ok_or(Other::Doubt);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        if self.options.html {
            if let Some(page) = self.find(&Relative::of("404.html"), patience)?.filter(Node::is_file) {
                let headers = self.headers(&page)?;
                let source = self.source(wanted, patience);
                return Ok(source.respond(&page, headers, Extent::Whole(StatusCode::NOT_FOUND))?);
            }
        }
        self.not_found()
    }

    fn source(&self, wanted: &Wanted, patience: Patience) -> Source<'_> {
        Source { disk: &self.disk, patience, head_only: wanted.head_only }
    }

    /// Those of a `FileResponse`, in its order.
    fn headers(&self, node: &Node) -> Result<HeaderFields, Other> {
        let time = PythonTime::new(node.modified).ok_or(Other::Doubt)?;
        let modified = http_date(time.second()).ok_or(Other::Doubt)?;
        let digest = Md5::digest(format!("{}-{}", time.text(), node.size));
        let mut etag = String::with_capacity(34);
        etag.push('"');
        for byte in digest {
            etag.push_str(&format!("{byte:02x}"));
        }
        etag.push('"');
        Ok(HeaderFields::from_vec(vec![
            (header::CONTENT_TYPE, self.types.of(&node.name.to_string_lossy())),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (header::CONTENT_LENGTH, node.size.into()),
            (header::LAST_MODIFIED, modified),
            (header::ETAG, value(etag)),
        ]))
    }

    /// `StaticFiles.file_response`, and the call of what it returns.
    fn file(&self, node: &Node, wanted: &Wanted, patience: Patience) -> Result<Response, Other> {
        let headers = self.headers(node)?;
        let [.., (_, modified), (_, etag)] = &headers[..] else { return Err(Other::Doubt) };
        if wanted.is_not_modified(etag, modified)? {
            return Ok(Response::new(StatusCode::NOT_MODIFIED).with_header(header::ETAG, etag.clone()));
        }
        let extent = match &wanted.range {
            Some(range) if wanted.uses_range(etag, modified) => {
                match as_starlette(range.as_bytes(), node.size) {
                    Asked::Whole => Extent::Whole(StatusCode::OK),
                    Asked::One(range) => Extent::Range(range),
                    Asked::Many(ranges) => Extent::Ranges(ranges),
                    Asked::Malformed(why) => {
                        return Ok(plain_text(StatusCode::BAD_REQUEST, HeaderFields::new(), why.to_owned()));
                    }
                    Asked::Unsatisfiable => {
                        let mut headers = HeaderFields::new();
                        headers.push((header::CONTENT_RANGE, value(format!("bytes */{}", node.size))));
                        return Ok(plain_text(StatusCode::RANGE_NOT_SATISFIABLE, headers, String::new()));
                    }
                    Asked::Doubtful => return Err(Other::Doubt),
                }
            }
            _ => Extent::Whole(StatusCode::OK),
        };
        match self.source(wanted, patience).respond(node, headers, extent) {
            // Starlette finds out when it has sent the head.
            Err(Miss::Denied) => Err(Other::Doubt),
            other => Ok(other?),
        }
    }
}

impl Wanted {
    /// `StaticFiles.is_not_modified`.
    fn is_not_modified(&self, etag: &HeaderValue, modified: &HeaderValue) -> Result<bool, Other> {
        if let Some(tags) = self.if_none_match.as_ref().filter(|tags| !tags.is_empty()) {
            let tags = tags.as_bytes();
            if strip(tags) == b"*" {
                return Ok(true);
            }
            let tags = tags.split(|byte| *byte == b',').map(strip);
            return Ok(tags
                .map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag))
                .any(|tag| tag == etag.as_bytes()));
        }
        let Some(since) = &self.if_modified_since else { return Ok(false) };
        let since = fixed_form(since.as_bytes()).ok_or(Other::Doubt)?;
        Ok(fixed_form(modified.as_bytes()).is_some_and(|modified| since >= modified))
    }

    /// `FileResponse._should_use_range`.
    fn uses_range(&self, etag: &HeaderValue, modified: &HeaderValue) -> bool {
        self.if_range.as_ref().is_none_or(|validator| {
            !validator.as_bytes().starts_with(b"W/") && (validator == modified || validator == etag)
        })
    }
}

impl Site for StaticFiles {
    type Wanted = Wanted;

    fn read(&self, request: &mut Request) -> Verdict<Wanted> {
        // Python's patterns see an end of the path before a newline at its end.
        let path =
            request.param_count().checked_sub(1).and_then(|last| request.param(last)).unwrap_or_default();
        if request.path().contains('\n') || path.len() > LONGEST {
            return Verdict::Python;
        }
        let name = Relative::of(path);
        if request.has_unread_body() {
            return Verdict::Python;
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            if !self.checked.load(Ordering::Relaxed) {
                // It may be that the folder is not there, which comes first.
                return Verdict::Python;
            }
            return match self.error(StatusCode::METHOD_NOT_ALLOWED) {
                Ok(refusal) => {
                    Verdict::Answer(refusal.with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD")))
                }
                Err(_) => Verdict::Python,
            };
        }
        let slash = request.path().ends_with('/');
        let wanted = |name: &str| request.header(name).cloned();
        Verdict::Look(Wanted {
            head_only: *request.method() == Method::HEAD,
            with_slash: if self.options.html && self.options.knows_scheme && !slash {
                with_slash(request, &self.options.root_path)
            } else {
                None
            },
            slash,
            if_none_match: wanted("if-none-match"),
            if_modified_since: wanted("if-modified-since"),
            range: wanted("range"),
            if_range: wanted("if-range"),
            name,
        })
    }

    fn decide(&self, wanted: &Wanted, patience: Patience) -> Verdict<()> {
        for _ in 0..TRIES {
            return match self.respond(wanted, patience) {
                Ok(response) => Verdict::Answer(response),
                Err(Other::Miss(Miss::Changed)) => continue,
                Err(Other::Miss(Miss::NotNow)) => Verdict::Look(()),
                Err(Other::Miss(Miss::Exhausted)) => Verdict::Answer(overloaded()),
                Err(Other::Miss(_) | Other::Doubt) => Verdict::Python,
            };
        }
        Verdict::Python
    }

    fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    fn describe(&self) -> String {
        let shown = |root: &Root| root.directory().display().to_string();
        format!("files of {}", self.roots.iter().map(shown).collect::<Vec<_>>().join(", "))
    }
}

/// The URL of a request with a slash behind its path, where that is beyond doubt.
fn with_slash(request: &Request, root_path: &str) -> Option<String> {
    let mut url = Url::of(&Arriving { request, root_path });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.~-".contains(&byte);
    if !url.path.bytes().all(is_plain) || url.path.starts_with("//") || url.netloc.is_none() {
        return None;
    }
    url.path.push('/');
    Some(url.to_string())
}
