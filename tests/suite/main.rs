//! The extension, used by SQL as an app uses it, on a real server.

mod smoke;
mod worker_cancel;
mod worker_shop;
