use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Builder;

use super::disk::DiskLimits;
use super::root::Miss;
use super::*;
use crate::http::{Body, Method};

/// An upper bound for what must happen anyway.
const HANG: Duration = Duration::from_secs(20);

/// What a thread is made to do.
#[derive(Clone, Copy)]
enum Then {
    Answer,
    Python,
    Panic,
    Hang,
}

/// A disk that is never in the caches.
struct Slow {
    disk: Arc<Disk>,
    then: Then,
    held: parking_lot::Mutex<mpsc::Receiver<()>>,
}

impl Site for Slow {
    type Wanted = ();

    fn read(&self, _request: &mut Request) -> Verdict<()> {
        Verdict::Look(())
    }

    fn decide(&self, _wanted: &(), patience: Patience) -> Verdict<()> {
        match (patience, self.then) {
            (Patience::Cached, _) => Verdict::Look(()),
            (_, Then::Answer) => Verdict::Answer(Response::new(StatusCode::OK)),
            (_, Then::Python) => Verdict::Python,
            (_, Then::Panic) => panic!("on purpose"),
            (_, Then::Hang) => {
                let _ = self.held.lock().recv_timeout(HANG);
                Verdict::Answer(Response::new(StatusCode::OK))
            }
        }
    }

    fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    fn describe(&self) -> String {
        "a disk".to_owned()
    }
}

struct Python;

impl Handler for Python {
    fn call(&self, request: Request) -> Answer {
        Answer::Now(Response::new(StatusCode::IM_A_TEAPOT).with_body(request.path().to_owned()))
    }
}

fn site(then: Then, limits: DiskLimits) -> (Served<Slow>, mpsc::Sender<()>) {
    let (release, held) = mpsc::channel();
    let slow = Slow { disk: Disk::new(limits), then, held: held.into() };
    (Served::new(slow, Some(Arc::new(Python))), release)
}

fn request() -> Request {
    Request::synthetic(Method::GET, "/static/a", &[], Bytes::new())
}

fn answered(answer: Answer) -> Response {
    match answer {
        Answer::Now(response) => response,
        Answer::Later(response) => {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(response)
        }
    }
}

#[test]
fn a_thread_answers_or_leaves_it_to_python() {
    for (then, status) in [
        (Then::Answer, StatusCode::OK),
        (Then::Python, StatusCode::IM_A_TEAPOT),
        (Then::Panic, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let (served, _release) = site(then, DiskLimits::default());
        let response = answered(served.call(request()));
        assert_eq!(response.status, status);
        if let (Then::Python, Body::Full(body)) = (then, response.body) {
            assert_eq!(body, "/static/a");
        }
    }
}

#[test]
fn a_disk_that_does_not_answer_is_not_waited_for_without_end() {
    let limits = DiskLimits { patience: Duration::from_millis(20), ..DiskLimits::default() };
    let (served, release) = site(Then::Hang, limits);
    assert_eq!(answered(served.call(request())).status, StatusCode::GATEWAY_TIMEOUT);
    drop(release);
}

#[test]
fn beyond_its_threads_and_its_queue_a_disk_refuses() {
    let (served, release) = site(Then::Hang, DiskLimits { threads: 1, queue: 0, ..DiskLimits::default() });
    let first = served.call(request());
    let begun = std::time::Instant::now();
    // The thread has taken the first one when nothing more is let in.
    let refused = loop {
        match served.call(request()) {
            Answer::Now(response) => break response,
            Answer::Later(_) => assert!(begun.elapsed() < HANG),
        }
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers.iter().any(|(name, _)| *name == header::RETRY_AFTER));
    drop(release);
    assert_eq!(answered(first).status, StatusCode::OK);
}

#[test]
fn files_that_are_being_sent_are_counted() {
    let disk = Disk::new(DiskLimits { open_files: 1, ..DiskLimits::default() });
    let open = || std::fs::File::open("/dev/null").unwrap().into();
    let first = disk.keep(open()).ok();
    assert_eq!(disk.keep(open()).err(), Some(Miss::Exhausted));
    drop(first);
    assert!(disk.keep(open()).is_ok());
}
