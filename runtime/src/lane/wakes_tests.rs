//! Wake-ups from other threads and from the worker's own.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::{Burst, Wakes};

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The postman's wake-ups and the task's, and the waker that other threads get.
fn worker() -> (Arc<Wakes>, Arc<Count>, Arc<Count>, Waker) {
    let (wakes, postman, task) = (Wakes::new(), Arc::<Count>::default(), Arc::<Count>::default());
    assert_eq!(deliver(&wakes, &postman), Poll::Pending);
    let waker = wakes.gathering(&Waker::from(Arc::clone(&task)));
    (wakes, postman, task, waker)
}

fn deliver(wakes: &Wakes, postman: &Arc<Count>) -> Poll<()> {
    wakes.deliver(&mut Context::from_waker(&Waker::from(Arc::clone(postman))))
}

#[test]
fn a_burst_from_another_thread_rings_once() {
    let (wakes, postman, task, waker) = worker();
    thread::spawn(move || (0..30).for_each(|_| waker.wake_by_ref())).join().unwrap();
    assert_eq!((postman.get(), task.get()), (1, 0));
    let _ = deliver(&wakes, &postman);
    assert_eq!(task.get(), 30);
}

#[test]
fn nobody_rings_while_the_postman_is_on_its_way() {
    let (wakes, postman, task, waker) = worker();
    let from_elsewhere = |waker: &Waker| {
        let waker = waker.clone();
        thread::spawn(move || waker.wake()).join().unwrap();
    };
    from_elsewhere(&waker);
    let _ = deliver(&wakes, &postman);
    // The postman woke itself, to look again.
    assert_eq!((postman.get(), task.get()), (2, 1));
    from_elsewhere(&waker);
    assert_eq!(postman.get(), 2);
    let _ = deliver(&wakes, &postman);
    let _ = deliver(&wakes, &postman);
    assert_eq!((postman.get(), task.get()), (3, 2));
    from_elsewhere(&waker);
    assert_eq!(postman.get(), 4);
}

#[test]
fn a_burst_rings_at_its_end() {
    let (wakes, postman, task, waker) = worker();
    let (others, other_postman, other_task, other_waker) = worker();
    thread::scope(|scope| {
        scope.spawn(|| {
            let burst = Burst::begin();
            let inner = Burst::begin();
            waker.wake_by_ref();
            drop(inner);
            waker.wake_by_ref();
            other_waker.wake_by_ref();
            assert_eq!((postman.get(), other_postman.get()), (0, 0));
            drop(burst);
            assert_eq!((postman.get(), other_postman.get()), (1, 1));
            waker.wake_by_ref();
        });
    });
    let _ = (deliver(&wakes, &postman), deliver(&others, &other_postman));
    assert_eq!((task.get(), other_task.get()), (3, 1));
}

#[test]
fn a_burst_that_is_kept_ends_when_it_is_told_to() {
    let (_wakes, postman, _task, waker) = worker();
    thread::scope(|scope| {
        scope.spawn(|| {
            let burst = Burst::begin();
            assert!(!burst.is_awaited());
            waker.wake_by_ref();
            assert!(burst.is_awaited());
            burst.keep();
            let within = Burst::begin();
            waker.wake_by_ref();
            assert!(!within.is_awaited());
            drop(within);
            assert_eq!(postman.get(), 0);
            Burst::end();
            assert_eq!(postman.get(), 1);
            Burst::end();
        });
    });
}

#[test]
fn a_burst_goes_on_when_it_is_flushed() {
    let (wakes, postman, _task, waker) = worker();
    thread::scope(|scope| {
        scope.spawn(|| {
            Burst::flush();
            let burst = Burst::begin();
            waker.wake_by_ref();
            Burst::flush();
            assert_eq!(postman.get(), 1);
            assert!(!burst.is_awaited());
            // On a thread of its own: whoever delivers is the worker.
            thread::scope(|worker| {
                worker.spawn(|| [deliver(&wakes, &postman), deliver(&wakes, &postman)]);
            });
            let before = postman.get();
            waker.wake_by_ref();
            assert_eq!(postman.get(), before);
            drop(burst);
            assert_eq!(postman.get(), before + 1);
        });
    });
}

#[test]
fn a_burst_holds_nobody_else_back() {
    let (wakes, postman, task, waker) = worker();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _burst = Burst::begin();
            waker.wake_by_ref();
            let waker = waker.clone();
            thread::spawn(move || waker.wake()).join().unwrap();
            assert_eq!(postman.get(), 1);
            let _ = deliver(&wakes, &postman);
            assert_eq!(task.get(), 2);
        });
    });
}

#[test]
fn the_worker_itself_wakes_its_tasks_directly() {
    let (_wakes, postman, task, waker) = worker();
    waker.wake_by_ref();
    assert_eq!((postman.get(), task.get()), (0, 1));
}

#[test]
fn after_the_workers_end_a_task_is_woken_directly() {
    let (wakes, _postman, task, waker) = worker();
    drop(wakes);
    thread::spawn(move || waker.wake()).join().unwrap();
    assert_eq!(task.get(), 1);
}

#[test]
fn a_real_runtime_loses_no_wake_up() {
    const ROUNDS: usize = 20_000;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wakes = Wakes::new();
    let (send, receive) = std::sync::mpsc::channel::<(Arc<AtomicUsize>, usize, Waker)>();
    let other = thread::spawn(move || {
        for (reached, round, waker) in receive {
            reached.store(round, Ordering::Release);
            waker.wake();
        }
    });
    runtime.block_on(async {
        let postman = Arc::clone(&wakes);
        let postman = tokio::spawn(poll_fn(move |cx| postman.deliver(cx)));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (send, wakes) = (send.clone(), Arc::clone(&wakes));
                tokio::spawn(async move {
                    let reached = Arc::new(AtomicUsize::new(0));
                    for round in 1..=ROUNDS {
                        let mut sent = false;
                        poll_fn(|cx| {
                            if reached.load(Ordering::Acquire) == round {
                                return Poll::Ready(());
                            }
                            if !std::mem::replace(&mut sent, true) {
                                let waker = wakes.gathering(cx.waker());
                                send.send((Arc::clone(&reached), round, waker)).unwrap();
                            }
                            Poll::Pending
                        })
                        .await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        postman.abort();
    });
    drop(send);
    other.join().unwrap();
}
