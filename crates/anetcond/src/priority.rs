//! Repairs come first: the threads of the rule plane run before every thread of ordinary priority.
//!
//! A flood of connections keeps every processor busy with the kernel's work and with our own reading. The ordinary
//! scheduler lets a thread that wakes up wait there for a whole slice, some milliseconds; a repair takes less than one.

use std::sync::Once;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Told once, not once for each thread.
static REFUSED: Once = Once::new();

/// Gives the calling thread the lowest real-time priority (`SCHED_FIFO`, sched(7)), which is above all ordinary ones. Needs a
/// limit `RLIMIT_RTPRIO` of 1 (`LimitRTPRIO=`), which the unit gives, or `CAP_SYS_NICE`. Without either repairs work all the same,
/// only later under load.
///
/// A thread of such a priority keeps its processor as long as it works. This plane works for less than a millisecond at a
/// time: damped repairs are its worst case, and the kernel leaves others 5 % of the time in any case
/// (`kernel.sched_rt_runtime_us`).
pub fn before_others() {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let raised = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
    if let Err(error) = raised {
        REFUSED.call_once(|| {
            tracing::info!(
                ?error,
                "repairs have no priority over other work: LimitRTPRIO=1 gives it"
            );
        });
    }
}
