//! Times on the command line: `--at`, `--from` and `--to`, and how they were understood.

use anetcon_records::search::{Moment, Refused, Span};
use anyhow::anyhow;
use clap::Args;
use jiff::{SignedDuration, ZonedDateTime};

use crate::exit::{Exit, Failure};
use crate::view;

/// When.
#[derive(Debug, Args)]
pub struct Times {
    /// When it was seen
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["from", "to"])]
    at: Option<String>,
    /// Only from this time on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
}

/// An option, and what is wrong with it.
pub type Wrong = (&'static str, Refused);

impl Times {
    /// The span, `window` around `--at`; and a sentence for each time that was written as local time.
    ///
    /// # Errors
    /// The option that is wrong.
    pub fn span(
        &self,
        window: SignedDuration,
        now: &ZonedDateTime,
    ) -> Result<(Span, Vec<String>), Wrong> {
        let mut local = Vec::new();
        let mut time = |option: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                let moment = Moment::parse(text, now).map_err(|refused| (option, refused))?;
                local.extend(moment.local.then(|| view::local_time(option, moment.time, now)));
                Ok(Some(moment.time))
            }
        };
        let (at, from, to) =
            (time("--at", &self.at)?, time("--from", &self.from)?, time("--to", &self.to)?);
        let span = match at {
            Some(at) => Span::around(at, window),
            None => Span { from, to, at: None },
        };
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            let text = self.to.as_deref().unwrap_or_default();
            return Err(("--to", Refused::whole(text, "this is before --from")));
        }
        Ok((span, local))
    }
}

/// The failure that shows what is wrong with an option.
pub fn failure((option, refused): Wrong) -> Failure {
    let failure = Failure::new(Exit::Usage, anyhow!(view::refused(option, &refused)));
    match refused.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
