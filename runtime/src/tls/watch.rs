//! Sees files that change.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::files::Contents;
use super::Secured;

/// How often the files are read. They are small, and what they say decides whether they have changed: their times do not show
/// every change.
const PACE: Duration = Duration::from_secs(1);

/// A thread that takes in what changes in the files; ends when this is dropped.
pub(crate) struct Watch {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts it; `contents` are those that are in use.
    pub(crate) fn start(secured: Arc<Secured>, contents: Contents) -> io::Result<Watch> {
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("bimetal-tls".to_owned())
            .spawn(move || watch(&secured, contents, &ended))?;
        Ok(Watch { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(secured: &Secured, contents: Contents, ended: &mpsc::Receiver<()>) {
    let certificate = secured.tls.certificate.display();
    let mut known = Ok(contents);
    while ended.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
        let found = Contents::read(&secured.tls);
        // What does not work is said once.
        if found == known {
            continue;
        }
        match found.as_ref().map_err(Clone::clone).and_then(|contents| secured.renew(contents)) {
            Ok(()) => tracing::info!(%certificate, "new connections get the new certificate"),
            Err(why) => {
                tracing::error!(%certificate, "TLS files have changed and cannot be used, the old ones serve on: {why}");
            }
        }
        known = found;
    }
}
