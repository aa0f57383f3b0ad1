//! How a server does: what its probes say, and its figures.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bimetal_host::{Host as NativeHost, Readiness as ServerStage, ServerState};
use bimetal_runtime::cache::Store;
use bimetal_runtime::lane::Refusal;
use bimetal_runtime::metrics::exposition::{head, number, sample, single};
use bimetal_runtime::metrics::process;
use bimetal_runtime::probes::{Check, Later, Readiness, Report, Source, Stage, Thresholds};
use bimetal_runtime::spans::Dropped;
use bimetal_runtime::supervisor::{Link, State};
use bimetal_runtime::ServerHandle;
use parking_lot::Mutex;
use pyo3::prelude::*;
use tokio::sync::Notify;

use crate::event_loop::{LoopPort, LoopSide, LoopTask};
use crate::lanes::Lanes;
use crate::limits::RateLimits;
use crate::log;

/// How often the event loop is asked to show up, where it has been in time.
const PACE: Duration = Duration::from_secs(1);

/// How long a supervisor may take to add up the figures of its workers.
const PATIENCE: Duration = Duration::from_secs(2);

/// How late the event loop is: a task is posted like any other, at most once a second and only when somebody asks, and says when its
/// turn has come.
pub(crate) struct Pulse {
    beat: Mutex<Beat>,
    answered: Notify,
}

struct Beat {
    /// When the task was posted that has not had its turn.
    asked: Option<Instant>,
    /// When the last one had its turn, and how late that was.
    last: Option<(Instant, Duration)>,
}

impl Pulse {
    fn new() -> Arc<Pulse> {
        Arc::new(Pulse { beat: Mutex::new(Beat { asked: None, last: None }), answered: Notify::new() })
    }

    /// Asks the loop to show up, unless it is asked already or has just done so in time.
    fn ask(self: &Arc<Self>, port: &LoopPort, late: Duration) {
        let now = Instant::now();
        {
            let mut beat = self.beat.lock();
            let is_fresh =
                |(at, lag): (Instant, Duration)| now.saturating_duration_since(at) < PACE && lag <= late;
            if beat.asked.is_some() || beat.last.is_some_and(is_fresh) {
                return;
            }
            beat.asked = Some(now);
        }
        port.post_anyway(Box::new(Tick(Arc::clone(self))));
    }

    /// Waits until the loop has shown up, or is later than `late`.
    async fn settled(self: Arc<Self>, late: Duration) {
        loop {
            let answered = self.answered.notified();
            let Some(asked) = self.beat.lock().asked else { return };
            let left = late.saturating_sub(asked.elapsed());
            if tokio::time::timeout(left, answered).await.is_err() {
                return;
            }
        }
    }

    fn lag(&self) -> Duration {
        let beat = self.beat.lock();
        let last = beat.last.map_or(Duration::ZERO, |(_, lag)| lag);
        beat.asked.map_or(last, |asked| asked.elapsed())
    }

    fn ended(&self, lag: Option<Duration>) {
        let mut beat = self.beat.lock();
        beat.asked = None;
        if let Some(lag) = lag {
            beat.last = Some((Instant::now(), lag));
        }
        drop(beat);
        self.answered.notify_waiters();
    }
}

/// Asks the loop to show up.
struct Tick(Arc<Pulse>);

impl LoopTask for Tick {
    fn start(self: Box<Self>, _py: Python<'_>, _side: &Arc<LoopSide>, taken: Instant) {
        let asked = self.0.beat.lock().asked;
        self.0.ended(asked.map(|asked| taken.saturating_duration_since(asked)));
    }

    fn refuse(self: Box<Self>, _why: Refusal) {
        self.0.ended(None);
    }
}

/// What is known of one server.
pub(crate) struct Vitals {
    pub(crate) stage: ServerStage,
    pub(crate) port: Arc<LoopPort>,
    pub(crate) lanes: Weak<Lanes>,
    /// Once the routes are set.
    pub(crate) host: Mutex<Option<NativeHost>>,
    pub(crate) handle: ServerHandle,
    pub(crate) thresholds: Thresholds,
    pub(crate) pulse: Arc<Pulse>,
    /// In a worker process.
    pub(crate) link: Option<Link>,
    /// Where spans are recorded.
    pub(crate) dropped_spans: Option<Dropped>,
    cache: Option<Arc<Store>>,
    /// Once the routes are set, where there are any.
    pub(crate) limits: Mutex<Option<Arc<RateLimits>>>,
    /// The routes, as a JSON array, once somebody wants to show them.
    routes: Mutex<String>,
}

impl Vitals {
    pub(crate) fn new(
        stage: ServerStage,
        lanes: &Arc<Lanes>,
        handle: ServerHandle,
        thresholds: Thresholds,
        link: Option<Link>,
        dropped_spans: Option<Dropped>,
        cache: Option<Arc<Store>>,
    ) -> Arc<Vitals> {
        Arc::new(Vitals {
            stage,
            port: Arc::clone(&lanes.port),
            lanes: Arc::downgrade(lanes),
            host: Mutex::new(None),
            handle,
            thresholds,
            pulse: Pulse::new(),
            link,
            dropped_spans,
            cache,
            limits: Mutex::new(None),
            routes: Mutex::new("[]".to_owned()),
        })
    }

    /// These are the routes, as a JSON array.
    pub(crate) fn serves(&self, routes: String) {
        if let Some(link) = &self.link {
            link.tell_routes(&routes);
        }
        *self.routes.lock() = routes;
    }

    fn stage(&self) -> Stage {
        match self.stage.get() {
            ServerState::Starting => Stage::Starting,
            ServerState::Ready => Stage::Serving,
            ServerState::Draining => Stage::Draining,
        }
    }

    /// Has the loop show up, where it runs.
    fn ask_loop(&self) {
        if self.stage() == Stage::Serving {
            self.pulse.ask(&self.port, self.thresholds.loop_lag);
        }
    }

    /// What is known now.
    pub(crate) fn report(&self) -> Report {
        let Thresholds { loop_lag, queue_age, saturation } = self.thresholds;
        let check = |name, value, threshold| Check { name, value, threshold };
        let lag = self.pulse.lag().as_secs_f64();
        let mut checks = vec![check("event_loop_lag_seconds", lag, loop_lag.as_secs_f64())];
        if let Some(lanes) = self.lanes.upgrade() {
            let demand = lanes.runners.demand();
            checks.push(check("queue_age_seconds", demand.oldest.as_secs_f64(), queue_age.as_secs_f64()));
            checks.push(check("runner_saturation", demand.saturation(), saturation));
        }
        if let Some(host) = &*self.host.lock() {
            checks.push(check("blocking_saturation", host.pool_demand().saturation(), saturation));
        }
        Report { stage: self.stage(), checks }
    }

    /// The figures of this process.
    pub(crate) fn figures(&self) -> String {
        let mut text = match &*self.host.lock() {
            Some(host) => host.metrics(&self.handle),
            None => String::new(),
        };
        // Before the loop is asked by a job of its own.
        let waiting = self.port.waiting();
        self.ask_loop();
        let report = self.report();
        let ready = f64::from(u8::from(report.is_ready()));
        single(&mut text, "bimetal_ready", "gauge", "Whether requests are welcome, as /readyz says.", ready);
        let (name, help) = ("bimetal_event_loop_lag_seconds", "How late the event loop is.");
        single(&mut text, name, "gauge", help, self.pulse.lag().as_secs_f64());
        if let Some(lanes) = self.lanes.upgrade() {
            let demand = lanes.runners.demand();
            let name = "bimetal_queue_oldest_seconds";
            let help = "How long the oldest job that waits for a runner has waited.";
            single(&mut text, name, "gauge", help, demand.oldest.as_secs_f64());
            head(&mut text, "bimetal_queue_jobs", "gauge", "Jobs that wait for the thread of their lane.");
            for (lane, waiting) in [("sync", demand.waiting), ("async", waiting)] {
                let labels = format!("lane=\"{lane}\"");
                sample(&mut text, "bimetal_queue_jobs", &labels, &number(waiting as f64));
            }
            let name = "bimetal_runner_threads_busy";
            single(&mut text, name, "gauge", "Runners that are in a handler.", demand.busy as f64);
            let (name, help) = ("bimetal_runner_threads_max", "Runners that there may be.");
            single(&mut text, name, "gauge", help, demand.max_threads as f64);
        }
        if let Some(host) = &*self.host.lock() {
            let demand = host.pool_demand();
            let (name, help) = ("bimetal_blocking_jobs", "Jobs that wait for a thread of the blocking pool.");
            single(&mut text, name, "gauge", help, demand.waiting as f64);
            let (name, help) = ("bimetal_blocking_threads_busy", "Threads of the blocking pool at work.");
            single(&mut text, name, "gauge", help, demand.busy as f64);
            let (name, help) = ("bimetal_blocking_threads_max", "Threads that the blocking pool may have.");
            single(&mut text, name, "gauge", help, demand.max_threads as f64);
        }
        let (name, help) =
            ("bimetal_access_log_dropped_total", "Lines of the access log that nobody took in time.");
        single(&mut text, name, "counter", help, log::dropped() as f64);
        if let Some(dropped) = &self.dropped_spans {
            let (name, help) = ("bimetal_spans_dropped_total", "Spans that nobody took in time.");
            single(&mut text, name, "counter", help, dropped.count() as f64);
        }
        if let Some(cache) = &self.cache {
            cache.stats().expose(&mut text);
        }
        if let Some(limits) = &*self.limits.lock() {
            limits.figures(&mut text);
        }
        process(&mut text);
        text
    }

    /// What a supervisor is told.
    pub(crate) fn tell(&self) -> (State, String, String) {
        self.ask_loop();
        let report = self.report();
        let state = match report.stage {
            Stage::Starting => State::Starting,
            Stage::Draining => State::Draining,
            Stage::Serving if report.is_ready() => State::Ready,
            Stage::Serving => State::Overloaded,
        };
        (state, report.json(), self.figures())
    }
}

/// The same, for probes to ask.
pub(crate) struct Asked(pub(crate) Arc<Vitals>);

impl Source for Asked {
    fn started(&self) -> Later<bool> {
        let started = self.0.stage() != Stage::Starting;
        Box::pin(async move { started })
    }

    fn readiness(&self) -> Later<Readiness> {
        self.0.ask_loop();
        let vitals = Arc::clone(&self.0);
        Box::pin(async move {
            if vitals.stage() == Stage::Serving {
                Arc::clone(&vitals.pulse).settled(vitals.thresholds.loop_lag).await;
            }
            Readiness::from(&vitals.report())
        })
    }

    fn metrics(&self) -> Later<Option<String>> {
        let vitals = Arc::clone(&self.0);
        Box::pin(async move {
            match &vitals.link {
                Some(link) => tokio::time::timeout(PATIENCE, link.gather()).await.ok()?.ok(),
                None => Some(vitals.figures()),
            }
        })
    }
    fn routes(&self) -> Later<Option<String>> {
        let routes = self.0.routes.lock().clone();
        Box::pin(async move { Some(routes) })
    }
}
