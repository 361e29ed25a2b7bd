//! What a shop is like.

/// Which recorded version is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 8.0.3 on WordPress 6.5: orders stored as posts, no lists of all variations or refunds.
    V8,
    /// 11.0.1 on WordPress 7.0: orders in their own tables (HPOS).
    V11,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    Read,
    Write,
    ReadWrite,
}

/// A REST API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub key: String,
    pub secret: String,
    pub permission: Permission,
    /// Role of the user it belongs to: `administrator`, `shop_manager`, `customer`.
    pub role: String,
}

impl Key {
    /// Key and secret made from a name: `ck_NAME` and `cs_NAME`.
    pub fn named(name: &str, permission: Permission, role: &str) -> Self {
        let (key, secret) = (format!("ck_{name}"), format!("cs_{name}"));
        Self {
            key,
            secret,
            permission,
            role: role.into(),
        }
    }
}

/// Size and behaviour of a shop.
#[derive(Debug, Clone)]
pub struct Config {
    pub version: Version,
    pub seed: u64,
    /// Users with the role `customer`; one in about a hundred more has another role.
    pub customers: u32,
    /// Products that are no variations; every tenth has variations.
    pub products: u32,
    pub orders: u32,
    pub categories: u32,
    /// How many variations the first variable product has (more than 100 makes pages; below 1000).
    pub big_variations: u32,
    /// Statuses that a plugin registered for orders; one order in forty has the first.
    pub custom_statuses: Vec<String>,
    /// By default: `ck_rw`, `ck_ro`, `ck_wo`, `ck_cust`, `ck_mgr` with `cs_...` alike.
    pub keys: Vec<Key>,
    /// The web server drops `Authorization`: Basic fails, keys in the query work.
    pub strip_authorization: bool,
    /// Permalinks are plain: the API is in the query alone, and its path is a page of the theme with this status.
    pub plain_permalinks: Option<u16>,
    /// Port of the plain listener; 0 for any.
    pub port: u16,
    /// Listen with TLS too.
    pub https: bool,
}

impl Default for Config {
    fn default() -> Self {
        use Permission::{Read, ReadWrite, Write};
        Self {
            version: Version::V11,
            seed: 1,
            customers: 300,
            products: 500,
            orders: 400,
            categories: 12,
            big_variations: 16,
            custom_statuses: vec!["awaiting-shipment".into()],
            keys: vec![
                Key::named("rw", ReadWrite, "administrator"),
                Key::named("ro", Read, "administrator"),
                Key::named("wo", Write, "administrator"),
                Key::named("cust", ReadWrite, "customer"),
                Key::named("mgr", ReadWrite, "shop_manager"),
            ],
            strip_authorization: false,
            plain_permalinks: None,
            port: 0,
            https: false,
        }
    }
}
