//! The extension, used by SQL as an app uses it, on a real server.

mod address;
mod crash;
mod smoke;
mod worker_cancel;
mod worker_limits;
mod worker_shop;
mod worker_storm;
