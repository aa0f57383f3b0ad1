//! The compiled plan of a route, read from `bimetal.compile.plan`: the part for the I/O worker, and the Python part.

use std::sync::Arc;

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::{BodyMode, LaneKind};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::caching::CacheSpec;
use crate::errors::RouteError;
use crate::files::FilesPlan;
use crate::imports;

/// Where a parameter stands in the request.
pub(crate) enum Source {
    /// Path parameter of this index.
    Path(usize),
    /// Query parameter of this name.
    Query(String),
    /// Header field of this name, in lower case.
    Header(String),
    /// Cookie of this name.
    Cookie(String),
}

/// How a parameter's text becomes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Str,
    Int,
    Float,
    Bool,
    /// By the plan's validator, in Python.
    Validator,
}

/// A parameter, as the I/O worker reads it.
pub(crate) struct ParamSpec {
    pub(crate) source: Source,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

/// What the I/O worker knows of a compiled route.
pub(crate) struct RequestSpec {
    /// The parameters of each step; `None` where only FastAPI's own functions can read them.
    pub(crate) steps: Vec<Option<Vec<ParamSpec>>>,
    /// The handler can be called without its operation.
    pub(crate) direct: Option<DirectSpec>,
    /// The operation starts on the event loop, not on a runner.
    pub(crate) on_loop: bool,
    pub(crate) body: BodyMode,
}

/// What a request needs to be answered by a call of the handler and nothing else.
#[derive(Clone, Copy)]
pub(crate) struct DirectSpec {
    /// Whether the handler takes the body, and whether it must be there.
    pub(crate) body: Option<bool>,
}

/// A default: a value, or a factory called for each request.
pub(crate) enum DefaultValue {
    Value(Py<PyAny>),
    Factory(Py<PyAny>),
}

impl DefaultValue {
    fn read(plan: &Bound<'_, PyAny>) -> PyResult<Self> {
        let factory = plan.getattr("default_factory")?;
        if factory.is_none() {
            return Ok(DefaultValue::Value(plan.getattr("default")?.unbind()));
        }
        Ok(DefaultValue::Factory(factory.unbind()))
    }

    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            DefaultValue::Value(value) => Ok(value.clone_ref(py)),
            DefaultValue::Factory(factory) => factory.call0(py),
        }
    }
}

/// A parameter, as the lane's thread makes it.
pub(crate) struct PyParam {
    pub(crate) keyword: Py<PyAny>,
    /// `validate`, where the plan has one.
    pub(crate) validate: Option<Py<PyAny>>,
    pub(crate) default: DefaultValue,
}

/// The body, as the lane's thread makes it.
pub(crate) struct PyBody {
    pub(crate) validate: Py<PyAny>,
    pub(crate) default: DefaultValue,
}

/// A handler that is called without its operation, with the parameters of the one step.
pub(crate) struct PyDirect {
    pub(crate) handler: Py<PyAny>,
    /// The keywords of all arguments, parameters first, then the body.
    pub(crate) keywords: Py<PyTuple>,
    pub(crate) body: Option<PyBody>,
    pub(crate) status: StatusCode,
}

/// How a result becomes bytes by a response model.
pub(crate) struct PyModel {
    pub(crate) validate: Py<PyAny>,
    pub(crate) to_json: Py<PyAny>,
    pub(crate) invalid: Py<PyAny>,
}

/// What the lane's thread knows of a compiled route.
pub(crate) struct PyRoute {
    /// The parameters of each step that can be read here.
    pub(crate) steps: Vec<Option<Vec<PyParam>>>,
    pub(crate) direct: Option<PyDirect>,
    pub(crate) model: Option<PyModel>,
    pub(crate) operation: Py<PyAny>,
}

/// A plan, read.
pub(crate) struct Plan {
    pub(crate) path: String,
    pub(crate) methods: Vec<Method>,
    pub(crate) lane: LaneKind,
    pub(crate) native: Option<String>,
    /// The share of a native route's GET requests that its Python body answers as well.
    pub(crate) shadow: Option<f64>,
    /// The status code that a native route's stub declares.
    pub(crate) status: Option<u16>,
    /// What the route asks of the response cache.
    pub(crate) cache: Option<CacheSpec>,
    /// The largest body, where the route has a limit of its own.
    pub(crate) max_body_size: Option<usize>,
    pub(crate) compiled: Option<(Arc<RequestSpec>, PyRoute)>,
    /// The files that answer.
    pub(crate) files: Option<FilesPlan>,
}

fn optional(plan: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Py<PyAny>>> {
    let value = plan.getattr(name)?;
    Ok((!value.is_none()).then(|| value.unbind()))
}

fn needed(plan: &Bound<'_, PyAny>, name: &str, path: &str) -> PyResult<Py<PyAny>> {
    optional(plan, name)?
        .ok_or_else(|| RouteError::new_err(format!("the plan of route {path} lacks `{name}`")))
}

/// The names of a pattern's parameters, in order: `/a/{b}/{c:path}` has `b` and `c`.
pub(crate) fn path_parameters(pattern: &str) -> Vec<String> {
    pattern
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(inside, _)| inside.split_once(':').map_or(inside, |(name, _)| name).to_owned())
        .collect()
}

impl Plan {
    pub(crate) fn read(plan: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path: String = plan.getattr("path")?.extract()?;
        let mut methods = Vec::new();
        for method in plan.getattr("methods")?.try_iter()? {
            let method: String = method?.extract()?;
            let parsed = Method::from_bytes(method.as_bytes()).map_err(|_| {
                RouteError::new_err(format!("route {path}: {method:?} is not an HTTP method"))
            })?;
            methods.push(parsed);
        }
        let lane: String = plan.getattr("lane")?.extract()?;
        let lane = LaneKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == lane)
            .ok_or_else(|| RouteError::new_err(format!("route {path}: there is no lane {lane:?}")))?;
        let native = plan.getattr("native")?.extract()?;
        let shadow = plan.getattr("shadow")?.extract()?;
        let status = plan.getattr("status")?.extract()?;
        let max_body_size = plan.getattr("max_body_size")?.extract()?;
        let compiled = match lane {
            LaneKind::Sync | LaneKind::Async => Some(compiled(plan, &path)?),
            LaneKind::Native | LaneKind::Asgi => None,
        };
        let cache = CacheSpec::read(plan, &path_parameters(&path))?;
        let files = plan.getattr("files")?;
        let files = if files.is_none() { None } else { Some(FilesPlan::read(&files, &path)?) };
        Ok(Plan { path, methods, lane, native, shadow, status, cache, max_body_size, compiled, files })
    }
}

fn compiled(plan: &Bound<'_, PyAny>, path: &str) -> PyResult<(Arc<RequestSpec>, PyRoute)> {
    let names = path_parameters(path);
    let (mut spec_steps, mut py_steps) = (Vec::new(), Vec::new());
    for step in plan.getattr("steps")?.try_iter()? {
        let params = step?.getattr("params")?;
        if params.is_none() {
            spec_steps.push(None);
            py_steps.push(None);
            continue;
        }
        let (mut specs, mut py_params) = (Vec::new(), Vec::new());
        for param in params.try_iter()? {
            let (spec, param) = parameter(&param?, path, &names)?;
            specs.push(spec);
            py_params.push(param);
        }
        spec_steps.push(Some(specs));
        py_steps.push(Some(py_params));
    }
    let direct_plan = plan.getattr("direct")?;
    let (direct_spec, direct) = if direct_plan.is_none() {
        (None, None)
    } else {
        let Some(Some(params)) = py_steps.first() else {
            return Err(RouteError::new_err(format!(
                "the plan of route {path} calls a handler without its step"
            )));
        };
        let (spec, direct) = direct_call(&direct_plan, path, params)?;
        (Some(spec), Some(direct))
    };
    let response = plan.getattr("response")?;
    let model = match optional(&response, "validate")? {
        None => None,
        Some(validate) => Some(PyModel {
            validate,
            to_json: needed(&response, "to_json", path)?,
            invalid: needed(&response, "invalid", path)?,
        }),
    };
    let start: String = plan.getattr("start")?.extract()?;
    let route = PyRoute { steps: py_steps, direct, model, operation: needed(plan, "operation", path)? };
    let body: String = plan.getattr("body")?.extract()?;
    let body = match body.as_str() {
        "stream" => BodyMode::Stream,
        "small" => BodyMode::BufferedUpTo(imports::SMALL_BODY.get(plan.py())?.extract()?),
        _ => BodyMode::Buffered,
    };
    let spec = RequestSpec { steps: spec_steps, direct: direct_spec, on_loop: start == "loop", body };
    Ok((Arc::new(spec), route))
}

fn parameter(param: &Bound<'_, PyAny>, path: &str, names: &[String]) -> PyResult<(ParamSpec, PyParam)> {
    let alias: String = param.getattr("alias")?.extract()?;
    let source: String = param.getattr("source")?.extract()?;
    let source = match source.as_str() {
        "path" => match names.iter().position(|name| *name == alias) {
            Some(index) => Source::Path(index),
            None => return Err(RouteError::new_err(format!("route {path} has no path parameter {alias:?}"))),
        },
        "query" => Source::Query(alias),
        "header" => Source::Header(alias.to_ascii_lowercase()),
        "cookie" => Source::Cookie(alias),
        other => {
            return Err(RouteError::new_err(format!("route {path}: parameters do not come from {other:?}")))
        }
    };
    let kind: String = param.getattr("kind")?.extract()?;
    let kind = match kind.as_str() {
        "str" => Kind::Str,
        "int" => Kind::Int,
        "float" => Kind::Float,
        "bool" => Kind::Bool,
        "validator" => Kind::Validator,
        other => {
            return Err(RouteError::new_err(format!("route {path}: there is no kind of parameter {other:?}")))
        }
    };
    let validate = if kind == Kind::Validator { Some(needed(param, "validate", path)?) } else { None };
    let spec = ParamSpec { source, kind, required: param.getattr("required")?.is_truthy()? };
    let keyword = param.getattr("keyword")?.unbind();
    Ok((spec, PyParam { keyword, validate, default: DefaultValue::read(param)? }))
}

fn direct_call(plan: &Bound<'_, PyAny>, path: &str, params: &[PyParam]) -> PyResult<(DirectSpec, PyDirect)> {
    let py = plan.py();
    let mut keywords: Vec<Py<PyAny>> = params.iter().map(|param| param.keyword.clone_ref(py)).collect();
    let body_plan = plan.getattr("body")?;
    let (body, body_required) = if body_plan.is_none() {
        (None, None)
    } else {
        keywords.push(body_plan.getattr("keyword")?.unbind());
        let body = PyBody {
            validate: needed(&body_plan, "validate", path)?,
            default: DefaultValue::read(&body_plan)?,
        };
        (Some(body), Some(body_plan.getattr("required")?.is_truthy()?))
    };
    let status: u16 = plan.getattr("status")?.extract()?;
    let status = StatusCode::from_u16(status)
        .map_err(|_| RouteError::new_err(format!("route {path}: {status} is not an HTTP status")))?;
    let direct = PyDirect {
        handler: needed(plan, "handler", path)?,
        keywords: PyTuple::new(py, keywords)?.unbind(),
        body,
        status,
    };
    Ok((DirectSpec { body: body_required }, direct))
}
