//! A folder of files by the rules of HTTP: conditions, ranges, variants that are packed already, pages of its names.

use std::path::PathBuf;
use std::sync::Arc;

use super::accept::{preferred, Coding};
use super::content::{value, Extent, Source};
use super::disk::Disk;
use super::listing::{self, Entry};
use super::mime::MimeTypes;
use super::path::Relative;
use super::range::{as_rfc9110, Asked};
use super::root::{Miss, Node, Patience, Root};
use super::stamp::{http_date, seconds};
use super::{failed, overloaded, Served, Site, Verdict};
use crate::edge::{redirect, Arriving, Url};
use crate::http::{header, HeaderFields, HeaderValue, Method, Request, Response, StatusCode};
use crate::lane::Handler;

/// A longer name than any file has.
const LONGEST: usize = 4096;

/// How often a file may change under the eyes of one request.
const TRIES: usize = 3;

/// What caches are told of files that never change.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// How a folder is served.
#[derive(Clone, Debug, Default)]
pub struct AssetsOptions {
    /// The folder.
    pub directory: PathBuf,
    /// Whether a folder is answered by its `index.html`, and what is missing by `404.html` of the root.
    pub html: bool,
    /// Whether a folder is answered by a page of its names.
    pub index: bool,
    /// Whether `NAME.zst`, `NAME.br` and `NAME.gz` are sent in the place of `NAME` to clients that take them.
    pub precompressed: bool,
    /// `Cache-Control` of files.
    pub cache_control: Option<HeaderValue>,
    /// Names that never change their content, with `*` for any text and `?` for a character.
    pub immutable: Vec<String>,
    /// Whether links may lead out of the folder.
    pub follow_symlinks: bool,
    /// Whether names that begin with a dot are served.
    pub dotfiles: bool,
    /// What a proxy takes away from the path of every request.
    pub root_path: String,
}

/// One folder.
///
/// ```
/// use bimetal_runtime::files::{Assets, AssetsOptions, Disk, DiskLimits, MimeTypes};
/// use bimetal_runtime::http::HeaderValue;
/// use bimetal_runtime::{BodyMode, LaneKind, Route, RouteTable};
///
/// let types = [(".css".to_owned(), HeaderValue::from_static("text/css"))].into();
/// let types = MimeTypes::new(types, Default::default(), Default::default());
/// let options = AssetsOptions { directory: "static".into(), precompressed: true, ..AssetsOptions::default() };
/// let route = Route {
///     pattern: "/assets/{path:path}".to_owned(),
///     methods: Vec::new(),
///     lane: LaneKind::Native,
///     body: BodyMode::Ignored,
///     handler: Assets::new(options, types.into(), Disk::new(DiskLimits::default())).handler(),
/// };
/// assert!(RouteTable::new(vec![route], None).is_ok());
/// ```
pub struct Assets {
    options: AssetsOptions,
    root: Root,
    types: Arc<MimeTypes>,
    disk: Arc<Disk>,
}

/// What the answer depends on.
pub(super) struct Wanted {
    name: Relative,
    head_only: bool,
    /// Whether the path ends with a slash; where it leads with one; and how the client knows it.
    slash: bool,
    with_slash: String,
    path: String,
    codings: Vec<Coding>,
    if_match: Option<HeaderValue>,
    if_unmodified_since: Option<HeaderValue>,
    if_none_match: Option<HeaderValue>,
    if_modified_since: Option<HeaderValue>,
    range: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
}

/// What the conditions of a request say.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Met,
    NotModified,
    Failed,
}

impl Assets {
    /// With files of `types`, read by `disk`.
    pub fn new(options: AssetsOptions, types: Arc<MimeTypes>, disk: Arc<Disk>) -> Assets {
        let root = Root::new(options.directory.clone(), options.follow_symlinks);
        Assets { options, root, types, disk }
    }

    /// Answers the requests of a route whose last parameter is the path below the folder.
    pub fn handler(self) -> Arc<dyn Handler> {
        Arc::new(Served::new(self, None))
    }

    fn find(&self, name: &Relative, patience: Patience) -> Result<Option<Node>, Miss> {
        match self.root.find(name, patience) {
            Ok(node) => Ok(Some(node)),
            Err(miss @ (Miss::NotNow | Miss::Exhausted | Miss::Changed)) => Err(miss),
            Err(miss @ (Miss::NoRoot | Miss::Failed(rustix::io::Errno::IO))) => {
                tracing::error!("the folder {} cannot be read: {miss:?}", self.root.directory().display());
                Ok(None)
            }
            // Whether there is something that may not be seen is nobody's business.
            Err(_) => Ok(None),
        }
    }

    fn respond(&self, wanted: &Wanted, patience: Patience) -> Result<Response, Miss> {
        let node = self.find(&wanted.name, patience)?;
        match node {
            Some(node) if node.is_file() && !wanted.slash => {
                return self.file(&wanted.name, node, wanted, patience);
            }
            Some(node) if node.is_folder() => {
                let name = wanted.name.child("index.html");
                let page = if self.options.html { self.find(&name, patience)? } else { None };
                let page = page.filter(Node::is_file);
                if (page.is_some() || self.options.index) && !wanted.slash {
                    return Ok(redirect(&wanted.with_slash));
                }
                if let Some(page) = page {
                    return self.file(&name, page, wanted, patience);
                }
                if self.options.index {
                    return self.listing(&node, wanted, patience);
                }
            }
            _ => {}
        }
        if self.options.html {
            if let Some(page) = self.find(&Relative::of("404.html"), patience)?.filter(Node::is_file) {
                let headers = self.headers("404.html", &page, None);
                return self.source(wanted, patience).respond(
                    &page,
                    headers,
                    Extent::Whole(StatusCode::NOT_FOUND),
                );
            }
        }
        Ok(not_found())
    }

    fn source(&self, wanted: &Wanted, patience: Patience) -> Source<'_> {
        Source { disk: &self.disk, patience, head_only: wanted.head_only }
    }

    fn file(
        &self,
        name: &Relative,
        plain: Node,
        wanted: &Wanted,
        patience: Patience,
    ) -> Result<Response, Miss> {
        let (mut node, mut coding) = (plain, None);
        for candidate in &wanted.codings {
            let variant = self.find(&name.with_suffix(candidate.suffix()), patience)?;
            if let Some(variant) = variant.filter(Node::is_file) {
                (node, coding) = (variant, Some(*candidate));
                break;
            }
        }
        let mut headers = self.headers(name.below(), &node, coding);
        let etag = etag(&node, coding);
        match wanted.condition(&etag, node.modified.0) {
            Condition::Met => {}
            Condition::Failed => {
                return Ok(Response::detail(StatusCode::PRECONDITION_FAILED, "Precondition Failed"));
            }
            Condition::NotModified => {
                let kept = [header::ETAG, header::CACHE_CONTROL, header::VARY, header::LAST_MODIFIED];
                headers.retain(|(name, _)| kept.contains(name));
                return Ok(Response::new(StatusCode::NOT_MODIFIED).with_headers(headers));
            }
        }
        let extent = match &wanted.range {
            Some(range) if wanted.uses_range(&etag, node.modified.0) => {
                match as_rfc9110(range.as_bytes(), node.size) {
                    Asked::One(range) => Extent::Range(range),
                    Asked::Many(ranges) => Extent::Ranges(ranges),
                    Asked::Unsatisfiable => {
                        let range = value(format!("bytes */{}", node.size));
                        return Ok(Response::detail(
                            StatusCode::RANGE_NOT_SATISFIABLE,
                            "Range Not Satisfiable",
                        )
                        .with_header(header::CONTENT_RANGE, range));
                    }
                    _ => Extent::Whole(StatusCode::OK),
                }
            }
            _ => Extent::Whole(StatusCode::OK),
        };
        match self.source(wanted, patience).respond(&node, headers, extent) {
            Err(Miss::Denied) => Ok(not_found()),
            other => other,
        }
    }

    fn headers(&self, name: &str, node: &Node, coding: Option<Coding>) -> HeaderFields {
        let mut headers = HeaderFields::from_vec(vec![
            (header::CONTENT_TYPE, self.types.of_content(name)),
            (header::CONTENT_LENGTH, node.size.into()),
            (header::ETAG, value(etag(node, coding))),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        ]);
        if let Some(date) = http_date(node.modified.0) {
            headers.push((header::LAST_MODIFIED, date));
        }
        let is_immutable =
            self.options.immutable.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()));
        if is_immutable {
            headers.push((header::CACHE_CONTROL, IMMUTABLE));
        } else if let Some(cached) = &self.options.cache_control {
            headers.push((header::CACHE_CONTROL, cached.clone()));
        }
        if self.options.precompressed {
            headers.push((header::VARY, HeaderValue::from_static("Accept-Encoding")));
        }
        if let Some(coding) = coding {
            headers.push((header::CONTENT_ENCODING, HeaderValue::from_static(coding.name())));
        }
        headers
    }

    fn listing(&self, folder: &Node, wanted: &Wanted, patience: Patience) -> Result<Response, Miss> {
        if patience == Patience::Cached {
            return Err(Miss::NotNow);
        }
        let mut names = match folder.entries(10 * listing::MOST) {
            Err(Miss::Denied) => return Ok(not_found()),
            names => names?,
        };
        names.retain(|name| (self.options.dotfiles || !name.starts_with('.')) && !name.contains(is_odd));
        names.sort();
        let is_cut = names.len() > listing::MOST;
        names.truncate(listing::MOST);
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            // Links that lead out of the folder, pipes and devices are not there for clients.
            let found = self.find(&wanted.name.child(&name), patience)?;
            if let Some(node) = found.filter(|node| node.is_file() || node.is_folder()) {
                let size = node.is_file().then_some(node.size);
                entries.push(Entry { name, size, modified: node.modified.0 });
            }
        }
        let has_parent = !wanted.name.below().is_empty();
        let page = listing::page(&wanted.path, entries, has_parent, is_cut);
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        Ok(Response::new(StatusCode::OK).with_header(header::CONTENT_TYPE, kind).with_body(page))
    }
}

impl Wanted {
    /// RFC 9110, 13.2.2.
    fn condition(&self, etag: &str, modified: i64) -> Condition {
        if let Some(tags) = &self.if_match {
            if !tags.as_bytes().trim_ascii().starts_with(b"*") && !tagged(tags, etag, false) {
                return Condition::Failed;
            }
        } else if let Some(date) = self.if_unmodified_since.as_ref().and_then(seconds) {
            if modified > date {
                return Condition::Failed;
            }
        }
        if let Some(tags) = &self.if_none_match {
            let is_known = tags.as_bytes().trim_ascii() == b"*" || tagged(tags, etag, true);
            return if is_known { Condition::NotModified } else { Condition::Met };
        }
        match self.if_modified_since.as_ref().and_then(seconds) {
            Some(date) if modified <= date => Condition::NotModified,
            _ => Condition::Met,
        }
    }

    /// RFC 9110, 13.1.5.
    fn uses_range(&self, etag: &str, modified: i64) -> bool {
        self.if_range.as_ref().is_none_or(|validator| {
            validator.as_bytes().trim_ascii() == etag.as_bytes() || seconds(validator) == Some(modified)
        })
    }
}

/// Whether `etag` is one of `tags`.
fn tagged(tags: &HeaderValue, etag: &str, weakly: bool) -> bool {
    tags.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|tag| {
        let tag = if weakly { tag.strip_prefix(b"W/").unwrap_or(tag) } else { tag };
        tag == etag.as_bytes()
    })
}

/// Of a file: when it was modified, to the nanosecond, and its size.
fn etag(node: &Node, coding: Option<Coding>) -> String {
    let (seconds, nanos) = node.modified;
    let time = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let suffix = coding.map_or("", |coding| coding.suffix()).replace('.', "-");
    format!("\"{time:x}-{:x}{suffix}\"", node.size)
}

/// What no name has that is served: control characters, and what stands for bytes that are no text.
fn is_odd(character: char) -> bool {
    character.is_control() || character == '\u{fffd}'
}

/// Whether `name` is one of `pattern`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on after an asterisk that has taken one byte more.
    let (mut at, mut from, mut retry) = (0, 0, None);
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, from));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match retry {
                Some((after, taken)) => {
                    (at, from) = (after, taken + 1);
                    retry = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

fn not_found() -> Response {
    Response::detail(StatusCode::NOT_FOUND, "Not Found")
}

impl Site for Assets {
    type Wanted = Wanted;

    fn read(&self, request: &mut Request) -> Verdict<Wanted> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let refusal = Response::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            return Verdict::Answer(
                refusal.with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            );
        }
        let path =
            request.param_count().checked_sub(1).and_then(|last| request.param(last)).unwrap_or_default();
        if path.len() > LONGEST || path.contains(is_odd) || path.split('/').any(|segment| segment == "..") {
            return Verdict::Answer(not_found());
        }
        let name = Relative::of(path);
        if name.is_hidden() && !self.options.dotfiles {
            return Verdict::Answer(not_found());
        }
        let wanted = |name: &str| request.header(name).cloned();
        let (slash, head_only) = (request.path().ends_with('/'), *request.method() == Method::HEAD);
        let mut url = Url::of(&Arriving { request, root_path: &self.options.root_path });
        let path = url.path.clone();
        url.path.push('/');
        Verdict::Look(Wanted {
            name,
            head_only,
            slash,
            with_slash: url.to_string(),
            path,
            codings: if self.options.precompressed {
                preferred(request.header("accept-encoding"))
            } else {
                Vec::new()
            },
            if_match: wanted("if-match"),
            if_unmodified_since: wanted("if-unmodified-since"),
            if_none_match: wanted("if-none-match"),
            if_modified_since: wanted("if-modified-since"),
            range: wanted("range"),
            if_range: wanted("if-range"),
        })
    }

    fn decide(&self, wanted: &Wanted, patience: Patience) -> Verdict<()> {
        for _ in 0..TRIES {
            return match self.respond(wanted, patience) {
                Ok(response) => Verdict::Answer(response),
                Err(Miss::Changed) => continue,
                Err(Miss::NotNow) => Verdict::Look(()),
                Err(Miss::Exhausted) => Verdict::Answer(overloaded()),
                Err(miss) => {
                    let (name, root) = (wanted.name.below(), self.root.directory().display());
                    tracing::error!("the file {name} of {root} cannot be read: {miss:?}");
                    Verdict::Answer(failed())
                }
            };
        }
        Verdict::Answer(overloaded())
    }

    fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    fn describe(&self) -> String {
        format!("files of {}", self.root.directory().display())
    }
}

#[cfg(test)]
#[path = "assets_tests.rs"]
mod tests;
