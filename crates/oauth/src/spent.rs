//! Which token came of which code, so that a code that comes a second time is answered without looking through all tokens.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use berth_apimachinery::cache::Change;
use berth_apimachinery::object::Object;
use berth_apimachinery::storage::Storage;

/// Names of tokens by the name of their code, kept current by the storage of the tokens. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Spent(Arc<RwLock<HashMap<String, String>>>);

impl Spent {
    /// Follows the tokens.
    pub(crate) fn of(tokens: &Storage) -> Spent {
        let spent = Spent::default();
        let follower = spent.clone();
        tokens.observe(Arc::new(move |change: &Change| follower.apply(change)));
        spent
    }

    /// The name of the token that came of a code, if it is still there.
    pub(crate) fn token(&self, code: &str) -> Option<String> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.get(code).cloned()
    }

    fn apply(&self, change: &Change) {
        let code = |token: &Object| token.str_at(&["authorizeToken"]).to_owned();
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match (&change.entry, &change.old) {
            (Some(entry), _) => {
                let code = code(entry.object());
                if !code.is_empty() {
                    held.insert(code, change.name().to_owned());
                }
            }
            (None, Some(old)) => {
                held.remove(&code(old.object()));
            }
            (None, None) => {}
        }
    }
}
