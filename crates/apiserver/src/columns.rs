//! Columns that several kinds share.

use berth_apimachinery::table::{Column, Table};

/// Name and creation time, for kinds whose age says little.
pub(crate) fn created_at() -> Table {
    let mut created = Column::new("Created At", "When the object was created.");
    created.format = "date-time";
    Table::new(vec![Column::name(), created], |object, _now| {
        vec![object.name().into(), object.meta("creationTimestamp").into()]
    })
}
