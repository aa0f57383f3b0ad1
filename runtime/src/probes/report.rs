//! What one server says of itself when it is asked whether it is ready.

use std::fmt::Write as _;
use std::time::Duration;

use super::json::number;
use super::Readiness;

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The application's startup has not been done.
    Starting,
    /// It serves.
    Serving,
    /// It finishes what it has and ends.
    Draining,
}

/// From where on a server is not ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// How late the event loop may be.
    pub loop_lag: Duration,
    /// How long the oldest job that waits for a runner may have waited.
    pub queue_age: Duration,
    /// The threads that are busy, and with all of them busy the jobs that wait, for each thread that there may be.
    pub saturation: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { loop_lag: Duration::from_secs(1), queue_age: Duration::from_secs(2), saturation: 1.0 }
    }
}

/// One figure and what it may be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// Its name, with the unit.
    pub name: &'static str,
    /// What it is.
    pub value: f64,
    /// What it may be at most.
    pub threshold: f64,
}

impl Check {
    /// Whether it is not more than it may be.
    pub fn passes(&self) -> bool {
        self.value <= self.threshold
    }
}

/// What a server says of itself.
///
/// ```
/// use bimetal_runtime::probes::{Check, Report, Stage};
///
/// let check = Check { name: "queue_age_seconds", value: 2.5, threshold: 2.0 };
/// let report = Report { stage: Stage::Serving, checks: vec![check] };
/// assert_eq!(report.status(), "overloaded");
/// assert_eq!(
///     report.json(),
///     r#"{"status":"overloaded","checks":{"queue_age_seconds":{"value":2.5,"threshold":2,"ok":false}}}"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Where it is.
    pub stage: Stage,
    /// How its work goes.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether requests are welcome.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Serving && self.checks.iter().all(Check::passes)
    }

    /// In one word: `starting`, `ready`, `overloaded` or `draining`.
    pub fn status(&self) -> &'static str {
        match self.stage {
            Stage::Starting => "starting",
            Stage::Draining => "draining",
            Stage::Serving if self.is_ready() => "ready",
            Stage::Serving => "overloaded",
        }
    }

    /// As a JSON object.
    pub fn json(&self) -> String {
        let mut text = format!("{{\"status\":\"{}\",\"checks\":{{", self.status());
        for (place, check) in self.checks.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let (value, threshold) = (number(check.value), number(check.threshold));
            let (name, ok) = (check.name, check.passes());
            let _ =
                write!(text, "{comma}\"{name}\":{{\"value\":{value},\"threshold\":{threshold},\"ok\":{ok}}}");
        }
        text.push_str("}}");
        text
    }
}

impl From<&Report> for Readiness {
    fn from(report: &Report) -> Self {
        Readiness { ready: report.is_ready(), json: report.json() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Readiness, Report, Stage};

    #[test]
    fn one_check_that_fails_is_enough_and_only_a_serving_server_is_ready() {
        let check = |value| Check { name: "lag", value, threshold: 1.0 };
        let of = |stage, values: &[f64]| {
            let report = Report { stage, checks: values.iter().copied().map(check).collect() };
            (report.status(), Readiness::from(&report).ready)
        };
        assert_eq!(of(Stage::Serving, &[]), ("ready", true));
        assert_eq!(of(Stage::Serving, &[0.0, 1.0]), ("ready", true));
        assert_eq!(of(Stage::Serving, &[0.0, 1.1, 0.0]), ("overloaded", false));
        assert_eq!(of(Stage::Starting, &[0.0]), ("starting", false));
        assert_eq!(of(Stage::Draining, &[0.0]), ("draining", false));
    }

    #[test]
    fn the_json_names_each_check() {
        let checks = vec![
            Check { name: "a", value: 0.000_000_4, threshold: 1.0 },
            Check { name: "b", value: 1.25, threshold: f64::INFINITY },
        ];
        let report = Report { stage: Stage::Serving, checks };
        assert_eq!(
            report.json(),
            concat!(
                r#"{"status":"ready","checks":{"a":{"value":0,"threshold":1,"ok":true},"#,
                r#""b":{"value":1.25,"threshold":null,"ok":true}}}"#,
            )
        );
    }
}
