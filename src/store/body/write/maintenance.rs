//! *Purpose*: times in which no job may run, as rows.
//!
//! *Owns*: the writing of `maintenance`.
//!
//! *Promises*: a window that is over is no row any more.
//!
//! *Not here*: what such a window means (`kernel::parts::maintenance`).

use diesel::prelude::*;

use super::super::Conn;
use crate::kernel::parts::maintenance::Maintenance;
use crate::store::error::StoreError;
use crate::store::schema::maintenance;

pub(super) fn maintained(conn: &mut Conn, window: &Maintenance) -> Result<(), StoreError> {
    let row = (
        maintenance::id.eq(window.id),
        maintenance::start_time.eq(window.start.0),
        maintenance::end_time.eq(window.end.map(|end| end.0)),
        maintenance::reason.eq(&*window.reason),
        maintenance::principal.eq(&*window.principal),
    );
    diesel::insert_into(maintenance::table).values(row).execute(conn)?;
    Ok(())
}

pub(super) fn resumed(conn: &mut Conn, ids: &[i64]) -> Result<(), StoreError> {
    diesel::delete(maintenance::table.filter(maintenance::id.eq_any(ids))).execute(conn)?;
    Ok(())
}
