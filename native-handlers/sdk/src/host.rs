//! The host's table of functions, and what is done through it without a request: logging.

use std::fmt::Display;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::OnceLock;

use bimetal_abi::{BmHost, BmSlice, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN};

static HOST: AtomicPtr<BmHost> = AtomicPtr::new(ptr::null_mut());

/// The plugin this library is, if it is one.
static PLUGIN: OnceLock<&str> = OnceLock::new();

/// Names the plugin in log lines from now on.
pub(crate) fn set_plugin(name: &'static str) {
    // The same name each time: a library exports one plugin.
    let _ = PLUGIN.set(name);
}

/// The table, once `init` has passed it, with every field this crate knows: functions that an older host lacks are absent. The host calls `init` before anything else.
pub(crate) fn table() -> Option<&'static BmHost> {
    // SAFETY: null or the host's table, which is static.
    unsafe { HOST.load(Ordering::Acquire).as_ref() }
}

/// Takes the table. That of an older host is shorter: what it lacks is absent in the copy.
///
/// # Safety
///
/// `host` is null or a table of a host of this major version.
pub(crate) unsafe fn set_table(host: *const BmHost) {
    // SAFETY: by this function's contract; every version has the size first.
    let size = if host.is_null() { 0 } else { unsafe { (&raw const (*host).size).read() as usize } };
    let table = if size == 0 || size >= size_of::<BmHost>() {
        host.cast_mut()
    } else {
        let mut copy: Box<MaybeUninit<BmHost>> = Box::new(MaybeUninit::zeroed());
        // SAFETY: so many bytes are there, fewer than the copy has. All zeroes are a valid table: numbers, null, and no function.
        Box::into_raw(unsafe {
            ptr::copy_nonoverlapping(host.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), size);
            copy.assume_init()
        })
    };
    HOST.store(table, Ordering::Release);
}

/// Log lines from handlers, written by the server in its own format.
pub mod log {
    use super::{write, Display, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN};

    /// A failure someone must look at.
    ///
    /// ```
    /// bimetal::log::error("the price list is empty");
    /// ```
    pub fn error(message: impl Display) {
        write(LOG_ERROR, &message);
    }

    /// Something that should not happen but was dealt with.
    ///
    /// ```
    /// bimetal::log::warn(format_args!("{} prices are older than a day", 3));
    /// ```
    pub fn warn(message: impl Display) {
        write(LOG_WARN, &message);
    }

    /// What an operator wants to know.
    ///
    /// ```
    /// bimetal::log::info("prices read");
    /// ```
    pub fn info(message: impl Display) {
        write(LOG_INFO, &message);
    }

    /// What a developer wants to know.
    ///
    /// ```
    /// bimetal::log::debug("nothing in the cache");
    /// ```
    pub fn debug(message: impl Display) {
        write(LOG_DEBUG, &message);
    }
}

fn write(level: u32, message: &dyn Display) {
    if let Some(log) = table().and_then(|host| host.log) {
        let message = message.to_string();
        let target = PLUGIN.get().copied().unwrap_or("static");
        // SAFETY: the host's function; both texts live through the call.
        unsafe { log(level, BmSlice::borrow_str(target), BmSlice::borrow_str(&message)) };
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, MaybeUninit};

    use bimetal_abi::BmHost;

    use super::{set_table, table};

    unsafe extern "C" fn now_ns() -> u64 {
        7
    }

    #[test]
    fn what_an_older_host_lacks_is_absent() {
        // SAFETY: all zeroes are a valid table.
        let mut host: BmHost = unsafe { MaybeUninit::zeroed().assume_init() };
        host.size = offset_of!(BmHost, now_ns) as u32;
        host.caps = 31;
        // Beyond the size a host gives, whatever is there is not the table's.
        host.now_ns = Some(now_ns);
        let host: &'static BmHost = Box::leak(Box::new(host));
        // SAFETY: a table, as a host of 1.0 passes it.
        unsafe { set_table(host) };
        let known = table().unwrap();
        assert_eq!((known.caps, known.now_ns.is_none(), known.call_route.is_none()), (31, true, true));
        assert_eq!(
            crate::metrics::counter("n", "", &[]).unwrap_err().to_string(),
            "the metric `n` cannot be registered: this server keeps no metrics of plugins; update Bimetal"
        );
    }
}
