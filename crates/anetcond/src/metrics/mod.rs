//! Metrics: what the agent knows, as numbers for Prometheus. They are read on the control socket, over TCP and from a file.
//!
//! `facts` counts what nobody else counts, `snapshot` takes everything together at one moment, `families` says what each number
//! is called and means, `page` writes them in the two formats there are, `textfile` into a file. No number here is worth a wait: what a scrape reads
//! was counted before, and no namespace is asked anything for it.

mod facts;
mod families;
mod family;
mod page;
mod process;
mod snapshot;
pub mod textfile;

pub use self::facts::{Facts, Resync};
pub use self::page::{Format, page};
pub use self::textfile::Trouble;
