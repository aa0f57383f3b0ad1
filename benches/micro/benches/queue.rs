//! From a thread to a runner and back: one job, and 32 at once, beside a channel into one thread and tokio's blocking pool. And the
//! mailbox of the event loop, beside channels.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::thread::{self, Thread};

use bimetal_runtime::lane::{Batch, Limits, Mailbox, Refusal, Runners, Work};
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};

/// Jobs that have not run yet, and who waits for them.
struct Round {
    left: AtomicUsize,
    waiting: Thread,
}

impl Round {
    fn of(jobs: usize) -> Arc<Round> {
        Arc::new(Round { left: AtomicUsize::new(jobs), waiting: thread::current() })
    }

    fn run(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiting.unpark();
        }
    }

    fn wait(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }
}

/// Posts `jobs` jobs and waits until all of them have run.
fn round(jobs: usize, mut post: impl FnMut(Arc<Round>)) {
    let round = Round::of(jobs);
    for _ in 0..jobs {
        post(Arc::clone(&round));
    }
    round.wait();
}

struct Jobs;

impl Work<Arc<Round>> for Jobs {
    fn run(&self, batch: &mut Batch<'_, Arc<Round>>) {
        while let Some(job) = batch.next() {
            job.run();
        }
    }

    fn refuse(&self, _job: Arc<Round>, why: Refusal) {
        panic!("a job was refused: {why:?}");
    }
}

fn hop(criterion: &mut Criterion) {
    let runners = Runners::new("bench", Limits::default(), Jobs).expect("a thread can be started");
    let (sender, receiver) = mpsc::channel::<Arc<Round>>();
    let thread = thread::spawn(move || receiver.iter().for_each(|job| job.run()));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("tokio's runtime can be started");
    let mut group = criterion.benchmark_group("queue");
    for jobs in [1, 32] {
        group.throughput(Throughput::Elements(jobs as u64));
        group.bench_function(BenchmarkId::new("runners", jobs), |bencher| {
            bencher.iter(|| round(jobs, |job| runners.post(job)));
        });
        group.bench_function(BenchmarkId::new("std's channel into one thread", jobs), |bencher| {
            bencher.iter(|| round(jobs, |job| sender.send(job).expect("the thread receives")));
        });
        group.bench_function(BenchmarkId::new("tokio's spawn_blocking", jobs), |bencher| {
            bencher.iter(|| round(jobs, |job| drop(tokio.spawn_blocking(move || job.run()))));
        });
    }
    group.finish();
    drop(sender);
    thread.join().expect("the thread ends with its channel");
}

fn mailbox(criterion: &mut Criterion) {
    const ITEMS: u64 = 32;
    let mut group = criterion.benchmark_group("mailbox, one thread");
    group.throughput(Throughput::Elements(ITEMS));
    let mailbox = Mailbox::new(1024, || ());
    group.bench_function("bimetal", |bencher| {
        bencher.iter(|| {
            for item in 0..ITEMS {
                mailbox.post(black_box(item)).expect("there is room");
            }
            while let Some(item) = mailbox.take() {
                black_box(item);
            }
            assert!(!mailbox.rest(), "nobody else posts");
        });
    });
    let (sender, receiver) = mpsc::sync_channel(1024);
    group.bench_function("std's channel", |bencher| {
        bencher.iter(|| {
            for item in 0..ITEMS {
                sender.send(black_box(item)).expect("there is room");
            }
            for item in receiver.try_iter() {
                black_box(item);
            }
        });
    });
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1024);
    group.bench_function("tokio's channel", |bencher| {
        bencher.iter(|| {
            for item in 0..ITEMS {
                sender.try_send(black_box(item)).expect("there is room");
            }
            while let Ok(item) = receiver.try_recv() {
                black_box(item);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, hop, mailbox);
criterion_main!(benches);
