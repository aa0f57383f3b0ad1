//! A route table as it is served: each route with the series that its requests are counted in.

use std::ops::Deref;
use std::sync::Arc;

use crate::breadcrumb::Breadcrumb;
use crate::http::Method;
use crate::metrics::{place, Series, SeriesList};
use crate::routing::{Route, RouteTable};

/// A route, and its series by method.
pub(super) struct Entry {
    route: Arc<Route>,
    series: Box<[Arc<Series>]>,
    breadcrumb: Breadcrumb,
    body_limit: Option<usize>,
}

impl Entry {
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// What is left behind while its handler is called.
    pub(super) fn breadcrumb(&self) -> Breadcrumb {
        self.breadcrumb
    }

    /// The largest body, where the route has a limit of its own.
    pub(super) fn body_limit(&self) -> Option<usize> {
        self.body_limit
    }

    /// Which of its series a request with `method` belongs to.
    pub(super) fn place(&self, method: &Method) -> u8 {
        // More methods than there are numbers share the first one's.
        u8::try_from(place(&self.route, method)).unwrap_or_default()
    }

    pub(super) fn series(&self, place: u8) -> &Series {
        &self.series[usize::from(place)]
    }
}

/// A route table and its series.
pub(super) struct Served {
    table: Arc<RouteTable>,
    /// In the order of the table's routes; then the fallback, where there is one.
    entries: Box<[Arc<Entry>]>,
}

impl Served {
    pub(super) fn new(table: Arc<RouteTable>, list: &SeriesList) -> Arc<Served> {
        let routes = || table.routes().iter().chain(table.fallback());
        let series = list.publish(routes().map(|route| &**route));
        let entry = |(place, (route, series)): (usize, (&Arc<Route>, _))| {
            let breadcrumb = Breadcrumb::named(&said(route));
            let body_limit = table.body_limit(place);
            Arc::new(Entry { route: Arc::clone(route), series, breadcrumb, body_limit })
        };
        let entries = routes().zip(series).enumerate().map(entry).collect();
        Arc::new(Served { table, entries })
    }

    pub(super) fn table(&self) -> &Arc<RouteTable> {
        &self.table
    }

    /// The route at this place of [`RouteTable::routes`].
    pub(super) fn entry(&self, index: usize) -> &Arc<Entry> {
        &self.entries[index]
    }

    /// The fallback, which the table has.
    pub(super) fn fallback_entry(&self) -> &Arc<Entry> {
        &self.entries[self.table.routes().len()]
    }
}

impl Deref for Served {
    type Target = RouteTable;

    fn deref(&self) -> &RouteTable {
        &self.table
    }
}

/// A route, for whoever looks for the one that has ended a process.
fn said(route: &Route) -> String {
    let methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
    let handler = route.handler.describe().map(|handler| format!(", {handler}")).unwrap_or_default();
    // No method: any of them.
    let pattern = format!("{} {}", methods.join(","), route.pattern);
    format!("{} ({}{handler})", pattern.trim_start(), route.lane.as_str())
}
