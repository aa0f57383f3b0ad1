//! The plugin's own tokio runtime, if the feature `tokio` asks for one. It cannot be shared with the host: two libraries have
//! two copies of tokio.

/// Runs `step` within the runtime, so that tokio's timers, sockets and `spawn` work in it.
#[cfg(feature = "tokio")]
pub(crate) fn within<R>(step: impl FnOnce() -> R) -> R {
    let _entered = own::current().enter();
    step()
}

/// Runs `step`.
#[cfg(not(feature = "tokio"))]
pub(crate) fn within<R>(step: impl FnOnce() -> R) -> R {
    step()
}

/// A plugin of this library, or of this program, is initialised.
pub(crate) fn acquire() {
    #[cfg(feature = "tokio")]
    own::acquire();
}

/// A plugin is retired, or was not initialised after all: with the last one the runtime's threads end.
pub(crate) fn release() {
    #[cfg(feature = "tokio")]
    own::release();
}

#[cfg(feature = "tokio")]
mod own {
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};

    /// How long tasks that do not yield, and blocking ones, may hold up the end of the runtime; then they are left behind.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// The runtime, while there is one.
    static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());
    /// How many plugins use it: several where they are linked into one program.
    static USERS: Mutex<usize> = Mutex::new(0);

    pub(super) fn acquire() {
        *USERS.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    pub(super) fn release() {
        let ended = {
            let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
            *users = users.saturating_sub(1);
            if *users > 0 {
                return;
            }
            RUNTIME.swap(ptr::null_mut(), Ordering::AcqRel)
        };
        if !ended.is_null() {
            // SAFETY: made by `current`. The host retires a plugin when nothing it has begun is left, and calls nothing of it
            // meanwhile: whoever borrowed the runtime has returned.
            unsafe { Box::from_raw(ended) }.shutdown_timeout(PATIENCE);
        }
    }

    /// The runtime, made at the first use.
    pub(super) fn current() -> &'static Runtime {
        // SAFETY: null, or made below and there until `release`, by which all who use it have returned.
        match unsafe { RUNTIME.load(Ordering::Acquire).as_ref() } {
            Some(runtime) => runtime,
            None => make(),
        }
    }

    #[cold]
    fn make() -> &'static Runtime {
        // Held so that one is made, whoever else comes.
        let _users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runtime = RUNTIME.load(Ordering::Acquire);
        if runtime.is_null() {
            let built = Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("bimetal-plugin-tokio")
                .enable_all()
                .build();
            let built =
                built.unwrap_or_else(|error| panic!("the plugin's tokio runtime cannot start: {error}"));
            runtime = Box::into_raw(Box::new(built));
            RUNTIME.store(runtime, Ordering::Release);
        }
        // SAFETY: as in `current`.
        unsafe { &*runtime }
    }
}
