//! The compiled plan of a route, read from `bimetal.compile.plan`: the part for the I/O worker, and the Python part.

use std::sync::Arc;

use bimetal_runtime::http::{Method, StatusCode};
use bimetal_runtime::LaneKind;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::RouteError;

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
    pub(crate) params: Vec<ParamSpec>,
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
    /// `validate`, where the plan has one.
    pub(crate) validate: Option<Py<PyAny>>,
    pub(crate) default: DefaultValue,
}

/// The body, as the lane's thread makes it.
pub(crate) struct PyBody {
    pub(crate) validate: Py<PyAny>,
    pub(crate) default: DefaultValue,
}

/// How a result becomes bytes by a response model.
pub(crate) struct PyModel {
    pub(crate) validate: Py<PyAny>,
    pub(crate) to_json: Py<PyAny>,
    pub(crate) invalid: Py<PyAny>,
}

/// What the lane's thread knows of a compiled route.
pub(crate) struct PyRoute {
    pub(crate) handler: Py<PyAny>,
    /// The keywords of all arguments, parameters first, then the body.
    pub(crate) keywords: Py<PyTuple>,
    pub(crate) params: Vec<PyParam>,
    pub(crate) body: Option<PyBody>,
    pub(crate) status: StatusCode,
    pub(crate) model: Option<PyModel>,
    pub(crate) replay: Py<PyAny>,
}

/// A plan, read.
pub(crate) struct Plan {
    pub(crate) path: String,
    pub(crate) methods: Vec<Method>,
    pub(crate) lane: LaneKind,
    pub(crate) native: Option<String>,
    pub(crate) compiled: Option<(Arc<RequestSpec>, PyRoute)>,
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
        let compiled = match lane {
            LaneKind::Sync | LaneKind::Async => Some(compiled(plan, &path)?),
            LaneKind::Native | LaneKind::Asgi => None,
        };
        Ok(Plan { path, methods, lane, native, compiled })
    }
}

fn compiled(plan: &Bound<'_, PyAny>, path: &str) -> PyResult<(Arc<RequestSpec>, PyRoute)> {
    let py = plan.py();
    let names = path_parameters(path);
    let (mut specs, mut params, mut keywords) = (Vec::new(), Vec::new(), Vec::new());
    for param in plan.getattr("params")?.try_iter()? {
        let param = param?;
        let alias: String = param.getattr("alias")?.extract()?;
        let source: String = param.getattr("source")?.extract()?;
        let source = match source.as_str() {
            "path" => match names.iter().position(|name| *name == alias) {
                Some(index) => Source::Path(index),
                None => {
                    return Err(RouteError::new_err(format!("route {path} has no path parameter {alias:?}")))
                }
            },
            "query" => Source::Query(alias),
            "header" => Source::Header(alias.to_ascii_lowercase()),
            "cookie" => Source::Cookie(alias),
            other => {
                return Err(RouteError::new_err(format!(
                    "route {path}: parameters do not come from {other:?}"
                )))
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
                return Err(RouteError::new_err(format!(
                    "route {path}: there is no kind of parameter {other:?}"
                )))
            }
        };
        let validate = if kind == Kind::Validator { Some(needed(&param, "validate", path)?) } else { None };
        keywords.push(param.getattr("keyword")?);
        params.push(PyParam { validate, default: DefaultValue::read(&param)? });
        specs.push(ParamSpec { source, kind, required: param.getattr("required")?.is_truthy()? });
    }
    let body_plan = plan.getattr("body")?;
    let (body, body_required) = if body_plan.is_none() {
        (None, None)
    } else {
        keywords.push(body_plan.getattr("keyword")?);
        let body = PyBody {
            validate: needed(&body_plan, "validate", path)?,
            default: DefaultValue::read(&body_plan)?,
        };
        (Some(body), Some(body_plan.getattr("required")?.is_truthy()?))
    };
    let response = plan.getattr("response")?;
    let status: u16 = response.getattr("status")?.extract()?;
    let status = StatusCode::from_u16(status)
        .map_err(|_| RouteError::new_err(format!("route {path}: {status} is not an HTTP status")))?;
    let model = match optional(&response, "validate")? {
        None => None,
        Some(validate) => Some(PyModel {
            validate,
            to_json: needed(&response, "to_json", path)?,
            invalid: needed(&response, "invalid", path)?,
        }),
    };
    let route = PyRoute {
        handler: needed(plan, "handler", path)?,
        keywords: PyTuple::new(py, keywords)?.unbind(),
        params,
        body,
        status,
        model,
        replay: needed(plan, "replay", path)?,
    };
    Ok((Arc::new(RequestSpec { params: specs, body: body_required }), route))
}
