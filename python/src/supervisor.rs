//! Worker processes, as Python sees them: the supervisor that starts them, and a worker's end of the line.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bimetal_runtime::http::Address;
use bimetal_runtime::limit::Set;
use bimetal_runtime::supervisor::{
    Config, Handle, Launcher, Link, MaxMemory, Overview, Signal, Start, Supervisor as Workers,
};
use bimetal_runtime::{probes, Config as ServerConfig, Listener, Running};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::breadcrumb;
use crate::engine::{host_of, port_of};
use crate::errors::{from_runtime, BimetalError, BindError};
use crate::limit_memory;
use crate::settings::seconds;

/// What a worker finds in its environment: `PARENT:LISTENER:LINK:MEMORY:LIMITS:FIRST`, process, four descriptors, and 0 or 1.
const VARIABLE: &str = "BIMETAL_WORKER";

/// What a worker that has lost its supervisor gets beyond its drain timeout.
const GRACE: Duration = Duration::from_millis(1500);

/// Keeps worker processes that share a listening socket.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct Supervisor {
    workers: Mutex<Option<Workers<Program>>>,
    handle: Handle,
    address: Address,
    /// The probes of all workers.
    admin: Mutex<Option<Running>>,
    admin_address: Option<SocketAddr>,
}

#[pymethods]
impl Supervisor {
    /// Binds the address, or takes the socket `fd`. Workers run `command`.
    #[new]
    #[pyo3(signature = (
        command, *, host, port, uds = None, fd = None, workers, drain_timeout, heartbeat_timeout, startup_timeout,
        max_memory = None, max_memory_jitter = 0, wait_for_changes, admin = None,
        dashboard = false
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python's keywords")]
    fn new(
        command: Vec<OsString>,
        host: String,
        port: u16,
        uds: Option<PathBuf>,
        fd: Option<RawFd>,
        workers: usize,
        drain_timeout: f64,
        heartbeat_timeout: f64,
        startup_timeout: f64,
        max_memory: Option<u64>,
        max_memory_jitter: u64,
        wait_for_changes: bool,
        admin: Option<(String, u16)>,
        dashboard: bool,
    ) -> PyResult<Self> {
        let listener = match fd {
            Some(fd) => given(fd)?,
            None => Listener::bind(&ServerConfig { host, port, uds, ..ServerConfig::default() })
                .map_err(|error| from_runtime(&error))?,
        };
        let address = listener.address().clone();
        let limits = limit_memory::memory()
            .map_err(|error| BimetalError::new_err(format!("cannot make memory for rate limits: {error}")))?;
        let program = Program { command, listener: Some(listener), limits };
        let config = Config {
            workers,
            drain_timeout: seconds("drain_timeout", drain_timeout)?,
            heartbeat_timeout: seconds("heartbeat_timeout", heartbeat_timeout)?,
            startup_timeout: seconds("startup_timeout", startup_timeout)?,
            max_memory: max_memory.map(|bytes| MaxMemory { bytes, jitter: max_memory_jitter }),
            wait_for_changes,
        };
        let workers = Workers::new(config, program).map_err(|error| from_runtime(&error))?;
        let handle = workers.handle();
        let admin = admin
            .map(|(host, port)| {
                let source: Arc<dyn probes::Source> = Arc::new(Overview::new(handle.clone()));
                probes::serve(host, port, &source, dashboard)
            })
            .transpose()
            .map_err(|error| from_runtime(&error))?;
        let admin_address = admin.as_ref().map(Running::local_addr);
        let workers = Mutex::new(Some(workers));
        Ok(Supervisor { handle, workers, address, admin: Mutex::new(admin), admin_address })
    }

    /// The bound address, or the path of the Unix socket.
    #[getter]
    fn host(&self) -> String {
        host_of(&self.address)
    }

    /// The bound port; 0 for a Unix socket.
    #[getter]
    fn port(&self) -> u16 {
        port_of(&self.address)
    }

    /// Where the probes of all workers are served; None where they are not.
    #[getter]
    fn admin(&self) -> Option<(String, u16)> {
        self.admin_address.map(|address| (address.ip().to_string(), address.port()))
    }

    /// Keeps the workers until SIGINT or SIGTERM, without the interpreter.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let workers =
            self.workers.lock().take().ok_or_else(|| PyRuntimeError::new_err("run() comes once"))?;
        let outcome = py.detach(|| {
            let outcome = workers.run();
            drop(self.admin.lock().take());
            outcome
        });
        outcome.map_err(|error| from_runtime(&error))
    }

    /// Starts new workers; the old ones are drained when those serve.
    fn replace(&self) {
        self.handle.replace();
    }

    /// Stops, as SIGTERM does.
    fn stop(&self) {
        self.handle.stop();
    }
}

/// The program of the workers.
struct Program {
    command: Vec<OsString>,
    /// Its file, where it has one, is removed with it.
    listener: Option<Listener>,
    /// What all workers count their clients in.
    limits: File,
}

impl Launcher for Program {
    fn command(&mut self, start: Start) -> Command {
        let listener = self.listener.as_ref().map_or(-1, Listener::as_raw_fd);
        let (link, memory, limits) = (start.link, start.memory, self.limits.as_raw_fd());
        let mut command = Command::new(self.command.first().map_or("python3".as_ref(), OsString::as_os_str));
        command.args(self.command.iter().skip(1));
        let first = u8::from(start.first);
        let left = format!("{}:{listener}:{link}:{memory}:{limits}:{first}", process::id());
        command.env(VARIABLE, left);
        // SAFETY: what runs between fork and exec calls fcntl and signal only, which are async-signal-safe, and
        // allocates nothing. The descriptors are open in the supervisor, and so in its child.
        unsafe {
            command.pre_exec(move || {
                inherit(listener)?;
                inherit(link)?;
                inherit(memory)?;
                inherit(limits)?;
                // A terminal sends these to all of its processes; the workers are told by the supervisor.
                libc::signal(libc::SIGINT, libc::SIG_IGN);
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                Ok(())
            });
        }
        command
    }

    fn memory(&mut self) -> io::Result<File> {
        breadcrumb::memory()
    }

    fn signal(&self, pid: u32, signal: Signal) {
        let signal = match signal {
            Signal::Terminate => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
        };
        send(pid, signal);
    }

    fn stopping(&mut self) {
        self.listener = None;
    }
}

fn send(pid: u32, signal: i32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: kill has no conditions. The process is this one, or a child that has not been waited for.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Leaves a descriptor open in the program that is started.
fn inherit(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with F_SETFD takes an integer and touches no memory.
    match unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes a descriptor that this process has inherited and nothing else in it uses.
fn take(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD takes an integer and touches no memory; it fails for what is not open.
    match unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it is open, and was made for this process, which takes it once: by the supervisor, and the variable that
        // names it is gone; or by whoever has named it on the command line or to `Server`, whose promise that is.
        _ => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}

/// The socket that whoever has started this process has left open for it as `fd`.
pub(crate) fn given(fd: RawFd) -> PyResult<Listener> {
    let taken = if fd > 2 { take(fd) } else { Err(io::ErrorKind::InvalidInput.into()) };
    let socket = taken.map_err(|error| {
        BindError::new_err(format!(
            "cannot listen on the file descriptor {fd}: {error} (it has to be a socket that this process has been given)"
        ))
    })?;
    Listener::from_socket(socket).map_err(|error| from_runtime(&error))
}

/// A worker's line to its supervisor, and the socket it has inherited.
#[pyclass(frozen, module = "bimetal._core")]
pub(crate) struct WorkerLink {
    link: Link,
    listener: Mutex<Option<OwnedFd>>,
    limits: &'static [Set],
    first: bool,
}

#[pymethods]
impl WorkerLink {
    /// The environment variable by which a supervisor tells a worker what it has inherited.
    #[classattr]
    const VARIABLE: &'static str = VARIABLE;

    /// Takes what a supervisor has left to this process; None where `value` is another process's.
    ///
    /// The process ends when the supervisor does: as by SIGTERM, and by force when that takes longer than
    /// `drain_timeout`.
    #[staticmethod]
    fn take(value: &str, drain_timeout: f64) -> PyResult<Option<Self>> {
        let limit = seconds("drain_timeout", drain_timeout)? + GRACE;
        let broken =
            || BimetalError::new_err(format!("{VARIABLE}={value:?} is not what a supervisor leaves"));
        let numbers: Vec<i32> =
            value.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| broken())?;
        let [parent, listener, link, memory, limits, first] = numbers[..] else { return Err(broken()) };
        if u32::try_from(parent) != Ok(std::os::unix::process::parent_id()) {
            return Ok(None);
        }
        let failed =
            |error| BimetalError::new_err(format!("what the supervisor has left cannot be taken: {error}"));
        take(memory).and_then(breadcrumb::leave_in).map_err(failed)?;
        let limits = take(limits).and_then(limit_memory::map).map_err(failed)?;
        let listener = take(listener).map_err(failed)?;
        let stream = UnixStream::from(take(link).map_err(failed)?);
        let link = Link::new(stream, move || {
            tracing::error!(target: "bimetal::supervisor", "the supervisor is gone; this worker ends");
            send(process::id(), libc::SIGTERM);
            thread::sleep(limit);
            send(process::id(), libc::SIGKILL);
        })
        .map_err(failed)?;
        Ok(Some(WorkerLink { link, listener: Mutex::new(Some(listener)), limits, first: first != 0 }))
    }

    /// Whether no worker of the supervisor has served before.
    #[getter]
    fn first(&self) -> bool {
        self.first
    }

    /// The worker does not serve yet, and does this next: a participle and its object.
    fn stage(&self, what: &str) {
        self.link.stage(what);
    }

    /// The worker accepts connections.
    fn serves(&self) {
        self.link.serves();
    }

    /// Asks for another worker, which takes this one's place.
    fn ask_to_leave(&self) {
        self.link.ask_to_leave();
    }
}

impl WorkerLink {
    /// The line itself.
    pub(crate) fn link(&self) -> Link {
        self.link.clone()
    }

    /// Memory that all workers of the supervisor have.
    pub(crate) fn limits(&self) -> &'static [Set] {
        self.limits
    }

    /// The listening socket, for one server.
    pub(crate) fn listener(&self) -> PyResult<Listener> {
        let socket = self.listener.lock().take();
        let socket = socket.ok_or_else(|| PyRuntimeError::new_err("the worker's socket has been taken"))?;
        Listener::from_socket(socket).map_err(|error| from_runtime(&error))
    }
}
