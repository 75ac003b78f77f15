//! Random operations against a store that is too simple to be wrong: a copy of everything for each revision.

use std::collections::BTreeMap;

use super::*;
use crate::{Error, Page};

/// Keys that share prefixes, so that random operations meet.
const KEYS: [&str; 8] = ["/", "/a", "/a/x", "/a/y", "/a-b", "/ab", "/b/x/1", "/b/x/2"];

/// Prefixes to list and watch, some of which are no keys.
const PREFIXES: [&str; 6] = ["/", "/a", "/b", "/b/x", "/b/x/2", "/c"];

/// What the store is to be.
struct Model {
    /// The state at each revision, from [`Revision::ZERO`] on.
    states: Vec<BTreeMap<Key, Versioned>>,
    /// All that happened.
    events: Vec<Event>,
    oldest: Revision,
}

impl Model {
    fn new() -> Self {
        let states = vec![BTreeMap::new(), BTreeMap::new()];
        Self {
            states,
            events: Vec::new(),
            oldest: Revision::FIRST,
        }
    }

    fn revision(&self) -> Revision {
        Revision::new(self.states.len() as u64 - 1)
    }

    fn state(&self, at: Option<Revision>) -> Result<&BTreeMap<Key, Versioned>> {
        let current = self.revision();
        match at.unwrap_or(current) {
            asked if asked > current => Err(Error::Future { asked, current }),
            asked if asked < self.oldest => Err(Error::Compacted {
                asked,
                oldest: self.oldest,
            }),
            asked => Ok(&self.states[usize::try_from(asked.get()).expect("few")]),
        }
    }

    fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize, at: Option<Revision>) -> Result<Page> {
        let mut items: Vec<_> = self
            .state(at)?
            .values()
            .filter(|item| prefix.covers(&item.key) && after.is_none_or(|after| item.key > *after))
            .cloned()
            .collect();
        let more = items.len() > limit.max(1);
        items.truncate(limit.max(1));
        Ok(Page {
            items,
            revision: at.unwrap_or(self.revision()),
            more,
        })
    }

    fn commit(&mut self, change: Change, expect: Expect) -> Result<Revision> {
        let mut state = self.state(None)?.clone();
        let key = change.key().clone();
        let previous = state.get(&key).cloned();
        let current = previous.as_ref().map(|item| item.modified);
        let revision = self.revision().next();
        let allowed = match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Present => current.is_some(),
            Expect::At(revision) => current == Some(revision),
        };
        let change = match change {
            Change::Put { key, value } if allowed => {
                let created = previous.as_ref().map_or(revision, |item| item.created);
                let item = Versioned {
                    key: key.clone(),
                    value,
                    created,
                    modified: revision,
                };
                state.insert(key, item.clone());
                Changed::Put(item)
            }
            Change::Delete { key } if allowed && previous.is_some() => {
                state.remove(&key);
                Changed::Delete
            }
            Change::Put { .. } | Change::Delete { .. } => return Err(Error::Conflict { key, current }),
        };
        self.states.push(state);
        self.events.push(Event {
            revision,
            key,
            change,
            previous,
        });
        Ok(revision)
    }

    fn compact(&mut self, before: Revision) -> Result<()> {
        let current = self.revision();
        if before > current {
            return Err(Error::Future {
                asked: before,
                current,
            });
        }
        self.oldest = self.oldest.max(before);
        Ok(())
    }
}

/// Runs random operations, four numbers each, against an empty store and compares every answer with the model's.
pub async fn agrees_with_the_model(store: Tested, operations: &[[u8; 4]]) {
    let mut model = Model::new();
    let mut live = watch(&store, "/", Revision::FIRST).await;
    for (step, &[kind, which, a, b]) in operations.iter().enumerate() {
        let case = format!("operation {step}: {:?}", [kind, which, a, b]);
        let target = key(KEYS[usize::from(which) % KEYS.len()]);
        let prefix = key(PREFIXES[usize::from(which) % PREFIXES.len()]);
        // Around the present, or none, or anywhere from before the first revision to behind the last one.
        let any = Revision::new(u64::from(a) % (model.revision().get() + 2));
        let at = if b % 3 == 0 { None } else { Some(any) };
        match kind % 8 {
            0..=3 => {
                let expect = match a % 8 {
                    0 => Expect::Absent,
                    1 => Expect::Present,
                    2 => Expect::At(any),
                    3 => Expect::At(
                        model
                            .state(None)
                            .ok()
                            .and_then(|state| state.get(&target))
                            .map_or(Revision::ZERO, |item| item.modified),
                    ),
                    _ => Expect::Any,
                };
                let change = if kind % 8 == 3 {
                    Change::Delete { key: target }
                } else {
                    Change::Put {
                        key: target,
                        value: vec![b; usize::from(b) % 5].into(),
                    }
                };
                let want = model.commit(change.clone(), expect);
                same(store.commit(change, expect).await, want, &case);
            }
            4 => {
                let want = model.state(at).map(|state| state.get(&target).cloned());
                same(store.get(&target, at).await, want, &case);
            }
            5 => {
                let after = (a % 2 == 0).then_some(&target);
                let limit = usize::from(b) % 4;
                let want = model.list(&prefix, after, limit, at);
                same(store.list(&prefix, after, limit, at).await, want, &case);
            }
            6 => {
                let want = model.state(Some(any)).map(|_| ());
                match store.watch(&prefix, any).await {
                    Ok(mut stream) => {
                        same(Ok(()), want, &case);
                        let past = model.events.iter().filter(|event| event.revision > any);
                        for event in past.filter(|event| prefix.covers(&event.key)) {
                            assert_eq!(next(&mut stream).await, *event, "{case}");
                        }
                    }
                    Err(error) => same(Err(error), want, &case),
                }
            }
            _ => {
                // Rarely, so that there is a history to compact.
                if b % 4 == 0 {
                    same(store.compact(any).await, model.compact(any), &case);
                }
            }
        }
        same(store.revision().await, Ok(model.revision()), &case);
    }
    for want in &model.events {
        match next_result(&mut live).await {
            Ok(event) => assert_eq!(event, *want),
            Err(Error::Compacted { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Asserts that two answers are the same; errors are compared by what they print.
fn same<T: PartialEq + std::fmt::Debug>(got: Result<T>, want: Result<T>, case: &str) {
    let text = |error: Error| error.to_string();
    assert_eq!(got.map_err(text), want.map_err(text), "{case}");
}
