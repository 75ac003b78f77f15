//! The log of revisions, as SQL.

use berth_store::{Changed, Event, Key, PAGE_BYTES, Page, Revision, Versioned};
use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row};

/// Bytes of values that are read from the log for a watcher at once, about.
const HISTORY_BYTES: usize = 1 << 20;

/// The revisions that can be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The oldest, or rather the one that everything older is compacted into.
    pub(crate) oldest: Revision,
    /// The latest.
    pub(crate) current: Revision,
}

/// An entry of the log without its key.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) modified: Revision,
    pub(crate) created: Revision,
    /// None: a deletion.
    pub(crate) value: Option<Bytes>,
}

impl Entry {
    /// The value with its place in history, unless the entry is a deletion.
    pub(crate) fn versioned(self, key: &Key) -> Option<Versioned> {
        let Self {
            modified,
            created,
            value,
        } = self;
        value.map(|value| Versioned {
            key: key.clone(),
            value,
            created,
            modified,
        })
    }
}

/// A revision as SQLite stores it. SQLite's integers end at 2^63, as would a machine's patience.
fn number(revision: Revision) -> i64 {
    i64::try_from(revision.get()).unwrap_or(i64::MAX)
}

fn revision(row: &Row<'_>, column: usize) -> Result<Revision> {
    let number: i64 = row.get(column)?;
    let number =
        u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))?;
    Ok(Revision::new(number))
}

fn key(row: &Row<'_>, column: usize) -> Result<Key> {
    let text = row.get_ref(column)?.as_str()?;
    Key::new(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// The entry in three columns from `first` on: revision, created, value.
fn entry(row: &Row<'_>, first: usize) -> Result<Entry> {
    Ok(Entry {
        modified: revision(row, first)?,
        created: revision(row, first + 1)?,
        value: row
            .get_ref(first + 2)?
            .as_blob_or_null()?
            .map(Bytes::copy_from_slice),
    })
}

/// Which revisions the database holds.
pub(crate) fn bounds(connection: &Connection) -> Result<Bounds> {
    // Compaction may remove the very last entry, if that is a deletion: then `oldest` remembers its revision.
    connection
        .prepare_cached(
            "SELECT oldest, max(oldest, coalesce((SELECT max(revision) FROM log), 0)) FROM history",
        )?
        .query_row((), |row| {
            Ok(Bounds {
                oldest: revision(row, 0)?,
                current: revision(row, 1)?,
            })
        })
}

/// How many entries there are after a revision.
pub(crate) fn count_after(connection: &Connection, after: Revision) -> Result<u64> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM log WHERE revision > ?1")?
        .query_row([number(after)], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// What the log says last about a key up to a revision.
pub(crate) fn latest(connection: &Connection, key: &Key, at: Revision) -> Result<Option<Entry>> {
    connection
        .prepare_cached(
            "SELECT revision, created, value FROM log
             WHERE key = ?1 AND revision <= ?2 ORDER BY revision DESC LIMIT 1",
        )?
        .query_row((key.as_str(), number(at)), |row| entry(row, 0))
        .optional()
}

/// Appends an entry.
pub(crate) fn append(
    connection: &Connection,
    modified: Revision,
    key: &Key,
    created: Revision,
    value: Option<&[u8]>,
) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO log (revision, key, created, value) VALUES (?1, ?2, ?3, ?4)")?
        .execute((number(modified), key.as_str(), number(created), value))?;
    Ok(())
}

/// A page of the keys that `prefix` covers behind `after`, as they were at `at`.
pub(crate) fn list(
    connection: &Connection,
    prefix: &Key,
    after: Option<&Key>,
    limit: usize,
    at: Revision,
) -> Result<Page> {
    let mut page = Page {
        items: Vec::new(),
        revision: at,
        more: false,
    };
    if after.is_none_or(|after| after < prefix) {
        let itself = latest(connection, prefix, at)?.and_then(|entry| entry.versioned(prefix));
        page.items.extend(itself);
    }
    let mut bytes: usize = page.items.iter().map(|item| item.value.len()).sum();
    let (first, end) = prefix.below();
    // `first` is no key itself, so "behind" may be said of it as of `after`.
    let behind = after.map_or(first.as_str(), |after| after.as_str().max(&first));
    // The index alone finds the latest revision of each key, one key after the other; values are read for those only.
    let mut keys = connection.prepare_cached(
        "SELECT key, max(revision) FROM log INDEXED BY log_by_key
         WHERE key > ?1 AND key < ?2 AND revision <= ?3 GROUP BY key ORDER BY key",
    )?;
    let mut values =
        connection.prepare_cached("SELECT revision, created, value FROM log WHERE revision = ?1")?;
    let mut rows = keys.query((behind, end.as_str(), number(at)))?;
    while let Some(row) = rows.next()? {
        let key = key(row, 0)?;
        let entry = values.query_row([row.get::<_, i64>(1)?], |row| entry(row, 0))?;
        let Some(item) = entry.versioned(&key) else {
            continue;
        };
        if page.items.len() >= limit || bytes >= PAGE_BYTES {
            page.more = true;
            break;
        }
        bytes += item.value.len();
        page.items.push(item);
    }
    Ok(page)
}

/// The next events after `from` of the keys that `prefix` covers, at most `limit`, and how far they go.
pub(crate) fn events(
    connection: &Connection,
    prefix: &Key,
    from: Revision,
    limit: usize,
    current: Revision,
) -> Result<(Vec<Event>, Revision)> {
    let (first, end) = prefix.below();
    let mut statement = connection.prepare_cached(
        "SELECT now.key, now.revision, now.created, now.value, old.revision, old.created, old.value
         FROM log AS now LEFT JOIN log AS old ON old.revision =
             (SELECT max(revision) FROM log WHERE key = now.key AND revision < now.revision)
         WHERE now.revision > ?1 AND (now.key = ?2 OR (+now.key > ?3 AND +now.key < ?4)) ORDER BY now.revision",
    )?;
    let mut rows = statement.query((number(from), prefix.as_str(), first.as_str(), end.as_str()))?;
    let (mut events, mut bytes, mut through) = (Vec::new(), 0, from);
    while let Some(row) = rows.next()? {
        if events.len() == limit || bytes >= HISTORY_BYTES {
            return Ok((events, through));
        }
        let key = key(row, 0)?;
        let now = entry(row, 1)?;
        let old = if row.get_ref(4)? == rusqlite::types::ValueRef::Null {
            None
        } else {
            Some(entry(row, 4)?)
        };
        let previous = old.and_then(|old| old.versioned(&key));
        through = now.modified;
        let change = now.versioned(&key).map_or(Changed::Delete, Changed::Put);
        let event = Event {
            revision: through,
            key,
            change,
            previous,
        };
        bytes += weight(&event);
        events.push(event);
    }
    Ok((events, current))
}

fn weight(event: &Event) -> usize {
    let value = match &event.change {
        Changed::Put(versioned) => versioned.value.len(),
        Changed::Delete => 0,
    };
    value + event.previous.as_ref().map_or(0, |previous| previous.value.len())
}

/// Remembers that everything before `oldest` is compacted.
pub(crate) fn set_oldest(connection: &Connection, oldest: Revision) -> Result<()> {
    connection
        .prepare_cached("UPDATE history SET oldest = max(oldest, ?1)")?
        .execute([number(oldest)])
        .map(|_| ())
}

/// Removes entries that compaction has superseded, looking at `limit` entries that became old with it; returns whether
/// that was all.
///
/// Each entry that is old enough supersedes the earlier ones of its key. Going upwards, a deletion is removed itself
/// only when nothing before it is left that would come alive again.
pub(crate) fn sweep(connection: &Connection, limit: usize) -> Result<bool> {
    let mut old = connection.prepare_cached(
        "SELECT revision, key, value IS NULL FROM log, history
         WHERE revision > swept AND revision <= oldest ORDER BY revision LIMIT ?1",
    )?;
    let limit_number = i64::try_from(limit).unwrap_or(i64::MAX);
    let old: Vec<(i64, String, bool)> = old
        .query_map([limit_number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    let mut superseded = connection.prepare_cached("DELETE FROM log WHERE key = ?1 AND revision < ?2")?;
    let mut deletion = connection.prepare_cached("DELETE FROM log WHERE revision = ?1")?;
    for (revision, key, deleted) in &old {
        superseded.execute((key, revision))?;
        if *deleted {
            deletion.execute([revision])?;
        }
    }
    let done = old.len() < limit;
    match old.last() {
        Some((revision, ..)) if !done => connection
            .prepare_cached("UPDATE history SET swept = ?1")?
            .execute([revision])?,
        _ => connection
            .prepare_cached("UPDATE history SET swept = oldest")?
            .execute(())?,
    };
    Ok(done)
}

/// Whether compacted entries are still to be removed.
pub(crate) fn is_unswept(connection: &Connection) -> Result<bool> {
    connection
        .prepare_cached("SELECT swept < oldest FROM history")?
        .query_row((), |row| row.get(0))
}
