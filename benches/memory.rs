//! How much memory a worker takes, and that it takes no more for more records.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::lab::Lab;
use crate::report::{Report, Target};
use crate::shop::{shop, Subject};

/// Kilobytes, each at its highest.
#[derive(Default, Clone, Copy)]
struct Peak {
    /// Memory of its own: heap and stacks.
    anonymous: u64,
    /// The server's shared buffers, as far as it has touched them: every backend has them.
    shared: u64,
    /// Code and libraries.
    file: u64,
    /// All of it, as the kernel counts.
    resident: u64,
}

impl Peak {
    fn look(&mut self, pid: i32) {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            return;
        };
        for line in status.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let highest = match name {
                "RssAnon" => &mut self.anonymous,
                "RssShmem" => &mut self.shared,
                "RssFile" => &mut self.file,
                "VmHWM" => &mut self.resident,
                _ => continue,
            };
            let kilobytes = value.trim().trim_end_matches(" kB").parse().unwrap_or(0);
            *highest = (*highest).max(kilobytes);
        }
    }

    fn show(&self) -> String {
        let [own, shared, file, all] =
            [self.anonymous, self.shared, self.file, self.resident].map(|kb| mib(kb).round());
        format!("own memory {own} MiB, shared buffers touched {shared}, code {file}, VmHWM {all}")
    }
}

fn mib(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

pub fn run(lab: &Lab, report: &mut Report) {
    let idle = idle(lab);
    report.note(&format!("an idle backend: {}", idle.show()));
    let sizes = [100_000, 1_000_000];
    let [few, many] = sizes.map(|customers| {
        let (peak, seconds) = pull(lab, customers);
        report.note(&format!(
            "a pull of {customers} customers in {seconds:.0} s: {}",
            peak.show()
        ));
        peak
    });
    let more = mib(many.anonymous.saturating_sub(idle.anonymous));
    report.judge(
        more,
        "MiB",
        Target::AtMost(64.0),
        "memory of a worker's own (anonymous pages at their peak) beyond an idle backend's, 1,000,000 customers",
    );
    report.judge(
        many.anonymous as f64 / few.anonymous as f64,
        "x as much",
        Target::AtMost(1.1),
        "the peak at 1,000,000 customers against that at 100,000",
    );
}

fn idle(lab: &Lab) -> Peak {
    let mut client = lab.server.client("postgres");
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut peak = Peak::default();
    peak.look(pid);
    peak
}

/// Pulls so many customers into an empty ledger, and watches the worker.
fn pull(lab: &Lab, customers: u32) -> (Peak, f64) {
    let shop = shop(customers);
    let subject = Subject::new(lab.server, &shop);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&subject, &done));
        let result = subject.pull("incremental");
        done.store(true, Ordering::Relaxed);
        assert_eq!(result["inserted"].as_u64(), Some(customers.into()), "{result}");
        (
            watcher.join().unwrap(),
            result["durationMs"].as_f64().unwrap() / 1e3,
        )
    })
}

fn watch(subject: &Subject, done: &AtomicBool) -> Peak {
    let mut client = subject.db.client();
    let mut peak = Peak::default();
    let mut pid = None;
    while !done.load(Ordering::Relaxed) {
        if pid.is_none() {
            pid = client
                .query_opt(
                    "SELECT pid FROM pg_stat_activity
                     WHERE backend_type = 'sync_ext worker' AND datname = current_database()",
                    &[],
                )
                .unwrap()
                .map(|row| row.get(0));
        }
        if let Some(pid) = pid {
            peak.look(pid);
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(peak.resident > 0, "the worker was not seen");
    peak
}
