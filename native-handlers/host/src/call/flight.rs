//! An asynchronous call: the plugin's future, and everything it borrows.

use std::alloc::{alloc, dealloc, handle_alloc_error, Layout};
use std::cell::{Cell, UnsafeCell};
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::{ManuallyDrop, MaybeUninit};
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

thread_local! {
    /// The memory of a call that has ended, for the next one.
    static SPARE: Cell<Option<Box<MaybeUninit<Flight>>>> = const { Cell::new(None) };
}

/// Starts the handler and polls once. Most handlers that need not wait are done then, and cost no task and no allocation.
pub(super) fn begin(bound: &Arc<Bound>, start: StartFn, place: (usize, usize), request: Request) -> Answer {
    let mut trial = Trial::new(bound, place, request);
    if let Err(fault) = trial.flight().start(start) {
        return Answer::Now(bound.report(&fault, Source::Live(&trial.flight().request)));
    }
    // Nobody need wake this poll: the task polls again, with its own waker, before it waits.
    match trial.flight().go_on(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Answer::Now(response),
        Poll::Pending => Answer::Later(trial.keep(bound)),
    }
}

/// A call that gives its memory back to the thread, unless it has to be waited for. Owned as by a box, but with a pointer, since
/// what is in it points to it.
struct Trial(NonNull<Flight>);

impl Trial {
    /// A call that has not begun, with room for a future of this size and alignment.
    #[inline]
    fn new(bound: &Bound, future: (usize, usize), request: Request) -> Trial {
        let memory = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_else(Box::new_uninit);
        let place = NonNull::from(Box::leak(memory)).cast::<Flight>();
        let deadline_ns = clock::deadline_ns(bound.deadline);
        let flight = place.as_ptr();
        // Field by field, so that nothing is built elsewhere and copied there: least of all the room, of which only the kind is
        // written.
        // SAFETY: each field is written once, in memory of this type; then all of them are there. What `frame` borrows for longer
        // than is true lies in the same memory, is not changed while it is there, and outlives the plugin's future, which `Drop`
        // ends first. So does `bound`, see the field.
        unsafe {
            (&raw mut (*flight).future).write(BmFuture { data: ptr::null_mut(), poll: None, drop: None });
            (&raw mut (*flight).room).write(Room::new(future));
            (&raw mut (*flight).deadline_ns).write(deadline_ns);
            (&raw mut (*flight).request).write(request);
            (&raw mut (*flight).bound).write(NonNull::from(bound));
            (&raw mut (*flight).keep).write(None);
            (&raw mut (*flight).sleep).write(None);
            let source = Source::Live(&(*flight).request);
            let frame = &raw mut (*flight).frame;
            frame.write(Frame::new(source, &*ptr::from_ref(bound), deadline_ns));
            let raw = (*frame).request(&bound.order, bound.handler().reads_body);
            (&raw mut (*flight).raw).write(raw);
        }
        Trial(place)
    }

    #[inline]
    fn flight(&mut self) -> &mut Flight {
        // SAFETY: a whole call, which is this trial's alone.
        unsafe { self.0.as_mut() }
    }

    /// The same call, for a task that waits for it.
    fn keep(mut self, bound: &Arc<Bound>) -> Pin<Box<Flight>> {
        self.flight().keep = Some(Arc::clone(bound));
        // SAFETY: made from a box of this size and alignment, and left to the new one.
        Box::into_pin(unsafe { Box::from_raw(ManuallyDrop::new(self).0.as_ptr()) })
    }
}

impl Drop for Trial {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a whole call, which is dropped once and not used after this. What is left is memory from a box of its size and
        // alignment.
        let memory = unsafe {
            self.0.drop_in_place();
            Box::from_raw(self.0.as_ptr().cast::<MaybeUninit<Flight>>())
        };
        // Without the thread's storage the thread is ending, and the memory goes with it.
        let _ = SPARE.try_with(|spare| spare.set(Some(memory)));
    }
}

/// A call under way. It stays where it is: the plugin's future points to `raw`, that to `frame` and `request`.
struct Flight {
    future: BmFuture,
    room: Room,
    raw: BmRequest,
    deadline_ns: u64,
    /// Borrows `request` and `bound`, with the lifetime hidden.
    frame: Frame<'static>,
    request: Request,
    /// Valid until `begin` returns, and from then on through `keep`: an answer at the first poll touches no shared count.
    bound: NonNull<Bound>,
    keep: Option<Arc<Bound>>,
    /// Ends the wait; there once the handler has to be waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    _pinned: PhantomPinned,
}

impl Flight {
    #[inline]
    fn start(&mut self, start: StartFn) -> Result<(), Fault> {
        // SAFETY: see the field.
        let bound = unsafe { self.bound.as_ref() };
        let (state, data) = (bound.plugin.state.0, bound.handler().data.0);
        // SAFETY: the checked plugin's function with its own state and data; the request lives until the future is dropped,
        // the place is as large and aligned as the plugin asked for, and nothing else touches it.
        let result = unsafe { start(state, data, &self.raw, self.room.pointer().cast(), &mut self.future) };
        if result == RESULT_OK && self.future.poll.is_some() && self.future.drop.is_some() {
            return Ok(());
        }
        // Half a future is none: without this, `Drop` would call what is there.
        self.future.drop = None;
        Err(match result {
            RESULT_OK => Fault::BadResponse("its future lacks a function".to_owned()),
            RESULT_PANIC => Fault::Panicked,
            other => Fault::BadResponse(format!("it returned {other}, which means nothing")),
        })
    }

    #[inline]
    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let Some(poll) = self.future.poll else { return Poll::Pending };
        let waker = table::borrow_waker(cx.waker());
        // SAFETY: see the field.
        let bound = unsafe { self.bound.as_ref() };
        let mut lease = Lease::take();
        let mut raw = lease.response(bound.status);
        // SAFETY: the plugin's function with its own future, which is not finished; waker and response live through the call.
        let result = unsafe { poll(self.future.data, &waker, &mut raw) };
        let source = Source::Live(&self.request);
        if result != RESULT_PENDING {
            self.future.poll = None;
            return Poll::Ready(bound.conclude(result, &mut lease, &raw, source));
        }
        // The poll in `begin` has no task behind it that a timer could wake.
        if self.keep.is_none() {
            return Poll::Pending;
        }
        let left = || Box::pin(tokio::time::sleep(clock::until(self.deadline_ns)));
        let sleep = self.sleep.get_or_insert_with(left);
        ready!(sleep.as_mut().poll(cx));
        self.future.poll = None;
        Poll::Ready(bound.report(&Fault::TimedOut, source))
    }
}

impl Future for Flight {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        // SAFETY: nothing is moved out of it.
        unsafe { self.get_unchecked_mut() }.go_on(cx)
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
