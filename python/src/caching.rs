//! The response cache as Python sees it: what a route's plan asks of it, what is counted, what is made invalid.

use std::sync::Arc;

use bimetal_runtime::cache::{CachedHandler, Policy, Store, TagPart, Target};
use bimetal_runtime::http::{HeaderName, StatusCode};
use bimetal_runtime::supervisor::Link;
use bimetal_runtime::{Handler, ServerHandle};
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{BimetalError, RouteError};
use crate::settings::seconds;

/// What a route's plan says of the cache: `bimetal.compile.plan.CachePlan`.
pub(crate) struct CacheSpec {
    policy: Policy,
    /// The route's pattern and name, as the application knows them.
    pattern: String,
    name: String,
}

impl CacheSpec {
    /// That of a route plan with path parameters of these names; `None` where it has no cache.
    pub(crate) fn read(plan: &Bound<'_, PyAny>, names: &[String]) -> PyResult<Option<CacheSpec>> {
        let plan = plan.getattr("cache")?;
        if plan.is_none() {
            return Ok(None);
        }
        let time = |name: &str| seconds(name, plan.getattr(name)?.extract()?);
        let pattern: String = plan.getattr("pattern")?.extract()?;
        let refused = |what: &str| RouteError::new_err(format!("route {pattern}: cache: {what}"));
        let vary: Vec<String> = plan.getattr("vary")?.extract()?;
        let vary = vary.iter().map(|name| {
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| refused(&format!("{name:?} is not the name of a header field")))
        });
        let statuses: Vec<u16> = plan.getattr("statuses")?.extract()?;
        let statuses = statuses.into_iter().map(|status| {
            StatusCode::from_u16(status).map_err(|_| refused(&format!("{status} is not an HTTP status")))
        });
        let tags: Vec<Vec<(bool, String)>> = plan.getattr("tags")?.extract()?;
        let part = |(is_parameter, text): (bool, String)| -> PyResult<TagPart> {
            if !is_parameter {
                return Ok(TagPart::Text(text));
            }
            let index = names.iter().position(|name| *name == text);
            index.map(TagPart::Param).ok_or_else(|| refused(&format!("the path has no parameter {text:?}")))
        };
        let tags = tags.into_iter().map(|tag| tag.into_iter().map(part).collect::<PyResult<Vec<_>>>());
        let policy = Policy {
            ttl: time("ttl")?,
            stale_while_revalidate: time("stale_while_revalidate")?,
            stale_if_error: time("stale_if_error")?,
            vary: vary.collect::<PyResult<_>>()?,
            cookies: plan.getattr("cookies")?.extract()?,
            query: plan.getattr("query")?.extract()?,
            ignore_authorization: plan.getattr("ignore_authorization")?.is_truthy()?,
            ignore_cookies: plan.getattr("ignore_cookies")?.is_truthy()?,
            honour_requests: plan.getattr("honour_requests")?.is_truthy()?,
            statuses: statuses.collect::<PyResult<_>>()?,
            max_size: plan.getattr("max_size")?.extract()?,
            wait: time("wait")?,
            tags: tags.collect::<PyResult<_>>()?,
            status_header: plan.getattr("status_header")?.is_truthy()?,
        };
        Ok(Some(CacheSpec { policy, pattern, name: plan.getattr("name")?.extract()? }))
    }
}

/// The cache of one server.
pub(crate) struct ServerCache {
    store: Option<Arc<Store>>,
    link: Option<Link>,
    /// The handlers that a reload replaces.
    replaceable: Mutex<Vec<u64>>,
}

impl ServerCache {
    /// A cache of so many bytes; none at all with 0. With `link`, other processes have one as well.
    pub(crate) fn new(capacity: u64, link: Option<Link>) -> ServerCache {
        let store = (capacity > 0).then(|| Store::new(capacity));
        if let (Some(store), Some(link)) = (&store, &link) {
            let store = Arc::clone(store);
            link.obey_by(Box::new(move |text| {
                if let Some(target) = Target::from_text(text) {
                    store.invalidate(target);
                }
            }));
        }
        ServerCache { store, link, replaceable: Mutex::default() }
    }

    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref()
    }

    /// The cache in front of a handler, where its plan has one, and its number then.
    pub(crate) fn around(
        &self,
        handler: Arc<dyn Handler>,
        spec: Option<&CacheSpec>,
        server: &ServerHandle,
    ) -> (Arc<dyn Handler>, Option<u64>) {
        let (Some(store), Some(CacheSpec { policy, pattern, name })) = (&self.store, spec) else {
            return (handler, None);
        };
        let cached = CachedHandler::new(handler, policy.clone(), store, pattern, name, Some(server.clone()));
        let number = cached.number();
        (Arc::new(cached), Some(number))
    }

    /// These handlers are replaced by the next ones; what is kept of those before can go.
    pub(crate) fn replaced_by(&self, numbers: Vec<u64>) {
        let before = std::mem::replace(&mut *self.replaceable.lock(), numbers);
        if let Some(store) = &self.store {
            before.into_iter().for_each(|number| store.forget(number));
        }
    }

    /// Makes answers invalid, here and in other processes.
    pub(crate) fn invalidate(&self, py: Python<'_>, kind: &str, text: &str) -> PyResult<()> {
        let target = match kind {
            "all" => Target::All,
            "path" => Target::Path(text),
            "pattern" => Target::Pattern(text),
            "name" => Target::Name(text),
            "tag" => Target::Tag(text),
            other => return Err(PyValueError::new_err(format!("there is no kind of target {other:?}"))),
        };
        let told = py.detach(|| {
            if let Some(store) = &self.store {
                store.invalidate(target);
            }
            self.link.as_ref().is_none_or(|link| link.invalidate(&target.to_text()))
        });
        if told {
            return Ok(());
        }
        Err(BimetalError::new_err(
            "the cache of this process is told, those of the other workers are not: their supervisor does not answer",
        ))
    }

    /// What it has counted.
    pub(crate) fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let result = PyDict::new(py);
        let routes = PyDict::new(py);
        let stats = self.store.as_ref().map(|store| py.detach(|| store.stats()));
        let figures = match &stats {
            Some(stats) => [stats.entries, stats.bytes, stats.capacity, stats.evicted],
            None => [0; 4],
        };
        for (name, figure) in ["entries", "bytes", "max_bytes", "evicted"].into_iter().zip(figures) {
            result.set_item(name, figure)?;
        }
        for route in stats.iter().flat_map(|stats| &stats.routes) {
            let counts = PyDict::new(py);
            for (name, count) in route.all() {
                counts.set_item(name, count)?;
            }
            routes.set_item(&route.pattern, counts)?;
        }
        result.set_item("routes", routes)?;
        Ok(result)
    }
}

/// The default capacity of a server's cache, in bytes.
pub(crate) const CAPACITY: u64 = 64 << 20;
