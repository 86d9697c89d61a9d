//! `cargo xtask demo`: set-up, build as the calling user, then the demo binary as root.
//!
//! What the demo shows is in `anetcon_testkit::demo`: it links libnftnl, which we may not.

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    process::{self, Elevation, Interrupted},
    setup,
};

/// Arguments of `cargo xtask demo`.
#[derive(Args)]
pub struct Demo {
    /// Build with optimisation (slower to build; the demo shows the same).
    #[arg(long)]
    release: bool,
}

impl Demo {
    /// Prepares, builds and shows.
    pub fn run(self) -> Result<()> {
        let elevation = Elevation::detect();
        setup::install(setup::BUILD, elevation)?;
        show(elevation, self.release)
    }
}

/// Builds and shows; the packages are there.
///
/// # Errors
/// When the build or a step of the demo fails.
pub fn show(elevation: Elevation, release: bool) -> Result<()> {
    let mut build = process::cargo();
    // xtask is what runs now, and building it with the others' features would replace it.
    build.args(["build", "--workspace", "--exclude=xtask", "--bins"]);
    if release {
        build.arg("--release");
    }
    println!("building: {}", process::shown(&build));
    process::run(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    let program = process::target_directory()?.join(profile).join("anetcon-demo");
    let mut demo = elevation.command(&program).context(
        "the demo makes network namespaces and needs root: run it as root or install sudo",
    )?;
    if elevation == Elevation::Sudo {
        println!("the demo makes network namespaces and needs root: {}", process::shown(&demo));
    }
    // Ctrl-C reaches the demo too, which then cleans up; we wait for that.
    let _interrupted = Interrupted::watch()?;
    process::run(&mut demo)
}
