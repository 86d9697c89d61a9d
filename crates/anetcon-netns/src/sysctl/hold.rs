//! Who switches the setting back: the last agent that leaves, and only if agents switched it on.

use std::os::fd::{AsFd, BorrowedFd};

use super::claims::{Claim, Claims};
use super::{NfLogAllNetns, SettingError};

/// This agent needs the setting on.
///
/// Each agent claims it with the value found before the first of them came. A later agent takes that value
/// over from the claims it sees, so the order in which agents leave does not matter. Dropping a hold, or
/// dying, gives up the claim and leaves the setting as it is; [`Hold::release`] restores it.
#[derive(Debug)]
pub struct Hold {
    setting: NfLogAllNetns,
    before: bool,
    claim: Claim,
}

/// What releasing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Switched off again, as it was before the first agent came.
    Restored,
    /// Left alone: it was on before.
    WasOn,
    /// Left alone: somebody has switched it off already.
    IsOff,
    /// Left on: other agents need it.
    StillNeeded,
}

/// The claim: as long as it is open anywhere, other agents see it.
impl AsFd for Hold {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.claim.as_fd()
    }
}

impl Hold {
    pub(super) fn acquire(setting: &NfLogAllNetns) -> Result<Self, SettingError> {
        let claims = Claims::on(&setting.path);
        // Between looking at the claims and the value, and claiming, nobody else may do the same.
        let _lock = claims.lock().map_err(|error| setting.failed("claim", error))?;
        let now = setting.read()?;
        let others = claims
            .others()
            .map_err(|error| setting.failed("see other agents' claims on", error))?;
        let inherited =
            others.iter().filter_map(|other| other.before).reduce(|one, two| one && two);
        let before = inherited.unwrap_or(now);
        let claim = claims.claim(before).map_err(|error| setting.failed("claim", error))?;
        if !now {
            setting.set(true)?;
        }
        Ok(Self { setting: setting.clone(), before, claim })
    }

    /// Whether the setting was on before the first agent came.
    pub fn was_on(&self) -> bool {
        self.before
    }

    /// Gives the claim up and restores the setting if nobody else needs it.
    pub fn release(self) -> Result<Released, SettingError> {
        let Self { setting, before, claim } = self;
        let claims = Claims::on(&setting.path);
        let _lock = claims.lock().map_err(|error| setting.failed("release", error))?;
        drop(claim);
        if before {
            return Ok(Released::WasOn);
        }
        let others = claims
            .others()
            .map_err(|error| setting.failed("see other agents' claims on", error))?;
        if !others.is_empty() {
            return Ok(Released::StillNeeded);
        }
        if !setting.read()? {
            return Ok(Released::IsOff);
        }
        setting.set(false)?;
        Ok(Released::Restored)
    }
}
