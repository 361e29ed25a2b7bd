//! Arguments of type jsonb. pgrx reads them before a function can say anything of them, and fails with XX000 where they are
//! nested too deep: here they come as text.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::fcinfo::direct_function_call;
use pgrx::nullable::Nullable;
use pgrx::pg_sys;
use pgrx::FromDatum;
use serde_json::{Map, Value};
use std::ffi::CStr;
use sync_engine::core::nesting;
use sync_engine::error::{Code, Error, Result};

/// A jsonb, as Postgres writes it.
pub struct Json(String);

impl Json {
    /// The value; 22023 where it is nested too deep.
    pub fn value(&self, what: &str) -> Result<Value> {
        nesting::parse(what, &self.0)
    }

    /// A record that is there already, of any depth.
    pub fn record(&self) -> Result<Map<String, Value>> {
        nesting::record(&self.0).ok_or_else(no_record)
    }

    /// A record that a call is about; 22023 where it is nested too deep.
    pub fn given_record(&self) -> Result<Map<String, Value>> {
        match self.value("the record")? {
            Value::Object(record) => Ok(record),
            _ => Err(no_record()),
        }
    }

    /// How deep it is nested.
    pub fn depth(&self) -> usize {
        nesting::depth_of_text(&self.0)
    }
}

fn no_record() -> Error {
    Error::new(Code::Invalid, "a record must be a JSON object")
        .hint("to_jsonb(row) makes one of a table's row.")
}

impl FromDatum for Json {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the datum is a jsonb, as the function's declaration says; the text is copied before it is freed.
        unsafe {
            let text = direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(datum)])?;
            let copy = text.to_string_lossy().into_owned();
            pg_sys::pfree(text.as_ptr() as *mut _);
            Some(Json(copy))
        }
    }
}

// SAFETY: read from its datum alone, by the implementation above.
unsafe impl<'fcx> ArgAbi<'fcx> for Json {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as for every argument that is read from its datum; a NULL never gets here.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| Json("null".to_owned()))
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

pgrx::impl_sql_translatable!(Json, arg_only = "jsonb");
