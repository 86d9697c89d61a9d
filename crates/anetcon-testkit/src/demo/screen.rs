//! What the spectator of the demo sees: numbered steps, sentences, real output indented. Every call is also
//! a place where an interrupted demo ends.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Standard output, and whether somebody wants the demo to end.
pub(super) struct Screen {
    interrupted: Arc<AtomicBool>,
    bold: bool,
    step: u32,
    /// An empty line comes before whatever is next.
    gap: bool,
}

impl Screen {
    /// From now on SIGINT, SIGTERM and SIGHUP end the demo at its next word, in good order.
    pub(super) fn open() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("cannot catch signals")?;
        }
        let bold = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self { interrupted, bold, step: 0, gap: false })
    }

    /// Whether a signal has come.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// The title of the next step.
    pub(super) fn step(&mut self, title: &str) -> Result<()> {
        self.step += 1;
        self.gap = self.step > 1;
        let (on, off) = if self.bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        self.print(&format!("{on}{}. {title}{off}\n", self.step))?;
        self.gap = true;
        Ok(())
    }

    /// A sentence or two.
    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        self.print(&indented(text, "   "))
    }

    /// What a program, a file or the kernel said, word for word.
    pub(super) fn show(&mut self, text: &str) -> Result<()> {
        self.gap = true;
        self.print(&indented(text, "       "))?;
        self.gap = true;
        Ok(())
    }

    /// Asks until there is an answer, for at most some seconds.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        mut answer: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            self.check()?;
            if let Some(value) = answer()? {
                return Ok(value);
            }
            if Instant::now() > end {
                bail!("waited in vain: {what}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn print(&mut self, text: &str) -> Result<()> {
        self.check()?;
        let mut stdout = io::stdout().lock();
        if std::mem::take(&mut self.gap) {
            stdout.write_all(b"\n")?;
        }
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    fn check(&self) -> Result<()> {
        if self.interrupted() {
            bail!("interrupted");
        }
        Ok(())
    }
}

fn indented(text: &str, margin: &str) -> String {
    let lines = text.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("{margin}{line}\n"),
    });
    lines.collect()
}
