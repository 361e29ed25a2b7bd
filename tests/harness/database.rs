//! A database of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;

use postgres::{Client, NoTls};
use uuid::Uuid;

use crate::server::{schema, server, Server};

const TEMPLATE: &str = "sync_ext_template";

/// A database with the extension. It and the roles made for it are dropped with it.
pub struct TestDb<'server> {
    server: &'server Server,
    name: String,
    roles: Mutex<Vec<String>>,
}

impl TestDb<'static> {
    /// On the server that all tests share.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        TestDb::on(server())
    }
}

impl<'server> TestDb<'server> {
    pub fn on(server: &'server Server) -> Self {
        server.template.get_or_init(|| make_template(server));
        let name = unique("test");
        let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        server
            .client("postgres")
            .batch_execute(&create)
            .unwrap_or_else(|error| panic!("{create}: {error:?}"));
        TestDb {
            server,
            name,
            roles: Mutex::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn server(&self) -> &'server Server {
        self.server
    }

    /// A connection of the superuser.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.server.client(&self.name)
    }

    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.server.psql(&self.name, sql)
    }

    /// Sets a setting for all sessions that start from now on.
    #[track_caller]
    pub fn set(&self, setting: &str, value: &str) {
        let value = value.replace('\'', "''");
        self.client()
            .batch_execute(&format!("ALTER DATABASE {} SET {setting} = '{value}'", self.name))
            .unwrap();
    }

    /// An organisation that nobody has been granted yet.
    pub fn org(&self) -> Uuid {
        Uuid::new_v4()
    }

    /// A role that may log in and see that there is something in the extension's schema, and nothing else: what it lacks are
    /// rights, not the functions in its search path.
    #[track_caller]
    pub fn login_role(&self) -> String {
        self.create_role("LOGIN")
    }

    /// A role that can't log in: for grants and ownership.
    #[track_caller]
    pub fn nologin_role(&self) -> String {
        self.create_role("NOLOGIN")
    }

    /// A role that may log in and is granted `level` (read, operate, admin) on `org`; `None` is any organisation.
    #[track_caller]
    pub fn role(&self, level: &str, org: impl Into<Option<Uuid>>) -> String {
        let role = self.login_role();
        let org = org.into().map_or("NULL".into(), |org| format!("'{org}'"));
        let grant = format!("SELECT sync_grant(role => '{role}', org_id => {org}, level => '{level}')");
        self.client()
            .batch_execute(&grant)
            .unwrap_or_else(|error| panic!("{grant}: {error:?}"));
        role
    }

    /// A connection as `role`, speaking for `org` (`None`: for no organisation).
    #[track_caller]
    pub fn connect_as(&self, role: &str, org: impl Into<Option<Uuid>>) -> Client {
        let mut config = self.server.config(&self.name);
        config.user(role);
        if let Some(org) = org.into() {
            config.options(&format!("-c app.current_org_id={org}"));
        }
        config
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("connect as {role}: {error:?}"))
    }

    #[track_caller]
    fn create_role(&self, login: &str) -> String {
        let role = unique("role");
        self.client()
            .batch_execute(&format!(
                "CREATE ROLE {role} {login}; GRANT USAGE ON SCHEMA {} TO {role}",
                schema()
            ))
            .unwrap();
        self.roles.lock().unwrap().push(role.clone());
        role
    }
}

impl Drop for TestDb<'_> {
    fn drop(&mut self) {
        // Not a place to fail: the test may be failing already, and the server goes at the end with all it has.
        let Ok(mut client) = self.server.config("postgres").connect(NoTls) else {
            return;
        };
        let _ = client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        for role in self.roles.get_mut().into_iter().flatten() {
            let _ = client.batch_execute(&format!("DROP ROLE {role}"));
        }
    }
}

fn make_template(server: &Server) {
    // One that an earlier, failed try left; it would hide why that failed.
    server.psql("postgres", &format!("DROP DATABASE IF EXISTS {TEMPLATE}"));
    server.psql("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
    let schema = schema();
    let create =
        format!("CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION sync_ext WITH SCHEMA {schema}");
    let created = server.client(TEMPLATE).batch_execute(&create);
    created.unwrap_or_else(|error| panic!("CREATE EXTENSION sync_ext: {error:?}\n{}", server.log()));
}

fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{what}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
