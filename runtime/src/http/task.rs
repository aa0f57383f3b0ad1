//! Tasks on the I/O worker.

use std::future::Future;

/// Runs `future` on this I/O worker, beside the request that starts it. It is dropped when the server stops.
///
/// # Panics
///
/// Outside of an I/O worker.
pub fn spawn_local(future: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(future);
}
