//! What a database is like.

use std::collections::BTreeMap;

use serde_json::{json, Value};

/// Which recorded version is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 17.0: JSON-RPC alone; dates are compared by the microsecond.
    V17,
    /// 18.0: JSON-RPC alone; `/json/<path>` is a page for people, who are led to the login first.
    V18,
    /// 19.0: JSON-2 as well; dates are compared by the second.
    V19,
}

/// Someone who may sign in, with the password `pw_LOGIN` or the API key `key_LOGIN`.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub id: u32,
    pub login: String,
    pub name: String,
    /// What errors are worded in: `en_US` or `de_DE`.
    pub lang: String,
    /// May read fields that are restricted to administrators.
    pub admin: bool,
    /// The companies that may be switched on; the first is the user's own.
    pub companies: Vec<u32>,
    /// The API key has expired.
    pub expired: bool,
    /// Models that may be read and not written.
    pub read_only: Vec<String>,
    /// Models that may not be read.
    pub denied: Vec<String>,
    /// Record rules: a domain per model, of what may be seen.
    pub rules: BTreeMap<String, Value>,
}

impl User {
    /// A user of the first two companies who sees everything.
    pub fn named(id: u32, login: &str, name: &str) -> Self {
        Self {
            id,
            login: login.into(),
            name: name.into(),
            lang: "en_US".into(),
            admin: false,
            companies: vec![1, 2],
            expired: false,
            read_only: Vec::new(),
            denied: Vec::new(),
            rules: BTreeMap::new(),
        }
    }

    /// What the user signs in with in a program.
    pub fn key(&self) -> String {
        format!("key_{}", self.login)
    }

    pub fn password(&self) -> String {
        format!("pw_{}", self.login)
    }
}

/// Size and behaviour of a database.
#[derive(Debug, Clone)]
pub struct Config {
    pub version: Version,
    pub seed: u64,
    /// The name of the database.
    pub database: String,
    /// Contacts beside those of the companies and users.
    pub partners: u32,
    /// Product templates; every tenth has several variants.
    pub templates: u32,
    /// How many variants the first such template has.
    pub big_variants: u32,
    pub categories: u32,
    pub sales: u32,
    pub purchases: u32,
    /// Internal transfers; confirmed sales and purchases have theirs beside them.
    pub transfers: u32,
    /// The last of three or more is archived.
    pub warehouses: u32,
    /// From 1 to 4, each with a currency of its own.
    pub companies: u32,
    /// By default: `apiuser`, `admin`, `limited` (sees no orders, may not see purchases), `expired`.
    pub users: Vec<User>,
    /// Port of the plain listener; 0 for any.
    pub port: u16,
    /// Listen with TLS too.
    pub https: bool,
}

impl Default for Config {
    fn default() -> Self {
        let limited = User {
            lang: "de_DE".into(),
            denied: vec!["purchase.order".into()],
            read_only: vec!["product.template".into()],
            rules: [("sale.order".into(), json!([["user_id", "=", 8]]))].into(),
            ..User::named(8, "limited", "Limited Salesman")
        };
        let admin = User {
            admin: true,
            ..User::named(2, "admin", "Mitchell Admin")
        };
        let expired = User {
            expired: true,
            ..User::named(9, "expired", "Former Integration")
        };
        let users = vec![
            admin,
            User::named(5, "demo", "Marc Demo"),
            User::named(7, "apiuser", "API Integration"),
            limited,
            expired,
        ];
        Self {
            version: Version::V19,
            seed: 1,
            database: "lab".into(),
            partners: 300,
            templates: 400,
            big_variants: 12,
            categories: 20,
            sales: 300,
            purchases: 80,
            transfers: 60,
            warehouses: 3,
            companies: 2,
            users,
            port: 0,
            https: false,
        }
    }
}
