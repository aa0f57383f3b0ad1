//! Which handler answers a path and method.
//!
//! [`RouteTable`] gives Starlette's answer: the first route, in order of registration, that matches the
//! decoded path and the method. It finds it without trying the routes one by one.

mod methods;
mod params;
mod pattern;
mod span;
mod table;
mod tree;

use std::sync::Arc;

use crate::edge::Edge;
use crate::http::Method;
use crate::lane::{BodyMode, Handler, LaneKind};
use crate::Error;
use methods::Methods;

pub use params::Params;

/// One entry of a [`RouteTable`].
pub struct Route {
    /// The pattern, in Starlette's syntax: `/users/{id}`, `/files/{path:path}`, `/n/{i:int}`.
    pub pattern: String,
    /// The methods it answers; empty: all of them.
    pub methods: Vec<Method>,
    /// The lane it runs on, for tables, logs and counters.
    pub lane: LaneKind,
    /// How it wants the body.
    pub body: BodyMode,
    /// The handler.
    pub handler: Arc<dyn Handler>,
}

impl Route {
    fn answers(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }
}

/// All routes of a server, in order of registration: the first that matches path and method answers, as in
/// Starlette.
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    /// The methods of each of them.
    methods: Arc<[Methods]>,
    fallback: Option<Arc<Route>>,
    index: Arc<table::Index>,
    edge: Option<Arc<Edge>>,
    /// The largest body of each route that has a limit of its own; empty where none has.
    body_limits: Arc<[Option<usize>]>,
}

/// What a [`RouteTable`] says about a path and method.
pub enum Lookup<'a> {
    /// The route at this place of [`RouteTable::routes`] answers.
    Route(usize, Params),
    /// The fallback answers.
    Fallback(&'a Arc<Route>),
    /// Routes match the path but not the method; these methods would do.
    MethodNotAllowed(Vec<&'a Method>),
    /// No route matches the path.
    NotFound,
}

impl RouteTable {
    /// A table of `routes`. What no route answers goes to `fallback`; without one the answer is 404, or 405
    /// with `Allow` where the path matches but not the method. WebSocket handshakes go to `fallback` always;
    /// without one they are routed like any other request.
    ///
    /// An error of kind `Route` names the pattern that cannot be read and says what is wrong with it.
    pub fn new(routes: Vec<Route>, fallback: Option<Route>) -> Result<RouteTable, Error> {
        let index = table::Index::new(routes.iter().map(|route| route.pattern.as_str()))?;
        let methods = routes.iter().map(|route| Methods::of(&route.methods)).collect();
        let routes = routes.into_iter().map(Arc::new).collect();
        Ok(RouteTable {
            routes,
            methods,
            fallback: fallback.map(Arc::new),
            index: Arc::new(index),
            edge: None,
            body_limits: Arc::default(),
        })
    }

    /// The same table behind an edge, which every request passes before it is routed, and every response after.
    pub fn with_edge(mut self, edge: Edge) -> RouteTable {
        self.edge = (!edge.is_empty()).then(|| Arc::new(edge));
        self
    }

    /// The same table with limits of their own for the bodies of some routes, larger or smaller than
    /// [`Config::max_body_size`](crate::Config::max_body_size): pairs of a route's place in [`RouteTable::routes`] and bytes.
    ///
    /// # Panics
    ///
    /// If there is no route at one of the places.
    pub fn with_body_limits(mut self, limits: impl IntoIterator<Item = (usize, usize)>) -> RouteTable {
        let mut limits = limits.into_iter().peekable();
        if limits.peek().is_some() {
            let mut listed = vec![None; self.routes.len()];
            for (place, limit) in limits {
                listed[place] = Some(limit);
            }
            self.body_limits = listed.into();
        }
        self
    }

    /// The same table with another handler, and the way it wants the body, for each route where `replace` gives one. It is
    /// called with each route's place in [`RouteTable::routes`]; patterns and methods stay.
    pub fn with_handlers(
        &self,
        mut replace: impl FnMut(usize, &Route) -> Option<(BodyMode, Arc<dyn Handler>)>,
    ) -> RouteTable {
        let renewed = |(place, route): (usize, &Arc<Route>)| match replace(place, route) {
            None => Arc::clone(route),
            Some((body, handler)) => Arc::new(Route {
                pattern: route.pattern.clone(),
                methods: route.methods.clone(),
                lane: route.lane,
                body,
                handler,
            }),
        };
        RouteTable {
            routes: self.routes.iter().enumerate().map(renewed).collect(),
            methods: Arc::clone(&self.methods),
            fallback: self.fallback.clone(),
            index: Arc::clone(&self.index),
            edge: self.edge.clone(),
            body_limits: Arc::clone(&self.body_limits),
        }
    }

    /// What requests pass before they are routed.
    pub fn edge(&self) -> Option<&Arc<Edge>> {
        self.edge.as_ref()
    }

    /// The routes in order of registration, without the fallback.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The largest body of the route at this place of [`RouteTable::routes`], where that is not the server's limit.
    pub fn body_limit(&self, place: usize) -> Option<usize> {
        self.body_limits.get(place).copied().flatten()
    }

    /// Whether any route has a limit of its own.
    pub fn limits_bodies(&self) -> bool {
        !self.body_limits.is_empty()
    }

    /// What answers what no route does.
    pub fn fallback(&self) -> Option<&Arc<Route>> {
        self.fallback.as_ref()
    }

    /// Which route answers `method` on the decoded `path`.
    pub fn lookup(&self, method: &Method, path: &str) -> Lookup<'_> {
        let wanted = Methods::one(method);
        let mut params = Params::default();
        let mut any = false;
        let found = self.index.first(path, &mut params, |index| {
            any = true;
            self.methods[index].meets(wanted) && (!wanted.is_others() || self.answers(index, method))
        });
        if let Some(index) = found {
            return Lookup::Route(index, params);
        }
        if let Some(fallback) = &self.fallback {
            return Lookup::Fallback(fallback);
        }
        if !any {
            return Lookup::NotFound;
        }
        let mut allowed: Vec<&Method> = Vec::new();
        let _ = self.index.first(path, &mut Params::default(), |index| {
            for method in &self.routes[index].methods {
                if !allowed.contains(&method) {
                    allowed.push(method);
                }
            }
            false
        });
        Lookup::MethodNotAllowed(allowed)
    }

    /// Whether a route that answers some method without a bit of its own answers this one.
    #[cold]
    fn answers(&self, index: usize, method: &Method) -> bool {
        self.routes[index].answers(method)
    }
}
