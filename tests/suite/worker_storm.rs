//! Many calls that end early, one after the other: nothing may be left of them.

use postgres::NoTls;
use sync_ext_tests::{wait_until, Server, TestDb};

use crate::worker_shop::*;

/// Segments of dynamic shared memory that the server holds; with `MMAP` they are files.
fn segments(server: &Server) -> usize {
    std::fs::read_dir(server.dir().join("data/pg_dynshmem"))
        .unwrap()
        .count()
}

const MMAP: &str = "dynamic_shared_memory_type = mmap\n";

/// A generator of its own, so that a failure can be repeated.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A worker among the server's processes: sessions see it only later.
fn worker_process(server: &Server) -> Option<String> {
    let pid = server.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let is_worker = |child: &&str| {
        std::fs::read_to_string(format!("/proc/{child}/cmdline"))
            .is_ok_and(|title| title.starts_with("postgres: sync_ext worker"))
    };
    children.split_whitespace().find(is_worker).map(str::to_owned)
}

/// The SQLSTATE of an error; empty where the connection broke.
fn sqlstate_of(error: &postgres::Error) -> &str {
    error.code().map_or("", postgres::error::SqlState::code)
}

/// Moments in the life of a call, by what can be seen of it.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Called,
    WorkerForked,
    WorkerConnected,
    ShopAsked,
    RunEntered,
    Over,
}

const MOMENTS: [Moment; 6] = [
    Moment::Called,
    Moment::WorkerForked,
    Moment::WorkerConnected,
    Moment::ShopAsked,
    Moment::RunEntered,
    Moment::Over,
];

#[test]
fn forty_random_endings_leave_no_worker_no_memory_and_no_crash() {
    // of its own: other tests' segments would be counted
    let server = Server::separate_with(MMAP);
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    shop.pull();
    let before = segments(&server);
    let mark = server.log_mark();
    let (mut state, mut well) = (0x5eed, 0);
    let mut observer = db.client();
    let mut runs = || -> i64 {
        let count = "SELECT count(*) FROM sync_run";
        observer.query_one(count, &[]).unwrap().get(0)
    };
    for round in 0..40 {
        let moment = MOMENTS[random(&mut state) as usize % MOMENTS.len()];
        let way = random(&mut state) % 4;
        let hangs = round % 3 == 0;
        if hangs {
            shop.hang();
        }
        let statement = match random(&mut state) % 3 {
            0 => "SELECT sync_test_connection('woocommerce')",
            1 => "SELECT sync_pull('woocommerce', 'customers', 'full')",
            _ => "SELECT sync_pull('woocommerce', 'products', 'full')",
        };
        let (runs_before, asked_before) = (runs(), shop.sandbox.stats().requests);
        let call = Call::start(shop.client(), statement);
        wait_until(PATIENCE, || {
            let has_come = match moment {
                Moment::Called => true,
                Moment::WorkerForked => worker_process(&server).is_some(),
                Moment::WorkerConnected => workers(&db) > 0,
                Moment::RunEntered => runs() > runs_before,
                Moment::Over if !hangs => false,
                Moment::ShopAsked | Moment::Over => shop.sandbox.stats().requests > asked_before,
            };
            has_come || call.is_over()
        });
        match way {
            0 => call.token.cancel_query(NoTls).unwrap(),
            1 => drop(db.psql(&format!("SELECT pg_terminate_backend({})", call.pid))),
            2 => drop(db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker'")),
            _ => drop(db.psql(&format!("SELECT pg_cancel_backend({})", call.pid))),
        }
        // whoever was ended before there was a worker to end goes on: the shop lets him
        shop.recover();
        match (call.finish(), way) {
            // it was over before, or there was nobody to end yet
            (Ok(_), _) => well += 1,
            (Err(error), 0 | 3) => assert_eq!(sqlstate_of(&error), "57014", "{moment:?}: {error:?}"),
            (Err(error), 1) => assert!(
                error.is_closed() || sqlstate_of(&error) == "57P01",
                "{moment:?}: {error:?}"
            ),
            (Err(error), _) => assert!(
                ["57P01", "58000"].contains(&sqlstate_of(&error)),
                "{moment:?}: {error:?}"
            ),
        }
    }
    assert!(well < 40, "none was ended");
    wait_for_workers(&db, 0);
    wait_until(PATIENCE, || segments(&server) <= before);
    assert_no_crash(&db, mark);
    shop.assert_nothing_lost();
}

#[test]
fn a_worker_whose_caller_is_gone_before_it_begins_ends_quietly() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let mut observer = db.client();
    let client = shop.client();
    let mark = server.log_mark();
    // whatever starts from now on, workers too, pauses for a second
    observer
        .batch_execute("ALTER SYSTEM SET post_auth_delay = 1")
        .unwrap();
    observer.batch_execute("SELECT pg_reload_conf()").unwrap();
    wait_until(PATIENCE, || db.psql("SHOW post_auth_delay") == "1s");
    let call = Call::start(client, CUSTOMERS);
    wait_until(PATIENCE, || worker_process(&server).is_some());
    let worker = worker_process(&server).unwrap();
    // a postmaster that is slow to pass the end on: the request is gone when the worker looks for it
    let signal = |signal| assert_eq!(unsafe { libc::kill(server.pid() as i32, signal) }, 0);
    signal(libc::SIGSTOP);
    observer
        .execute("SELECT pg_terminate_backend($1)", &[&call.pid])
        .unwrap();
    call.finish().expect_err("the caller was terminated");
    let status = format!("/proc/{worker}/status");
    wait_until(PATIENCE, || {
        std::fs::read_to_string(&status).unwrap().contains("(zombie)")
    });
    signal(libc::SIGCONT);
    observer
        .batch_execute("ALTER SYSTEM RESET post_auth_delay")
        .unwrap();
    observer.batch_execute("SELECT pg_reload_conf()").unwrap();
    wait_for_workers(&db, 0);
    assert_no_crash(&db, mark);
}

#[test]
fn a_hundred_calls_from_one_session_leave_no_shared_memory() {
    let server = Server::separate_with(MMAP);
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    client.batch_execute(CUSTOMERS).unwrap();
    let before = segments(&server);
    for round in 0..100 {
        // calls that fail, within a transaction that goes on, too
        let entity = if round % 2 == 0 { "customers" } else { "purchases" };
        let call = client.batch_execute(&format!("SELECT sync_pull('woocommerce', '{entity}')"));
        match entity {
            "customers" => call.unwrap(),
            _ => drop(refused(call, "22023")),
        }
    }
    assert!(
        segments(&server) <= before,
        "{} segments, {before} before",
        segments(&server)
    );
    assert_eq!(workers(&db), 0);
}
