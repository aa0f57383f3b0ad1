//! What workers tell of themselves, and what is said of all of them.
//!
//! Whoever wants to know has every worker asked, and waits for them, but not for long: of one that does not answer the last that
//! it has told counts. A worker that has ended leaves its counters, so that what is said of all never goes back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::crew::Id;
use super::link::State;
use crate::metrics::exposition::single;
use crate::metrics::{process, Merged};
use crate::probes::Readiness;

/// How long workers may take to answer. They do so by a thread that waits for nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is known of all workers.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// Whether requests are welcome.
    pub readiness: Readiness,
    /// Whether a worker has served.
    pub started: bool,
    /// The figures of all, in Prometheus' text format.
    pub figures: String,
    /// The routes that the worker serves which has told of them last, as a JSON array.
    pub routes: String,
}

/// Who wants to know.
pub(super) enum Asker {
    Worker(Id),
    Admin(oneshot::Sender<Gathered>),
}

/// The workers as far as they have told.
#[derive(Default)]
pub(super) struct Figures {
    /// Each that is there and has shown that it lives.
    workers: HashMap<Id, Told>,
    ended: Merged,
    routes: String,
    started: u64,
    round: Option<Round>,
    /// Who came after the workers had been asked.
    next: Vec<Asker>,
}

struct Told {
    state: State,
    readiness: String,
    figures: String,
    /// It was asked and has not answered in time.
    silent: bool,
}

struct Round {
    waiting: HashSet<Id>,
    until: Instant,
    askers: Vec<Asker>,
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Turn {
    /// Workers to be asked.
    pub(super) ask: Vec<Id>,
    /// Who gets an answer.
    pub(super) answer: Vec<Asker>,
}

impl Figures {
    /// A worker is there.
    pub(super) fn lives(&mut self, id: Id) {
        self.workers.entry(id).or_insert_with(|| {
            self.started += 1;
            Told { state: State::Starting, readiness: String::new(), figures: String::new(), silent: false }
        });
    }

    /// A worker has told which routes it serves.
    pub(super) fn serves(&mut self, routes: String) {
        self.routes = routes;
    }

    /// A worker has told of itself.
    pub(super) fn told(&mut self, id: Id, text: &str, asked: bool, now: Instant) -> Turn {
        self.lives(id);
        if let Some(told) = self.workers.get_mut(&id) {
            let (line, figures) = text.split_once('\n').unwrap_or((text, ""));
            let (state, readiness) = line.split_at_checked(1).unwrap_or_default();
            let state = state.parse::<usize>().ok().and_then(|state| State::ALL.get(state));
            told.state = state.copied().unwrap_or(State::Starting);
            readiness.clone_into(&mut told.readiness);
            // A worker that tells nothing has counted nothing, or fails to tell.
            if !figures.is_empty() {
                figures.clone_into(&mut told.figures);
            }
            told.silent = false;
        }
        if asked {
            self.answered(id, now)
        } else {
            Turn::default()
        }
    }

    /// A worker has ended.
    pub(super) fn ended(&mut self, id: Id, now: Instant) -> Turn {
        if let Some(told) = self.workers.remove(&id) {
            self.ended.add_ended(&told.figures);
        }
        self.next.retain(|asker| !matches!(asker, Asker::Worker(worker) if *worker == id));
        self.answered(id, now)
    }

    /// Somebody wants to know.
    pub(super) fn wanted(&mut self, asker: Asker, now: Instant) -> Turn {
        self.next.push(asker);
        match self.round {
            Some(_) => Turn::default(),
            None => self.begin(now),
        }
    }

    /// When to go on without those that have not answered.
    pub(super) fn until(&self) -> Option<Instant> {
        self.round.as_ref().map(|round| round.until)
    }

    /// Time has passed.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        let Some(round) = self.round.take_if(|round| round.until <= now) else { return Turn::default() };
        for id in &round.waiting {
            if let Some(told) = self.workers.get_mut(id) {
                told.silent = true;
            }
        }
        self.end(round, now)
    }

    fn answered(&mut self, id: Id, now: Instant) -> Turn {
        let Some(round) = &mut self.round else { return Turn::default() };
        round.waiting.remove(&id);
        match self.round.take_if(|round| round.waiting.is_empty()) {
            Some(round) => self.end(round, now),
            None => Turn::default(),
        }
    }

    fn end(&mut self, round: Round, now: Instant) -> Turn {
        let mut turn = if self.next.is_empty() { Turn::default() } else { self.begin(now) };
        turn.answer.extend(round.askers);
        turn
    }

    fn begin(&mut self, now: Instant) -> Turn {
        let askers = std::mem::take(&mut self.next);
        let waiting: HashSet<Id> = self.workers.keys().copied().collect();
        if waiting.is_empty() {
            return Turn { ask: Vec::new(), answer: askers };
        }
        let ask = waiting.iter().copied().collect();
        self.round = Some(Round { waiting, until: now + PATIENCE, askers });
        Turn { ask, answer: Vec::new() }
    }

    /// What is known of all.
    pub(super) fn gathered(&self, started: bool) -> Gathered {
        let routes = if self.routes.is_empty() { "[]".to_owned() } else { self.routes.clone() };
        Gathered { readiness: self.readiness(), started, figures: self.figures(), routes }
    }

    fn sorted(&self) -> Vec<(Id, &Told)> {
        let mut workers: Vec<_> = self.workers.iter().map(|(id, told)| (*id, told)).collect();
        workers.sort_unstable_by_key(|(id, _)| *id);
        workers
    }

    fn readiness(&self) -> Readiness {
        let (mut ready, mut overloaded, mut draining) = (false, false, false);
        let mut texts = Vec::new();
        for (id, told) in self.sorted() {
            let silent = told.silent && told.state != State::Draining;
            match told.state {
                _ if silent => overloaded = true,
                State::Ready => ready = true,
                State::Overloaded => overloaded = true,
                State::Draining => draining = true,
                State::Starting => {}
            }
            let text = match &*told.readiness {
                _ if silent => "{\"status\":\"silent\"}",
                "" => "{\"status\":\"starting\"}",
                text => text,
            };
            texts.push(format!("\"{id}\":{text}"));
        }
        let status = match () {
            () if overloaded => "overloaded",
            () if ready => "ready",
            () if draining => "draining",
            () => "starting",
        };
        let json = format!("{{\"status\":\"{status}\",\"workers\":{{{}}}}}", texts.join(","));
        Readiness { ready: status == "ready", json }
    }

    fn figures(&self) -> String {
        let mut merged = self.ended.clone();
        for (id, told) in self.sorted() {
            merged.add(&id.to_string(), &told.figures);
        }
        let mut own = String::new();
        process(&mut own);
        merged.add("supervisor", &own);
        let mut text = merged.text();
        let (name, help) = ("bimetal_workers", "Worker processes that are there.");
        single(&mut text, name, "gauge", help, self.workers.len() as f64);
        let (name, help) = ("bimetal_workers_started_total", "Worker processes that have been started.");
        single(&mut text, name, "counter", help, self.started as f64);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Asker, Figures, PATIENCE};
    use crate::probes::Readiness;

    fn told(hits: u64) -> String {
        format!("1{{\"status\":\"ready\"}}\n# TYPE hits counter\nhits {hits}\n# TYPE open gauge\nopen 1\n")
    }

    fn hits(figures: &Figures) -> String {
        let text = figures.gathered(true).figures;
        text.lines().find_map(|line| line.strip_prefix("hits ")).unwrap_or("none").to_owned()
    }

    #[test]
    fn all_are_asked_and_what_they_tell_is_added_up() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        for id in [1, 2] {
            figures.lives(id);
        }
        let mut asked = figures.wanted(Asker::Worker(1), now).ask;
        asked.sort_unstable();
        assert_eq!(asked, [1, 2]);
        assert!(figures.told(1, &told(3), true, now).answer.is_empty());
        // Told before it was asked: it may not know of the last requests.
        assert!(figures.told(2, &told(1), false, now).answer.is_empty());
        // Who comes now may know of requests that the first has not told of.
        assert!(figures.wanted(Asker::Worker(2), now).ask.is_empty());
        let turn = figures.told(2, &told(4), true, now);
        assert_eq!((turn.answer.len(), turn.ask.len()), (1, 2));
        assert_eq!(hits(&figures), "7");
        assert!(figures.gathered(true).figures.contains("open{worker=\"2\"} 1\n"));
    }

    #[test]
    fn nobody_is_waited_for_without_an_end() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        figures.told(1, &told(3), false, now);
        figures.told(2, &told(4), false, now);
        assert!(figures.gathered(true).readiness.ready);
        figures.wanted(Asker::Worker(1), now);
        figures.told(1, &told(5), true, now);
        assert!(figures.turn(now).answer.is_empty());
        assert_eq!(figures.until(), Some(now + PATIENCE));
        assert_eq!(figures.turn(now + PATIENCE).answer.len(), 1);
        assert_eq!(hits(&figures), "9");
        let readiness = figures.gathered(true).readiness;
        assert!(!readiness.ready && readiness.json.contains(r#""2":{"status":"silent"}"#), "{readiness:?}");
    }

    #[test]
    fn who_has_ended_is_not_waited_for_and_leaves_its_counters() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        figures.told(1, &told(3), false, now);
        figures.told(2, &told(4), false, now);
        figures.wanted(Asker::Worker(2), now);
        figures.told(2, &told(4), true, now);
        assert_eq!(figures.ended(1, now).answer.len(), 1);
        assert_eq!(hits(&figures), "7");
        assert!(!figures.gathered(true).figures.contains("open{worker=\"1\"}"));
        figures.ended(2, now);
        assert_eq!(hits(&figures), "7");
        assert_eq!(figures.wanted(Asker::Worker(9), now).answer.len(), 1);
        let readiness = figures.gathered(true).readiness;
        assert_eq!(readiness.json, r#"{"status":"starting","workers":{}}"#);
    }

    #[test]
    fn one_that_is_overloaded_is_enough_and_one_that_leaves_does_not_count() {
        let (mut figures, now) = (Figures::default(), Instant::now());
        let status = |figures: &Figures| {
            let Readiness { ready, json } = figures.gathered(true).readiness;
            (ready, json.split('"').nth(3).unwrap_or_default().to_owned())
        };
        figures.told(1, "1{}\n", false, now);
        figures.told(2, "0{}\n", false, now);
        assert_eq!(status(&figures), (true, "ready".to_owned()));
        figures.told(2, "3{}\n", false, now);
        assert_eq!(status(&figures), (true, "ready".to_owned()));
        figures.told(2, "2{}\n", false, now);
        assert_eq!(status(&figures), (false, "overloaded".to_owned()));
        figures.ended(2, now);
        figures.told(1, "3{}\n", false, now);
        assert_eq!(status(&figures), (false, "draining".to_owned()));
    }
}
