//! The figures of several processes as one text.

use std::borrow::Cow;
use std::collections::HashMap;

use super::exposition::{number, sample, unescape};

/// What belongs to one process, whatever its type: it is labelled with it, and ends with it.
const OF_ONE_PROCESS: &str = "process_";

/// The figures of several processes: counters and histograms are added up, gauges get a label `worker`.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// In the order in which they came.
    families: Vec<Family>,
    by_name: HashMap<String, usize>,
}

/// Whose figures are added.
#[derive(Clone, Copy)]
enum Whose<'a> {
    Worker(&'a str),
    /// Of one that is no more: what belongs to it alone is left out.
    Ended,
    /// They are taken as they are.
    Nobodys,
}

#[derive(Clone, Debug)]
struct Family {
    head: String,
    is_sum: bool,
    /// Name and labels, and the value.
    samples: Vec<(String, Total)>,
    by_key: HashMap<String, usize>,
}

/// A sum that does not depend on the order in which it is added up: a counter that went down by a rounding error would be a restart
/// for Prometheus.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// Of what has nine decimal places at most, as all of the server's own figures have.
    billionths: i128,
    rest: f64,
}

impl Total {
    /// `None` for what is no number.
    fn read(text: &str) -> Option<Total> {
        let value: f64 = text.parse().ok()?;
        Some(match billionths(text) {
            Some(billionths) => Total { billionths, rest: 0.0 },
            None => Total { billionths: 0, rest: value },
        })
    }

    fn add(&mut self, other: Total) {
        self.billionths = self.billionths.saturating_add(other.billionths);
        self.rest += other.rest;
    }

    fn value(self) -> f64 {
        self.billionths as f64 / 1e9 + self.rest
    }
}

/// A decimal number as a whole number of billionths, where it is one.
fn billionths(text: &str) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 9 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: i128 = format!("{whole}{part:0<9}").parse().ok()?;
    Some(digits)
}

/// One figure: a metric's name, its labels and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, Cow<'a, str>)>,
    value: f64,
}

impl<'a> Sample<'a> {
    /// `key` is name and labels as they are written: `hits{of="a"}`.
    fn read(key: &'a str, value: f64) -> Sample<'a> {
        let (name, mut rest) = key.split_once('{').unwrap_or((key, ""));
        let mut labels = Vec::new();
        while let Some((label, quoted)) = rest.split_once("=\"") {
            let mut escaped = false;
            let end = quoted.find(|character| {
                let ends = character == '"' && !escaped;
                escaped = character == '\\' && !escaped;
                ends
            });
            let Some(end) = end else { break };
            labels.push((label.trim_start_matches(','), unescape(&quoted[..end])));
            rest = &quoted[end + 1..];
        }
        Sample { name, labels, value }
    }

    /// The metric's name, with `_bucket`, `_sum` or `_count` where it is part of a histogram.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What a label says.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// The figure itself.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl Merged {
    /// The figures of one process, or of several that have been merged already.
    pub fn read(text: &str) -> Merged {
        let mut merged = Merged::default();
        merged.add_text(text, Whose::Nobodys);
        merged
    }

    /// All figures, in the order in which they came.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        let samples = self.families.iter().flat_map(|family| &family.samples);
        samples.map(|(key, total)| Sample::read(key, total.value()))
    }

    /// Adds the figures of a worker, in Prometheus' text format without times, where each metric has a `# TYPE`.
    pub fn add(&mut self, worker: &str, text: &str) {
        self.add_text(text, Whose::Worker(worker));
    }

    /// Adds what a worker that has ended leaves: its counters and histograms.
    pub fn add_ended(&mut self, text: &str) {
        self.add_text(text, Whose::Ended);
    }

    fn add_text(&mut self, text: &str, whose: Whose<'_>) {
        let (mut help, mut family) = ("", None);
        for line in text.lines() {
            if line.starts_with("# HELP ") {
                help = line;
            } else if let Some(of) = line.strip_prefix("# TYPE ") {
                family = self.family(of, help, line);
                help = "";
            } else if let (Some(place), Some((key, value))) = (family, line.rsplit_once(' ')) {
                let family = &mut self.families[place];
                let Some(value) = Total::read(value) else { continue };
                match whose {
                    _ if family.is_sum => family.total(key.to_owned()).add(value),
                    Whose::Worker(worker) => *family.total(labelled(key, worker)) = value,
                    Whose::Nobodys => *family.total(key.to_owned()) = value,
                    Whose::Ended => {}
                }
            }
        }
    }

    /// The family that a `# TYPE` line begins.
    fn family(&mut self, of: &str, help: &str, line: &str) -> Option<usize> {
        let (name, kind) = of.split_once(' ')?;
        if let Some(place) = self.by_name.get(name) {
            return Some(*place);
        }
        let is_sum = matches!(kind, "counter" | "histogram") && !name.starts_with(OF_ONE_PROCESS);
        let newline = if help.is_empty() { "" } else { "\n" };
        let head = format!("{help}{newline}{line}\n");
        self.families.push(Family { head, is_sum, samples: Vec::new(), by_key: HashMap::new() });
        self.by_name.insert(name.to_owned(), self.families.len() - 1);
        Some(self.families.len() - 1)
    }

    /// All of it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for family in &self.families {
            text.push_str(&family.head);
            for (key, total) in &family.samples {
                sample(&mut text, key, "", &number(total.value()));
            }
        }
        text
    }
}

impl Family {
    fn total(&mut self, key: String) -> &mut Total {
        let samples = &mut self.samples;
        let place = *self.by_key.entry(key).or_insert_with_key(|key| {
            samples.push((key.clone(), Total::default()));
            samples.len() - 1
        });
        &mut samples[place].1
    }
}

/// `name{a="b"}` with another label.
fn labelled(key: &str, worker: &str) -> String {
    match key.strip_suffix('}') {
        Some(key) => format!("{key},worker=\"{worker}\"}}"),
        None => format!("{key}{{worker=\"{worker}\"}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Merged;

    const ONE: &str = concat!(
        "# HELP hits Hits.\n# TYPE hits counter\nhits{of=\"a b}\"} 3\nhits{of=\"c\"} 1\n",
        "# TYPE sizes histogram\nsizes_bucket{le=\"1\"} 1\nsizes_bucket{le=\"+Inf\"} 2\nsizes_sum 2.5\nsizes_count 2\n",
        "# TYPE open gauge\nopen 4\n# TYPE at gauge\nat{x=\"y\"} 1.5\n",
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 7\n",
    );

    #[test]
    fn counters_are_added_up_and_gauges_are_labelled() {
        let mut merged = Merged::default();
        merged.add("1", ONE);
        merged.add(
            "2",
            "# HELP hits Hits.\n# TYPE hits counter\nhits{of=\"c\"} 2\n# TYPE open gauge\nopen 5\n",
        );
        assert_eq!(
            merged.text(),
            concat!(
                "# HELP hits Hits.\n# TYPE hits counter\nhits{of=\"a b}\"} 3\nhits{of=\"c\"} 3\n",
                "# TYPE sizes histogram\nsizes_bucket{le=\"1\"} 1\nsizes_bucket{le=\"+Inf\"} 2\nsizes_sum 2.5\n",
                "sizes_count 2\n",
                "# TYPE open gauge\nopen{worker=\"1\"} 4\nopen{worker=\"2\"} 5\n",
                "# TYPE at gauge\nat{x=\"y\",worker=\"1\"} 1.5\n",
                "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total{worker=\"1\"} 7\n",
            )
        );
    }

    #[test]
    fn figures_are_taken_apart() {
        let merged = Merged::read("# TYPE hits gauge\nhits{of=\"a \\\"}\\\\\",x=\"\\n,y=\"} 3\nhits 1\n");
        let samples: Vec<_> = merged.samples().collect();
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[0].name(), samples[0].value()), ("hits", 3.0));
        assert_eq!(samples[0].label("of"), Some("a \"}\\"));
        assert_eq!(samples[0].label("x"), Some("\n,y="));
        assert_eq!((samples[1].label("of"), samples[1].value()), (None, 1.0));
    }

    #[test]
    fn who_has_ended_leaves_what_it_has_counted() {
        let mut merged = Merged::default();
        merged.add_ended(ONE);
        merged.add_ended(ONE);
        let text = merged.text();
        assert!(text.contains("\nhits{of=\"c\"} 2\n") && text.contains("\nsizes_sum 5\n"), "{text}");
        assert!(!text.contains("\nopen") && !text.contains("\nprocess_cpu"), "{text}");
    }

    #[test]
    fn sums_do_not_depend_on_their_order() {
        let text = |value: &str| format!("# TYPE seconds_sum counter\nseconds_sum {value}\n");
        let values = ["0.1", "0.2", "0.3", "0.047075807", "12", "0.000000001", "-0.5", "1234567.000000004"];
        let sum = |values: &[&str]| {
            let mut merged = Merged::default();
            values.iter().for_each(|value| merged.add_ended(&text(value)));
            merged.text()
        };
        let expected = text("1234579.147075812");
        for turn in 0..values.len() {
            let mut turned = values;
            turned.rotate_left(turn);
            assert_eq!(sum(&turned), expected);
        }
        assert_eq!(sum(&["0.25", "0.0000000000625", "+Inf"]), text("+Inf"));
        assert_eq!(sum(&["NaN-", "7"]), text("7"));
    }
}
