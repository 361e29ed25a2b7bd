//! What is printed, and how it ends.

use std::process::ExitCode;
use std::time::Duration;

/// What a figure has to be.
#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn met(self, value: f64) -> bool {
        match self {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Target::AtLeast(least) => format!("at least {least}"),
            Target::AtMost(most) => format!("at most {most}"),
        }
    }
}

/// Collects the figures of a run.
#[derive(Default)]
pub struct Report {
    bench: &'static str,
    judged: usize,
    missed: Vec<String>,
}

impl Report {
    pub fn title(&mut self, bench: &'static str) {
        self.bench = bench;
        println!("\n{bench}");
    }

    /// A figure with a target: `value` of `unit`, and what was compared.
    pub fn judge(&mut self, value: f64, unit: &str, target: Target, compared: &str) {
        self.judged += 1;
        let verdict = if target.met(value) { "ok" } else { "MISSED" };
        let line = format!("{value:.2} {unit} (target: {}): {compared}", target.text());
        println!("  {verdict:<6} {line}");
        if !target.met(value) {
            self.missed.push(format!("{}: {line}", self.bench));
        }
    }

    /// A figure without a target.
    pub fn note(&self, text: &str) {
        println!("  -      {text}");
    }

    pub fn took(&self, time: Duration) {
        println!("  ({:.0} s)", time.as_secs_f64());
    }

    /// The summary; the process' exit code.
    pub fn end(self) -> ExitCode {
        println!(
            "\n{} of {} targets met",
            self.judged - self.missed.len(),
            self.judged
        );
        for line in &self.missed {
            println!("missed: {line}");
        }
        if self.missed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
