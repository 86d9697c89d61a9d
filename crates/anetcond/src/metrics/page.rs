//! The page in one of the two formats.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::families::families;
use super::family::{Family, Values};
use super::snapshot::Snapshot;
use crate::agent::Agent;

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older format of Prometheus.
    Text,
    /// The same for node_exporter, which hands it on among its own numbers. Those about the process are not in it: node_exporter
    /// has the same of itself, and would refuse to tell anything at all.
    Textfile,
}

impl Format {
    /// What a client gets that says in `Accept` what it takes: OpenMetrics, unless it takes nothing but the older one.
    pub fn for_client(accept: &str) -> Self {
        let takes = |kind: &str| accept.to_ascii_lowercase().contains(kind);
        match takes("text/plain") && !takes("application/openmetrics-text") {
            true => Self::Text,
            false => Self::OpenMetrics,
        }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text | Self::Textfile => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// Everything, now.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn page(agent: &Agent, format: Format) -> Result<String, fmt::Error> {
    let mut families = families(&Snapshot::take(agent));
    families.retain(|family| format != Format::Textfile || family.is_ours());
    write(families, format)
}

fn write(families: Vec<Family>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(families)));
    let mut page = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut page, &registry)?,
        Format::Text | Format::Textfile => prometheus_text::encode(&mut page, &registry)?,
    }
    Ok(page)
}

#[derive(Debug)]
struct Page(Vec<Family>);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    /// Whether nobody else has a metric of this name.
    fn is_ours(&self) -> bool {
        self.name.starts_with("anetcon_")
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = format!("{}.", self.help);
        let mut metric = encoder.encode_descriptor(self.name, &help, None, self.kind())?;
        match &self.values {
            Values::Histogram(buckets, sum) => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
            Values::Counter(all) => all.iter().try_for_each(|one| {
                let none = None::<&Exemplar<NoLabelSet, f64>>;
                match one.labels.is_empty() {
                    true => metric.encode_counter(&one.value, none),
                    false => metric.encode_family(&one.labels)?.encode_counter(&one.value, none),
                }
            }),
            Values::Gauge(all) => all.iter().try_for_each(|one| match one.labels.is_empty() {
                true => metric.encode_gauge(&one.value),
                false => metric.encode_family(&one.labels)?.encode_gauge(&one.value),
            }),
        }
    }

    fn kind(&self) -> MetricType {
        match self.values {
            Values::Counter(_) => MetricType::Counter,
            Values::Gauge(_) => MetricType::Gauge,
            Values::Histogram(..) => MetricType::Histogram,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::Series;
    use super::*;

    fn sample() -> Vec<Family> {
        let evil = Series { labels: vec![("namespace", "a\"b\\c\nd".to_owned())], value: 2.0 };
        let plain = Series { labels: Vec::new(), value: f64::NAN };
        vec![
            Family { name: "some", help: "Some", values: Values::Counter(vec![evil]) },
            Family { name: "other", help: "Other", values: Values::Gauge(vec![plain]) },
            Family {
                name: "took_seconds",
                help: "Took",
                values: Values::Histogram(vec![(0.5, 2), (f64::INFINITY, 1)], 7.25),
            },
        ]
    }

    const TEXT: &str = r#"# HELP some_total Some.
# TYPE some_total counter
some_total{namespace="a\"b\\c\nd"} 2.0
# HELP other Other.
# TYPE other gauge
other NaN
# HELP took_seconds Took.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 7.25
took_seconds_count 3
"#;

    #[test]
    fn both_formats_say_the_same() {
        assert_eq!(write(sample(), Format::Text).as_deref(), Ok(TEXT));
        let open =
            TEXT.replace("HELP some_total", "HELP some").replace("TYPE some_total", "TYPE some");
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let written = write(sample(), Format::OpenMetrics).unwrap();
        assert!(written.ends_with("\n# EOF\n"), "{written}");
        assert_eq!(sorted(written), sorted(open + "# EOF"));
    }

    #[test]
    fn a_client_gets_what_it_can_read() {
        let cases = [
            ("*/*", Format::OpenMetrics),
            ("", Format::OpenMetrics),
            ("text/plain", Format::Text),
            ("Text/Plain; version=0.0.4, */*;q=0.1", Format::Text),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Format::OpenMetrics),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::for_client(accept), format, "{accept:?}");
        }
    }
}
