//! What is asked of Postgres by its C functions: nearly all `unsafe` of the extension. What is elsewhere: workers are begun in
//! `call::launch` and begin in `worker`, an error's transaction is ended in `store::transaction`, one setting is registered
//! in `settings`, and jsonb arguments are read in `api::json`.

pub mod discreet;
pub mod ending;
pub mod identity;
pub mod latch;
pub mod limit;
pub mod lock;
pub mod mailbox;
pub mod raised;
pub mod report;
pub mod session;
