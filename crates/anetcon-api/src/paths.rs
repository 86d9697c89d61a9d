//! The paths of the control socket. Reads are GET for root and group adm, [`RELOAD`] and [`ROTATE`] are POST for root.

/// GET: a [`Status`](crate::Status).
pub const STATUS: &str = "/v1/status";
/// GET: [`Namespaces`](crate::Namespaces). With `/{name}` appended, percent-encoded: a
/// [`NamespaceDetail`](crate::NamespaceDetail).
pub const NAMESPACES: &str = "/v1/namespaces";
/// GET: a [`Diff`](crate::Diff) of every audited namespace, or of the one in `?namespace=`.
pub const DIFF: &str = "/v1/diff";
/// GET: an endless stream of [`Event`](crate::Event)s, one JSON object per line.
pub const WATCH: &str = "/v1/watch";
/// GET: numbers for Prometheus, as OpenMetrics text, or in its older format for clients that take only `text/plain`.
pub const METRICS: &str = "/metrics";
/// POST with an empty body: load the configuration again, answered by a [`Reload`](crate::Reload).
pub const RELOAD: &str = "/v1/reload";
/// POST with an empty body: open files that were renamed anew, answered by [`Rotated`](crate::Rotated).
pub const ROTATE: &str = "/v1/rotate";
