//! A Postgres server of our own: made for one test process, gone with it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls};

use crate::place::{bin_dir, fresh_dir, hand_over};
use crate::process::{end, run, server_command, spawn_bound, without_pg_variables};

pub const SUPERUSER: &str = "postgres";

/// What every cluster starts with. Nothing is preloaded: the extension has to work without.
const SETTINGS: &str = "
listen_addresses = ''
shared_preload_libraries = ''
max_worker_processes = 64
max_connections = 100
fsync = off
log_line_prefix = '%m [%p] %q%u@%d '
sync_ext.allowed_hosts = '127.0.0.1'
";

/// The schema that tests have the extension in, and in the search path: `sync` as the README says, or what
/// SYNC_EXT_SCHEMA says.
pub fn schema() -> String {
    std::env::var("SYNC_EXT_SCHEMA").unwrap_or_else(|_| "sync".into())
}

/// The server that the tests of this process share.
pub fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    extern "C" fn stop_shared() {
        if let Some(server) = SHARED.get() {
            server.remove();
        }
    }
    SHARED.get_or_init(|| {
        let server = Server::separate();
        // Statics are not dropped.
        // SAFETY: the function stays loaded until the process ends.
        unsafe { libc::atexit(stop_shared) };
        server
    })
}

pub struct Server {
    bin: PathBuf,
    dir: PathBuf,
    process: Mutex<Child>,
    pub(crate) template: OnceLock<()>,
}

impl Server {
    /// A cluster of one's own, for tests that restart or crash it. It goes when dropped.
    pub fn separate() -> Server {
        Server::separate_with("")
    }

    /// The same with further lines for its postgresql.conf, e.g. `shared_preload_libraries = 'sync_ext'`. `{dir}` in
    /// them is the cluster's folder.
    pub fn separate_with(settings: &str) -> Server {
        let (bin, dir) = (bin_dir(), fresh_dir());
        for (name, mode) in [("data", 0o700), ("socket", 0o700)] {
            fs::create_dir(dir.join(name)).unwrap();
            hand_over(&dir.join(name), mode);
        }
        let mut initdb = server_command(&bin.join("initdb"));
        initdb.arg("-D").arg(dir.join("data"));
        initdb.args([
            "--no-sync",
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        run(initdb);

        write_key(&dir.join("key"));
        let mut conf = File::options()
            .append(true)
            .open(dir.join("data/postgresql.conf"))
            .unwrap();
        let own = format!(
            "unix_socket_directories = '{0}/socket'\nsync_ext.key_file = '{0}/key'\nsearch_path = '\"$user\", public, {1}'\n",
            dir.display(),
            schema()
        );
        let settings = settings.replace("{dir}", &dir.display().to_string());
        conf.write_all([SETTINGS, &own, &settings].concat().as_bytes())
            .unwrap();

        let process = Mutex::new(launch(&bin, &dir));
        let server = Server {
            bin,
            dir,
            process,
            template: OnceLock::new(),
        };
        server.wait_ready();
        server
    }

    /// A hot standby of this server. It follows until it is promoted, and goes when dropped.
    #[track_caller]
    pub fn standby(&self) -> Server {
        let (bin, dir) = (self.bin.clone(), fresh_dir());
        for name in ["data", "socket"] {
            fs::create_dir(dir.join(name)).unwrap();
            hand_over(&dir.join(name), 0o700);
        }
        let mut backup = server_command(&bin.join("pg_basebackup"));
        backup
            .args([
                "--checkpoint=fast",
                "--write-recovery-conf",
                "--no-sync",
                "-U",
                SUPERUSER,
                "-h",
            ])
            .arg(self.dir.join("socket"))
            .arg("-D")
            .arg(dir.join("data"));
        run(backup);
        // the last line counts
        let own = format!("unix_socket_directories = '{}/socket'\n", dir.display());
        File::options()
            .append(true)
            .open(dir.join("data/postgresql.conf"))
            .and_then(|mut conf| conf.write_all(own.as_bytes()))
            .unwrap();
        let process = Mutex::new(launch(&bin, &dir));
        let server = Server {
            bin,
            dir,
            process,
            template: OnceLock::new(),
        };
        server.wait_ready();
        server
    }

    /// How to connect as the superuser; change what should differ.
    pub fn config(&self, db: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(self.dir.join("socket"))
            .user(SUPERUSER)
            .dbname(db);
        config.connect_timeout(Duration::from_secs(10));
        config
    }

    /// A connection of the superuser.
    #[track_caller]
    pub fn client(&self, db: &str) -> Client {
        self.config(db)
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("connect to {db}: {error:?}"))
    }

    /// What psql prints, unaligned and without headers. A failed statement fails the test.
    #[track_caller]
    pub fn psql(&self, db: &str, sql: &str) -> String {
        let mut psql = self.program("psql", db);
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        run(psql).trim_end().to_string()
    }

    /// A client program of this Postgres (psql, pg_dump, pg_restore, pgbench ..), told where to connect.
    pub fn program(&self, name: &str, db: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        without_pg_variables(&mut command);
        command
            .env("PGHOST", self.dir.join("socket"))
            .env("PGUSER", SUPERUSER)
            .env("PGDATABASE", db);
        command
    }

    /// Ends the server, in an orderly way or (`immediate`) as a crash does, and starts it again.
    pub fn restart(&self, immediate: bool) {
        let mut process = self.lock();
        end(&mut process, if immediate { libc::SIGQUIT } else { libc::SIGINT });
        *process = launch(&self.bin, &self.dir);
        drop(process);
        self.wait_ready();
    }

    /// Whether this Postgres has an extension to create.
    pub fn has_extension(name: &str) -> bool {
        let mut pg_config = Command::new(bin_dir().join("pg_config"));
        pg_config.arg("--sharedir");
        let share = run(pg_config);
        Path::new(share.trim())
            .join(format!("extension/{name}.control"))
            .exists()
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.lock().id()
    }

    /// Everything the server has logged.
    pub fn log(&self) -> String {
        self.log_since(0)
    }

    /// A point in the log to read from later.
    pub fn log_mark(&self) -> u64 {
        fs::metadata(self.dir.join("log")).map_or(0, |log| log.len())
    }

    pub fn log_since(&self, mark: u64) -> String {
        let mut log = File::open(self.dir.join("log")).unwrap();
        let mut text = Vec::new();
        log.seek(SeekFrom::Start(mark)).unwrap();
        log.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The folder that holds the cluster; `data`, `log` and `key` are in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until connections are taken: after a start, or after a crash that the server recovers from by itself.
    #[track_caller]
    pub fn wait_ready(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.config("postgres").connect(NoTls) {
            let ended = self.lock().try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > end {
                panic!("the server does not answer ({ended:?}, {error})\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        // A test that failed while it held the lock must not take the others with it.
        self.process
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn remove(&self) {
        end(&mut self.lock(), libc::SIGINT);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.remove();
    }
}

fn launch(bin: &Path, dir: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut postgres = server_command(&bin.join("postgres"));
    postgres.arg("-D").arg(dir.join("data"));
    postgres
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    spawn_bound(postgres)
}

/// The file that seals credentials: 32 random bytes as 64 hex digits.
fn write_key(path: &Path) {
    let mut key = [0u8; 32];
    File::open("/dev/urandom").unwrap().read_exact(&mut key).unwrap();
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(path, digits + "\n").unwrap();
    hand_over(path, 0o600);
}
