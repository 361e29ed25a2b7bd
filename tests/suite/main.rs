//! The extension, used by SQL as an app uses it, on a real server.

mod activity;
mod address;
mod contract;
mod contract_app;
mod contract_dump;
mod crash;
mod progress;
mod progress_live;
mod readme;
mod smoke;
mod worker_cancel;
mod worker_limits;
mod worker_shop;
mod worker_storm;
