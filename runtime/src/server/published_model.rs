//! loom models of a replacement: a request never meets a retired generation, an old one is retired once, and when the last
//! request on it has ended.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::Arc;
use loom::thread;

use super::{Cached, Published};

/// What the plugin side of a route table is here: retired when the last handle goes.
struct Generation {
    number: usize,
    life: Arc<Life>,
}

/// What outlives the generations: how often each was retired.
#[derive(Default)]
struct Life {
    retired: [AtomicUsize; 3],
}

impl Life {
    fn retired(&self, number: usize) -> usize {
        self.retired[number].load(Ordering::SeqCst)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.life.retired[self.number].fetch_add(1, Ordering::SeqCst);
    }
}

type Table = Arc<Generation>;

fn generation(number: usize, life: &Arc<Life>) -> Table {
    Arc::new(Generation { number, life: life.clone() })
}

/// A worker that serves `requests` one after the other; gives the generations that answered.
fn worker(published: &Arc<Published<Table>>, requests: usize) -> thread::JoinHandle<Vec<usize>> {
    let published = published.clone();
    thread::spawn(move || {
        let cached = Cached::new(published);
        (0..requests)
            .map(|_| {
                let table = cached.current();
                let answer = table.number;
                thread::yield_now();
                assert_eq!(table.life.retired(answer), 0, "retired with a request in flight");
                answer
            })
            .collect()
    })
}

#[test]
fn requests_on_two_workers_while_a_generation_is_replaced() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let life = Arc::new(Life::default());
        let published = Published::new(generation(0, &life));
        let workers = [worker(&published, 2), worker(&published, 1)];
        drop(published.publish(generation(1, &life)));
        for answers in workers.map(|worker| worker.join().unwrap()) {
            assert!(answers.is_sorted(), "back to the old generation: {answers:?}");
        }
        assert_eq!((life.retired(0), life.retired(1)), (1, 0));
        drop(published);
        assert_eq!(life.retired(1), 1);
    });
}

/// What is sent after the replacement has returned meets the new generation: also on a worker that had the old one.
#[test]
fn a_request_after_the_replacement_meets_the_new_generation() {
    loom::model(|| {
        let life = Arc::new(Life::default());
        let published = Published::new(generation(0, &life));
        let sent = Arc::new(AtomicUsize::new(0));
        let worker = {
            let (published, sent) = (published.clone(), sent.clone());
            thread::spawn(move || {
                let cached = Cached::new(published);
                let before = cached.current();
                // The socket orders a request after what its sender did before: as this pair of store and load does.
                let is_after = sent.load(Ordering::Acquire) == 1;
                let number = cached.current().number;
                drop(before);
                assert!(!is_after || number == 1, "the old generation answers a later request");
            })
        };
        drop(published.publish(generation(1, &life)));
        sent.store(1, Ordering::Release);
        worker.join().unwrap();
        assert_eq!(life.retired(0), 1);
    });
}

/// A worker without requests is told to look, and then holds nothing of the old generation.
#[test]
fn an_idle_worker_lets_go_when_told() {
    loom::model(|| {
        let life = Arc::new(Life::default());
        let published = Published::new(generation(0, &life));
        let cached = Cached::new(published.clone());
        let publisher = {
            let (published, life) = (published.clone(), life.clone());
            thread::spawn(move || {
                drop(published.publish(generation(1, &life)));
                drop(published.publish(generation(2, &life)));
            })
        };
        cached.renew();
        publisher.join().unwrap();
        cached.renew();
        assert_eq!((life.retired(0), life.retired(1), life.retired(2)), (1, 1, 0));
        assert_eq!(cached.current().number, 2);
    });
}
