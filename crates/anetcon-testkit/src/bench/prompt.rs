//! A thread that only watches must not wait for a processor itself: what it then measured would be its own delay.

use anyhow::{Result, anyhow};
use thread_priority::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// While this lives, the thread that made it runs before all ordinary ones. Threads that it starts meanwhile do so too.
#[derive(Debug)]
pub(super) struct Prompt(());

impl Prompt {
    pub(super) fn begin() -> Result<Self> {
        let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, fifo)
            .map_err(|error| anyhow!("no real-time priority for the watching thread: {error:?}"))?;
        Ok(Self(()))
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        let ordinary = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        // Nobody may be kept from becoming ordinary again.
        let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, ordinary);
    }
}
