//! An I/O worker: one thread that accepts connections, serves them, and drains them when told to.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use actix_http::error::DispatchError;
use actix_service::Service;
use socket2::Socket as Listening;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{sleep, sleep_until};

use super::accept::{Accepted, Acceptor};
use super::errands;
use super::exchange::Table;
use super::handle::{Inbox, Sent};
use super::http2;
use super::opening::{self, Opened};
use super::published::{Cached, Published};
use super::served::Served;
use super::service::{self, LINGER};
use crate::breadcrumb::{self, Place};
use crate::http::{Connection, Early, Phase, Pulse, RequestIds, Socket};
use crate::metrics::{nanos, Counters};
use crate::tls::Secured;
use crate::Config;

/// What a worker is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Serve, by the routes that are published now.
    Serve,
    /// Finish what is in flight, until then.
    Drain(Instant),
    /// End now.
    Abort,
}

/// The routes that all workers of a server serve.
#[cfg(not(bimetal_loom))]
pub(super) type Routes = Arc<Published<Arc<Served>>>;
#[cfg(bimetal_loom)]
pub(super) type Routes = loom::sync::Arc<Published<Arc<Served>>>;

/// How long accepting pauses when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection is idle before its dispatcher ends, in ticks of the worker.
const TICKS_BEFORE_REST: u32 = 1;

/// Turns of the event loop in which a stopping worker learns of connections and of requests that are there
/// already.
const LAST_TURNS: usize = 4;

/// A started worker, seen from outside.
pub(super) struct WorkerThread {
    index: usize,
    thread: thread::JoinHandle<bool>,
    ended: mpsc::Receiver<()>,
}

impl WorkerThread {
    /// Starts the thread and waits until it accepts.
    pub(super) fn start(
        index: usize,
        config: Arc<Config>,
        secured: Option<Arc<Secured>>,
        routes: Routes,
        inbox: Inbox,
        socket: Listening,
        order: watch::Receiver<Order>,
    ) -> io::Result<WorkerThread> {
        let (ready, started) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name(format!("bimetal-io-{index}")).spawn({
            move || {
                // Dropped last: tells whoever waits that joining will not block.
                let _end = end;
                run(config, secured, routes, inbox, socket, order, &ready)
            }
        })?;
        match started.recv() {
            Ok(Ok(())) => Ok(WorkerThread { index, thread, ended }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("it panicked while starting")),
        }
    }

    /// Waits for the thread to end. Returns whether everything in flight finished.
    pub(super) fn join(self, deadline: Instant) -> bool {
        if self.thread.thread().id() == thread::current().id() {
            // A handler drops the server it runs on: its thread ends when the handler returns.
            return false;
        }
        let patience = deadline.saturating_duration_since(Instant::now());
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            tracing::error!(
                worker = self.index,
                "an I/O worker does not end because a handler does not return; its thread is left behind"
            );
            return false;
        }
        self.thread.join().unwrap_or(false)
    }
}

fn run(
    config: Arc<Config>,
    secured: Option<Arc<Secured>>,
    routes: Routes,
    inbox: Inbox,
    socket: Listening,
    order: watch::Receiver<Order>,
    ready: &mpsc::Sender<io::Result<()>>,
) -> bool {
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return false;
        }
    };
    let Inbox { counters, errands, seat } = inbox;
    seat.take();
    let worker = Worker::new(seat.index(), config, secured, routes, counters);
    let finished = runtime.block_on(serve(worker.clone(), errands, socket, order, ready));
    worker.pulse.stopped.set(true);
    drop(runtime);
    finished
}

/// What the tasks of one worker share.
pub(super) struct Worker {
    index: usize,
    started: Instant,
    config: Arc<Config>,
    secured: Option<Arc<Secured>>,
    routes: Cached<Arc<Served>>,
    counters: Arc<Counters>,
    request_ids: RequestIds,
    pulse: Rc<Pulse>,
    /// Where it leaves what it is calling, if anybody is to know.
    place: Option<&'static Place>,
    connections: RefCell<Vec<Option<Rc<Connection>>>>,
    vacant: RefCell<Vec<usize>>,
    /// Woken when a connection ends.
    watcher: Cell<Option<Waker>>,
}

impl Worker {
    fn new(
        index: usize,
        config: Arc<Config>,
        secured: Option<Arc<Secured>>,
        routes: Routes,
        counters: Arc<Counters>,
    ) -> Rc<Worker> {
        Rc::new(Worker {
            pulse: Pulse::new(config.trusted_proxies.clone(), config.head_limits(), config.websocket),
            index,
            started: Instant::now(),
            config,
            secured,
            routes: Cached::new(routes),
            counters,
            request_ids: RequestIds::default(),
            place: breadcrumb::place(),
            connections: RefCell::default(),
            vacant: RefCell::default(),
            watcher: Cell::new(None),
        })
    }

    /// Its number among those of its server.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Nanoseconds since its start.
    pub(super) fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// What connections are encrypted by, where they are.
    pub(super) fn secured(&self) -> Option<&Secured> {
        self.secured.as_deref()
    }

    /// The routes for a request that has just come.
    pub(super) fn table(&self) -> Table {
        self.routes.current()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn request_ids(&self) -> &RequestIds {
        &self.request_ids
    }

    pub(super) fn place(&self) -> Option<&'static Place> {
        self.place
    }

    pub(super) fn pulse(&self) -> &Rc<Pulse> {
        &self.pulse
    }

    fn open(self: &Rc<Self>, connection: Rc<Connection>) -> Open {
        self.counters.connection_opened();
        Open { _watched: self.watch(connection) }
    }

    /// Sees to it that the client of a connection, or of one stream of it, is not too slow.
    pub(super) fn watch(self: &Rc<Self>, connection: Rc<Connection>) -> Watched {
        let mut connections = self.connections.borrow_mut();
        let slot = match self.vacant.borrow_mut().pop() {
            Some(slot) => {
                connections[slot] = Some(connection);
                slot
            }
            None => {
                connections.push(Some(connection));
                connections.len() - 1
            }
        };
        Watched { worker: self.clone(), slot }
    }

    fn each_connection(&self, mut visit: impl FnMut(&Connection)) {
        self.connections.borrow().iter().flatten().for_each(|connection| visit(connection));
    }

    /// Resolves when fewer than `limit` connections are open.
    async fn fewer_than(&self, limit: usize) {
        poll_fn(|cx| {
            if self.counters.connections() < limit as u64 {
                return Poll::Ready(());
            }
            self.watcher.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// An open connection.
struct Open {
    _watched: Watched,
}

impl Drop for Open {
    fn drop(&mut self) {
        let worker = &self._watched.worker;
        worker.counters.connection_closed();
        if let Some(waker) = worker.watcher.take() {
            waker.wake();
        }
    }
}

/// The place of a connection, or of one stream of it, among those of its worker.
pub(super) struct Watched {
    worker: Rc<Worker>,
    slot: usize,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut()[self.slot] = None;
        self.worker.vacant.borrow_mut().push(self.slot);
    }
}

async fn serve(
    worker: Rc<Worker>,
    errands: tokio::sync::mpsc::Receiver<Sent>,
    socket: Listening,
    mut order: watch::Receiver<Order>,
    ready: &mpsc::Sender<io::Result<()>>,
) -> bool {
    let listener = match Acceptor::new(socket) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = ready.send(Err(error));
            return false;
        }
    };
    let http = Rc::new(service::http(&worker).await);
    let accept = |Accepted { stream, peer, local }: Accepted| {
        let connection = Connection::new(local, worker.secured.is_some(), worker.pulse.clone());
        let open = worker.open(connection.clone());
        let http = http.clone();
        if !opening::is_needed(&worker.config) {
            spawn_local(async move {
                serve_http1(&*http, &connection, stream.into(), peer).await;
                drop(open);
            });
            return;
        }
        let worker = worker.clone();
        spawn_local(async move {
            // Apart: it is large, and soon over.
            match Box::pin(opening::open(&worker, &connection, stream, peer)).await {
                Ok(Opened { stream, peer, is_http2: true }) => {
                    if let Err(error) = http2::serve(&worker, &connection, stream, peer).await {
                        tracing::debug!(?peer, %error, "connection ended");
                    }
                }
                Ok(Opened { stream, peer, is_http2: false }) => {
                    serve_http1(&*http, &connection, stream, peer).await;
                }
                Err(error) => tracing::debug!(?peer, %error, "connection not opened"),
            }
            drop(open);
        });
    };
    let wakes = Arc::clone(&worker.pulse.wakes);
    spawn_local(poll_fn(move |cx| wakes.deliver(cx)));
    spawn_local(reap_slow_clients(worker.clone()));
    spawn_local(errands::answer(worker.clone(), errands));
    let _ = ready.send(Ok(()));

    let deadline = loop {
        tokio::select! {
            biased;
            changed = order.changed() => match (changed, *order.borrow_and_update()) {
                (Ok(()), Order::Serve) => worker.routes.renew(),
                (Ok(()), Order::Drain(deadline)) => break deadline,
                (Ok(()), Order::Abort) | (Err(_), _) => return false,
            },
            accepted = accept_below(&worker, &listener) => match accepted {
                Ok(accepted) => accept(accepted),
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    };

    // Clients whose connection the kernel has completed are owed an answer to what they have sent.
    for _ in 0..LAST_TURNS {
        yield_now().await;
        while let Poll::Ready(Ok(accepted)) = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
            accept(accepted);
        }
    }
    for _ in 0..LAST_TURNS {
        yield_now().await;
    }
    drop(listener);
    let handover = deadline.min(Instant::now() + worker.config.handover);
    if handover > Instant::now() {
        worker.pulse.leaving.set(true);
        // HTTP/2 can say so at once.
        worker.each_connection(Connection::wake);
        tokio::select! {
            () = worker.fewer_than(1) => {}
            () = sleep_until(handover.into()) => {}
            () = aborted(&mut order) => return false,
        }
        for _ in 0..LAST_TURNS {
            yield_now().await;
        }
    }
    worker.pulse.draining.set(true);
    worker.each_connection(Connection::go_away);
    tokio::select! {
        () = worker.fewer_than(1) => true,
        () = sleep_until(deadline.into()) => false,
        () = aborted(&mut order) => false,
    }
}

/// Serves HTTP/1.1 on a connection until it ends, with a dispatcher for as long as it is not idle.
async fn serve_http1(
    http: &impl Service<(Socket, Option<SocketAddr>), Response = (), Error = DispatchError>,
    connection: &Rc<Connection>,
    mut stream: Early,
    peer: Option<SocketAddr>,
) {
    loop {
        // Apart: it is large, and not there while the connection is idle.
        if let Err(error) = Box::pin(http.call((Socket::new(stream, connection.clone()), peer))).await {
            tracing::debug!(?peer, %error, "connection ended");
            break;
        }
        match connection.rest().await {
            Some(idle) => stream = idle.into(),
            None => break,
        }
    }
    connection.linger(LINGER).await;
}

async fn accept_below(worker: &Worker, listener: &Acceptor) -> io::Result<Accepted> {
    worker.fewer_than(worker.config.max_connections).await;
    poll_fn(|cx| listener.poll_accept(cx)).await
}

/// Whether an error of `accept` is about the one connection only.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn aborted(order: &mut watch::Receiver<Order>) {
    while order.changed().await.is_ok() {
        if matches!(*order.borrow_and_update(), Order::Abort) {
            return;
        }
    }
}

/// Closes connections that are idle for too long, or whose client takes too long over a head, a body or the response.
/// actix-http has a deadline for the first head of a connection only, and starts a timer after each response.
async fn reap_slow_clients(worker: Rc<Worker>) {
    let Config { head_timeout, body_timeout, keep_alive, .. } = *worker.config;
    let shortest = head_timeout.min(body_timeout).min(keep_alive);
    let tick = (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let ticks = |timeout: Duration| (timeout.as_millis() / tick.as_millis()) as u32 + 1;
    let (head_ticks, body_ticks, idle_ticks) = (ticks(head_timeout), ticks(body_timeout), ticks(keep_alive));
    let rests = idle_ticks > 4 * TICKS_BEFORE_REST;
    loop {
        sleep(tick).await;
        let now = worker.pulse.tick.get().wrapping_add(1);
        worker.pulse.tick.set(now);
        worker.each_connection(|connection| {
            if connection.stalled_since().is_some_and(|since| now.wrapping_sub(since) > body_ticks) {
                connection.time_out();
                return;
            }
            match connection.phase() {
                Phase::Head(since) if now.wrapping_sub(since) > head_ticks => connection.time_head_out(),
                Phase::Body(since) if now.wrapping_sub(since) > body_ticks => connection.time_body_out(),
                Phase::Resting(since) if now.wrapping_sub(since) > idle_ticks => connection.time_out(),
                Phase::Idle(since) if now.wrapping_sub(since) > idle_ticks => connection.hang_up(),
                Phase::Idle(since) if rests && now.wrapping_sub(since) > TICKS_BEFORE_REST => {
                    connection.retire_dispatcher();
                }
                _ => {}
            }
        });
    }
}
