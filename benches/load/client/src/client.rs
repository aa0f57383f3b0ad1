//! The connections, and the two ways to use them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::connection::{Connection, Progress};
use crate::tally::Tally;

/// Nearer than this the next event is not waited for but looked for: a wait would end late by as much as a request takes.
const SPIN: Duration = Duration::from_millis(2);
/// For the connections to stand before the first request is due.
const SETTLE: Duration = Duration::from_millis(100);

/// Sends the same request again and again.
pub struct Client {
    address: SocketAddr,
    request: Rc<[u8]>,
    timeout: Duration,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    /// Connections without a request, the one that has been so for longest first.
    free: VecDeque<usize>,
    /// Connection, request and when it is given up, in the order in which they were sent. Also of what was answered since.
    deadlines: VecDeque<(usize, u64, Instant)>,
    next: u64,
    on_the_way: u64,
    tally: Tally,
}

/// What a connection became.
enum Freed {
    Answered(usize),
    Lost(usize),
}

impl Client {
    pub fn new(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<Client> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        Ok(Client {
            address,
            request: request.into_bytes().into(),
            timeout,
            poll: Poll::new()?,
            connections: Vec::new(),
            free: VecDeque::new(),
            deadlines: VecDeque::new(),
            next: 0,
            on_the_way: 0,
            tally: Tally::new(timeout),
        })
    }

    /// `rate` requests a second for `seconds`, whatever becomes of them: each has a connection that waits for nothing
    /// else, and its latency counts from the moment it was due.
    pub fn open_loop(mut self, rate: f64, seconds: f64, connections: usize) -> io::Result<Tally> {
        for _ in 0..connections {
            let place = self.connect()?;
            self.free.push_back(place);
        }
        let start = Instant::now() + SETTLE;
        let total = (rate * seconds).round() as u64;
        let due = |number: u64| start + Duration::from_secs_f64(number as f64 / rate);
        while self.next < total || self.on_the_way > 0 {
            while self.next < total && due(self.next) <= Instant::now() {
                let place = match self.free.pop_front() {
                    Some(place) => place,
                    None => self.connect()?,
                };
                if let Some(freed) = self.send(place, due(self.next)) {
                    self.release(&freed);
                }
            }
            self.expire();
            let next = (self.next < total).then(|| due(self.next));
            for freed in self.wait(next, true)? {
                self.release(&freed);
            }
        }
        Ok(self.tally)
    }

    /// `connections` with a request each, the next one as soon as it is answered, for `seconds`. One that fails is not
    /// opened again; one whose request is given up is.
    pub fn closed_loop(mut self, seconds: f64, connections: usize) -> io::Result<Tally> {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut ready: VecDeque<usize> = VecDeque::new();
        for _ in 0..connections {
            ready.push_back(self.connect()?);
        }
        while Instant::now() < end {
            while let Some(place) = ready.pop_front() {
                match self.send(place, Instant::now()) {
                    Some(Freed::Answered(place)) => ready.push_back(place),
                    Some(Freed::Lost(_)) | None => {}
                }
            }
            for _ in 0..self.expire() {
                ready.push_back(self.connect()?);
            }
            for freed in self.wait(Some(end), false)? {
                if let Freed::Answered(place) = freed {
                    ready.push_back(place);
                }
            }
        }
        self.tally.unfinished(self.on_the_way);
        Ok(self.tally)
    }

    fn connect(&mut self) -> io::Result<usize> {
        let place = self.connections.iter().position(Option::is_none).unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let request = Rc::clone(&self.request);
        let connection = Connection::open(self.address, request, self.poll.registry(), Token(place))?;
        self.connections[place] = Some(connection);
        Ok(place)
    }

    fn send(&mut self, place: usize, due: Instant) -> Option<Freed> {
        let number = self.next;
        self.next += 1;
        self.on_the_way += 1;
        self.tally.sent(due.elapsed());
        self.deadlines.push_back((place, number, due + self.timeout));
        let progress = self.connections[place].as_mut()?.send(due, number);
        self.settle(place, progress)
    }

    /// Takes note of what `progress` says about a connection's request.
    fn settle(&mut self, place: usize, progress: io::Result<Progress>) -> Option<Freed> {
        match progress {
            Ok(Progress::Same) => None,
            Ok(Progress::Answered(due)) => {
                self.on_the_way -= 1;
                self.tally.answered(due.elapsed());
                Some(Freed::Answered(place))
            }
            Ok(Progress::Refused(due, retry_after)) => {
                self.on_the_way -= 1;
                self.tally.refused(due.elapsed(), retry_after);
                Some(Freed::Answered(place))
            }
            Err(error) => {
                let lost = self.connections[place].take();
                if lost.and_then(|connection| connection.number()).is_some() {
                    self.on_the_way -= 1;
                    self.tally.failed(&error);
                }
                Some(Freed::Lost(place))
            }
        }
    }

    fn release(&mut self, freed: &Freed) {
        match *freed {
            Freed::Answered(place) => self.free.push_back(place),
            // The server may close a connection that has no request.
            Freed::Lost(place) => self.free.retain(|&other| other != place),
        }
    }

    /// Gives up what has waited for too long, with its connection. Returns how many.
    fn expire(&mut self) -> usize {
        let now = Instant::now();
        let mut given_up = 0;
        while let Some(&(place, number, until)) = self.deadlines.front() {
            let waits = self.connections[place]
                .as_ref()
                .is_some_and(|connection| connection.number() == Some(number));
            if waits && until > now {
                break;
            }
            self.deadlines.pop_front();
            if waits {
                self.connections[place] = None;
                self.on_the_way -= 1;
                self.tally.timed_out();
                given_up += 1;
            }
        }
        given_up
    }

    /// Waits until something happens, `next` has come, or a request is to be given up.
    fn wait(&mut self, next: Option<Instant>, precisely: bool) -> io::Result<Vec<Freed>> {
        let until = next.into_iter().chain(self.deadlines.front().map(|&(_, _, until)| until)).min();
        // Nothing to wait for: the last request has just been given up.
        let Some(until) = until else { return Ok(Vec::new()) };
        let left = until.saturating_duration_since(Instant::now());
        let left = if precisely { left.saturating_sub(SPIN) } else { left };
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        let mut freed = Vec::new();
        for event in &events {
            let place = event.token().0;
            if let Some(connection) = &mut self.connections[place] {
                let progress = connection.advance();
                freed.extend(self.settle(place, progress));
            }
        }
        Ok(freed)
    }
}
