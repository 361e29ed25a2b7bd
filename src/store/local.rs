//! Rows of the app's own relations. They are read through a cursor, so that memory doesn't grow with them.

use super::internal;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiResult};
use std::borrow::Cow;
use sync_engine::core::Layout;
use sync_engine::error::Result;

const BATCH: std::ffi::c_long = 1000;

/// Key, match key or record, fingerprint.
pub type LocalRow = (Option<String>, Option<String>, Option<pgrx::Uuid>);

/// Opens a cursor with the snapshot of the calling statement; the cursor's name.
pub fn open(query: &str, args: &[DatumWithOid]) -> Result<String> {
    Spi::connect(|client| {
        client
            .try_open_cursor(query, args)
            .map(|cursor| cursor.detach_into_name())
    })
    .map_err(internal)
}

/// The next rows, as they are; none at the end, where the cursor is closed.
pub fn fetch(name: &str) -> Result<Vec<LocalRow>> {
    next(name, |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)))
}

/// The next rows of a cursor over keys and texts, with what they are matched and compared by.
pub fn scan(name: &str, layout: &Layout) -> Result<Vec<LocalRow>> {
    next(name, |row| {
        let texts: Option<Array<'_, &str>> = row.get(2)?;
        let texts: Vec<_> = texts
            .iter()
            .flat_map(Array::iter)
            .map(|t| t.map(Cow::Borrowed))
            .collect();
        let print = pgrx::Uuid::from_bytes(layout.fingerprint(&texts).0);
        Ok((row.get(1)?, layout.match_key(&texts), Some(print)))
    })
}

/// The keys alone of the next rows.
pub fn keys(name: &str) -> Result<Vec<Option<String>>> {
    next(name, |row| row.get(1))
}

fn next<T>(name: &str, read: impl FnMut(SpiHeapTupleData<'_>) -> SpiResult<T>) -> Result<Vec<T>> {
    let rows = Spi::connect(|client| {
        let mut cursor = client.find_cursor(name)?;
        let rows = cursor.fetch(BATCH)?.map(read).collect::<SpiResult<Vec<T>>>()?;
        if !rows.is_empty() {
            cursor.detach_into_name();
        }
        Ok::<_, pgrx::spi::Error>(rows)
    });
    rows.map_err(internal)
}

/// Key, image before, hash after of a row that was written.
pub type Written = (Option<String>, Option<String>, Option<i64>);

/// Writes one chunk; the rows it returns.
pub fn write(query: &str, args: &[DatumWithOid]) -> Result<Vec<Written>> {
    Spi::connect_mut(|client| {
        client
            .update(query, None, args)?
            .map(|row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)))
            .collect::<std::result::Result<Vec<Written>, pgrx::spi::Error>>()
    })
    .map_err(internal)
}

/// Fires what is deferred, now and with the rights of now.
pub fn settle() -> Result<()> {
    super::run("SET CONSTRAINTS ALL IMMEDIATE", &[])
}
