//! Which parts of the capture do not work now, so that each failure and each recovery is told once.

use std::error::Error;

use crate::counters::{Event, Part};

#[derive(Debug)]
struct Failure {
    part: Part,
    error: String,
    unwritten: u64,
}

/// The failures that last.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failures: Vec<Failure>,
}

impl Health {
    /// Notes a failure with the lines it cost. The event is there only when it begins.
    pub(crate) fn failed(
        &mut self,
        part: Part,
        error: &dyn Error,
        unwritten: u64,
    ) -> Option<Event> {
        let error = chain(error);
        if let Some(known) = self.failures.iter_mut().find(|failure| failure.part == part) {
            known.unwritten += unwritten;
            known.error = error;
            return None;
        }
        self.failures.push(Failure { part, error: error.clone(), unwritten });
        Some(Event::Failed { part, error })
    }

    /// Notes that a part works. The event is there only if it did not before.
    pub(crate) fn works(&mut self, part: Part) -> Option<Event> {
        let index = self.failures.iter().position(|failure| failure.part == part)?;
        let failure = self.failures.remove(index);
        let Failure { error, unwritten, .. } = failure;
        Some(Event::Recovered { part, error, unwritten })
    }

    /// The oldest failure that lasts.
    pub(crate) fn error(&self) -> Option<&str> {
        self.failures.first().map(|failure| failure.error.as_str())
    }
}

/// The error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use anetcon_core::prefix::Kind;

    use super::*;

    #[test]
    fn a_failure_is_told_when_it_begins_and_when_it_ends() {
        let mut health = Health::default();
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let float = Part::File(Kind::Float);
        assert_eq!(health.works(float), None);
        assert!(matches!(health.failed(float, &full, 2), Some(Event::Failed { .. })));
        assert_eq!(health.failed(float, &full, 3), None);
        assert_eq!(health.works(Part::File(Kind::Nat)), None, "the other file says nothing");
        assert_eq!(health.error(), Some("no storage space"));
        let ended = health.works(float);
        assert!(matches!(ended, Some(Event::Recovered { unwritten: 5, .. })), "{ended:?}");
        assert_eq!((health.works(float), health.error()), (None, None));
    }
}
