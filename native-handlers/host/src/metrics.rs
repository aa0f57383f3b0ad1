//! The metrics that plugins have registered: one list for the process, so that a new generation goes on counting where the
//! old one stopped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bimetal_runtime::metrics::exposition::{escape, head, number, sample};
use bimetal_runtime::metrics::Observed;
use parking_lot::RwLock;

/// Series in a process at most; what is counted by user or by address is not a metric.
const MAX_SERIES: usize = 2_000;
const MAX_LABELS: usize = 8;
const MAX_BOUNDS: usize = 64;
/// Bytes of a name, a label's value or a help text.
const MAX_TEXT: usize = 256;
/// What the server's own metrics begin with.
const RESERVED: &str = "bimetal_";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One series. It stays until the process ends: whoever has registered it keeps a pointer.
#[derive(Debug)]
pub(crate) enum Series {
    Counter(AtomicU64),
    /// The bits of a float.
    Gauge(AtomicU64),
    Histogram(Histogram),
}

#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: Box<[f64]>,
    /// For each bound those at most as large and larger than the bound before; one more for what is larger than all.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

/// A metric as a plugin asks for it.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    pub(crate) labels: Vec<(&'a str, &'a str)>,
    pub(crate) bounds: &'a [f64],
}

struct Family {
    kind: Kind,
    help: String,
    /// Sorted.
    label_names: Vec<String>,
    bounds: Vec<f64>,
    /// By the labels as they are written: `a="1",b="2"`, sorted by name.
    series: BTreeMap<String, &'static Series>,
}

static FAMILIES: RwLock<BTreeMap<String, Family>> = RwLock::new(BTreeMap::new());

impl Series {
    pub(crate) fn add(&self, value: u64) {
        if let Series::Counter(count) = self {
            count.fetch_add(value, Relaxed);
        }
    }

    pub(crate) fn set(&self, value: f64, relative: bool) {
        match self {
            Series::Gauge(gauge) if relative => add_float(gauge, value),
            Series::Gauge(gauge) => gauge.store(value.to_bits(), Relaxed),
            Series::Counter(_) | Series::Histogram(_) => {}
        }
    }

    pub(crate) fn observe(&self, value: f64) {
        if let Series::Histogram(histogram) = self {
            let bucket = histogram.bounds.partition_point(|bound| *bound < value);
            histogram.counts[bucket].fetch_add(1, Relaxed);
            add_float(&histogram.sum, value);
        }
    }

    fn new(kind: Kind, bounds: &[f64]) -> Series {
        let zero = || AtomicU64::new(0.0f64.to_bits());
        match kind {
            Kind::Counter => Series::Counter(AtomicU64::new(0)),
            Kind::Gauge => Series::Gauge(zero()),
            Kind::Histogram => Series::Histogram(Histogram {
                bounds: bounds.into(),
                counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
                sum: zero(),
            }),
        }
    }
}

fn add_float(bits: &AtomicU64, value: f64) {
    let mut known = bits.load(Relaxed);
    while let Err(now) =
        bits.compare_exchange_weak(known, (f64::from_bits(known) + value).to_bits(), Relaxed, Relaxed)
    {
        known = now;
    }
}

/// The series of this name and these labels, made if it is not there. An error says what is wrong.
pub(crate) fn register(wanted: &Wanted<'_>) -> Result<&'static Series, &'static str> {
    register_in(&mut FAMILIES.write(), wanted)
}

fn register_in(
    families: &mut BTreeMap<String, Family>,
    wanted: &Wanted<'_>,
) -> Result<&'static Series, &'static str> {
    check(wanted)?;
    let mut labels = wanted.labels.clone();
    labels.sort_unstable();
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("a label is there twice");
    }
    let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
    let count: usize = families.values().map(|family| family.series.len()).sum();
    if let Some(family) = families.get(wanted.name) {
        if family.kind != wanted.kind {
            return Err("there is a metric of this name already, of another type");
        }
        if family.bounds != wanted.bounds {
            return Err("there is a histogram of this name already, with other buckets");
        }
        if family.label_names != names {
            return Err("there is a metric of this name already, with other labels");
        }
    } else if let Some(error) = overlap(families, wanted) {
        return Err(error);
    }
    let key = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value, true)));
    let key = key.collect::<Vec<_>>().join(",");
    if let Some(known) = families.get(wanted.name).and_then(|family| family.series.get(&key)) {
        return Ok(known);
    }
    if count >= MAX_SERIES {
        return Err("the process has 2000 series already; use labels with few values");
    }
    let family = families.entry(wanted.name.to_owned()).or_insert_with(|| Family {
        kind: wanted.kind,
        help: wanted.help.to_owned(),
        label_names: names.iter().map(|name| (*name).to_owned()).collect(),
        bounds: wanted.bounds.to_vec(),
        series: BTreeMap::new(),
    });
    let series: &'static Series = Box::leak(Box::new(Series::new(wanted.kind, wanted.bounds)));
    family.series.insert(key, series);
    Ok(series)
}

fn check(wanted: &Wanted<'_>) -> Result<(), &'static str> {
    let is_name = |name: &str, also: &str| {
        let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || also.contains(c);
        name.len() <= MAX_TEXT
            && name.starts_with(is_start)
            && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
    };
    if !is_name(wanted.name, ":") {
        return Err("the name is not one of letters, digits, `_` and `:`, at most 256");
    }
    if wanted.name.starts_with(RESERVED) {
        return Err("names that begin with `bimetal_` are the server's own");
    }
    if wanted.help.len() > MAX_TEXT || wanted.labels.iter().any(|(_, value)| value.len() > MAX_TEXT) {
        return Err("a help text or the value of a label is longer than 256 bytes");
    }
    if wanted.labels.len() > MAX_LABELS {
        return Err("it has more than 8 labels");
    }
    let reserved = |name: &str| name.starts_with("__") || (name == "le" && wanted.kind == Kind::Histogram);
    if wanted.labels.iter().any(|(name, _)| !is_name(name, "") || reserved(name)) {
        return Err("the name of a label is not one of letters, digits and `_`, or is one that Prometheus uses itself");
    }
    let rising = wanted.bounds.windows(2).all(|pair| pair[0] < pair[1]);
    match wanted.kind {
        Kind::Histogram if wanted.bounds.is_empty() || wanted.bounds.len() > MAX_BOUNDS => {
            Err("a histogram has 1 to 64 bounds")
        }
        Kind::Histogram if !rising || wanted.bounds.iter().any(|bound| !bound.is_finite()) => {
            Err("the bounds of a histogram are numbers that rise")
        }
        Kind::Counter | Kind::Gauge if !wanted.bounds.is_empty() => Err("only a histogram has bounds"),
        _ => Ok(()),
    }
}

/// Whether a line of this metric could be taken for one of a histogram's, or the other way round.
fn overlap(families: &BTreeMap<String, Family>, wanted: &Wanted<'_>) -> Option<&'static str> {
    const ENDINGS: [&str; 3] = ["_bucket", "_sum", "_count"];
    let of_histogram = |name: &str| {
        ENDINGS
            .iter()
            .filter_map(|ending| name.strip_suffix(ending))
            .any(|base| families.get(base).is_some_and(|family| family.kind == Kind::Histogram))
    };
    let covers = wanted.kind == Kind::Histogram
        && ENDINGS.iter().any(|ending| families.contains_key(&format!("{}{ending}", wanted.name)));
    (of_histogram(wanted.name) || covers).then_some("its name clashes with the lines of a histogram")
}

/// Every metric in Prometheus' text format.
pub(crate) fn text() -> String {
    text_of(&FAMILIES.read())
}

fn text_of(families: &BTreeMap<String, Family>) -> String {
    let mut text = String::new();
    for (name, family) in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        head(&mut text, name, kind, &family.help);
        for (labels, series) in &family.series {
            match series {
                Series::Counter(count) => sample(&mut text, name, labels, &count.load(Relaxed).to_string()),
                Series::Gauge(gauge) => {
                    sample(&mut text, name, labels, &number(f64::from_bits(gauge.load(Relaxed))));
                }
                Series::Histogram(histogram) => histogram.write(&mut text, name, labels),
            }
        }
    }
    text
}

impl Histogram {
    fn write(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (index, count) in self.counts.iter().enumerate() {
            total += count.load(Relaxed);
            let bound = number(self.bounds.get(index).copied().unwrap_or(f64::INFINITY));
            let labels = format!("{labels}{comma}le=\"{bound}\"");
            sample(text, &format!("{name}_bucket"), &labels, &total.to_string());
        }
        sample(text, &format!("{name}_sum"), labels, &number(f64::from_bits(self.sum.load(Relaxed))));
        sample(text, &format!("{name}_count"), labels, &total.to_string());
    }
}

/// The lines of a histogram of durations, in seconds.
pub(crate) fn durations(text: &mut String, name: &str, labels: &str, observed: &Observed) {
    let mut count = 0;
    for (bound, total) in observed.buckets() {
        let bound = number(bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64()));
        count = total;
        sample(text, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), &count.to_string());
    }
    sample(text, &format!("{name}_sum"), labels, &number(observed.sum().as_secs_f64()));
    sample(text, &format!("{name}_count"), labels, &count.to_string());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{register_in, text_of, Family, Kind, Series, Wanted};

    fn wanted<'a>(kind: Kind, name: &'a str, labels: &[(&'a str, &'a str)], bounds: &'a [f64]) -> Wanted<'a> {
        Wanted { kind, name, help: "What it\nis.", labels: labels.to_vec(), bounds }
    }

    #[test]
    fn the_text_is_that_of_prometheus() {
        let families: &mut BTreeMap<String, Family> = &mut BTreeMap::new();
        let mut register = |wanted| register_in(families, &wanted).unwrap();
        register(wanted(Kind::Counter, "hits", &[("b", "x\"\\\n"), ("a", "1")], &[])).add(3);
        register(wanted(Kind::Counter, "hits", &[("a", "1"), ("b", "y")], &[])).add(1);
        let gauge = register(wanted(Kind::Gauge, "open", &[], &[]));
        gauge.set(2.5, false);
        gauge.set(-1.0, true);
        let sizes = register(wanted(Kind::Histogram, "sizes", &[("of", "body")], &[1.0, 2.5]));
        for size in [0.5, 1.0, 2.0, 9.0] {
            sizes.observe(size);
        }
        assert_eq!(
            text_of(families),
            concat!(
                "# HELP hits What it\\nis.\n# TYPE hits counter\n",
                "hits{a=\"1\",b=\"x\\\"\\\\\\n\"} 3\nhits{a=\"1\",b=\"y\"} 1\n",
                "# HELP open What it\\nis.\n# TYPE open gauge\nopen 1.5\n",
                "# HELP sizes What it\\nis.\n# TYPE sizes histogram\n",
                "sizes_bucket{of=\"body\",le=\"1\"} 2\nsizes_bucket{of=\"body\",le=\"2.5\"} 3\n",
                "sizes_bucket{of=\"body\",le=\"+Inf\"} 4\nsizes_sum{of=\"body\"} 12.5\nsizes_count{of=\"body\"} 4\n",
            )
        );
    }

    #[test]
    fn the_same_metric_is_found_again_and_what_differs_is_refused() {
        let families: &mut BTreeMap<String, Family> = &mut BTreeMap::new();
        let mut register = |wanted| register_in(families, &wanted);
        let first: *const Series = register(wanted(Kind::Counter, "n", &[("a", "1")], &[])).unwrap();
        let again: *const Series = register(wanted(Kind::Counter, "n", &[("a", "1")], &[])).unwrap();
        assert_eq!(first, again);
        register(wanted(Kind::Histogram, "h", &[], &[1.0])).unwrap();
        register(wanted(Kind::Counter, "x_sum", &[], &[])).unwrap();
        let nine: Vec<(String, &str)> = (0..9).map(|n| (format!("l{n}"), "")).collect();
        let nine: Vec<(&str, &str)> = nine.iter().map(|(name, value)| (&**name, *value)).collect();
        for (refused, says) in [
            (wanted(Kind::Gauge, "n", &[("a", "1")], &[]), "another type"),
            (wanted(Kind::Counter, "n", &[], &[]), "other labels"),
            (wanted(Kind::Histogram, "h", &[], &[2.0]), "other buckets"),
            (wanted(Kind::Counter, "h_count", &[], &[]), "clashes"),
            (wanted(Kind::Histogram, "x", &[], &[2.0]), "clashes"),
            (wanted(Kind::Counter, "1n", &[], &[]), "the name is not"),
            (wanted(Kind::Counter, "a-b", &[], &[]), "the name is not"),
            (wanted(Kind::Counter, "bimetal_requests", &[], &[]), "the server's own"),
            (wanted(Kind::Counter, "o", &[("a:b", "")], &[]), "the name of a label"),
            (wanted(Kind::Histogram, "o", &[("le", "")], &[1.0]), "the name of a label"),
            (wanted(Kind::Counter, "o", &[("a", "1"), ("a", "2")], &[]), "twice"),
            (wanted(Kind::Counter, "o", &nine, &[]), "more than 8 labels"),
            (wanted(Kind::Counter, "o", &[], &[1.0]), "only a histogram"),
            (wanted(Kind::Histogram, "o", &[], &[]), "1 to 64 bounds"),
            (wanted(Kind::Histogram, "o", &[], &[2.0, 1.0]), "rise"),
            (wanted(Kind::Histogram, "o", &[], &[f64::NAN]), "rise"),
        ] {
            let error = register(refused).unwrap_err();
            assert!(error.contains(says), "{error} / {says}");
        }
    }

    #[test]
    fn there_is_an_end_to_the_series() {
        let families: &mut BTreeMap<String, Family> = &mut BTreeMap::new();
        for number in 0..super::MAX_SERIES {
            register_in(families, &wanted(Kind::Counter, "n", &[("user", &number.to_string())], &[]))
                .unwrap();
        }
        let error =
            register_in(families, &wanted(Kind::Counter, "n", &[("user", "one more")], &[])).unwrap_err();
        assert!(error.contains("2000 series"), "{error}");
        register_in(families, &wanted(Kind::Counter, "n", &[("user", "7")], &[])).unwrap();
    }
}
