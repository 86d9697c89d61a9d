//! `nf_log_all_netns` itself: the only tests that set it to 0, for as short as they can, since every
//! namespace of the machine logs nothing meanwhile. They leave it at 1 or as it was.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends at what it does not expect, and starts what it compares with"
)]

use std::fs;
use std::process::Command;
use std::time::Duration;

use anetcon_netns::sysctl::{NfLogAllNetns, Released};
use anetcon_testkit::netns::require_root;

const PATH: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

/// The same setting by another path: agents that run on this machine see none of the test's claims.
const BESIDE: &str = "/proc/sys/net/./netfilter/nf_log_all_netns";

/// Others on this machine may switch it on at any moment; then a try says nothing.
const TRIES: usize = 50;

/// Switches it on when the test is over. Whether it was on before is not known for sure, since others
/// may need it by now; on harms nobody.
struct OnAfterwards;

impl Drop for OnAfterwards {
    fn drop(&mut self) {
        let _ = fs::write(PATH, "1\n");
    }
}

#[tokio::test]
async fn the_setting_of_the_kernel_is_switched_restored_and_watched() {
    require_root();
    let _on = OnAfterwards;
    let setting = NfLogAllNetns::at(BESIDE);

    let restored = (0..TRIES).any(|_| {
        fs::write(PATH, "0\n").unwrap();
        let hold = setting.acquire().unwrap();
        let on = NfLogAllNetns::system().read().unwrap();
        let released = hold.release();
        setting.set(true).unwrap();
        on && released.unwrap() == Released::Restored
    });
    assert!(restored, "never restored in {TRIES} tries");

    let mut told = false;
    for _ in 0..TRIES {
        let mut changes = setting.changes();
        // By another implementation, in another process.
        let sysctl =
            Command::new("sysctl").args(["-qw", "net.netfilter.nf_log_all_netns=0"]).status();
        // Less than the second after which a new watch reads it anyway.
        let changed = tokio::time::timeout(Duration::from_millis(200), changes.changed()).await;
        setting.set(true).unwrap();
        assert!(sysctl.unwrap().success());
        told = matches!(changed, Ok(Ok(false))) && changes.changed().await.unwrap();
        if told {
            break;
        }
    }
    assert!(told, "the change was never told in {TRIES} tries");
}
