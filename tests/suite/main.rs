//! The extension, used by SQL as an app uses it, on a real server.

mod activity;
mod address;
mod contract;
mod contract_app;
mod contract_dump;
mod crash;
mod faults;
mod matching;
mod preview;
mod progress;
mod progress_live;
mod pull;
mod pull_changes;
mod pull_moving;
mod pull_resume;
mod readme;
mod shop;
mod smoke;
mod worker_cancel;
mod worker_limits;
mod worker_shop;
mod worker_storm;
