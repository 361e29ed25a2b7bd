//! What is claimed, measured: each figure is a ratio of two things timed side by side in this run.
//!
//! `make bench`, or `cargo run --release -p sync_ext_tests --bin bench -- delta pull` for some of them.
//! The exit code is 1 where a target is missed.

mod apply;
mod bind;
mod delta;
mod lab;
mod local;
mod memory;
mod pgbench;
mod preview;
mod progress;
mod pull;
mod report;
mod schedule;
mod shop;
mod slope;
mod timing;

use std::process::ExitCode;
use std::time::Instant;

use lab::Lab;
use report::Report;
use sync_ext_tests::Server;

type Bench = fn(&Lab, &mut Report);

const BENCHES: &[(&str, Bench)] = &[
    ("delta", delta::run),
    ("preview", preview::run),
    ("apply", apply::run),
    ("slope", slope::applies),
    ("lists", slope::lists),
    ("local", local::run),
    ("bind", bind::run),
    ("progress", progress::run),
    ("pull", pull::run),
    ("memory", memory::run),
    ("schedule", schedule::run),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("no bench \"{unknown}\"; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let server = Server::separate_with(lab::SETTINGS);
    let lab = Lab::new(&server);
    let mut report = Report::default();
    for (name, bench) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            let started = Instant::now();
            report.title(name);
            bench(&lab, &mut report);
            report.took(started.elapsed());
        }
    }
    report.end()
}
