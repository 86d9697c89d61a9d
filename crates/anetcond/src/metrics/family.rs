//! A metric before it is written: its name, what it means and its numbers.

/// A metric with all its series.
#[derive(Debug)]
pub struct Family {
    /// Without the `_total` of a counter, which the format adds.
    pub name: &'static str,
    /// One sentence without its full stop, which the format adds.
    pub help: &'static str,
    /// The numbers.
    pub values: Values,
}

/// Numbers by their kind.
#[derive(Debug)]
pub enum Values {
    /// They only grow.
    Counter(Vec<Series>),
    /// They go up and down.
    Gauge(Vec<Series>),
    /// How many were how large: buckets with their upper bounds, and the sum.
    Histogram(Vec<(f64, u64)>, f64),
}

/// One number and what tells it from the others.
#[derive(Debug)]
pub struct Series {
    /// Names and words.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// A metric that only grows.
pub fn counter(name: &'static str, help: &'static str, series: Vec<Series>) -> Family {
    Family { name, help, values: Values::Counter(series) }
}

/// A metric that goes up and down.
pub fn gauge(name: &'static str, help: &'static str, series: Vec<Series>) -> Family {
    Family { name, help, values: Values::Gauge(series) }
}

/// A metric of one number.
pub fn one(value: f64) -> Vec<Series> {
    vec![Series { labels: Vec::new(), value }]
}

/// A number for each word of a label.
pub fn by<W: ToString>(
    label: &'static str,
    values: impl IntoIterator<Item = (W, f64)>,
) -> Vec<Series> {
    let series =
        |(word, value): (W, f64)| Series { labels: vec![(label, word.to_string())], value };
    values.into_iter().map(series).collect()
}

/// Prometheus has no other numbers than these; up to 2^53 nothing is lost.
pub fn whole(number: u64) -> f64 {
    number as f64
}
