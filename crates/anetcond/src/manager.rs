//! What the service manager is asked over its bus (org.freedesktop.systemd1(5)): whether a stop is the first half of a restart.
//!
//! SIGTERM is the same for both. The job that the manager works on for our unit has a type that tells them apart; it does so for
//! `systemctl restart` and for upgrades of packages, which restart.

use std::time::Duration;

use tokio::time::timeout;
use zbus::Connection;
use zbus::zvariant::OwnedObjectPath;

/// How long the manager is waited for. Without an answer a stop is a stop.
const PATIENCE: Duration = Duration::from_secs(1);

const MANAGER: &str = "org.freedesktop.systemd1";

/// Whether we are told to end only so that another run can begin.
pub async fn is_restarting() -> bool {
    // systemd.exec(5): set for every service.
    if std::env::var_os("INVOCATION_ID").is_none() {
        return false;
    }
    match timeout(PATIENCE, job()).await {
        Ok(Ok(job)) => {
            tracing::debug!(job, "told to end");
            job.as_deref() == Some("restart")
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the service manager cannot be asked whether this is a restart: it counts as a stop");
            false
        }
        Err(_) => {
            tracing::warn!(
                "the service manager does not say whether this is a restart: it counts as a stop"
            );
            false
        }
    }
}

/// The type of the job that our unit has now, if it has one.
async fn job() -> zbus::Result<Option<String>> {
    let bus = Connection::system().await?;
    let manager = zbus::Proxy::new(
        &bus,
        MANAGER,
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
    )
    .await?;
    // 0: the caller.
    let unit: OwnedObjectPath = manager.call("GetUnitByPID", &0_u32).await?;
    let unit = zbus::Proxy::new(&bus, MANAGER, unit, "org.freedesktop.systemd1.Unit").await?;
    let (id, job): (u32, OwnedObjectPath) = unit.get_property("Job").await?;
    if id == 0 {
        return Ok(None);
    }
    let job = zbus::Proxy::new(&bus, MANAGER, job, "org.freedesktop.systemd1.Job").await?;
    Ok(Some(job.get_property("JobType").await?))
}
