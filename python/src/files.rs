//! Folders whose files the server sends, read from `bimetal.compile.files`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bimetal_runtime::files::{Assets, AssetsOptions, Disk, MimeTypes, StaticFiles, StaticFilesOptions};
use bimetal_runtime::http::HeaderValue;
use bimetal_runtime::{BodyMode, Handler};
use pyo3::prelude::*;

use crate::errors::RouteError;

/// A folder, or several, as a route.
pub(crate) struct FilesPlan {
    kind: Kind,
    types: Arc<MimeTypes>,
}

enum Kind {
    /// What a `StaticFiles` of Starlette's serves.
    Starlette(StaticFilesOptions),
    /// What `app.static` serves.
    Assets(AssetsOptions),
}

impl FilesPlan {
    /// Reads a `StaticFilesPlan` or a `FolderPlan`; `path` is the route's, for errors.
    pub(crate) fn read(plan: &Bound<'_, PyAny>, path: &str) -> PyResult<Self> {
        let types = Arc::new(types(&plan.getattr("tables")?, path)?);
        let kind = match plan.getattr_opt("folder")? {
            Some(folder) => Kind::Assets(assets(&folder, path)?),
            None => Kind::Starlette(starlette(plan)?),
        };
        Ok(FilesPlan { kind, types })
    }

    /// How the route wants a body that is sent with a request: the application's is its own business.
    pub(crate) fn body_mode(&self) -> BodyMode {
        match self.kind {
            Kind::Starlette(_) => BodyMode::Stream,
            Kind::Assets(_) => BodyMode::Ignored,
        }
    }

    /// The route's handler. `root_path` is what a proxy takes away from each path; `python` the whole application.
    pub(crate) fn handler(
        self,
        disk: &Arc<Disk>,
        root_path: &str,
        python: Arc<dyn Handler>,
    ) -> Arc<dyn Handler> {
        let (types, disk, root_path) = (self.types, Arc::clone(disk), root_path.to_owned());
        match self.kind {
            Kind::Starlette(options) => {
                StaticFiles::new(StaticFilesOptions { root_path, ..options }, types, disk).handler(python)
            }
            Kind::Assets(options) => {
                Assets::new(AssetsOptions { root_path, ..options }, types, disk).handler()
            }
        }
    }
}

fn starlette(plan: &Bound<'_, PyAny>) -> PyResult<StaticFilesOptions> {
    let flag = |name: &str| plan.getattr(name)?.extract::<bool>();
    Ok(StaticFilesOptions {
        directories: plan.getattr("directories")?.extract()?,
        html: flag("html")?,
        follow_symlink: flag("follow_symlink")?,
        checked: flag("checked")?,
        plain_errors: flag("plain_errors")?,
        knows_scheme: flag("knows_scheme")?,
        root_path: String::new(),
    })
}

fn assets(folder: &Bound<'_, PyAny>, path: &str) -> PyResult<AssetsOptions> {
    let flag = |name: &str| folder.getattr(name)?.extract::<bool>();
    let cache_control: Option<String> = folder.getattr("cache_control")?.extract()?;
    let cache_control = cache_control.map(HeaderValue::try_from).transpose().map_err(|_| {
        RouteError::new_err(format!("static files {path}: cache_control= is no value of a header field"))
    })?;
    Ok(AssetsOptions {
        directory: folder.getattr("directory")?.extract()?,
        html: flag("html")?,
        index: flag("index")?,
        precompressed: flag("precompressed")?,
        cache_control,
        immutable: folder.getattr("immutable")?.extract()?,
        follow_symlinks: flag("follow_symlinks")?,
        dotfiles: flag("dotfiles")?,
        root_path: String::new(),
    })
}

fn types(tables: &Bound<'_, PyAny>, path: &str) -> PyResult<MimeTypes> {
    let given: HashMap<String, String> = tables.getattr("types")?.extract()?;
    let mut types = HashMap::with_capacity(given.len());
    for (extension, kind) in given {
        let value = HeaderValue::try_from(kind.as_str()).map_err(|_| {
            RouteError::new_err(format!(
                "route {path}: {kind:?}, the type of {extension} files, is not a header value; see mimetypes.add_type"
            ))
        })?;
        types.insert(extension, value);
    }
    let suffixes: HashMap<String, String> = tables.getattr("suffixes")?.extract()?;
    let encodings: HashSet<String> = tables.getattr("encodings")?.extract()?;
    Ok(MimeTypes::new(types, suffixes, encodings))
}
