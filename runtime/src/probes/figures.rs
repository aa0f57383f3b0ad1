//! What the page for people shows, as one JSON document.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::json::{array, number, object, string};
use crate::metrics::{gains, Merged, Sample, Spent};

/// The requests of one route with one method.
#[derive(Default)]
struct Series {
    route: String,
    method: String,
    lane: String,
    /// By class.
    statuses: BTreeMap<String, f64>,
    /// By upper bound, as it is written, in the order of the bounds; each with all that are smaller.
    buckets: Vec<(String, f64)>,
    phases: BTreeMap<&'static str, f64>,
    /// What was measured of the handler's computing: seconds, and for how many requests.
    computed: (f64, f64),
}

/// The phases of requests, and whether they are the handler's own.
const PHASES: [(&str, &str); 4] = [
    ("bimetal_queue_seconds_sum", "queue"),
    ("bimetal_interpreter_wait_seconds_sum", "interpreter_wait"),
    ("bimetal_handler_seconds_sum", "handler"),
    ("bimetal_serialise_seconds_sum", "serialise"),
];

/// What is shown of each process.
const OF_PROCESSES: [(&str, &str); 15] = [
    ("bimetal_ready", "ready"),
    ("bimetal_connections", "connections"),
    ("bimetal_requests_in_flight", "in_flight"),
    ("bimetal_event_loop_lag_seconds", "loop_lag"),
    ("bimetal_queue_oldest_seconds", "queue_oldest"),
    ("bimetal_queue_jobs", "queue"),
    ("bimetal_runner_threads_busy", "runners_busy"),
    ("bimetal_runner_threads_max", "runners_max"),
    ("bimetal_blocking_jobs", "blocking_jobs"),
    ("bimetal_blocking_threads_busy", "blocking_busy"),
    ("bimetal_blocking_threads_max", "blocking_max"),
    ("process_resident_memory_bytes", "memory"),
    ("process_cpu_seconds_total", "cpu"),
    ("process_threads", "threads"),
    ("process_start_time_seconds", "started"),
];

/// `text` has the figures, as Prometheus reads them; `routes` is JSON already.
pub(super) fn json(text: &str, routes: &str, now: Duration) -> String {
    let merged = Merged::read(text);
    let (mut lanes, mut processes, mut all) = (BTreeMap::new(), BTreeMap::new(), Vec::<Series>::new());
    let mut places = HashMap::new();
    for sample in merged.samples() {
        let label = |name| sample.label(name).unwrap_or_default().to_owned();
        if sample.name() == "bimetal_requests_total" {
            lanes.insert(label("lane"), number(sample.value()));
        } else if let Some((_, name)) = OF_PROCESSES.iter().find(|(metric, _)| *metric == sample.name()) {
            let name = match sample.label("lane") {
                Some(lane) => format!("{name}_{lane}"),
                None => (*name).to_owned(),
            };
            let process: &mut BTreeMap<_, _> = processes.entry(label("worker")).or_default();
            process.insert(name, number(sample.value()));
        } else if let (Some(route), true) = (sample.label("route"), sample.name().starts_with("bimetal_")) {
            let key = (route.to_owned(), label("method"), label("lane"));
            let place = *places.entry(key).or_insert_with_key(|(route, method, lane)| {
                let (route, method, lane) = (route.clone(), method.clone(), lane.clone());
                all.push(Series { route, method, lane, ..Series::default() });
                all.len() - 1
            });
            all[place].add(&sample);
        }
    }
    let gains = gains(&all.iter().map(Series::spent).collect::<Vec<_>>());
    let processes = processes.into_iter().map(|(name, mut members)| {
        members.insert("worker".to_owned(), string(&name));
        object(members)
    });
    object([
        ("time", number(now.as_secs_f64())),
        ("version", string(env!("CARGO_PKG_VERSION"))),
        ("lanes", object(lanes)),
        ("processes", array(processes)),
        ("routes", routes.to_owned()),
        ("series", array(all.iter().zip(gains).map(|(series, gain)| series.json(gain)))),
    ])
}

impl Series {
    fn add(&mut self, sample: &Sample<'_>) {
        let value = sample.value();
        match sample.name() {
            "bimetal_request_duration_seconds_count" => {
                *self.statuses.entry(sample.label("status").unwrap_or_default().to_owned()).or_default() +=
                    value;
            }
            "bimetal_request_duration_seconds_bucket" => {
                let Some(bound) = sample.label("le") else { return };
                match self.buckets.iter_mut().find(|(known, _)| *known == bound) {
                    Some((_, count)) => *count += value,
                    None => self.buckets.push((bound.to_owned(), value)),
                }
            }
            "bimetal_handler_cpu_seconds_sum" => self.computed.0 += value,
            "bimetal_handler_cpu_seconds_count" => self.computed.1 += value,
            name => {
                if let Some((_, phase)) = PHASES.iter().find(|(metric, _)| *metric == name) {
                    *self.phases.entry(phase).or_default() += value;
                }
            }
        }
    }

    fn spent(&self) -> Spent {
        let phase = |name| self.phases.get(name).copied().unwrap_or_default();
        let requests = self.statuses.values().sum::<f64>() as u64;
        Spent {
            native: self.lane == "native",
            requests,
            outside: phase("queue") + phase("interpreter_wait") + phase("serialise"),
            inside: phase("handler"),
            computed: Spent::estimate(requests, self.computed.0, self.computed.1),
        }
    }

    fn json(&self, gain: Option<String>) -> String {
        let numbers =
            |of: &BTreeMap<String, f64>| object(of.iter().map(|(name, value)| (name, number(*value))));
        let bucket = |(bound, count): &(String, f64)| {
            let bound = bound.parse().map_or_else(|_| "null".to_owned(), number);
            array([bound, number(*count)])
        };
        object([
            ("route", string(&self.route)),
            ("method", string(&self.method)),
            ("lane", string(&self.lane)),
            ("statuses", numbers(&self.statuses)),
            ("buckets", array(self.buckets.iter().map(bucket))),
            ("phases", object(self.phases.iter().map(|(name, value)| (name, number(*value))))),
            ("gain", gain.map_or_else(|| "null".to_owned(), |gain| string(&gain))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::json;

    #[test]
    fn statuses_and_workers_are_put_together() {
        let text = concat!(
            "# TYPE bimetal_requests_total counter\nbimetal_requests_total{lane=\"sync\"} 12\n",
            "# TYPE bimetal_queue_jobs gauge\nbimetal_queue_jobs{lane=\"sync\",worker=\"1\"} 2\n",
            "bimetal_queue_jobs{lane=\"sync\",worker=\"2\"} 3\n",
            "# TYPE bimetal_request_duration_seconds histogram\n",
            "bimetal_request_duration_seconds_bucket{route=\"/a\",method=\"GET\",lane=\"sync\",status=\"2xx\",le=\"0.5\"} 9\n",
            "bimetal_request_duration_seconds_bucket{route=\"/a\",method=\"GET\",lane=\"sync\",status=\"2xx\",le=\"+Inf\"} 10\n",
            "bimetal_request_duration_seconds_count{route=\"/a\",method=\"GET\",lane=\"sync\",status=\"2xx\"} 10\n",
            "bimetal_request_duration_seconds_bucket{route=\"/a\",method=\"GET\",lane=\"sync\",status=\"5xx\",le=\"0.5\"} 2\n",
            "bimetal_request_duration_seconds_bucket{route=\"/a\",method=\"GET\",lane=\"sync\",status=\"5xx\",le=\"+Inf\"} 2\n",
            "bimetal_request_duration_seconds_count{route=\"/a\",method=\"GET\",lane=\"sync\",status=\"5xx\"} 2\n",
            "# TYPE bimetal_queue_seconds histogram\nbimetal_queue_seconds_sum{route=\"/a\",method=\"GET\",lane=\"sync\"} 3\n",
            "# TYPE bimetal_handler_seconds histogram\nbimetal_handler_seconds_sum{route=\"/a\",method=\"GET\",lane=\"sync\"} 1\n",
        );
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            json(text, "[1]", Duration::from_secs(7)),
            [
                r#"{"time":7,"version":""#,
                version,
                r#"","lanes":{"sync":12},"processes":[{"queue_sync":2,"worker":"1"},{"queue_sync":3,"worker":"2"}],"#,
                r#""routes":[1],"series":[{"route":"/a","method":"GET","lane":"sync","statuses":{"2xx":10,"5xx":2},"#,
                r#""buckets":[[0.5,11],[null,12]],"phases":{"handler":1,"queue":3},"#,
                r#""gain":"75% of its time is outside the handler"}]}"#,
            ]
            .concat()
        );
    }
}
