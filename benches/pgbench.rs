//! pgbench: the mean latency of one statement.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use sync_ext_tests::TestDb;
use uuid::Uuid;

/// One statement, sent again and again for a second.
pub struct Pgbench<'a> {
    pub db: &'a TestDb<'a>,
    /// Role and organisation of the session; the superuser for none.
    pub who: Option<(&'a str, Uuid)>,
    pub clients: u32,
    /// `simple` or `prepared`.
    pub protocol: &'a str,
    pub script: &'a str,
}

impl Pgbench<'_> {
    pub fn latency(&self) -> Duration {
        let mut command = self.db.server().program("pgbench", self.db.name());
        command.args(["-n", "-T", "1", "-M", self.protocol, "-f", "-"]);
        let clients = self.clients.to_string();
        command.args(["-c", &clients, "-j", &clients]);
        if let Some((role, org)) = self.who {
            command
                .env("PGUSER", role)
                .env("PGOPTIONS", format!("-c app.current_org_id={org}"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(self.script.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
        text.lines()
            .find_map(|line| {
                line.strip_prefix("latency average = ")?
                    .strip_suffix(" ms")?
                    .parse::<f64>()
                    .ok()
            })
            .map(|ms| Duration::from_secs_f64(ms / 1e3))
            .unwrap_or_else(|| panic!("no latency in:\n{text}\n{errors}"))
    }
}
