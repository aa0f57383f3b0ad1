//! What the crew decides, without processes: the clock is a number.

use std::time::{Duration, Instant};

use super::crew::{Action, Crew, Id};
use super::end::End;
use super::{Config, MaxMemory, Signal};

const CONFIG: Config = Config {
    workers: 3,
    drain_timeout: Duration::from_secs(30),
    heartbeat_timeout: Duration::from_secs(10),
    startup_timeout: Duration::from_secs(60),
    max_memory: None,
    wait_for_changes: false,
};

/// A crew and its clock.
struct Play {
    crew: Crew,
    now: Instant,
}

impl Play {
    fn new(config: Config) -> Play {
        let now = Instant::now();
        Play { crew: Crew::new(config, now), now }
    }

    fn after(&mut self, milliseconds: u64) -> &mut Play {
        self.now += Duration::from_millis(milliseconds);
        self
    }

    /// Who is started now.
    fn starts(&mut self) -> Vec<Id> {
        let start = |action| match action {
            Action::Start { id, .. } => id,
            other => panic!("unexpected: {other:?}"),
        };
        self.turn().into_iter().map(start).collect()
    }

    fn turn(&mut self) -> Vec<Action> {
        self.crew.turn(self.now)
    }

    fn serve(&mut self, ids: &[Id]) -> &mut Play {
        for id in ids {
            self.crew.serves(*id, self.now);
        }
        self
    }

    fn end(&mut self, id: Id, end: End) -> &mut Play {
        self.crew.ended(id, end, &[], self.now);
        self
    }
}

fn terminated(ids: &[Id]) -> Vec<Action> {
    ids.iter().map(|id| Action::Signal { id: *id, signal: Signal::Terminate }).collect()
}

fn killed(id: Id) -> Action {
    Action::Signal { id, signal: Signal::Kill }
}

/// Three workers that have served for a while.
fn three(config: Config) -> Play {
    let mut play = Play::new(config);
    assert_eq!(play.turn(), [Action::Start { id: 1, first: true }]);
    assert_eq!(play.turn(), []);
    assert_eq!(play.serve(&[1]).starts(), [2, 3]);
    assert_eq!(play.serve(&[2, 3]).turn(), []);
    assert_eq!(play.after(5000).turn(), []);
    for id in 1..=3 {
        play.crew.lives(id, play.now);
    }
    play
}

#[test]
fn one_worker_proves_the_start_then_come_the_others() {
    three(CONFIG);
}

#[test]
fn the_first_that_does_not_start_is_the_end() {
    let mut play = Play::new(CONFIG);
    play.starts();
    let actions = play.end(1, End::Code(1)).turn();
    assert_eq!(actions, [Action::End(Err("worker 1 ended with exit code 1 before it served".to_owned()))]);
}

#[test]
fn a_worker_that_dies_is_replaced_at_once() {
    let mut play = three(CONFIG);
    assert_eq!(play.end(2, End::BySignal(9)).starts(), [4]);
    play.serve(&[4]);
    assert_eq!(play.after(2000).end(4, End::Code(0)).starts(), [5]);
}

#[test]
fn failures_in_a_row_are_paused_for_and_end_it_when_nobody_serves() {
    let mut play = three(CONFIG);
    for id in 1..=3 {
        play.end(id, End::BySignal(11));
    }
    // Nobody has proven that it can be served: one at a time.
    assert_eq!(play.starts(), [4]);
    for (id, pause) in [(4, 250), (5, 500), (6, 1000), (7, 2000)] {
        play.end(id, End::Code(3));
        assert_eq!(play.after(pause - 1).turn(), []);
        assert_eq!(play.after(1).starts(), [id + 1]);
    }
    let [Action::End(Err(reason))] = &play.end(8, End::BySignal(11)).turn()[..] else { panic!("goes on") };
    assert_eq!(
        reason,
        "worker 8 was ended by SIGSEGV before it served, while starting the program; no worker serves, and 5 in a row have failed"
    );
}

#[test]
fn failures_do_not_end_it_while_somebody_serves() {
    let mut play = three(CONFIG);
    let mut next = 4;
    assert_eq!(play.end(1, End::BySignal(9)).starts(), [next]);
    for _ in 0..20 {
        play.end(next, End::Code(1)).after(10_000);
        for id in [2, 3] {
            play.crew.lives(id, play.now);
        }
        next += 1;
        assert_eq!(play.starts(), [next]);
    }
    // One that goes on serving ends the series: the pause is short again.
    assert_eq!(play.serve(&[next]).turn(), []);
    play.after(1500).turn();
    assert_eq!(play.end(next, End::Code(1)).starts(), [next + 1]);
    assert_eq!(play.end(next + 1, End::Code(1)).after(250).starts(), [next + 2]);
}

#[test]
fn a_replacement_takes_over_when_all_of_it_serves() {
    let mut play = three(CONFIG);
    play.crew.replace(play.now);
    assert_eq!(play.starts(), [4]);
    assert_eq!(play.serve(&[4]).starts(), [5, 6]);
    assert_eq!(play.serve(&[5]).turn(), []);
    assert_eq!(play.serve(&[6]).turn(), terminated(&[1, 2, 3]));
    for id in 1..=3 {
        assert_eq!(play.end(id, End::Code(0)).turn(), []);
    }
}

#[test]
fn a_replacement_that_fails_leaves_the_old_ones() {
    let mut play = three(CONFIG);
    play.crew.replace(play.now);
    play.starts();
    assert_eq!(play.serve(&[4]).starts(), [5, 6]);
    assert_eq!(play.end(5, End::Code(1)).turn(), terminated(&[4, 6]));
    play.end(4, End::Code(0)).end(6, End::BySignal(15));
    assert_eq!(play.after(1000).turn(), []);
}

#[test]
fn the_newest_replacement_counts() {
    let mut play = Play::new(Config { workers: 1, wait_for_changes: true, ..CONFIG });
    play.starts();
    play.serve(&[1]);
    play.crew.replace(play.now);
    assert_eq!(play.starts(), [2]);
    play.crew.replace(play.now);
    assert_eq!(play.turn(), [Action::Start { id: 3, first: false }, terminated(&[2]).remove(0)]);
    assert_eq!(play.end(2, End::BySignal(15)).turn(), []);
    assert_eq!(play.serve(&[3]).turn(), terminated(&[1]));
}

#[test]
fn with_changes_to_come_a_failure_waits_for_one() {
    let config = Config { workers: 1, wait_for_changes: true, ..CONFIG };
    let mut play = Play::new(config);
    assert_eq!(play.starts(), [1]);
    assert_eq!(play.end(1, End::Code(1)).after(60_000).turn(), []);
    play.crew.replace(play.now);
    assert_eq!(play.turn(), [Action::Start { id: 2, first: true }]);
    assert_eq!(play.serve(&[2]).after(2000).turn(), []);
    play.crew.replace(play.now);
    assert_eq!(play.starts(), [3]);
    assert_eq!(play.end(3, End::Code(1)).after(2000).turn(), []);
    play.crew.replace(play.now);
    assert_eq!(play.starts(), [4]);
    assert_eq!(play.serve(&[4]).turn(), terminated(&[2]));
}

#[test]
fn one_that_asks_to_leave_is_drained_when_another_serves() {
    let mut play = three(CONFIG);
    play.crew.asks_to_leave(2);
    play.crew.asks_to_leave(2);
    assert_eq!(play.starts(), [4]);
    assert_eq!(play.turn(), []);
    assert_eq!(play.serve(&[4]).turn(), terminated(&[2]));
    assert_eq!(play.end(2, End::Code(0)).turn(), []);
}

#[test]
fn a_stop_drains_a_second_one_kills() {
    let mut play = three(CONFIG);
    play.crew.stop(play.now);
    assert_eq!(play.turn(), terminated(&[1, 2, 3]));
    assert_eq!(play.end(1, End::Code(0)).turn(), []);
    play.crew.stop(play.now);
    assert_eq!(play.turn(), [killed(2), killed(3)]);
    assert_eq!(play.end(2, End::BySignal(9)).turn(), []);
    assert_eq!(play.end(3, End::BySignal(9)).turn(), [Action::End(Ok(()))]);
}

#[test]
fn one_that_does_not_end_in_time_is_killed() {
    let mut play = three(CONFIG);
    play.crew.stop(play.now);
    play.turn();
    for _ in 0..31 {
        assert_eq!(play.after(1000).turn(), []);
    }
    assert_eq!(play.after(1000).turn(), [killed(1), killed(2), killed(3)]);
}

#[test]
fn one_that_shows_no_life_is_killed_and_replaced() {
    let mut play = three(CONFIG);
    for _ in 0..10 {
        play.after(1000);
        play.crew.lives(1, play.now);
        play.crew.lives(3, play.now);
        assert_eq!(play.turn(), []);
    }
    assert_eq!(play.after(1000).turn(), [killed(2)]);
    assert_eq!(play.turn(), []);
    assert_eq!(play.end(2, End::BySignal(9)).starts(), [4]);
}

#[test]
fn a_pause_of_the_supervisor_itself_is_nobodys_silence() {
    let mut play = three(CONFIG);
    assert_eq!(play.after(3_600_000).turn(), []);
}

/// What it says in the end.
fn failure(play: &mut Play) -> String {
    match play.turn().pop() {
        Some(Action::End(Err(why))) => why,
        other => panic!("unexpected: {other:?}"),
    }
}

#[test]
fn one_that_does_not_come_to_serve_is_killed_and_its_stage_named() {
    let mut play = Play::new(CONFIG);
    play.starts();
    for _ in 0..60 {
        let now = play.after(1000).now;
        play.crew.lives(1, now);
        assert_eq!(play.turn(), []);
    }
    play.crew.stage(1, "importing main:app".to_owned());
    assert_eq!(play.after(1).turn(), [killed(1)]);
    // Once is enough.
    assert_eq!(play.after(1000).turn(), []);
    play.end(1, End::BySignal(9));
    let why = "worker 1 did not come to serve within 60s (--startup-timeout) and was killed while importing main:app";
    assert_eq!(failure(&mut play), why);
}

#[test]
fn the_time_to_start_does_not_run_while_the_supervisor_is_stopped() {
    let mut play = Play::new(CONFIG);
    play.starts();
    assert_eq!(play.after(59_000).turn(), []);
    assert_eq!(play.after(59_000).turn(), []);
}

#[test]
fn what_a_worker_was_calling_is_said() {
    let mut play = Play::new(CONFIG);
    play.starts();
    play.crew.stage(1, "waiting".to_owned());
    let calls = ["GET /a on bimetal-io-0".to_owned()];
    play.crew.ended(1, End::BySignal(11), &calls, play.now);
    let why =
        "worker 1 was ended by SIGSEGV before it served, while waiting while calling GET /a on bimetal-io-0";
    assert_eq!(failure(&mut play), why);
}

#[test]
fn one_that_has_grown_too_large_is_replaced_first_and_drained_then() {
    let memory = MaxMemory { bytes: 100, jitter: 10 };
    let mut play = three(Config { max_memory: Some(memory), ..CONFIG });
    play.crew.begins_with(1, 90);
    play.crew.has(1, 100);
    assert_eq!(play.turn(), []);
    play.crew.has(1, 111);
    assert_eq!(play.starts(), [4]);
    play.crew.has(1, 200);
    assert_eq!(play.turn(), []);
    play.crew.serves(4, play.now);
    assert_eq!(play.turn(), terminated(&[1]));
}

#[test]
fn a_limit_that_none_could_keep_does_not_hold() {
    let memory = MaxMemory { bytes: 100, jitter: 0 };
    let mut play = three(Config { max_memory: Some(memory), ..CONFIG });
    play.crew.begins_with(1, 101);
    play.crew.has(1, 200);
    assert_eq!(play.turn(), []);
    play.crew.has(2, 101);
    assert_eq!(play.starts(), [4]);
}
