//! Starting and ending the server's process.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::place::server_user;

/// A program of the server's side: it runs as the server's user, from a folder that this user can enter, and knows
/// nothing of other servers that the environment may name.
pub fn server_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = server_user() {
        command.uid(user.uid).gid(user.gid);
    }
    // Each ERROR would print a backtrace.
    command.current_dir("/").env_remove("RUST_BACKTRACE");
    without_pg_variables(&mut command);
    command
}

pub fn without_pg_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
}

/// Spawns a process that ends with this one, however this one ends.
pub fn spawn_bound(mut command: Command) -> Child {
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    // The signal comes when the spawning *thread* ends. Tests' threads do, so one that never ends spawns for all.
    type Job = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (reply, answer) = channel();
    let program = command.get_program().to_owned();
    spawner.lock().unwrap().send((command, reply)).unwrap();
    answer
        .recv()
        .unwrap()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Runs to the end; the output, or a failed test with all that was printed.
#[track_caller]
pub fn run(mut command: Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.into_owned()
}

pub fn signal(pid: u32, signal: i32) {
    // SAFETY: plain system call; the process may be gone, which is what we want then.
    unsafe { libc::kill(pid as i32, signal) };
}

/// Sends `first` and waits for the end; a server that doesn't obey is told to stop at once.
pub fn end(child: &mut Child, first: i32) {
    signal(child.id(), first);
    let patience = Instant::now() + Duration::from_secs(20);
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > patience {
            signal(child.id(), libc::SIGQUIT);
            let _ = child.wait();
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
