//! An asynchronous call: the plugin's future, and everything it borrows.

use std::alloc::{alloc, dealloc, handle_alloc_error, Layout};
use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{ready, Context, Poll, Waker};

use bimetal_abi::{BmFuture, BmRequest, RESULT_OK, RESULT_PANIC, RESULT_PENDING};
use bimetal_runtime::{Answer, Request, Response};
use tokio::time::Sleep;

use super::frame::{Frame, Source};
use super::lease::Lease;
use super::{clock, table, Bound, Fault};
use crate::plugin::StartFn;

/// Starts the handler and polls once. Most handlers that need not wait are done then, and cost no task.
pub(super) fn begin(bound: &Arc<Bound>, start: StartFn, place: (usize, usize), request: Request) -> Answer {
    let mut flight = Flight::new(bound, place, request);
    if let Err(fault) = flight.as_mut().start(start) {
        return Answer::Now(bound.report(&fault, Source::Live(&flight.request)));
    }
    // Nobody need wake this poll: the task polls again, with its own waker, before it waits.
    match flight.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Answer::Now(response),
        Poll::Pending => {
            // SAFETY: nothing is moved out of it.
            unsafe { flight.as_mut().get_unchecked_mut() }.keep = Some(Arc::clone(bound));
            Answer::Later(flight)
        }
    }
}

/// A call under way. It stays where it is: the plugin's future points to `raw`, that to `frame` and `request`.
struct Flight {
    future: BmFuture,
    room: Room,
    raw: Option<BmRequest>,
    deadline_ns: u64,
    /// Borrows `request` and `bound`, with the lifetime hidden.
    frame: Option<Frame<'static>>,
    request: Request,
    /// Valid until `begin` returns, and from then on through `keep`: an answer at the first poll touches no shared count.
    bound: NonNull<Bound>,
    keep: Option<Arc<Bound>>,
    /// Ends the wait; there once the handler has to be waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    _pinned: PhantomPinned,
}

impl Flight {
    /// A call that has not begun, with room for a future of this size and alignment.
    fn new(bound: &Arc<Bound>, future: (usize, usize), request: Request) -> Pin<Box<Flight>> {
        let mut flight = Box::<Flight>::new_uninit();
        let place = flight.as_mut_ptr();
        // SAFETY: each field is written once, in memory of this type; then all of them are there. Field by field, so that nothing
        // is built elsewhere and copied there: least of all the room, of which only the kind is written.
        let flight = unsafe {
            (&raw mut (*place).future).write(BmFuture { data: ptr::null_mut(), poll: None, drop: None });
            (&raw mut (*place).room).write(Room::new(future));
            (&raw mut (*place).raw).write(None);
            (&raw mut (*place).deadline_ns).write(clock::deadline_ns(bound.deadline));
            (&raw mut (*place).frame).write(None);
            (&raw mut (*place).request).write(request);
            (&raw mut (*place).bound).write(NonNull::from(&**bound));
            (&raw mut (*place).keep).write(None);
            (&raw mut (*place).sleep).write(None);
            flight.assume_init()
        };
        Box::into_pin(flight)
    }

    fn start(self: Pin<&mut Self>, start: StartFn) -> Result<(), Fault> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: see the field.
        let bound = unsafe { this.bound.as_ref() };
        let handler = bound.handler();
        let (data, reads_body) = (handler.data.0, handler.reads_body);
        let request = &raw const this.request;
        // SAFETY: `request` lies in the same pinned allocation as `frame`, is not changed while `frame` is there, and outlives
        // the plugin's future, which `Drop` ends first. So does `bound`, see the field.
        let (request, bound) = unsafe { (&*request, &*ptr::from_ref(bound)) };
        let frame = this.frame.insert(Frame::new(Source::Live(request), bound, this.deadline_ns));
        let raw = this.raw.insert(frame.request(&bound.order, reads_body));
        // SAFETY: the checked plugin's function with its own state and data; the request lives until the future is dropped,
        // the place is as large and aligned as the plugin asked for, and nothing else touches it.
        let result =
            unsafe { start(bound.plugin.state.0, data, raw, this.room.pointer().cast(), &mut this.future) };
        match result {
            RESULT_OK if this.future.poll.is_some() && this.future.drop.is_some() => Ok(()),
            RESULT_OK => {
                // Half a future is none: without this, `Drop` would call what is there.
                this.future.drop = None;
                Err(Fault::BadResponse("its future lacks a function".to_owned()))
            }
            RESULT_PANIC => {
                this.future.drop = None;
                Err(Fault::Panicked)
            }
            other => {
                this.future.drop = None;
                Err(Fault::BadResponse(format!("it returned {other}, which means nothing")))
            }
        }
    }
}

impl Future for Flight {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(poll) = this.future.poll else { return Poll::Pending };
        let waker = table::borrow_waker(cx.waker());
        // SAFETY: see the field.
        let bound = unsafe { this.bound.as_ref() };
        let mut lease = Lease::take();
        let mut raw = lease.response(bound.status);
        // SAFETY: the plugin's function with its own future, which is not finished; waker and response live through the call.
        let result = unsafe { poll(this.future.data, &waker, &mut raw) };
        let concluded = if result == RESULT_PENDING {
            // The poll in `begin` has no task behind it that a timer could wake.
            if this.keep.is_none() {
                return Poll::Pending;
            }
            let left = || Box::pin(tokio::time::sleep(clock::until(this.deadline_ns)));
            let sleep = this.sleep.get_or_insert_with(left);
            ready!(sleep.as_mut().poll(cx));
            Err(Fault::TimedOut)
        } else {
            bound.conclude(result, &mut lease, &raw, Source::Live(&this.request))
        };
        this.future.poll = None;
        Poll::Ready(concluded.unwrap_or_else(|fault| bound.report(&fault, Source::Live(&this.request))))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Some(drop) = self.future.drop.take() else { return };
        // SAFETY: the plugin's function with its own future, called once; everything the future borrows is still there.
        if unsafe { drop(self.future.data) } == RESULT_PANIC {
            // SAFETY: see the field.
            unsafe { self.bound.as_ref() }.report(&Fault::Panicked, Source::Live(&self.request));
        }
    }
}

/// Enough for the futures of handlers that keep little.
type Small = [u128; 16];

/// Where the plugin builds its future.
#[expect(clippy::large_enum_variant, reason = "in a box it would be an allocation for each small future")]
enum Room {
    /// It allocates its futures itself.
    Elsewhere,
    /// In the call's own memory.
    Here(UnsafeCell<MaybeUninit<Small>>),
    Allocated(NonNull<u8>, Layout),
}

impl Room {
    /// For a future of this size and alignment, which were checked when the plugin was loaded.
    #[inline]
    fn new((size, align): (usize, usize)) -> Room {
        if size > 0 && size <= size_of::<Small>() && align <= align_of::<Small>() {
            return Room::Here(UnsafeCell::new(MaybeUninit::uninit()));
        }
        match Layout::from_size_align(size, align) {
            Ok(layout) if size > 0 => {
                // SAFETY: the size is not 0.
                let memory = unsafe { alloc(layout) };
                let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
                Room::Allocated(memory, layout)
            }
            _ => Room::Elsewhere,
        }
    }

    fn pointer(&self) -> *mut u8 {
        match self {
            Room::Elsewhere => ptr::null_mut(),
            Room::Here(small) => small.get().cast(),
            Room::Allocated(memory, _) => memory.as_ptr(),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Room::Allocated(memory, layout) = self {
            // SAFETY: allocated with this layout; the future in it was dropped by `Flight`.
            unsafe { dealloc(memory.as_ptr(), *layout) };
        }
    }
}
