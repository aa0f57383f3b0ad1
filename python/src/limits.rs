//! The rate limits of a server, read from `bimetal.compile.limits`, and put before the handlers of its routes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bimetal_runtime::http::HeaderName;
use bimetal_runtime::limit::{
    Fields, Key, Limit, Limits, OnError, Rate, RedisOptions, RedisStore, Set, Store, Table,
};
use bimetal_runtime::metrics::exposition::{escape, head, number, sample, single};
use bimetal_runtime::{BodyMode, Handler};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::errors::from_runtime;
use crate::lanes::Lanes;
use crate::limit_key::{KeyFunction, KeyFunctions};
use crate::limit_memory;
use crate::plan::path_parameters;
use crate::settings::seconds;

/// The limits of one server.
pub(crate) struct RateLimits {
    limits: Arc<Limits>,
    /// For each of the application's routes, in order.
    rules: Vec<Option<Rule>>,
    /// For what no route answers.
    fallback: Option<Rule>,
    lanes: Weak<Lanes>,
}

/// A limit, before it is known which route it is for.
#[derive(Clone)]
struct Rule {
    name: String,
    scope: String,
    rate: Rate,
    by: By,
    general: bool,
}

#[derive(Clone)]
enum By {
    Client,
    Header(HeaderName),
    Function(usize),
}

impl RateLimits {
    /// Reads what Python has decided, and connects to what it names. `shared` is memory that the workers of this machine have in common. Gives
    /// the application's key functions, too.
    pub(crate) fn read(
        plan: &Bound<'_, PyAny>,
        shared: Option<&'static [Set]>,
        lanes: &Arc<Lanes>,
    ) -> PyResult<(RateLimits, KeyFunctions)> {
        let py = plan.py();
        let clients: usize = plan.getattr("max_clients")?.extract()?;
        let table = match shared.filter(|_| plan.getattr("shared").is_ok_and(|shared| shared.is_truthy().unwrap_or(false))) {
            Some(memory) => Table::shared(memory, limit_memory::clock()).ok_or_else(|| {
                PyRuntimeError::new_err(
                    "rate limits: processes of this machine cannot share memory without a lock; use store=\"process\" or a Redis",
                )
            })?,
            None => Table::new(clients),
        };
        let table = Arc::new(table);
        let redis = plan.getattr("redis")?;
        let store = if redis.is_none() {
            Store::Memory(table)
        } else {
            let options = redis_options(&redis)?;
            let store = py.detach(|| RedisStore::connect(options, table));
            Store::Redis(Arc::new(store.map_err(|error| from_runtime(&error))?))
        };
        let fields: Vec<String> = plan.getattr("fields")?.extract()?;
        let has = |name: &str| fields.iter().any(|field| field == name);
        let exempt: Vec<String> = plan.getattr("exempt")?.extract()?;
        let limits = Limits::new(store, Fields { ietf: has("ietf"), x: has("x") }, &exempt);
        let rules =
            plan.getattr("rules")?.try_iter()?.map(|rule| Rule::read(&rule?)).collect::<PyResult<_>>();
        let functions: Vec<Py<PyAny>> = plan.getattr("functions")?.extract()?;
        let read = RateLimits {
            limits: Arc::new(limits),
            rules: rules?,
            fallback: Rule::read(&plan.getattr("fallback")?)?,
            lanes: Arc::downgrade(lanes),
        };
        Ok((read, functions.into()))
    }

    /// The handler of the route at `place` behind its limit, if it has one.
    pub(crate) fn guard(
        &self,
        place: usize,
        pattern: &str,
        body: BodyMode,
        handler: Arc<dyn Handler>,
    ) -> (BodyMode, Arc<dyn Handler>) {
        self.put_before(self.rules.get(place).and_then(Option::as_ref), pattern, body, handler)
    }

    /// The handler of what no route answers, behind its limit.
    pub(crate) fn guard_fallback(
        &self,
        pattern: &str,
        body: BodyMode,
        handler: Arc<dyn Handler>,
    ) -> (BodyMode, Arc<dyn Handler>) {
        self.put_before(self.fallback.as_ref(), pattern, body, handler)
    }

    fn put_before(
        &self,
        rule: Option<&Rule>,
        pattern: &str,
        body: BodyMode,
        handler: Arc<dyn Handler>,
    ) -> (BodyMode, Arc<dyn Handler>) {
        let Some(rule) = rule else { return (body, handler) };
        let key = match &rule.by {
            By::Client => Key::Client,
            By::Header(name) => Key::Header(name.clone()),
            By::Function(number) => Key::Computed(Arc::new(KeyFunction {
                lanes: Weak::clone(&self.lanes),
                number: *number,
                names: path_parameters(pattern),
            })),
        };
        let limit = Limit {
            name: rule.name.clone(),
            scope: rule.scope.clone(),
            rate: rule.rate,
            key,
            general: rule.general,
        };
        self.limits.guard(limit, pattern, body, handler)
    }

    /// Its figures, for `/metrics`.
    pub(crate) fn figures(&self, text: &mut String) {
        let (name, help) = ("bimetal_rate_limited_total", "Requests that came too soon, by route.");
        head(text, name, "counter", help);
        for refused in self.limits.refused() {
            let labels = format!("route=\"{}\"", escape(&refused.route, true));
            sample(text, name, &labels, &number(refused.count as f64));
        }
        if let Store::Redis(redis) = self.limits.store() {
            let (name, help) =
                ("bimetal_rate_limit_store_up", "Whether the Redis of the rate limits answers.");
            single(text, name, "gauge", help, f64::from(u8::from(redis.is_up())));
            let name = "bimetal_rate_limit_unanswered_total";
            let help = "Requests that the Redis of the rate limits has not decided on.";
            single(text, name, "counter", help, redis.unanswered() as f64);
        }
    }

    /// Ends what it has running; without the interpreter.
    pub(crate) fn close(&self) {
        if let Store::Redis(redis) = self.limits.store() {
            redis.close();
        }
    }
}

impl Rule {
    fn read(rule: &Bound<'_, PyAny>) -> PyResult<Option<Rule>> {
        if rule.is_none() {
            return Ok(None);
        }
        let period: f64 = rule.getattr("period")?.extract()?;
        let rate = Rate::new(
            rule.getattr("requests")?.extract()?,
            Duration::try_from_secs_f64(period).map_err(|_| {
                PyValueError::new_err(format!("rate limit: {period} is not a time in seconds"))
            })?,
            rule.getattr("burst")?.extract()?,
        );
        let header: Option<String> = rule.getattr("header")?.extract()?;
        let function: Option<usize> = rule.getattr("function")?.extract()?;
        let by = match (header, function) {
            (Some(name), _) => By::Header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                PyValueError::new_err(format!("rate limit: {name:?} is not the name of a header field"))
            })?),
            (None, Some(number)) => By::Function(number),
            (None, None) => By::Client,
        };
        Ok(Some(Rule {
            name: rule.getattr("name")?.extract()?,
            scope: rule.getattr("scope")?.extract()?,
            rate: rate.map_err(|error| from_runtime(&error))?,
            by,
            general: rule.getattr("general")?.is_truthy()?,
        }))
    }
}

fn redis_options(redis: &Bound<'_, PyAny>) -> PyResult<RedisOptions> {
    let on_error: String = redis.getattr("on_error")?.extract()?;
    Ok(RedisOptions {
        url: redis.getattr("url")?.extract()?,
        prefix: redis.getattr("prefix")?.extract()?,
        timeout: seconds("timeout", redis.getattr("timeout")?.extract()?)?,
        on_error: if on_error == "closed" { OnError::Closed } else { OnError::Open },
        required: redis.getattr("required")?.is_truthy()?,
    })
}
